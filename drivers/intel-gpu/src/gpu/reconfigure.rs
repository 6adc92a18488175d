// SPDX-License-Identifier: BSD-2-Clause
//! Changes of a context that its image must follow. The hardware writes the image when the context leaves, so
//! it is changed only while the context is off the hardware.

use super::{ContextId, Gpu, VmId};
use crate::device::{EngineClass, Sseu};
use crate::engine::image::{self, slot};
use crate::error::Error;
use crate::platform::Hardware;

/// Looks at the status events of a context that has nothing to do but has not left.
// TIMEOUT: the event follows the last breadcrumb within microseconds; this waits a few hundred at most.
const LEAVE_POLLS: u32 = 100;

impl<H: Hardware> Gpu<H> {
    /// Makes sure that a context without requests is off the hardware.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`] if it has requests, or does not leave.
    pub fn context_leave(&mut self, id: ContextId) -> Result<(), Error> {
        for _ in 0..LEAVE_POLLS {
            let context = self.context(id)?;
            let engine = context.engine;
            if context.first.is_some() {
                break;
            }
            if context.ports == 0 {
                return Ok(());
            }
            if !self.process_engine(engine) {
                self.bus.hw.relax();
            }
            self.run_scheduler();
        }
        Err(Error::Busy)
    }

    /// Puts a context into another address space. Its logical state stays.
    ///
    /// # Errors
    /// [`Error::NotFound`] (context, address space); [`Error::Busy`] if it is not off the hardware
    /// ([`Self::context_leave`]).
    pub fn context_set_vm(&mut self, id: ContextId, vm: VmId) -> Result<(), Error> {
        let pdps = self.vms.get(vm).ok_or(Error::NotFound)?.ppgtt.pdp_registers(&self.pool);
        let context = self.contexts.get_mut(id).ok_or(Error::NotFound)?;
        if context.ports != 0 || context.first.is_some() {
            return Err(Error::Busy);
        }
        let before = core::mem::replace(&mut context.vm, vm);
        context.force_restore = true;
        let state = context.state;
        image::set_pdps(&pdps, &mut |dword, value| self.bus.hw.write_u32(state.at(dword * 4), value));
        self.bus.publish(state.at(0), 4096);
        if let Some(before) = self.vms.get_mut(before) {
            before.contexts -= 1;
        }
        if let Some(vm) = self.vms.get_mut(vm) {
            vm.contexts += 1;
        }
        Ok(())
    }

    /// Chooses what a context powers of the render engine. Requests that are submitted from now on run with it;
    /// on other engines it changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn context_set_sseu(&mut self, id: ContextId, sseu: Sseu) -> Result<(), Error> {
        let context = self.context_mut(id)?;
        if context.sseu == sseu {
            return Ok(());
        }
        context.sseu = sseu;
        if context.ports == 0 && context.first.is_none() {
            self.context_write_sseu(id);
        } else if let Some(context) = self.contexts.get_mut(id) {
            context.reload = true;
        }
        Ok(())
    }

    /// Writes the image's R_PWR_CLK_STATE. The context is off the hardware.
    pub(super) fn context_write_sseu(&mut self, id: ContextId) {
        let Some(context) = self.contexts.get_mut(id) else { return };
        if self.engines[context.engine].id.class != EngineClass::Render {
            return;
        }
        context.force_restore = true;
        let at = context.state.at(slot::POWER_CLOCK_STATE * 4);
        let value = image::power_clock_state(self.platform.generation, &self.fuses.topology, context.sseu);
        self.bus.hw.write_u32(at, value);
        self.bus.publish(at, 4);
    }

    /// Bounds how long one request of a context may run, 0 for not at all: then its engine is reset, and the
    /// context is to blame.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn context_set_watchdog(&mut self, id: ContextId, ns: u64) -> Result<(), Error> {
        self.context_mut(id)?.watchdog_ns = ns;
        Ok(())
    }

    /// Time of the driver's clock, in nanoseconds.
    pub fn now_ns(&mut self) -> u64 {
        self.bus.hw.now_ns()
    }
}
