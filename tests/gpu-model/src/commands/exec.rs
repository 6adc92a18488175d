// SPDX-License-Identifier: BSD-2-Clause
//! The interpreter's loop and the helpers that every command uses.
//!
//! One command is: fetch the header, find its length, check that it fits, then execute. A command changes the
//! stream's address only by its [`Flow`]; when it stops in any other way the address still names it, so that the
//! next `step` tries it again.

use super::bus::{
    Access, CommandBus, Denied, Engine, EngineClass, Fault, Generation, Level, PAGE, Position, Privilege,
    Report, ReportKind, Space,
};
use super::fetch::Window;
use super::outcome::{CommandError, CommandFault, ErrorKind, Outcome, Step};
use super::state::{StreamState, TAIL_OFFSET};
use super::{blit, mi, render};

/// Highest address bit that the hardware uses; the bits above repeat it (canonical form), PRM vol 5.
const ADDRESS_BITS: u32 = 48;
/// Register space that a command can name: bits [22:2] of the operand (PRM, MI_LOAD_REGISTER_IMM dw1).
pub(super) const REGISTER_OFFSET: u32 = 0x007f_fffc;
/// Size of an engine's register block.
const ENGINE_BLOCK: u32 = 0x800;
/// How many dwords of payload cost as much as one command.
const DWORDS_PER_UNIT: u32 = 32;

/// The upper dword of a 48-bit address with bit 47 repeated above.
const fn sign_extended(high: u32) -> u32 {
    const UNUSED: u32 = 64 - ADDRESS_BITS;
    ((high << UNUSED).cast_signed() >> UNUSED).cast_unsigned()
}

/// What follows a completed command.
pub(super) enum Flow {
    /// The next command in line.
    Next,
    /// The state already names the next command.
    Jump,
    /// The next command in line; contexts may be switched before it.
    Arbitrate,
}

/// Why a command did not complete.
pub(super) enum Stop {
    Fault(Fault),
    Error(ErrorKind, &'static str),
    /// The state's `wait` says for what.
    Wait,
    Budget,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

pub(super) type Result<T> = core::result::Result<T, Stop>;

/// One run of the interpreter.
pub(super) struct Exec<'a, B: ?Sized> {
    pub(super) state: &'a mut StreamState,
    pub(super) bus: &'a mut B,
    pub(super) window: Window,
    pub(super) generation: Generation,
    pub(super) engine: Engine,
    /// First dword of the current command.
    pub(super) header: u32,
    /// Its name, for reports.
    pub(super) name: &'static str,
    /// Its length in dwords.
    pub(super) length: u32,
    /// Where it stands.
    pub(super) position: Position,
    /// End of the fetchable range in `position.space`.
    end: u64,
    /// Units of work left in this step.
    pub(super) budget: u64,
    /// The command has reset its engine.
    pub(super) lost: bool,
}

impl StreamState {
    /// Executes commands until the stream stops or `budget` is spent. A command costs one unit plus one per 32
    /// dwords of its length; a blit also costs one per row and one per 64 bytes. Every return has consumed
    /// budget, made no progress for a reason that [`Outcome`] names, or both.
    pub fn step<B: CommandBus + ?Sized>(&mut self, bus: &mut B, budget: u64) -> Step {
        let position = self.position();
        let mut exec = Exec {
            window: Window::new(),
            generation: bus.generation(),
            engine: bus.engine(),
            header: 0,
            name: "",
            length: 0,
            position,
            end: 0,
            budget,
            lost: false,
            state: self,
            bus,
        };
        let mut executed = 0;
        let outcome = exec.run(&mut executed);
        Step { executed, outcome }
    }
}

impl<B: CommandBus + ?Sized> Exec<'_, B> {
    fn run(&mut self, executed: &mut u64) -> Outcome {
        self.header = self.state.header;
        if let Err(error) = self.check_ring() {
            return error;
        }
        loop {
            if self.state.is_idle() {
                return Outcome::RingEmpty;
            }
            if self.budget == 0 {
                return Outcome::BudgetSpent;
            }
            let flow = match self.command() {
                Ok(flow) => flow,
                Err(stop) => return self.outcome(stop),
            };
            *executed += 1;
            if self.lost {
                return Outcome::Reset;
            }
            if !matches!(flow, Flow::Jump) {
                let next = self.position.address.wrapping_add(u64::from(self.length) * 4);
                self.state.set_address(if self.position.level == Level::Ring {
                    next
                } else {
                    canonical(next)
                });
            }
            if matches!(flow, Flow::Arbitrate) && self.state.arbitration && self.bus.preemption_pending() {
                return Outcome::ArbitrationPoint;
            }
        }
    }

    fn outcome(&self, stop: Stop) -> Outcome {
        match stop {
            Stop::Budget => Outcome::BudgetSpent,
            Stop::Wait => self.state.wait.map_or(Outcome::BudgetSpent, Outcome::Waiting),
            Stop::Fault(fault) => Outcome::Fault(CommandFault {
                fault,
                command: self.name,
                header: self.header,
                position: self.position,
            }),
            Stop::Error(kind, reason) => Outcome::Error(CommandError {
                kind,
                command: self.name,
                header: self.header,
                position: self.position,
                reason,
            }),
        }
    }

    /// The rules of PRM vol 2c for the ring registers.
    fn check_ring(&self) -> core::result::Result<(), Outcome> {
        let error = |kind, reason| Err(self.outcome(Stop::Error(kind, reason)));
        let tail = self.state.tail & TAIL_OFFSET;
        if !self.state.ring_enabled() {
            return error(ErrorKind::RingDisabled, "RING_CTL bit 0 is clear");
        }
        if !tail.is_multiple_of(8) {
            return error(ErrorKind::BadRing, "RING_TAIL is not a multiple of 8");
        }
        if tail >= self.state.ring_size() || self.state.head_offset() >= self.state.ring_size() {
            return error(ErrorKind::BadRing, "RING_HEAD or RING_TAIL lies beyond the ring");
        }
        Ok(())
    }

    /// Fetches and executes one command.
    #[inline]
    fn command(&mut self) -> Result<Flow> {
        self.position = self.state.position();
        self.end = match self.position.level {
            Level::Ring => {
                let (head, tail) = (self.state.head_offset(), self.state.tail & TAIL_OFFSET);
                self.state.ring_base() + u64::from(if tail > head { tail } else { self.state.ring_size() })
            }
            Level::Batch => self.state.batch_end,
            Level::SecondBatch => u64::MAX,
        };
        self.header = self
            .window
            .dword(self.bus, self.position.space, self.position.address, self.end)
            .map_err(|fault| {
                self.header = self.state.header;
                self.name = "";
                Stop::Fault(fault)
            })?;
        self.state.header = self.header;
        self.budget -= 1;
        // Command type, PRM vol 2a.
        match self.header >> 29 {
            0 => mi::execute(self),
            2 => blit::execute(self),
            3 => render::execute(self),
            _ => {
                self.name = "reserved command type";
                Err(Stop::Error(ErrorKind::UnknownCommand, "command type bits [31:29] are not 0, 2 or 3"))
            }
        }
    }

    /// Declares the length of the current command and checks that it fits into the ring.
    #[inline]
    pub(super) fn set_length(&mut self, dwords: u32) -> Result<()> {
        self.length = dwords;
        let end = self.position.address.saturating_add(u64::from(dwords) * 4);
        if end > self.end {
            return Err(Stop::Error(
                ErrorKind::Straddle,
                "the command continues beyond the end of the ring, its tail or the block",
            ));
        }
        self.budget = self.budget.saturating_sub(u64::from(dwords / DWORDS_PER_UNIT));
        Ok(())
    }

    /// Dword `index` of the current command.
    #[inline]
    pub(super) fn operand(&mut self, index: u32) -> Result<u32> {
        let mut address = self.position.address.wrapping_add(u64::from(index) * 4);
        if self.position.level != Level::Ring {
            address = canonical(address);
        }
        Ok(self.window.dword(self.bus, self.position.space, address, self.end)?)
    }

    /// Dwords 1 to `N` of the current command.
    #[inline]
    pub(super) fn operands<const N: usize>(&mut self) -> Result<[u32; N]> {
        let mut operands = [0; N];
        let first = self.position.address.wrapping_add(4);
        if self.window.dwords(self.position.space, first, &mut operands) {
            return Ok(operands);
        }
        for (index, operand) in (1..).zip(&mut operands) {
            *operand = self.operand(index)?;
        }
        Ok(operands)
    }

    /// Privilege of the current command: the ring and GGTT batches are privileged (PRM vol 2a).
    pub(super) fn privilege(&self) -> Privilege {
        if self.position.is_client() { Privilege::NonPrivileged } else { Privilege::Privileged }
    }

    /// Is this a render engine? The compute engine runs a subset of its commands.
    pub(super) fn is_render(&self) -> bool {
        matches!(self.engine.class, EngineClass::Render | EngineClass::Compute)
    }

    /// Turns the current command into a NOOP because a non-privileged batch may not execute it.
    pub(super) fn deny(&mut self) -> Flow {
        self.bus.privilege_violation(self.header, self.position);
        Flow::Next
    }

    /// Reports a broken rule; execution goes on. A command that is executed in several steps (a blit, a semaphore
    /// wait) is reported when it begins.
    #[cold]
    pub(super) fn violation(&mut self, rule: &'static str, source: &'static str, detail: String) {
        let resumed =
            self.state.blit_row != 0 || self.state.wait.is_some_and(|wait| wait.position == self.position);
        if resumed {
            return;
        }
        self.report(ReportKind::Violation, rule, source, detail);
    }

    /// Reports a command that the model skips.
    #[cold]
    pub(super) fn unexecuted(&mut self, rule: &'static str) {
        self.report(ReportKind::Unexecuted, rule, "device model", String::new());
    }

    fn report(&mut self, kind: ReportKind, rule: &'static str, source: &'static str, detail: String) {
        self.bus.report(Report {
            kind,
            command: self.name,
            rule,
            source,
            header: self.header,
            position: self.position,
            detail,
        });
    }

    /// A 48-bit address out of its two dwords. `low_bits` are bits that are not part of the address and must
    /// be 0.
    #[inline]
    pub(super) fn address(&mut self, low: u32, high: u32, low_bits: u32) -> u64 {
        let raw = u64::from(low) | u64::from(high) << 32;
        let sign = raw >> (ADDRESS_BITS - 1);
        if sign != 0 && sign != (1 << (65 - ADDRESS_BITS)) - 1 {
            self.violation(
                "addresses are canonical: bits [63:48] repeat bit 47",
                "PRM BDW vol 2a, memory address format",
                format!("{raw:#x}"),
            );
        }
        if low & low_bits != 0 {
            self.violation(
                "the address must be aligned to the size of the access",
                "PRM vol 2a, command reference",
                format!("{raw:#x}"),
            );
        }
        canonical(raw) & !u64::from(low_bits)
    }

    /// As `address`, but the bits above may also be clear: Linux writes the plain 48 bits where it starts a batch
    /// (i915: gen8_engine_cs.c, gen8_emit_bb_start).
    #[inline]
    pub(super) fn plain_address(&mut self, low: u32, high: u32, low_bits: u32) -> u64 {
        let plain = high >> (ADDRESS_BITS - 32) == 0;
        self.address(low, if plain { sign_extended(high) } else { high }, low_bits)
    }

    /// Reads `buffer.len()` operand bytes; the range may cross pages.
    pub(super) fn read(&mut self, space: Space, address: u64, buffer: &mut [u8]) -> Result<()> {
        let mut address = canonical(address);
        let mut rest = buffer;
        while !rest.is_empty() {
            let run = run_length(address, rest.len());
            let (head, tail) = rest.split_at_mut(run);
            self.bus.read(space, address, head, Access::Read)?;
            address = canonical(address.wrapping_add(run as u64));
            rest = tail;
        }
        Ok(())
    }

    /// Writes `data`; the range may cross pages.
    pub(super) fn write(&mut self, space: Space, address: u64, data: &[u8]) -> Result<()> {
        let mut address = canonical(address);
        let mut rest = data;
        while !rest.is_empty() {
            let run = run_length(address, rest.len());
            let (head, tail) = rest.split_at(run);
            self.bus.write(space, address, head)?;
            self.window.written(space, address, run as u64);
            address = canonical(address.wrapping_add(run as u64));
            rest = tail;
        }
        Ok(())
    }

    pub(super) fn read_u32(&mut self, space: Space, address: u64) -> Result<u32> {
        let mut bytes = [0; 4];
        self.bus.read(space, canonical(address), &mut bytes, Access::Read)?;
        Ok(u32::from_le_bytes(bytes))
    }

    pub(super) fn write_u32(&mut self, space: Space, address: u64, value: u32) -> Result<()> {
        let address = canonical(address);
        self.bus.write(space, address, &value.to_le_bytes())?;
        self.window.written(space, address, 4);
        Ok(())
    }

    pub(super) fn write_u64(&mut self, space: Space, address: u64, value: u64) -> Result<()> {
        self.write(space, address, &value.to_le_bytes())
    }

    /// Reads a register of this engine or of the rest of the device.
    pub(super) fn read_register(
        &mut self,
        offset: u32,
        privilege: Privilege,
    ) -> core::result::Result<u32, Denied> {
        if let Some(value) = self.state.read_register(offset.wrapping_sub(self.engine.base)) {
            return Ok(value);
        }
        self.bus.read_register(offset, privilege)
    }

    /// Writes a register of this engine or of the rest of the device.
    pub(super) fn write_register(
        &mut self,
        offset: u32,
        value: u32,
        mask: u32,
        privilege: Privilege,
    ) -> core::result::Result<(), Denied> {
        let relative = offset.wrapping_sub(self.engine.base);
        if self.state.read_register(relative).is_none() {
            let result = self.bus.write_register(offset, value, mask, privilege);
            // No register of the engine's own block resets it.
            self.lost |= relative >= ENGINE_BLOCK && self.bus.stream_lost();
            return result;
        }
        if StreamState::writable_by_commands(relative) {
            self.state.write_register(relative, value, mask);
            return Ok(());
        }
        if privilege == Privilege::NonPrivileged {
            return Err(Denied);
        }
        self.violation(
            "a running stream must not write the registers that its own parser uses",
            "PRM vol 2c, ring buffer and batch buffer registers",
            format!("register {offset:#x} = {value:#x}"),
        );
        Ok(())
    }

    /// Reads a register of this engine as the hardware does for itself.
    pub(super) fn engine_register(&mut self, relative: u32) -> u32 {
        self.read_register(self.engine.base.wrapping_add(relative), Privilege::Privileged).unwrap_or(0)
    }

    /// Writes a register of this engine as the hardware does for itself.
    pub(super) fn set_engine_register(&mut self, relative: u32, value: u32) {
        let offset = self.engine.base.wrapping_add(relative);
        // The hardware's own writes are never denied.
        let _ = self.write_register(offset, value, u32::MAX, Privilege::Privileged);
    }
}

/// Removes the sign extension of an address.
#[inline]
pub(super) const fn canonical(address: u64) -> u64 {
    address & ((1 << ADDRESS_BITS) - 1)
}

/// Bytes of a range that lie in its first page.
#[inline]
pub(super) fn run_length(address: u64, length: usize) -> usize {
    let room = PAGE - address % PAGE;
    usize::try_from(room).map_or(length, |room| room.min(length))
}
