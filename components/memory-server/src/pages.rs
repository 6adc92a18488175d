// SPDX-License-Identifier: BSD-2-Clause
//! Which frame stands behind which page of which client, and what a move is.

use core::ops::Range;

use gpu_client::{Backing, Errno, Frames as Lent, Lendable};
use microkit_ext::cap;
use sel4_microkit::{debug_println, var};

use crate::frames::{BEHIND, BEHIND_BITS, FrameId, Frames, PAGE};

/// Clients whose memory this is. Client `n` has the driver's channel `n + 1`.
pub(crate) const CLIENTS: usize = 2;
/// Pages of each client.
pub(crate) const PAGES: usize = 17;
/// Most frames that stand behind nothing.
const MOST_SPARE: usize = 64;

/// The driver's number of a client's address space.
pub(crate) const fn space(client: usize) -> u32 {
    // CAST: two clients.
    #[allow(clippy::cast_possible_truncation)]
    {
        client as u32 + 1
    }
}

/// The frames behind the pages, and those behind none.
#[derive(Debug)]
pub(crate) struct Pages {
    frames: Frames,
    /// First byte of each client's pages in its address space.
    bases: [u64; CLIENTS],
    behind: [[FrameId; PAGES]; CLIENTS],
    /// A ring of those that stand behind nothing, so that each is left alone for as long as there can be.
    free: [FrameId; MOST_SPARE],
    first_free: usize,
    free_count: usize,
    /// Pages that were moved.
    pub(crate) moves: u64,
    /// Words of frames that somebody has written while they stood behind nothing.
    pub(crate) damaged: u64,
}

impl Pages {
    /// Makes this domain the only one that holds the frames, and puts each behind the page that it was mapped at. `None`:
    /// it has not been given their capabilities.
    pub(crate) fn take_over() -> Option<Self> {
        let frames = Frames::given();
        if !frames.have_capabilities() {
            return None;
        }
        let bases = [*var!(client_a_pages: u64 = 0), *var!(client_b_pages: u64 = 0)];
        let behind =
            core::array::from_fn(|client| core::array::from_fn(|page| FrameId { region: client, page }));
        let free = [FrameId { region: CLIENTS, page: 0 }; MOST_SPARE];
        let spare = frames.count(CLIENTS).min(MOST_SPARE);
        let mut pages =
            Self { frames, bases, behind, free, first_free: 0, free_count: 0, moves: 0, damaged: 0 };
        for client in 0..CLIENTS {
            for page in 0..PAGES.min(pages.frames.count(client)) {
                let frame = pages.behind[client][page];
                pages.frames.revoke(frame);
                pages.frames.put_behind(frame, client, page, pages.address(client, page));
            }
        }
        for page in 0..spare {
            pages.set_free(FrameId { region: CLIENTS, page });
        }
        Some(pages)
    }

    /// Frames that stand behind nothing.
    pub(crate) const fn spare(&self) -> usize {
        self.free_count
    }

    fn address(&self, client: usize, page: usize) -> u64 {
        self.bases[client] + (page * PAGE) as u64
    }

    /// The range of one page in its client's address space.
    pub(crate) fn range(&self, client: usize, page: usize) -> Range<u64> {
        let address = self.address(client, page);
        address..address + PAGE as u64
    }

    fn set_free(&mut self, frame: FrameId) {
        self.frames.scribble(frame);
        self.free[(self.first_free + self.free_count) % MOST_SPARE] = frame;
        self.free_count += 1;
    }

    /// The frame that has been free for longest. Nobody has written to it meanwhile.
    fn take_free(&mut self) -> Option<FrameId> {
        self.free_count = self.free_count.checked_sub(1)?;
        let frame = self.free[self.first_free];
        self.first_free = (self.first_free + 1) % MOST_SPARE;
        let damage = self.frames.damage(frame);
        if damage > 0 {
            debug_println!("memory_server: {damage} words of {frame:?} were written after it was taken back");
            self.damaged += damage;
        }
        Some(frame)
    }

    /// How many words of all free frames have been written.
    pub(crate) fn check_free(&self) -> u64 {
        let frame = |index| self.free[(self.first_free + index) % MOST_SPARE];
        (0..self.free_count).map(|index| self.frames.damage(frame(index))).sum()
    }

    /// Moves a page that is back to another frame.
    fn relocate(&mut self, client: usize, page: usize) {
        let Some(new) = self.take_free() else { return };
        let old = core::mem::replace(&mut self.behind[client][page], new);
        self.frames.take_from_behind(client, page);
        self.frames.copy(old, new);
        self.frames.put_behind(new, client, page, self.address(client, page));
        self.set_free(old);
        self.moves += 1;
    }

    /// The client and the page at an address of an address space.
    fn find(&self, space: u32, at: u64) -> Option<(usize, usize)> {
        let client = (0..CLIENTS).find(|client| self::space(*client) == space)?;
        let page = usize::try_from(at.checked_sub(self.bases[client])?).ok()? / PAGE;
        (page < PAGES).then_some((client, page))
    }
}

impl Backing for Pages {
    fn lend(&mut self, space: u32, at: u64, _write: bool) -> Result<Lendable, Errno> {
        let (client, _) = self.find(space, at).ok_or(Errno::Fault)?;
        Ok(Lendable {
            address: self.bases[client],
            size: (PAGES * PAGE) as u64,
            frames: Lent::Capabilities {
                cnode: cap::cnode(BEHIND + client).cptr().bits(),
                bits: BEHIND_BITS.into(),
                page_bits: 12,
            },
        })
    }

    fn back(&mut self, space: u32, range: Range<u64>, _dirty: u64) {
        for at in range.step_by(PAGE) {
            if let Some((client, page)) = self.find(space, at) {
                self.relocate(client, page);
            }
        }
    }
}
