// SPDX-License-Identifier: BSD-2-Clause
//! The command interpreter's view of the device.

use serde_json::json;

use crate::clock::ticks;
use crate::commands::{
    Access, CommandBus, Denied, Engine, EngineClass, Fault, Flush, Generation, Interrupt, Position,
    Privilege, Report, Space, TraceEvent,
};
use crate::device::Device;
use crate::interrupts::event;
use crate::mmio::Agent;
use crate::report::Rule;

/// One engine's bus while it executes.
pub(crate) struct EngineBus<'a> {
    device: &'a mut Device,
    index: usize,
    generation: Generation,
    engine: Engine,
}

impl<'a> EngineBus<'a> {
    /// The bus of engine `index`.
    pub(crate) fn new(device: &'a mut Device, index: usize) -> Self {
        let engine = device
            .engines
            .get(index)
            .map_or(Engine { class: EngineClass::Copy, instance: 0, base: 0 }, |unit| unit.facts.engine);
        Self { generation: device.platform.generation, engine, index, device }
    }
}

impl CommandBus for EngineBus<'_> {
    fn generation(&self) -> Generation {
        self.generation
    }

    fn engine(&self) -> Engine {
        self.engine
    }

    #[inline]
    fn read(&mut self, space: Space, address: u64, buffer: &mut [u8], access: Access) -> Result<(), Fault> {
        self.device.engine_read(self.index, space, address, buffer, access)
    }

    #[inline]
    fn write(&mut self, space: Space, address: u64, data: &[u8]) -> Result<(), Fault> {
        self.device.engine_write(self.index, space, address, data)
    }

    fn compare_exchange(
        &mut self,
        space: Space,
        address: u64,
        size: usize,
        current: u128,
        new: u128,
    ) -> Result<u128, Fault> {
        if let (4 | 8, Ok(current), Ok(new)) = (size, u64::try_from(current), u64::try_from(new)) {
            return self
                .device
                .engine_compare_exchange(self.index, space, address, size, current, new)
                .map(u128::from);
        }
        // 16 bytes: no host instruction of the standard library; two halves are not atomic against a CPU.
        let mut bytes = [0; 16];
        let size = size.min(16);
        self.read(space, address, &mut bytes[..size], Access::Read)?;
        let found = u128::from_le_bytes(bytes);
        if found == current {
            self.write(space, address, &new.to_le_bytes()[..size])?;
        }
        Ok(found)
    }

    fn read_register(&mut self, offset: u32, privilege: Privilege) -> Result<u32, Denied> {
        if privilege == Privilege::NonPrivileged && !self.device.may_read(self.index, offset) {
            return Err(Denied);
        }
        Ok(self.device.register_read(offset, Agent::Engine(self.index)))
    }

    fn write_register(
        &mut self,
        offset: u32,
        value: u32,
        mask: u32,
        privilege: Privilege,
    ) -> Result<(), Denied> {
        if privilege == Privilege::NonPrivileged && !self.device.may_write(self.index, offset) {
            return Err(Denied);
        }
        let agent = Agent::Engine(self.index);
        let value = if mask == u32::MAX {
            value
        } else {
            (self.device.register_read(offset, agent) & !mask) | (value & mask)
        };
        if self.engine.class == EngineClass::Render {
            self.device.track_render_register(offset);
        }
        self.device.written_by_client = privilege == Privilege::NonPrivileged;
        if privilege == Privilege::Privileged {
            self.device.registers.count_command(offset, value);
        }
        self.device.register_write(offset, value, agent);
        self.device.written_by_client = false;
        Ok(())
    }

    fn stream_lost(&self) -> bool {
        self.device.engines.get(self.index).is_some_and(|engine| engine.was_reset)
    }

    fn privilege_violation(&mut self, header: u32, position: Position) {
        self.device.engine_error(self.index, 1 << 2);
        let name = self.device.engine_name(self.index);
        self.device.violation_by(
            true,
            Rule::Privilege,
            format!("{name}: command {header:#010x} at {position}"),
            "turned into a NOOP",
        );
    }

    fn interrupt(&mut self, interrupt: Interrupt) {
        let vector = match interrupt {
            Interrupt::User => event::USER,
            Interrupt::FlushNotify => event::FLUSH,
            Interrupt::SemaphoreWait => event::SEMAPHORE,
        };
        self.device.raise(self.index, vector);
    }

    fn timestamp(&mut self) -> u64 {
        ticks(self.device.now(), self.device.platform.timestamp_hz)
    }

    fn invalidate_tlb(&mut self) {
        self.device.invalidate_tlb(self.index, "command");
    }

    fn flush(&mut self, _flush: Flush) {}

    fn hardware_status_page(&mut self) -> u64 {
        u64::from(self.device.engine_register(self.index, 0x80) & !0xfff)
    }

    fn process_status_page(&mut self) -> u64 {
        let loaded = self.device.engines.get(self.index).and_then(|engine| engine.loaded);
        loaded.map_or_else(|| self.hardware_status_page(), |loaded| u64::from(loaded.lrca()))
    }

    fn update_gtt(&mut self, index: u64, entry: u64) {
        let reserved = self.device.ggtt.update(index, entry);
        if reserved != 0 {
            let detail = format!("MI_UPDATE_GTT wrote {entry:#x}, reserved {reserved:#x}");
            self.device.violation(Rule::GgttReserved, format!("GGTT entry {index:#x}"), detail);
        }
        for engine in &mut self.device.engines {
            engine.tlb.forget_ggtt(index);
        }
    }

    fn signal_semaphore(&mut self, target: u8, context: u32) {
        let found = self.device.engines.iter_mut().enumerate().find(|(_, engine)| {
            engine.facts.semaphore_target == target
                && engine.loaded.is_some_and(|loaded| loaded.context_id() == context)
        });
        match found {
            // The own stream is outside of the engine while it executes.
            Some((index, engine)) if index == self.index => engine.signalled = true,
            Some((_, engine)) => engine.stream.signal_semaphore(),
            None => {}
        }
    }

    fn preemption_pending(&mut self) -> bool {
        self.device.engines.get(self.index).is_some_and(|engine| engine.pending.is_some())
    }

    fn report(&mut self, report: Report) {
        let now = self.device.now();
        let name = self.device.engine_name(self.index);
        self.device.log.command(now, name, &report);
    }

    fn trace(&mut self, event: TraceEvent) {
        if !self.device.trace.is_on() {
            return;
        }
        let (now, index) = (self.device.now(), self.index);
        let trace = &mut self.device.trace;
        match event {
            TraceEvent::BatchStart { to, .. } => {
                // A chained batch takes the place of its caller; depth 1 is the context.
                let second = matches!(to.level, crate::commands::Level::SecondBatch);
                trace.replace(now, index, if second { 2 } else { 1 }, || {
                    (format!("batch {:#x}", to.address), json!({ "at": to.to_string() }))
                });
            }
            TraceEvent::BatchEnd { .. } => trace.end(now, index, 1),
            TraceEvent::WaitBegin { at } => {
                trace.begin(now, index, || ("semaphore wait".to_owned(), json!({ "at": at.to_string() })));
            }
            TraceEvent::WaitEnd { .. } => trace.end(now, index, 1),
            TraceEvent::Blit { command, pixels, .. } => {
                trace.instant(now, crate::trace::Track::Engine(index), || {
                    (command.to_owned(), json!({ "pixels": pixels }))
                });
            }
        }
    }
}
