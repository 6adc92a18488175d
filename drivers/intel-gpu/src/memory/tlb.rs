// SPDX-License-Identifier: BSD-2-Clause
//! When a removed translation is really gone.
//!
//! Unbinding writes the tables; engines may go on using what their TLBs and walkers remember. So an
//! unbind returns an [`Unbinding`], and only [`crate::Gpu::release`] turns it into a [`Released`]: after
//! the invalidation of every engine that may remember has completed. Who gives pages back asks for a
//! `Released` and cannot be early.
//!
//! Every removal has a number. An invalidation completes all removals numbered so far, so several that
//! are waiting share one. Which engines may remember is known per address space: those on which it has a
//! request in flight, and those where one ran since their last invalidation. A space that no engine
//! remembers costs nothing.
//!
//! Sources: PRM vol 2c, GFX_TLB_INV_CR and siblings; i915: intel_gt.c (`mmio_invalidate_full`),
//! Wa_2207587034.

use crate::address::VaRange;
use crate::device::{EngineClass, EngineId, Generation};
use crate::error::Error;
use crate::memory::pool::PageList;
use crate::mmio::{Bus, poll};
use crate::platform::Hardware;

/// A range that has been taken out of the page tables, but that engines may still reach through their
/// TLBs. The pages behind it must not be given back before [`crate::Gpu::release`] has returned a
/// [`Released`] for it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the pages behind it may be reached until it is released"]
pub struct Unbinding {
    pub(crate) range: VaRange,
    pub(crate) pages: u64,
    pub(crate) number: u64,
}

impl Unbinding {
    /// The range.
    #[must_use]
    pub const fn range(&self) -> VaRange {
        self.range
    }

    /// The proof for a GPU that was given up: see [`crate::Gpu::release_given_up`].
    pub(crate) const fn without_confirmation(self) -> Released {
        Released { range: self.range, pages: self.pages }
    }
}

/// Proof that no engine reaches the pages of an unbound range through that range any more.
#[derive(Debug, PartialEq, Eq)]
pub struct Released {
    range: VaRange,
    pages: u64,
}

impl Released {
    /// The range.
    #[must_use]
    pub const fn range(&self) -> VaRange {
        self.range
    }

    /// 4 KiB pages that were mapped in it.
    #[must_use]
    pub const fn pages(&self) -> u64 {
        self.pages
    }
}

/// Engines, one bit per index in the driver's list.
pub(crate) type EngineMask = u8;

/// Numbers of removals, and what waits for the next invalidation.
#[derive(Debug)]
pub(crate) struct Tlb {
    /// Number of the last removal.
    last: u64,
    /// Number up to which all are complete.
    completed: u64,
    /// Engines that the removals since then concern.
    pub(crate) pending: EngineMask,
    /// Page tables that those removals emptied.
    pub(crate) tables: PageList,
    /// An invalidation was not confirmed in its time.
    pub(crate) unconfirmed: bool,
}

impl Tlb {
    pub(crate) const fn new() -> Self {
        Self { last: 0, completed: 0, pending: 0, tables: PageList::new(), unconfirmed: false }
    }

    /// Numbers a removal that `engines` may remember.
    pub(crate) fn removed(&mut self, range: VaRange, pages: u64, engines: EngineMask) -> Unbinding {
        if engines == 0 {
            return Unbinding { range, pages, number: 0 };
        }
        self.last += 1;
        self.pending |= engines;
        Unbinding { range, pages, number: self.last }
    }

    /// The proof, if the invalidation for `unbinding` is complete.
    pub(crate) fn try_release(&self, unbinding: Unbinding) -> Result<Released, Unbinding> {
        if unbinding.number <= self.completed {
            Ok(Released { range: unbinding.range, pages: unbinding.pages })
        } else {
            Err(unbinding)
        }
    }

    /// All engines of `pending` have been invalidated.
    pub(crate) fn completed(&mut self) {
        self.pending = 0;
        self.unconfirmed = false;
        self.completed = self.last;
    }
}

/// Register, value to write, and bit to poll of one engine's full invalidation.
fn request(generation: Generation, engine: EngineId) -> (u32, u32, u32) {
    let bit = 1u32 << engine.instance;
    let masked = bit << 16 | bit;
    match (generation, engine.class) {
        (Generation::Gen12, EngineClass::Render) => (0xced8, bit, bit),
        (Generation::Gen12, EngineClass::Video) => (0xcedc, masked, bit),
        (Generation::Gen12, EngineClass::VideoEnhance) => (0xcee0, masked, bit),
        (Generation::Gen12, EngineClass::Copy) => (0xcee4, bit, bit),
        (_, EngineClass::Render) => (0x4260, 1, 1),
        (Generation::Gen11, EngineClass::Video) => (0x4264, bit, bit),
        (_, EngineClass::Video) => (0x4264 + 4 * u32::from(engine.instance), 1, 1),
        (_, EngineClass::Copy) => (0x426c, 1, 1),
        (_, EngineClass::VideoEnhance) => (0x4270, 1, 1),
    }
}

/// OA unit's TLB, Wa_2207587034.
const OA_INVALIDATE: u32 = 0xceec;

/// Invalidates the TLBs of `engines` and waits until each has answered.
pub(crate) fn invalidate<H: Hardware>(
    bus: &mut Bus<H>,
    generation: Generation,
    engines: impl Iterator<Item = EngineId> + Clone,
) -> Result<(), Error> {
    for engine in engines.clone() {
        let (register, value, _) = request(generation, engine);
        bus.write_raw(register, value);
    }
    if generation == Generation::Gen12 {
        bus.write_raw(OA_INVALIDATE, 1);
    }
    for engine in engines {
        let (register, _, bit) = request(generation, engine);
        // TIMEOUT: 4 ms, TLB_INVAL_TIMEOUT_MS of i915; it normally takes some microseconds.
        let done = poll::until(bus, 4_000_000, |bus| bus.read_raw(register) & bit == 0);
        done.map_err(|_| Error::Timeout)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::GpuVirtual;
    use crate::mmio::DomainSet;
    use crate::testing::FakeHardware;

    fn range() -> VaRange {
        VaRange::new(GpuVirtual::new(0x1000).expect("canonical"), 0x1000).expect("aligned")
    }

    #[test]
    fn a_removal_that_an_engine_may_remember_is_released_only_after_the_invalidation() {
        let mut tlb = Tlb::new();
        let unbinding = tlb.removed(range(), 1, 0b10);
        let unbinding = tlb.try_release(unbinding).expect_err("not yet");
        let later = tlb.removed(range(), 1, 0b1);
        assert_eq!(tlb.pending, 0b11);
        tlb.completed();
        assert!(tlb.try_release(unbinding).is_ok());
        assert!(tlb.try_release(later).is_ok());
        let unused = tlb.removed(range(), 0, 0);
        assert!(tlb.try_release(unused).is_ok());
    }

    #[test]
    fn each_generation_has_its_registers() {
        assert_eq!(request(Generation::Gen9, EngineId::BCS0), (0x426c, 1, 1));
        assert_eq!(request(Generation::Gen9, EngineId::VCS1), (0x4268, 1, 1));
        assert_eq!(request(Generation::Gen11, EngineId::VCS2), (0x4264, 4, 4));
        assert_eq!(request(Generation::Gen12, EngineId::BCS0), (0xcee4, 1, 1));
        assert_eq!(request(Generation::Gen12, EngineId::VCS2), (0xcedc, 0x0004_0004, 4));
    }

    #[test]
    fn an_engine_that_does_not_answer_is_a_timeout() {
        let mut bus = Bus::new(FakeHardware::new(1), Generation::Gen12, true);
        bus.hw.stuck = true; // registers keep what is written: the request bit never clears
        let _ = DomainSet::EMPTY;
        let result = invalidate(&mut bus, Generation::Gen12, [EngineId::BCS0].into_iter());
        assert_eq!(result, Err(Error::Timeout));
    }
}
