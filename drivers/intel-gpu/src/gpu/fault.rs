// SPDX-License-Identifier: BSD-2-Clause
//! Page faults. What is not bound leads to scratch, so that a stray access reads zero and is lost where it writes, and stops
//! nothing (`memory/ppgtt`). A fault is what is left: an address beyond the address space, memory behind it that does not
//! answer as its owner has revoked the frame, or tables that are not there.
//!
//! It stops its engine, which is found like every other hang, by the clock; i915, too, listens to no interrupt of a fault.
//! Then the one set of registers that all engines share says what happened. Whoever resets an engine takes that down and
//! clears it for the next fault (i915: intel_gt.c, `gen8_check_faults`, `intel_gt_clear_error_registers`).

use super::Gpu;
use crate::device::{EngineClass, EngineId, Generation};
use crate::mmio::regs::{
    FaultData0Gen8, FaultData0Gen12, FaultData1Gen8, FaultData1Gen12, FaultGen8, FaultGen12,
};
use crate::platform::Hardware;
use crate::trace;

/// What the registers say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PageFault {
    /// RING_FAULT, FAULT_TLB_DATA 0 and 1.
    pub(super) register: u32,
    pub(super) data: [u32; 2],
}

impl PageFault {
    /// Whether there was one. A device that is gone has had none.
    const fn is_valid(self) -> bool {
        FaultGen8(self.register).is_set(FaultGen8::VALID) && self.register != u32::MAX
    }

    /// The page that was wanted: bits 43:12 are in the first register of data, 47:44 in the second.
    fn address(self) -> u64 {
        let [low, high] = self.data;
        u64::from(low) << 12 | u64::from(FaultData1Gen8(high).get(FaultData1Gen8::VA_HIGH)) << 44
    }
}

/// The engine that the register's field names. The numbers of Gen12 are not documented.
const fn engine_of(generation: Generation, field: u32) -> Option<EngineId> {
    Some(match (generation, field) {
        (Generation::Gen12, _) => return None,
        (_, 0) => EngineId::RCS0,
        (_, 1) => EngineId::VCS0,
        (Generation::Gen11, 2) => EngineId::VCS2,
        (_, 2) => EngineId::VCS1,
        (_, 3) => EngineId { class: EngineClass::VideoEnhance, instance: 0 },
        (_, 4) => EngineId::BCS0,
        _ => return None,
    })
}

impl<H: Hardware> Gpu<H> {
    pub(super) fn read_fault(&mut self) -> PageFault {
        if self.platform.generation == Generation::Gen12 {
            let register: FaultGen12 = self.bus.read();
            let (low, high): (FaultData0Gen12, FaultData1Gen12) = (self.bus.read(), self.bus.read());
            PageFault { register: register.0, data: [low.0, high.0] }
        } else {
            let register: FaultGen8 = self.bus.read();
            let (low, high): (FaultData0Gen8, FaultData1Gen8) = (self.bus.read(), self.bus.read());
            PageFault { register: register.0, data: [low.0, high.0] }
        }
    }

    /// Looks whether there was a page fault, counts it for what its engine executes, and clears the registers. `stopped` is
    /// the engine that is about to be reset: its fault it is where the register does not name another one.
    pub(super) fn take_fault(&mut self, stopped: usize) {
        let fault = self.read_fault();
        if !fault.is_valid() {
            return;
        }
        let named = engine_of(self.platform.generation, FaultGen8(fault.register).get(FaultGen8::ENGINE));
        let engine = self.engines.iter().position(|engine| Some(engine.id) == named).unwrap_or(stopped);
        let address = fault.address();
        self.bus.hw.note(|| trace::Event::Fault { engine: self.engines[engine].id, address });
        self.statistics.faults += 1;
        let account = self.guilty(engine).and_then(|id| self.contexts.get(id)).map(|context| context.account);
        if let Some(consumed) = account.and_then(|account| self.consumed.get_mut(account.index() as usize)) {
            consumed.faults += 1;
        }
        if self.platform.generation == Generation::Gen12 {
            self.bus.write(FaultGen12(fault.register).with(FaultGen12::VALID, 0));
        } else {
            self.bus.write(FaultGen8(fault.register).with(FaultGen8::VALID, 0));
        }
    }
}
