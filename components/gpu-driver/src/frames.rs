// SPDX-License-Identifier: BSD-2-Clause
//! The capabilities that clients lend: received as a CNode or alone, copied, mapped for the GPU, given up
//! again.
//!
//! ```text
//!   message ──► RECEIVED (one capability) ────────copy──► KEPT[slot] ──MapIO──► I/O space of the GPU
//!                    └── deleted when the call ends              ├── asked for its address, without waiting
//!                                                                └── deleted when the page is released
//! ```
//!
//! Deleting a frame capability unmaps it from the I/O space (seL4: `src/arch/x86/object/iospace.c`,
//! `unmapIOPage`), so holding none means reaching none. Where no capability can be sent, frames are lent by the
//! name of their region, and stay mapped: only a note is kept of those.

use intel_gpu::address::DeviceAddress;
use intel_gpu::uapi::{Frame, FrameError, Source};
use microkit_ext::cap::{self, CNode, CPtr, CapRights, Frame as FrameCap, IoSpace, Slot};

/// `cap_cspace_root`.
const ROOT_SLOT: usize = 1;
/// `cap_cnode`: the frames that are lent now, by their number in the core's pool.
const KEPT_SLOT: usize = 2;
/// Radix of that CNode in system.xml.
pub(crate) const KEPT_BITS: u8 = 13;
/// `cap_io_space`.
const IO_SPACE_SLOT: usize = 3;
/// Where a capability that comes with a message arrives: a place of the system CNode that the image tool
/// leaves empty, because addresses end there (see `microkit_ext::cap`).
const RECEIVED: u64 = 600;
/// Bits of a whole address.
const WORD_BITS: u8 = 64;

/// Access to the capabilities.
#[derive(Debug)]
pub(crate) struct Frames {
    io_space: IoSpace,
    /// A bit for each number of the core's pool that is a frame without capability.
    adopted: [u64; 1 << (KEPT_BITS - 6)],
    /// Invocations of frame capabilities and of places for them since the start.
    pub(crate) invocations: u64,
}

impl Frames {
    /// Makes ready to receive.
    pub(crate) fn new() -> Self {
        cap::set_receive_slot(Self::received());
        Self {
            io_space: IoSpace::from_cptr(cap::slot(IO_SPACE_SLOT)),
            adopted: [0; 1 << (KEPT_BITS - 6)],
            invocations: 0,
        }
    }

    fn adopted(&self, slot: u32) -> bool {
        self.adopted.get(slot as usize / 64).is_some_and(|word| word & 1 << (slot % 64) != 0)
    }

    /// See [`intel_gpu::uapi::Domain::adopt_frames`].
    pub(crate) fn adopt(&mut self, slot: u32) {
        if let Some(word) = self.adopted.get_mut(slot as usize / 64) {
            *word |= 1 << (slot % 64);
        }
    }

    fn received() -> Slot {
        Slot::new(cap::cnode(ROOT_SLOT), RECEIVED, WORD_BITS)
    }

    fn kept(slot: u32) -> Option<(Slot, FrameCap)> {
        let index = usize::try_from(slot).ok().filter(|index| *index < 1 << KEPT_BITS)?;
        let cap = FrameCap::from_cptr(cap::content(KEPT_SLOT, KEPT_BITS, index));
        Some((cap::place(KEPT_SLOT, KEPT_BITS, index), cap))
    }

    /// Gives up what came with a message, so that the next one can bring something.
    pub(crate) fn forget_received(&self) {
        // An error would say that nothing came, which is as good.
        let _ = Self::received().delete();
    }

    /// See [`intel_gpu::uapi::Domain::take_frame`].
    pub(crate) fn take(&mut self, source: Source, slot: u32, write: bool) -> Result<Frame, FrameError> {
        let (place, cap) = Self::kept(slot).ok_or(FrameError::NotAFrame)?;
        let from = match source {
            Source::CNode { bits, index } => {
                let depth = u8::try_from(bits).map_err(|_| FrameError::NoCnode)?;
                Slot::new(CNode::from_cptr(CPtr::new(RECEIVED)), u64::from(index), depth)
            }
            Source::Message => Self::received(),
        };
        self.invocations += 2;
        place.copy_from(from, CapRights::new(true, write, false)).map_err(|_| FrameError::NotAFrame)?;
        // Whoever sent it decides what it is.
        match cap.address_if_frame() {
            Some(physical) => Ok(Frame { slot, physical }),
            None => {
                self.release(slot);
                Err(FrameError::NotAFrame)
            }
        }
    }

    fn address(&mut self, frame: FrameCap) -> Result<u64, cap::Error> {
        self.invocations += 1;
        frame.address()
    }

    /// See [`intel_gpu::uapi::Domain::is_held`]: revoking a capability deletes all copies of it, so that its slot
    /// is empty, and takes the frame out of the I/O space.
    pub(crate) fn is_held(&mut self, slot: u32, device: DeviceAddress) -> bool {
        if self.adopted(slot) {
            return true;
        }
        let address = Self::kept(slot).map(|(_, frame)| self.address(frame));
        address == Some(Ok(device.get()))
    }

    /// How many capabilities are kept: asks the kernel about every place.
    pub(crate) fn held(&self) -> u64 {
        let is_there = |cap: FrameCap| {
            if sel4::DEBUG_BUILD {
                // A debug kernel prints a line about each call of an empty place.
                sel4::debug_cap_identify(cap.cptr()) != 0
            } else {
                cap.address().is_ok()
            }
        };
        let kept = (0..1_u32 << KEPT_BITS).filter_map(Self::kept);
        kept.map(|(_, cap)| u64::from(is_there(cap))).sum()
    }

    /// See [`intel_gpu::uapi::Domain::map_frame`]: the I/O virtual address of a lent page is its physical
    /// one; the image tool has made page tables for what may be lent.
    pub(crate) fn map(&mut self, frame: Frame, write: bool) -> Result<DeviceAddress, FrameError> {
        let (_, cap) = Self::kept(frame.slot).ok_or(FrameError::NotMappable)?;
        self.invocations += 1;
        cap.map_io(self.io_space, frame.physical, CapRights::new(true, write, false))
            .map_err(|_| FrameError::NotMappable)?;
        Ok(DeviceAddress::new(frame.physical))
    }

    /// See [`intel_gpu::uapi::Domain::release_frame`].
    pub(crate) fn release(&mut self, slot: u32) {
        if self.adopted(slot) {
            self.adopted[slot as usize / 64] &= !(1 << (slot % 64));
        } else if let Some((place, _)) = Self::kept(slot) {
            self.invocations += 1;
            // A capability that its owner has revoked meanwhile is gone already.
            let _ = place.delete();
        }
    }
}
