// SPDX-License-Identifier: BSD-2-Clause
//! Parameters: one field of a context's value, set at creation or later, and read.
//!
//! i915: `ctx_setparam`, `i915_gem_context_getparam_ioctl`.

use gpu_protocol::{ContextParam, Errno, Reply};

use super::super::domain::{ClientId, Domain};
use super::super::driver::Driver;
use super::chain::Budget;
use super::{Context, Value};
use crate::handle::Id;
use crate::platform::Hardware;

/// Lowest and highest priority that a client can ask for (i915: `I915_CONTEXT_MIN_USER_PRIORITY`).
const PRIORITIES: core::ops::RangeInclusive<i64> = -1023..=1023;
/// Longest time that a watchdog can be set to: an hour.
const MAX_WATCHDOG_US: u64 = 3_600_000_000;

impl<H: Hardware> Driver<H> {
    pub(crate) fn context_set_param<D: Domain>(
        &mut self,
        domain: &D,
        client: ClientId,
        param: &ContextParam,
    ) -> Result<Reply, Errno> {
        let id = self.context_of(client, param.ctx_id)?;
        let mut value = self.value_of(id)?;
        let size = self.set_param((domain, &mut Budget::new()), client, Some(id), &mut value, param)?;
        if let Some(context) = self.contexts.get_mut(id) {
            context.value = value;
        }
        self.tell_states(id);
        Ok(Reply::ok(&[size]))
    }

    /// Sets a field of a value: of a context that is being created, or of `live`, which is then changed on the
    /// hardware, too. Returns the size of the structure that was read, or 0. After an error the value is as it
    /// was.
    pub(super) fn set_param<D: Domain>(
        &mut self,
        (domain, budget): (&D, &mut Budget),
        client: ClientId,
        live: Option<Id<Context>>,
        value: &mut Value,
        param: &ContextParam,
    ) -> Result<u64, Errno> {
        match param.param {
            ContextParam::SSEU => return self.set_sseu(domain, client, live, value, param),
            ContextParam::ENGINES => return self.set_engines((domain, budget), client, live, value, param),
            ContextParam::NO_ERROR_CAPTURE
            | ContextParam::BANNABLE
            | ContextParam::PRIORITY
            | ContextParam::RECOVERABLE
            | ContextParam::VM
            | ContextParam::PERSISTENCE
            | ContextParam::WATCHDOG => {}
            _ => return Err(Errno::Inval),
        }
        if param.size != 0 {
            return Err(Errno::Inval);
        }
        let on = param.value != 0;
        let privileged = self.clients[client].privileged;
        match param.param {
            ContextParam::NO_ERROR_CAPTURE => {
                value.flags.no_error_capture = on;
                for state in self.live_states(live, value) {
                    let _ = self.gpu.context_set_capture(state, !on);
                }
            }
            ContextParam::BANNABLE if !on && !privileged => return Err(Errno::Perm),
            ContextParam::BANNABLE => value.flags.bannable = on,
            ContextParam::RECOVERABLE => value.flags.recoverable = on,
            ContextParam::PERSISTENCE => {
                // What cannot be preempted cannot be cancelled without harm to others.
                if !on && value.flags.persistent && !self.gpu.platform().preempts_batches {
                    return Err(Errno::NoDev);
                }
                value.flags.persistent = on;
            }
            ContextParam::VM => self.set_space(client, live, value, param.value)?,
            ContextParam::WATCHDOG => {
                if param.value > MAX_WATCHDOG_US {
                    return Err(Errno::Inval);
                }
                value.scheduling.watchdog_us = param.value;
                for state in self.live_states(live, value) {
                    let _ = self.gpu.context_set_watchdog(state, param.value * 1000);
                }
            }
            _ => {
                // The value is a signed number in the structure's unsigned field.
                let priority = param.value.cast_signed();
                if !PRIORITIES.contains(&priority) {
                    return Err(Errno::Inval);
                }
                // Linux asks CAP_SYS_NICE for any above the default; here the system's author may allow some.
                if priority > i64::from(self.clients[client].limits.priority_ceiling) && !privileged {
                    return Err(Errno::Perm);
                }
                value.scheduling.priority = i16::try_from(priority).map_err(|_| Errno::Inval)?;
                for state in self.live_states(live, value) {
                    let _ = self.gpu.context_set_priority(state, value.scheduling.priority);
                }
            }
        }
        Ok(0)
    }

    /// The hardware's contexts of a live context.
    fn live_states(&self, live: Option<Id<Context>>, value: &Value) -> super::map::States {
        if live.is_some() { self.map_states(&value.map) } else { super::map::States::EMPTY }
    }

    /// Puts a context into the address space that a handle names.
    fn set_space(
        &mut self,
        client: ClientId,
        live: Option<Id<Context>>,
        value: &mut Value,
        handle: u64,
    ) -> Result<(), Errno> {
        let handle = u32::try_from(handle).map_err(|_| Errno::NoEnt)?;
        let space = self.clients[client].spaces.get(handle).ok_or(Errno::NoEnt)?;
        if value.space == Some(space) {
            return Ok(());
        }
        if let Some(id) = live {
            self.check_idle(id)?;
            let vm = self.spaces.get(space).ok_or(Errno::NoEnt)?.vm;
            let states = self.map_states(&value.map);
            // All or none: each that has left the hardware stays off it, for nothing is submitted meanwhile.
            for state in states.clone() {
                self.gpu.context_leave(state)?;
            }
            for state in states {
                self.gpu.context_set_vm(state, vm)?;
            }
        }
        self.space_get(space, 1);
        if let Some(earlier) = value.space.replace(space) {
            self.space_put(earlier, 1);
        }
        Ok(())
    }

    /// # Errors
    /// `EBUSY` while a request of the context is in flight.
    pub(super) fn check_idle(&self, id: Id<Context>) -> Result<(), Errno> {
        let busy = self.contexts.get(id).is_some_and(|context| context.jobs != 0);
        if busy { Err(Errno::Busy) } else { Ok(()) }
    }

    pub(crate) fn context_get_param<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        param: &ContextParam,
    ) -> Result<Reply, Errno> {
        let id = self.context_of(client, param.ctx_id)?;
        let value = self.value_of(id)?;
        let word = match param.param {
            ContextParam::GTT_SIZE => self.gpu.vm_bytes(),
            ContextParam::NO_ERROR_CAPTURE => value.flags.no_error_capture.into(),
            ContextParam::BANNABLE => value.flags.bannable.into(),
            ContextParam::RECOVERABLE => value.flags.recoverable.into(),
            ContextParam::PERSISTENCE => value.flags.persistent.into(),
            ContextParam::PRIORITY => i64::from(value.scheduling.priority).cast_unsigned(),
            ContextParam::WATCHDOG => value.scheduling.watchdog_us,
            ContextParam::VM => {
                let space = value.space.ok_or(Errno::NoDev)?;
                let handle = self.clients[client].spaces.insert(space).ok_or(Errno::NoMem)?;
                self.space_get(space, 1);
                handle.into()
            }
            ContextParam::SSEU => {
                let size = self.get_sseu(domain, client, &value, param)?;
                return Ok(Reply::ok(&[param.value, size]));
            }
            ContextParam::ENGINES => {
                let size = self.get_engines(domain, client, &value.map, param)?;
                return Ok(Reply::ok(&[param.value, size]));
            }
            _ => return Err(Errno::Inval),
        };
        Ok(Reply::ok(&[word, 0]))
    }
}
