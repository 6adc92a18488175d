// SPDX-License-Identifier: BSD-2-Clause
//! Strictness: what a driver did that real hardware would punish.
//!
//! Every rule is a value of [`Rule`] with its wording and its source, so that a test names the rule it expects
//! and a person reads the sentence. A [`Report`] is one breach: the rule, the register or command it happened
//! at, and the values that matter. A [`Notice`] is not a fault of the driver: something legal whose effect the
//! model does not have.

use std::collections::HashMap;
use std::fmt;

use crate::commands;

/// Most entries that one log keeps of the driver, and as many again of its clients; beyond it only the counter runs, so
/// that a driver in a loop cannot eat the host's memory.
const LIMIT: usize = 2048;

/// Most entries of one rule at one place, so that a driver in a loop does not hide what else it does.
const SAME: usize = 64;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident: $text:literal, $source:literal;)*) => {
        /// A rule that the model holds its driver to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule {
            $($(#[$doc])* $name,)*
            /// A finding of the command interpreter; its own text and source are in the report.
            Command,
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &[Self] = &[$(Self::$name,)* Self::Command];

            /// The rule in one sentence.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Command => "the command breaks a rule of its encoding",
                }
            }

            /// Where the rule comes from.
            #[must_use]
            pub const fn source(self) -> &'static str {
                match self {
                    $(Self::$name => $source,)*
                    Self::Command => "PRM vol 2a, command reference",
                }
            }
        }
    };
}

rules! {
    /// Access to a register of a sleeping domain.
    Forcewake: "the register's forcewake domain must be awake before it is accessed", "i915: intel_uncore.c forcewake ranges";
    /// A masked register was written without mask bits.
    MaskedWrite: "a masked register needs the write-enable bits [31:16] of what it changes", "PRM vol 2c, masked registers";
    /// Forcewake request with reserved bits.
    ForcewakeRequest: "a forcewake request is a masked write of bits 0, 1 or 15", "i915: intel_uncore.c";
    /// Access size or alignment that the register half does not decode.
    AccessSize: "registers decode naturally aligned 32- and 64-bit accesses", "PRM vol 2c, MMIO";
    /// Write to a read-only register.
    ReadOnlyRegister: "the register is read-only", "PRM vol 2c";
    /// Access while memory decoding is off.
    DecodeOff: "memory decoding (command register bit 1) must be on before a BAR is accessed", "PCI 3.0, 6.2.2";
    /// Access in D3.
    PowerState: "the function must be in D0 before a BAR is accessed", "PCI PM 1.2, 5.4.1";
    /// Engine work without bus mastering.
    BusMaster: "bus mastering (command register bit 2) must be on before an engine is given work", "PCI 3.0, 6.2.2";
    /// GGTT entry with reserved bits.
    GgttReserved: "reserved bits of a GGTT entry are zero", "PRM vol 5, GGTT page table entry";
    /// GGTT entry used before the flush.
    GgttFlush: "written GGTT entries are used only after a write to GFX_FLSH_CNTL (0x101008)", "PRM vol 2c, GFX_FLSH_CNTL";
    /// GGTT entry written in parts, or beyond the table.
    GgttAccessSize: "GGTT entries are written whole, 64 bits, aligned", "PRM vol 5, GGTT";
    /// Table entry with reserved bits.
    PpgttReserved: "reserved bits of a PPGTT entry are zero", "PRM vol 5, per-process GTT";
    /// 64 KiB page that is not aligned or mixed into a table.
    PpgttPageSize: "64 KiB and 2 MiB pages are naturally aligned in memory", "PRM vol 5, page sizes";
    /// PPGTT read-only entry on a part that cannot enforce it.
    PpgttReadOnly: "entries are writable: this part has no working read-only pages", "HSDES 1807136187";
    /// Translation error of an engine.
    TranslationFault: "every address that an engine uses is mapped", "PRM vol 5, page faults";
    /// Execlists register used in ring mode or before enabling.
    ExeclistsOff: "execlists are enabled in RING_MODE (base+0x29c) before a submission", "PRM vol 2c, GFX_MODE";
    /// MMIO write to ring registers in execlist mode.
    RingRegisterInExeclists: "with execlists the ring registers are loaded from the context image only", "PRM vol 3, execlists";
    /// An element of the submit queue was left from the last submission.
    SubmitOrder: "a submission writes both elements anew, an unused one as 0", "i915: intel_execlists_submission.c";
    /// Submission before the previous was acknowledged.
    SubmitBeforeAck: "a submission waits for the status event (idle to active, or preempted) of the one before", "i915: intel_execlists_submission.c";
    /// Element 0 invalid.
    ElementZero: "element 0 of a submission is valid", "PRM vol 2c, EXECLIST_SUBMITPORT";
    /// Both elements name one context.
    DuplicateElements: "the two elements of a submission name different contexts", "PRM vol 2c, context descriptor";
    /// Context already running on another engine.
    ContextBusyElsewhere: "a context runs on one engine at a time", "PRM vol 3, execlists";
    /// Reserved descriptor bits.
    DescriptorReserved: "reserved bits of a context descriptor are zero", "PRM vol 2c, context descriptor format";
    /// Engine fields of a descriptor.
    DescriptorEngine: "class and instance of a descriptor are those of the engine", "PRM vol 2c, context descriptor format (Gen11)";
    /// Reserved context id.
    ContextId: "software context id 0x7ff means no context", "PRM vol 2c, context status buffer (Gen12)";
    /// Addressing mode.
    AddressingMode: "addressing mode is 1 (32-bit PPGTT) or 3 (48-bit PPGTT)", "PRM vol 2c, context descriptor format";
    /// Tail alignment.
    TailAlignment: "RING_TAIL is a multiple of 8 bytes", "PRM vol 2c, RING_BUFFER_TAIL";
    /// Ring pointers outside the ring.
    RingBounds: "RING_HEAD and RING_TAIL lie inside the ring", "PRM vol 2c, RING_BUFFER_CTL";
    /// Ring control without enable.
    RingDisabled: "RING_CTL of a context image has its valid bit", "PRM vol 2c, RING_BUFFER_CTL";
    /// Empty ring submitted.
    EmptyRing: "a submitted context has head unequal tail unless it forces a restore", "WaIdleLiteRestore";
    /// The image was changed and not reloaded.
    ImageNotReloaded: "a changed context image is submitted with the force-restore bit", "i915: intel_lrc.c, CTX_DESC_FORCE_RESTORE";
    /// The image is not a register list.
    ImageFormat: "the register page of a context image is a list of MI_LOAD_REGISTER_IMM up to MI_BATCH_BUFFER_END", "PRM vol 3, logical ring context format";
    /// A slot names the wrong register.
    ImageSlot: "each slot of a context image names its own register", "PRM vol 3, logical ring context format";
    /// Image names another engine's register.
    ImageForeignRegister: "a context image loads registers of its own engine", "PRM vol 3, logical ring context format";
    /// Image in the last page of the GGTT.
    LastGgttPage: "rings and context images stay out of the last GGTT page, into which the streamer prefetches", "i915: i915_gem_gtt.c, guard page";
    /// CTX_SR_CTL without mask bits.
    ContextControl: "CTX_SR_CTL in the image sets inhibit-synchronous-switch with its mask bit", "PRM vol 2c, CTX_SR_CTL";
    /// PDPs missing.
    PageDirectoryPointers: "every page directory pointer that the addressing mode uses is set and page aligned", "PRM vol 5, PDP";
    /// Arbitration left off.
    ArbitrationOff: "arbitration is on again (MI_ARB_ON_OFF) when a context runs out of work", "PRM vol 2a, MI_ARB_ON_OFF";
    /// STOP_RING left in MI_MODE.
    StartsStopped: "MI_MODE's STOP_RING is clear when a context is to run", "PRM vol 2c, MI_MODE";
    /// No status page.
    StatusPage: "HWS_PGA names a mapped GGTT page before a submission", "PRM vol 2c, HWS_PGA";
    /// Reset without handshake.
    ResetHandshake: "an engine reports ready in RESET_CTL (base+0xd0) before its GDRST bit is written", "PRM vol 2c, RESET_CTL";
    /// Reserved GDRST bits.
    ResetBits: "GDRST bits name engines that exist", "PRM vol 2c, GDRST";
    /// Interrupt registers used out of order.
    InterruptIdentity: "INTR_IDENTITY is asked for a pending bit, and cleared before the next", "PRM vol 2c, GT_INTR_IDENTITY (Gen11)";
    /// Master interrupt bits written.
    InterruptMaster: "only bit 31 of the master interrupt register is writable", "PRM vol 2c, master interrupt control";
    /// PAT index 0 is not coherent.
    Pat: "PAT index 0 is write-back (snooped without LLC) before an engine works through the GGTT", "i915: intel_gtt.c, private PAT";
    /// TLB register misuse.
    TlbRegister: "a TLB invalidation names an engine that exists", "i915: intel_gt.c, TLB invalidation registers";
    /// GPU access to memory that is not there.
    Dma: "DMA reaches memory that exists and that the IOMMU allows", "VT-d 3.0, 7";
    /// MSI switched on before it was programmed.
    MsiProgrammed: "MSI address and data are programmed before it is enabled", "PCI 3.0, 6.8.1";
    /// Aperture access through an absent entry.
    Aperture: "an aperture access goes through a present GGTT entry", "PRM vol 5, GTT aperture";
    /// Non-privileged batch broke out.
    Privilege: "a non-privileged batch uses unprivileged commands and registers only", "PRM vol 2c, FORCE_TO_NONPRIV";
    /// Engine hung on a command.
    EngineHang: "the command stream can be parsed to its end", "PRM vol 2a";
    /// Fence register layout.
    Fence: "a fence register is changed while its valid bit is clear", "PRM vol 2c, fence registers";
    /// Whitelist slot format.
    NonPrivSlot: "FORCE_TO_NONPRIV holds an offset in [25:2], range in [1:0] and access in [30:28]", "PRM vol 2c, FORCE_TO_NONPRIV";
    /// Access to the part of BAR0 that holds no registers.
    MmioRange: "only the first 2 MiB of BAR0 decode registers", "PRM vol 2c, MMIO ranges";
}

/// One breach of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which rule.
    pub rule: Rule,
    /// Model time in nanoseconds.
    pub time_ns: u64,
    /// The register, command or structure it happened at.
    pub subject: String,
    /// The rule's wording (for [`Rule::Command`] the command's own).
    pub text: &'static str,
    /// The rule's source.
    pub source: &'static str,
    /// Values that matter; may be empty.
    pub detail: String,
    /// Caused by the content of a client's batch (PPGTT, non-privileged), not by the driver itself.
    pub client: bool,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.text)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        write!(f, " [{:?}; {}]", self.rule, self.source)
    }
}

/// Something legal that the model does not do, or does differently from a real part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Model time in nanoseconds of the first occurrence.
    pub time_ns: u64,
    /// What, and what happens instead.
    pub text: String,
}

/// The log of both.
#[derive(Debug, Default)]
pub struct Log {
    reports: Vec<Report>,
    total: u64,
    notices: Vec<Notice>,
    new_reports: usize,
    /// How many reports are kept of the driver, and of its clients.
    of_driver: usize,
    of_clients: usize,
    /// How many reports are kept of a rule at a place.
    kept: HashMap<(Rule, String), usize>,
}

impl Log {
    fn push(&mut self, report: Report) {
        self.total = self.total.saturating_add(1);
        let of_these = if report.client { &mut self.of_clients } else { &mut self.of_driver };
        if *of_these >= LIMIT {
            return;
        }
        let kept = self.kept.entry((report.rule, report.subject.clone())).or_default();
        if *kept < SAME {
            *kept += 1;
            *of_these += 1;
            self.reports.push(report);
        }
    }

    /// Takes a breach of `rule`, of the driver or of a client's batch.
    pub(crate) fn violation(
        &mut self,
        time_ns: u64,
        rule: Rule,
        client: bool,
        subject: impl Into<String>,
        detail: impl Into<String>,
    ) {
        self.push(Report {
            rule,
            time_ns,
            subject: subject.into(),
            text: rule.text(),
            source: rule.source(),
            detail: detail.into(),
            client,
        });
    }

    /// Takes a finding of the command interpreter of engine `engine`.
    pub(crate) fn command(&mut self, time_ns: u64, engine: &str, finding: &commands::Report) {
        let subject =
            format!("{engine}: {} ({:#010x}) at {}", finding.command, finding.header, finding.position);
        match finding.kind {
            commands::ReportKind::Violation => {
                self.push(Report {
                    rule: Rule::Command,
                    time_ns,
                    subject,
                    text: finding.rule,
                    source: finding.source,
                    detail: finding.detail.clone(),
                    client: finding.position.is_client(),
                });
            }
            commands::ReportKind::Unexecuted => {
                self.notice(time_ns, format!("{engine}: {}: {}", finding.command, finding.rule));
            }
        }
    }

    /// Takes a notice; the same text is kept once.
    pub(crate) fn notice(&mut self, time_ns: u64, text: impl Into<String>) {
        let text = text.into();
        if self.notices.len() < LIMIT && !self.notices.iter().any(|n| n.text == text) {
            self.notices.push(Notice { time_ns, text });
        }
    }

    /// Breaches, oldest first.
    #[must_use]
    pub fn reports(&self) -> &[Report] {
        &self.reports
    }

    /// Number of breaches, also those beyond the kept ones.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Notices, oldest first.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Removes and returns the breaches, for a test that breaks rules on purpose.
    pub fn take(&mut self) -> Vec<Report> {
        self.total = 0;
        self.new_reports = 0;
        (self.of_driver, self.of_clients) = (0, 0);
        self.kept.clear();
        std::mem::take(&mut self.reports)
    }

    /// Breaches since this was last called, for a program that prints as it goes.
    pub fn take_fresh(&mut self) -> &[Report] {
        let from = std::mem::replace(&mut self.new_reports, self.reports.len());
        self.reports.get(from..).unwrap_or_default()
    }
}
