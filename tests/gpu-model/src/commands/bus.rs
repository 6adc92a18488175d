// SPDX-License-Identifier: BSD-2-Clause
//! What a command streamer needs from the rest of the device: the [`CommandBus`].
//!
//! The interpreter in this module tree is pure: it owns no memory, no registers and no clock. All effects go
//! through this trait, so that the same interpreter runs above the whole device, above a fake in a unit test and
//! under a fuzzer. The trait is object safe; the interpreter is generic over it and accepts `dyn` too.
//!
//! ```text
//!   StreamState ── step(bus, budget) ──► CommandBus ─┬─ memory through GGTT / PPGTT (TLBs, faults)
//!   (one per context, saved and restored)            ├─ registers, with the privilege of the batch
//!                                                    ├─ interrupts, TLB and cache operations
//!                                                    └─ strictness reports, trace
//! ```
//!
//! Registers that belong to the stream itself (ring pointers, batch addresses, NOPID, ...) live in
//! [`StreamState`](super::StreamState); the interpreter serves them without asking the bus, and the bus'
//! implementer reaches them from the CPU side with `StreamState::read_register` and `write_register`.

use std::fmt;

/// Size of the smallest page of either address space. No single memory call of the interpreter crosses such a
/// boundary, so one call needs one translation.
pub const PAGE: u64 = 4096;

/// Hardware generation, as far as command formats differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generation {
    /// Broadwell.
    Gen8,
    /// Skylake, Kaby Lake, Coffee Lake, Comet Lake, Apollo Lake, Gemini Lake.
    Gen9,
    /// Ice Lake, Elkhart Lake, Jasper Lake.
    Gen11,
    /// Tiger Lake, Rocket Lake, Alder Lake.
    Gen12,
}

/// Engine class; decides which commands are legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EngineClass {
    /// RCS.
    Render,
    /// VCS.
    Video,
    /// VECS.
    VideoEnhance,
    /// BCS.
    Copy,
    /// CCS.
    Compute,
}

/// The engine that a stream runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Engine {
    /// Class.
    pub class: EngineClass,
    /// Physical instance number inside the class.
    pub instance: u8,
    /// MMIO base of the engine, for example 0x22000 for BCS0.
    pub base: u32,
}

/// Address space of a memory operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Space {
    /// Global GTT: addresses from 0 to the GTT's size.
    Ggtt,
    /// Page tables of the running context: 48-bit addresses, upper 16 bits already removed.
    Ppgtt,
}

/// Privilege of the command that accesses a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Privilege {
    /// From the ring or from a GGTT batch: everything is allowed.
    Privileged,
    /// From a PPGTT batch: only registers of the hardware's list and of the FORCE_TO_NONPRIV slots.
    NonPrivileged,
}

/// Kind of memory access, for fault registers and strictness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Command fetch.
    Fetch,
    /// Operand read.
    Read,
    /// Operand write.
    Write,
}

/// Why a translation failed. The four first are the fault types of the ring fault register in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// Leaf entry not present (also a GGTT entry).
    InvalidPte,
    /// Page directory entry not present.
    InvalidPde,
    /// Page directory pointer entry not present.
    InvalidPdpe,
    /// PML4 entry not present.
    InvalidPml4e,
    /// Write to a page that is read-only and that the generation does not drop silently.
    ReadOnly,
    /// Address beyond the address space.
    OutOfRange,
    /// Translated, but the physical address is refused (IOMMU, or no memory behind it).
    Bus,
}

/// A failed memory access, as the bus reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// Address space.
    pub space: Space,
    /// Byte address inside it.
    pub address: u64,
    /// What was tried.
    pub access: Access,
    /// Why it failed.
    pub kind: FaultKind,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {:?} {:#x}: {:?}", self.access, self.space, self.address, self.kind)
    }
}

/// A register access that the running batch's privilege does not allow. The interpreter turns the access into a
/// NOOP and calls [`CommandBus::privilege_violation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied;

/// Interrupt sources of a command streamer; bit numbers of the 16-bit engine vector in PRM vol 2c.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interrupt {
    /// MI_USER_INTERRUPT, bit 0.
    User,
    /// Notify of PIPE_CONTROL or MI_FLUSH_DW, bit 4.
    FlushNotify,
    /// A semaphore wait on memory that is not satisfied yet, bit 11. Sent once per wait; the hardware raises it
    /// only while CTX_SR_CTL inhibits the synchronous context switch, which is the bus' to know.
    SemaphoreWait,
}

/// Cache work that a flush command asked for. Memory of the model is always coherent, so the bus needs it only
/// for strictness (data read by the CPU before a flush) and traces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flush {
    /// Write-back of what the engine has written (render target, depth, data cache, blitter).
    pub write_back: bool,
    /// Read-only caches invalidated (texture, constants, state, instruction, VF).
    pub invalidate: bool,
    /// The streamer waits for all earlier work (always for MI_FLUSH_DW).
    pub stall: bool,
    /// LLC flushed.
    pub llc: bool,
}

/// Where a command stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Ring, batch or second-level batch.
    pub level: Level,
    /// Address space of the fetch.
    pub space: Space,
    /// Address of the command's first dword in that space (ring: RING_START plus offset).
    pub address: u64,
}

impl Position {
    /// May a command that stands here do only what every user may? That is so in batches of a PPGTT; the ring and
    /// batches of the GGTT are the driver's (PRM vol 2a, MI_BATCH_BUFFER_START).
    #[must_use]
    pub fn is_client(&self) -> bool {
        self.level != Level::Ring && self.space == Space::Ppgtt
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} {:#x}", self.level, self.space, self.address)
    }
}

/// Nesting level of the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Ring buffer.
    #[default]
    Ring,
    /// First-level batch.
    Batch,
    /// Second-level batch.
    SecondBatch,
}

/// Class of a [`Report`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReportKind {
    /// A rule of the hardware was broken; a driver that does this is wrong.
    Violation,
    /// A legal command whose effect the model does not produce (3DPRIMITIVE, GPGPU_WALKER, ...).
    Unexecuted,
}

/// A finding about one command, for the strictness log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Violation or not executed.
    pub kind: ReportKind,
    /// Name of the command, as in the PRM.
    pub command: &'static str,
    /// The rule that was broken.
    pub rule: &'static str,
    /// Source of the rule.
    pub source: &'static str,
    /// First dword of the command.
    pub header: u32,
    /// Where it stands.
    pub position: Position,
    /// Values that matter, may be empty.
    pub detail: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#010x}) at {}: {}", self.command, self.header, self.position, self.rule)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        write!(f, " [{}]", self.source)
    }
}

/// Events for a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceEvent {
    /// A batch was started (or chained to) by the command at `from`.
    BatchStart {
        /// The MI_BATCH_BUFFER_START.
        from: Position,
        /// First command of the batch.
        to: Position,
    },
    /// A batch returned.
    BatchEnd {
        /// The MI_BATCH_BUFFER_END.
        at: Position,
    },
    /// A semaphore wait was found unsatisfied for the first time.
    WaitBegin {
        /// The MI_SEMAPHORE_WAIT.
        at: Position,
    },
    /// That wait is satisfied now.
    WaitEnd {
        /// The MI_SEMAPHORE_WAIT.
        at: Position,
    },
    /// A blit begins.
    Blit {
        /// The command.
        at: Position,
        /// Its name.
        command: &'static str,
        /// Pixels in the destination rectangle after clipping.
        pixels: u64,
    },
}

/// The device around one command streamer, while one context runs on it.
pub trait CommandBus {
    /// Generation of the part; constant.
    fn generation(&self) -> Generation;

    /// The engine; constant.
    fn engine(&self) -> Engine;

    /// Reads `buffer.len()` bytes. The range is not empty and never crosses a [`PAGE`] boundary. Naturally
    /// aligned 4- and 8-byte reads must be single-copy atomic for a CPU that writes the same memory. `access` is
    /// [`Access::Fetch`] for command fetches and [`Access::Read`] for operands.
    ///
    /// # Errors
    /// The translation or the memory behind it failed; nothing was read.
    fn read(&mut self, space: Space, address: u64, buffer: &mut [u8], access: Access) -> Result<(), Fault>;

    /// Writes `data`; same rules as [`CommandBus::read`]. A write that the generation drops silently
    /// (read-only page on Gen8, Gen9) answers `Ok`.
    ///
    /// # Errors
    /// The translation or the memory behind it failed; nothing was written.
    fn write(&mut self, space: Space, address: u64, data: &[u8]) -> Result<(), Fault>;

    /// Replaces `size` (4, 8 or 16) bytes at a multiple of `size` by `new` if they equal `current`, and returns
    /// what was there. Override it with a real atomic operation where a CPU runs at the same time.
    ///
    /// # Errors
    /// As for [`CommandBus::read`] and [`CommandBus::write`].
    fn compare_exchange(
        &mut self,
        space: Space,
        address: u64,
        size: usize,
        current: u128,
        new: u128,
    ) -> Result<u128, Fault> {
        let mut bytes = [0; 16];
        let size = size.min(16);
        self.read(space, address, &mut bytes[..size], Access::Read)?;
        let found = u128::from_le_bytes(bytes);
        if found == current {
            self.write(space, address, &new.to_le_bytes()[..size])?;
        }
        Ok(found)
    }

    /// Reads a register by its MMIO offset (4-byte aligned, below 8 MiB). Never called for registers that
    /// [`StreamState`](super::StreamState) owns on this engine. The PRM restricts what a non-privileged batch
    /// writes; what it reads is restricted only by the access field of the FORCE_TO_NONPRIV slots.
    ///
    /// # Errors
    /// The privilege does not allow it.
    fn read_register(&mut self, offset: u32, privilege: Privilege) -> Result<u32, Denied>;

    /// Writes a register; only bytes whose bits are set in `mask` change (0xffff_ffff for a full write). The
    /// masked-register rule of upper halves is the register's, not `mask`'s.
    ///
    /// # Errors
    /// The privilege does not allow it; nothing was written.
    fn write_register(
        &mut self,
        offset: u32,
        value: u32,
        mask: u32,
        privilege: Privilege,
    ) -> Result<(), Denied>;

    /// Has a register write just reset the engine that executes? Then nothing of the stream is executed any more.
    fn stream_lost(&self) -> bool {
        false
    }

    /// A non-privileged batch tried what only the ring may do; the command became a NOOP (EIR bit 2).
    fn privilege_violation(&mut self, header: u32, position: Position);

    /// Raises an interrupt of this engine.
    fn interrupt(&mut self, interrupt: Interrupt);

    /// The free-running timestamp of the engine (TIMESTAMP, base + 0x358), 64 bits.
    fn timestamp(&mut self) -> u64;

    /// Invalidates every TLB entry of this engine, GGTT and PPGTT, because a command said so.
    fn invalidate_tlb(&mut self);

    /// A flush command of this engine completed.
    fn flush(&mut self, flush: Flush);

    /// Number of slices that are switched on, for the slice conditions of MI_SET_PREDICATE (Gen8, Gen9).
    fn slices(&mut self) -> u32 {
        1
    }

    /// GGTT address of the engine's hardware status page (HWS_PGA).
    fn hardware_status_page(&mut self) -> u64;

    /// GGTT address of the running context's per-process status page (page 0 of its image).
    fn process_status_page(&mut self) -> u64;

    /// Writes GGTT entry `index` (MI_UPDATE_GTT; the TLB consequences are the bus').
    fn update_gtt(&mut self, index: u64, entry: u64);

    /// MI_SEMAPHORE_SIGNAL for `context` on the engine with hardware target number `target` (PRM vol 2a).
    /// The bus finds that context's stream and calls `StreamState::signal_semaphore`.
    fn signal_semaphore(&mut self, target: u8, context: u32);

    /// Is another context waiting for this engine? Asked at arbitration points while arbitration is enabled;
    /// `true` makes `step` return with `Outcome::ArbitrationPoint`.
    fn preemption_pending(&mut self) -> bool;

    /// Takes a strictness finding.
    fn report(&mut self, report: Report);

    /// Takes a timeline event.
    fn trace(&mut self, _event: TraceEvent) {}
}
