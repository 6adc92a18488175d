// SPDX-License-Identifier: BSD-2-Clause
//! The frames: their original capabilities, their contents, and the capabilities that stand behind clients' pages.
//!
//! ```text
//!   slots 1, 2    originals of the frames that clients' pages begin with, mapped in this domain for good
//!   slot 3        originals of the spare frames, likewise
//!   slots 4, 5    what is behind each client's pages now, page by page: mapped in the client, and lent from here
//!   slots 6, 7    the clients' address spaces
//! ```

use core::ptr::NonNull;

use microkit_ext::cap::{self, CapRights, Frame, Slot};
use sel4::Cacheability;
use sel4::cap::Pml4;
use sel4_microkit::{debug_println, var};
use window::Window;

use crate::pages::{CLIENTS, PAGES};

/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;
/// 8-byte words of a page.
const WORDS: usize = PAGE / 8;
/// Slots of `<cspace>`; see the module.
const ORIGINALS: usize = 1;
pub(crate) const BEHIND: usize = 4;
const SPACES: usize = 6;
/// Radix of the CNodes in slots 4 and 5.
pub(crate) const BEHIND_BITS: u8 = 6;

/// A frame: which region, and which page of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameId {
    pub(crate) region: usize,
    pub(crate) page: usize,
}

/// The regions that frames are from.
#[derive(Debug)]
pub(crate) struct Frames {
    regions: [(Window, u8); CLIENTS + 1],
}

/// A word that differs between frames and between their words (the finaliser of SplitMix64).
fn pattern(frame: FrameId, word: usize) -> u64 {
    let seed = (frame.region << 32 | frame.page << 16 | word) as u64;
    let mut mixed = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

#[allow(unsafe_code)]
fn region(base: usize, size: usize) -> Window {
    let Some(base) = NonNull::new(base as *mut u8) else {
        // SAFETY: no byte of it is ever accessed.
        return unsafe { Window::new(NonNull::dangling(), 0) };
    };
    // SAFETY: system.xml maps the region there with that size for the life of the domain, and each is made into a
    // window once.
    unsafe { Window::new(base, size) }
}

impl Frames {
    /// What system.xml gives.
    pub(crate) fn given() -> Self {
        // CAST: a CNode's radix is far below 256; a wrong one is refused by the kernel.
        #[allow(clippy::cast_possible_truncation)]
        let bits = |bits: &u64| *bits as u8;
        Self {
            regions: [
                (
                    region(*var!(pages_a: usize = 0), *var!(pages_a_size: usize = 0)),
                    bits(var!(pages_a_bits: u64 = 0)),
                ),
                (
                    region(*var!(pages_b: usize = 0), *var!(pages_b_size: usize = 0)),
                    bits(var!(pages_b_bits: u64 = 0)),
                ),
                (
                    region(*var!(spare: usize = 0), *var!(spare_size: usize = 0)),
                    bits(var!(spare_bits: u64 = 0)),
                ),
            ],
        }
    }

    /// Whether there are CNodes with the frames: where the image tool gives none, it sets no radix either.
    pub(crate) fn have_capabilities(&self) -> bool {
        self.regions.iter().all(|(_, bits)| *bits > 0)
    }

    /// Number of frames of a region.
    pub(crate) fn count(&self, region: usize) -> usize {
        self.regions[region].0.len() / PAGE
    }

    fn original(&self, frame: FrameId) -> Slot {
        cap::place(ORIGINALS + frame.region, self.regions[frame.region].1, frame.page)
    }

    /// Takes a frame from everybody but this domain.
    pub(crate) fn revoke(&self, frame: FrameId) {
        if let Err(error) = self.original(frame).revoke() {
            debug_println!("memory_server: {frame:?} is not revoked: {error}");
        }
    }

    /// Puts a frame behind a client's page: maps it there, so that the client's CPU reaches it, and makes it the one to
    /// be lent.
    pub(crate) fn put_behind(&self, frame: FrameId, client: usize, page: usize, address: u64) {
        let place = cap::place(BEHIND + client, BEHIND_BITS, page);
        let cap = Frame::from_cptr(cap::content(BEHIND + client, BEHIND_BITS, page));
        let space = Pml4::from_cptr(cap::slot(SPACES + client));
        let done = place
            .copy_from(self.original(frame), CapRights::READ_WRITE)
            .and_then(|()| cap.map(space, address, CapRights::READ_WRITE, Cacheability::WriteBack));
        if let Err(error) = done {
            debug_println!("memory_server: {frame:?} does not go behind {address:#x}: {error}");
        }
    }

    /// Takes the frame behind a client's page away from there: the client's CPU does not reach it any more.
    pub(crate) fn take_from_behind(&self, client: usize, page: usize) {
        debug_assert!(page < PAGES);
        // Deleting the capability of a mapped page unmaps it.
        if let Err(error) = cap::place(BEHIND + client, BEHIND_BITS, page).delete() {
            debug_println!("memory_server: page {page} of client {client} stays: {error}");
        }
    }

    /// Copies a frame's contents to another.
    pub(crate) fn copy(&mut self, from: FrameId, to: FrameId) {
        for word in 0..WORDS {
            let value: u64 = self.regions[from.region].0.read(from.page * PAGE + word * 8);
            self.regions[to.region].0.write(to.page * PAGE + word * 8, value);
        }
    }

    /// Fills a frame with its pattern.
    pub(crate) fn scribble(&mut self, frame: FrameId) {
        for word in 0..WORDS {
            self.regions[frame.region].0.write(frame.page * PAGE + word * 8, pattern(frame, word));
        }
    }

    /// How many words of a frame are not as [`Frames::scribble`] left them.
    pub(crate) fn damage(&self, frame: FrameId) -> u64 {
        let window = &self.regions[frame.region].0;
        let differs =
            |word: &usize| window.read::<u64>(frame.page * PAGE + word * 8) != pattern(frame, *word);
        (0..WORDS).filter(differs).count() as u64
    }
}
