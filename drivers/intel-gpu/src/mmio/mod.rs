// SPDX-License-Identifier: BSD-2-Clause
//! Register access. Every access goes through [`Bus`], which knows what is awake: an access to a
//! register whose power domain sleeps is counted in debug builds, and a test demands that count to be
//! zero. The bus is also the one place where memory written by the CPU is made visible to the GPU.

pub(crate) mod forcewake;
pub(crate) mod poll;
mod ranges;
pub(crate) mod register;
pub(crate) mod regs;

pub(crate) use forcewake::DomainSet;

use crate::address::DmaOffset;
use crate::device::Generation;
use crate::error::InitError;
use crate::platform::{Clock, Hardware};
use register::{Array, Field, Global, Masked, PerEngine};

/// Base of an engine's registers in BAR 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EngineBase(pub(crate) u32);

/// The hardware, and what the driver knows of its state.
#[derive(Debug)]
pub(crate) struct Bus<H> {
    pub(crate) hw: H,
    generation: Generation,
    /// CPU caches and GPU share the last level.
    llc: bool,
    awake: DomainSet,
    sleeping_accesses: u32,
}

impl<H: Hardware> Bus<H> {
    pub(crate) fn new(hw: H, generation: Generation, llc: bool) -> Self {
        Self { hw, generation, llc, awake: DomainSet::EMPTY, sleeping_accesses: 0 }
    }

    /// Wakes `domains`, all that are not awake already.
    pub(crate) fn wake(&mut self, domains: DomainSet) -> Result<(), InitError> {
        let missing = domains.without(self.awake);
        if let Err(error) = forcewake::get(&mut self.hw, self.generation, missing) {
            // The next attempt would take an acknowledgement that comes late for a stale one.
            forcewake::put(&mut self.hw, missing);
            return Err(error);
        }
        self.awake = self.awake.union(missing);
        Ok(())
    }

    /// Drops all requests of the power domains, also those of whoever ran before.
    pub(crate) fn reset_forcewake(&mut self, domains: DomainSet) {
        forcewake::reset(&mut self.hw, self.generation, domains);
        self.awake = self.awake.without(domains);
    }

    /// Lets every domain sleep.
    pub(crate) fn sleep(&mut self) {
        forcewake::put(&mut self.hw, self.awake);
        self.awake = DomainSet::EMPTY;
    }

    /// A full GT reset drops the requests; asks for the same domains again. Withdraws them first: where
    /// they survived, the acknowledgement would look like a stale one.
    pub(crate) fn rewake(&mut self) -> Result<(), InitError> {
        let domains = self.awake;
        self.sleep();
        self.wake(domains)
    }

    /// Accesses to registers of sleeping domains so far; counted in debug builds only.
    pub(crate) const fn sleeping_accesses(&self) -> u32 {
        self.sleeping_accesses
    }

    fn check(&mut self, offset: u32) {
        if cfg!(debug_assertions) && !self.awake.contains(ranges::needed(self.generation, offset)) {
            self.sleeping_accesses += 1;
        }
    }

    /// Reads a register named by its offset: tables only.
    pub(crate) fn read_raw(&mut self, offset: u32) -> u32 {
        self.check(offset);
        self.hw.read32(offset)
    }

    /// Writes a register named by its offset: tables only.
    pub(crate) fn write_raw(&mut self, offset: u32, value: u32) {
        self.check(offset);
        self.hw.write32(offset, value);
    }

    pub(crate) fn read<R: Global>(&mut self) -> R {
        R::from_raw(self.read_raw(R::OFFSET))
    }

    pub(crate) fn write<R: Global>(&mut self, value: R) {
        self.write_raw(R::OFFSET, value.raw());
    }

    pub(crate) fn read_at<R: Array>(&mut self, index: u32) -> R {
        debug_assert!(index < R::COUNT);
        R::from_raw(self.read_raw(R::OFFSET + index * R::STRIDE))
    }

    pub(crate) fn write_at<R: Array>(&mut self, index: u32, value: R) {
        debug_assert!(index < R::COUNT);
        self.write_raw(R::OFFSET + index * R::STRIDE, value.raw());
    }

    pub(crate) fn read_on<R: PerEngine>(&mut self, engine: EngineBase) -> R {
        R::from_raw(self.read_raw(engine.0 + R::OFFSET))
    }

    pub(crate) fn write_on<R: PerEngine>(&mut self, engine: EngineBase, value: R) {
        self.write_raw(engine.0 + R::OFFSET, value.raw());
    }

    /// Sets one field of a masked register and nothing else.
    pub(crate) fn write_field_on<R: PerEngine + Masked>(
        &mut self,
        engine: EngineBase,
        field: Field<R>,
        value: u32,
    ) {
        self.write_raw(engine.0 + R::OFFSET, field.mask() << 16 | field.put(value));
    }

    /// What the CPU wrote there is in memory where the GPU finds it. The one place that flushes caches:
    /// with a shared last-level cache nothing is to be done, without one the GPU's page walker does
    /// not snoop (i915: `has_llc`, `drm_clflush_virt_range` on page tables).
    pub(crate) fn publish(&mut self, at: DmaOffset, bytes: usize) {
        if !self.llc {
            self.hw.flush(at, bytes);
        }
    }
}

impl<H: Hardware> Clock for Bus<H> {
    fn now_ns(&mut self) -> u64 {
        self.hw.now_ns()
    }

    fn relax(&mut self) {
        self.hw.relax();
    }
}
