// SPDX-License-Identifier: BSD-2-Clause
//! Register workarounds: what the parts need beside their documentation's defaults. One table per
//! generation, one row per register.
//!
//! Sources: PRM vol 16 (Workarounds) where public; i915: intel_workarounds.c; for Tiger Lake also the
//! recorded probe of Linux 6.1.
//!
//! What Linux does there and this driver does not:
//! - Gen8, WaDisableCtxRestoreArbitration: a batch of the image's (INDIRECT_CTX) turns arbitration off while a context is
//!   restored (`gen8_init_indirectctx_bb`). Here nothing is submitted before the last submission is acknowledged, and
//!   batches run with arbitration off (`emit.rs`); whether that is enough on every Broadwell no hardware has said.
//! - Gen8 and Gen9, WaFlushCoherentL3CacheLinesAtContextSwitch, in the same batch: for coherent lines that compute
//!   shaders leave in the L3.
//! - Gen12, 0x7304 among the registers that batches may write: Linux 6.1, which the list follows, does not let them.

use super::mocs;
use crate::device::{EngineClass, EngineId, Generation, GtLevel, Platform, PlatformName};
use crate::mmio::regs::CommandCacheControl;
use crate::mmio::{Bus, EngineBase};
use crate::platform::Hardware;

/// What to do with a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    /// Write the value.
    Write(u32),
    /// Read, clear the first bits, set the second, write.
    Change(u32, u32),
    /// A masked register: set these bits.
    MaskedSet(u32),
}

use Action::{Change, MaskedSet, Write};

type Row = (u32, Action);

/// The part that is worked around.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// Its row.
    pub(crate) platform: &'static Platform,
    /// Its tier.
    pub(crate) level: GtLevel,
    /// PCI revision, which tells the stepping.
    pub(crate) revision: u8,
}

/// GT-wide registers: written at start and after a GT reset.
#[rustfmt::skip]
const fn gt_rows(generation: Generation) -> &'static [Row] {
    match generation {
        Generation::Gen8 => &[
            (0x4dd4, Write(0x67f1_427f)),               // GEN8_L3_LRA_1_GPGPU
            (0x4024, Write(0xf000_7fff)),               // HSW_GTT_CACHE_EN
            // i915: intel_pm.c, bdw_init_clock_gating.
            (0x2050, MaskedSet(1 << 12)),               // PSMI_CTL: FF units' clock
            (0x20a0, Change(1 << 19 | 1 << 15, 0)),     // FF_THREAD_MODE: WaDisableVSRefCountFullforceMiss
            (0x9400, Change(0, 1 << 16)),                     // UCGCTL1: WaDisableEuTcunitClockGating
            (0x9430, Change(0, 1 << 14)),                     // UCGCTL6: WaDisableSDEUnitClockGating
            (0x4090, Change(0, 1 << 6)),                      // GAM_ECOCHK: WaSwitchSolVfFArbitrationPriority
            // WaProgramL3SqcReg1Default: 30 and 2 credits, with the clock of the unit running.
            (0x9424, Change(1, 0)),                           // MISCCPCTL: DOP clock gating off
            (0xb100, Change(0x3ff << 14, 15 << 19 | 1 << 14)), // L3SQCREG1
        ],
        Generation::Gen9 => &[
            (0x4dd4, Write(0x67f1_427f)),
            (0x4024, Write(0xf000_7fff)),
            (0x4080, Change(0, 0xf)),                         // GAMW_ECO_DEV_RW_IA: honour IPS of 64 KiB tables
            (0x4090, Change(0, 1 << 25)),                     // GAM_ECOCHK: ECOCHK_DIS_TLB
            (0x4ddc, Change(0, 1 << 31 | 1 << 27)),           // MMCD_MISC_CTRL: PCLA, hotspot
            (0x940c, Change(0, 1 << 14)),                     // UCGCTL4: WaDisableGafsUnitClkGating
        ],
        Generation::Gen9Lp => &[
            (0x4dd4, Write(0x5ff1_01ff)),
            (0x4024, Write(0xf000_7fff)),
            (0x4080, Change(0, 0xf)),
            (0x4090, Change(0, 1 << 25)),
        ],
        Generation::Gen11 => &[
            (0x4dd4, Write(0x67f1_427f)),
            (0x4024, Write(0)),                         // the GTT cache does not know 2 MiB entries
            (0x4080, Change(0, 1 << 7)),                      // context reload disable
            (0x4b80, Change(0x3 << 12 | 0xf, 1 << 12 | 1)), // GACB_PERF_CTRL: WaModifyGamTlbPartitioning
            (0xb43c, Change(0, 1 << 9 | 1 << 7)),             // LSN_UNSLCVC, Wa_1604278689
            (0x4ab8, Change(0, 1 << 31)),                     // GAMT_CHKN: L3 coherent pipe
            (0x9434, Change(0, 1 << 3 | 1 << 8)),             // UNSLICE_UNIT_LEVEL_CLKGATE: VSUNIT, HSUNIT
            (0x94e4, Change(0, 1 << 5)),                      // PSDUNIT
            (0x9524, Change(0, 1 << 16)),                     // SUBSLICE_UNIT_LEVEL_CLKGATE: GWUNIT
            (0x94d4, Change(0, 1 << 16 | 1 << 17)),           // SLICE_UNIT_LEVEL_CLKGATE: L3 clock gates
            (0x9550, Change(1 << 9, 0)),                // DFR_RATIO
        ],
        Generation::Gen12 => &[
            (0x9550, Change(0, 1 << 9)),                // DFR_RATIO: Wa_14011059788
            (0x9424, Change(1 << 1, 0)),                // MISCCPCTL: Wa_14015795083; may be locked
        ],
    }
}

/// Registers of the render engine and its units: lost with an engine reset.
#[rustfmt::skip]
const fn render_rows(generation: Generation) -> &'static [Row] {
    match generation {
        Generation::Gen8 => &[],
        Generation::Gen9 => &[
            (0x20d4, MaskedSet(1 << 2)),                // CSFE_CHICKEN1: no GPGPU sync on preemption
            (0xb11c, Change(1 << 8, 1 << 2)),           // BDW_SCRATCH1
            (0xb118, Change(1 << 22, 1 << 21)),         // GEN8_L3SQCREG4
            (0xb008, Change(1 << 0, 0)),                // GEN9_SCRATCH_LNCF1
            (0xb004, Change(0, 1 << 7)),                      // GEN8_GARBCNTL: snoop filter
            (0x20e0, MaskedSet(1 << 14)),               // FF_SLICE_CS_CHICKEN1: per-context preemption
            (0x2088, MaskedSet(1 << 1)),                // FF_SLICE_CHICKEN, _3D_CHICKEN3: provoking vertex;
            (0x2090, MaskedSet(1 << 12)),               //   also in `VERTEX`
        ],
        Generation::Gen9Lp => &[
            (0x20d4, MaskedSet(1 << 2)),
            (0xb11c, Change(1 << 8, 1 << 2)),
            (0xb118, Change(1 << 22, 1 << 21)),
            (0xb008, Change(1 << 0, 0)),
            (0x20e0, MaskedSet(1 << 14)),
            (0xb100, Change(0x3ff << 14, 31 << 19 | 1 << 14)), // L3SQCREG1: 62 and 2 credits
            (0x2088, MaskedSet(1 << 1)),
            (0x2090, MaskedSet(1 << 12)),
        ],
        Generation::Gen11 => &[
            (0x2090, MaskedSet(1 << 5)),                // _3D_CHICKEN3: quality of antialiased lines
            (0x20d4, MaskedSet(1 << 7)),                // CSFE_CHICKEN1: WaEnable32PlaneMode
            // GEN8_GARBCNTL: WaL3BankAddressHashing, Wa_1604223664 (arbitration), and GLBLINVL likewise.
            (0xb004, Change(0x7f, 0x3f << 22 | 1)),
            (0xb404, Change(0x7f << 5, 1 << 5)),
            (0xb118, Change(0, 1 << 6)),                      // L3SQCREG4: Wa_1405733216, clean evictions
            (0xb000, Change(0, 1 << 30)),                     // SARCHKMD: Wa_1406609255, sampler prefetch
            (0x20e0, MaskedSet(1 << 14)),
            (0x20ec, MaskedSet(1 << 1)),                // CS_DEBUG_MODE1: FF clock gate, Wa_1606700617
            (0x20a0, Change(0, 1 << 19)),                     // FF_THREAD_MODE: tessellation clock gate
        ],
        Generation::Gen12 => &[
            (0x20a0, Change(0, 1 << 19)),                     // FF_THREAD_MODE: Wa_1407928979
            (0x20e0, MaskedSet(1 << 14)),
            (0x20ec, MaskedSet(1 << 1)),                // CS_DEBUG_MODE1: Wa_1606700617
            (0xe18c, MaskedSet(1 << 15)),               // SAMPLER_MODE: small polygons
            (0xe48c, MaskedSet(1 << 9)),                // ROW_CHICKEN4: Wa_1409085225
            (0xe4f4, MaskedSet(1 << 8 | 1 << 14)),      // ROW_CHICKEN2: Wa_1409804808, Wa_1606931601
        ],
    }
}

/// Rows for some parts or steppings of a generation only.
fn special_rows(part: Part) -> &'static [Row] {
    const HDC_INVALIDATION: Row = (0x4090, Change(0, 1 << 8)); // GAM_ECOCHK: BDW_DISABLE_HDC_INVALIDATION
    const DECOMPRESSION: Row = (0x4ab0, Change(0, 1 << 18)); // GAMT_ECO: WaInPlaceDecompressionHang
    // MISCCPCTL: WaDisableDopClockGating; UCGCTL1 and 6: WaDisableGamClockGating, WaDisableSDEUnitClockGating,
    // HDC (i915: intel_pm.c, skl_init_clock_gating and its like).
    const DOP_GATING: Row = (0x9424, Change(1, 0));
    const GAM_GATING: Row = (0x9400, Change(0, 1 << 22));
    const SDE_GATING: Row = (0x9430, Change(0, 1 << 14));
    const HDC_GATING: Row = (0x9430, Change(0, 1 << 28));
    match part.platform.name {
        // Up to stepping G0.
        PlatformName::Skylake if part.revision < 7 => &[HDC_INVALIDATION, DECOMPRESSION, DOP_GATING],
        PlatformName::Skylake => &[HDC_INVALIDATION, DOP_GATING],
        PlatformName::GeminiLake => &[HDC_INVALIDATION],
        PlatformName::ApolloLake => &[HDC_INVALIDATION, DECOMPRESSION, SDE_GATING, HDC_GATING],
        // Before stepping C0.
        PlatformName::KabyLake if part.is_kaby_lake_before_c0() => {
            &[HDC_INVALIDATION, DECOMPRESSION, GAM_GATING, SDE_GATING]
        }
        PlatformName::KabyLake => &[HDC_INVALIDATION, DECOMPRESSION],
        PlatformName::CoffeeLake | PlatformName::CometLake => &[DECOMPRESSION],
        _ => &[],
    }
}

/// Registers of an engine for some parts or steppings of a generation only: lost with a reset of the engine.
fn special_engine_rows(part: Part, class: EngineClass) -> &'static [Row] {
    // Offsets from the engine's base. PSMI_CTL: Wa_1607186500, Wa_1607297627, which Alder Lake-S does not need.
    const IDLE_MESSAGES: &[Row] = &[(0x50, MaskedSet(1 << 12 | 1 << 7))];
    // SEMA_WAIT_POLL: WaKBLVECSSemaphoreWaitPoll.
    const SEMAPHORE_POLL: &[Row] = &[(0x24c, Write(1))];
    match (part.platform.name, class) {
        (
            PlatformName::TigerLake | PlatformName::RocketLake | PlatformName::AlderLakeP,
            EngineClass::Render,
        ) => IDLE_MESSAGES,
        (PlatformName::KabyLake, EngineClass::Render) => &[],
        (PlatformName::KabyLake, _) if part.is_kaby_lake_before_f0() => SEMAPHORE_POLL,
        _ => &[],
    }
}

impl Part {
    /// A Kaby Lake of a stepping before C0 (PCI revision 2).
    pub(crate) fn is_kaby_lake_before_c0(self) -> bool {
        self.platform.name == PlatformName::KabyLake && self.revision < 2
    }

    /// A Kaby Lake of a stepping before F0: PCI revision 4 is F0, 7 is G0, 5 and 6 are of C0 and D1 (i915:
    /// intel_step.c, `kbl_revids`).
    fn is_kaby_lake_before_f0(self) -> bool {
        self.platform.name == PlatformName::KabyLake && matches!(self.revision, 0..=3 | 5 | 6)
    }
}

/// Registers that a user's batch may access beyond the hardware's own list: FORCE_TO_NONPRIV slots,
/// ascending.
#[rustfmt::skip]
const fn whitelist(platform: &Platform, class: EngineClass) -> &'static [u32] {
    const READ_ONLY: u32 = 1 << 28;
    const FOUR: u32 = 1;
    const INVOCATIONS: u32 = 0x2348 | READ_ONLY | FOUR; // PS_INVOCATION_COUNT
    const CONTEXT_TIMESTAMP: u32 = 0x3a8 | READ_ONLY;   // relative, see `write_whitelist`
    match (platform.generation, class) {
        // CTX_PREEMPT, CS_CHICKEN1, COMMON_SLICE_CHICKEN2, HDC_CHICKEN1; L3SQCREG4, SLICE_COMMON_ECO_CHICKEN1.
        (Generation::Gen9 | Generation::Gen9Lp, EngineClass::Render) => match platform.name {
            PlatformName::CoffeeLake | PlatformName::CometLake => {
                &[0x2248, 0x2580, 0x7014, 0x7304, INVOCATIONS]
            }
            PlatformName::ApolloLake => &[0x2248, 0x2580, 0x7014, 0x7304],
            PlatformName::GeminiLake => &[0x2248, 0x2580, 0x7014, 0x7304, 0x731c],
            _ => &[0x2248, 0x2580, 0x7014, 0x7304, 0xb118],
        },
        // SLICE_COMMON_ECO_CHICKEN1, SAMPLER_MODE, HALF_SLICE_CHICKEN7.
        (Generation::Gen11, EngineClass::Render) => &[0x731c, 0xe18c, 0xe194, INVOCATIONS],
        (Generation::Gen12, EngineClass::Render) => &[0x7010, 0x7018, INVOCATIONS],
        // The state of HuC, which video players look at.
        (Generation::Gen11, EngineClass::Video) => &[
            CONTEXT_TIMESTAMP,
            0x2000 | READ_ONLY,
            0x2014 | READ_ONLY,
            0x23b0 | READ_ONLY,
        ],
        (Generation::Gen11 | Generation::Gen12, _) => &[CONTEXT_TIMESTAMP],
        _ => &[],
    }
}

fn apply<H: Hardware>(bus: &mut Bus<H>, rows: &[Row]) {
    for (register, action) in rows {
        let value = match *action {
            Write(value) => value,
            MaskedSet(bits) => bits << 16 | bits,
            Change(clear, set) => bus.read_raw(*register) & !clear | set,
        };
        bus.write_raw(*register, value);
    }
}

/// Applies what is GT-wide.
pub(crate) fn apply_gt<H: Hardware>(bus: &mut Bus<H>, part: Part) {
    const MISCCPCTL: u32 = 0x9424;
    let gating = (part.platform.generation == Generation::Gen8).then(|| bus.read_raw(MISCCPCTL));
    apply(bus, gt_rows(part.platform.generation));
    apply(bus, special_rows(part));
    // On Gen8 the rows switch clock gating off for a moment.
    if let Some(gating) = gating {
        bus.write_raw(MISCCPCTL, gating);
    }
}

/// Applies what belongs to one engine.
pub(crate) fn apply_engine<H: Hardware>(bus: &mut Bus<H>, part: Part, engine: EngineId) {
    let platform = part.platform;
    let base = EngineBase(engine.mmio_base(platform.generation));
    for (register, action) in special_engine_rows(part, engine.class) {
        apply(bus, &[(base.0 + register, *action)]);
    }
    if engine.class == EngineClass::Render {
        apply(bus, render_rows(platform.generation));
    }
    if platform.generation == Generation::Gen12 {
        if engine.class == EngineClass::Video && engine.instance.is_multiple_of(2) {
            apply(bus, &[(base.0 + 0x3f10, Change(0, 1 << 22))]); // VDBOX_CGCTL3F10: IECP clock gate
        }
        // Commands without a MOCS of their own are uncached (i915: `engine_fake_wa_init`).
        let index = mocs::GEN12_UNCACHED << 1;
        let value = CommandCacheControl::WRITE.put(index) | CommandCacheControl::READ.put(index);
        let mask = CommandCacheControl::WRITE.mask() | CommandCacheControl::READ.mask();
        bus.write_on(base, CommandCacheControl(mask << 16 | value));
    }
    write_whitelist(bus, platform, engine, base);
}

fn write_whitelist<H: Hardware>(bus: &mut Bus<H>, platform: &Platform, engine: EngineId, base: EngineBase) {
    const SLOTS: u32 = 12;
    const NOPID: u32 = 0x94;
    let list = whitelist(platform, engine.class);
    if list.is_empty() {
        return;
    }
    let relative = if engine.class == EngineClass::Render { 0 } else { base.0 };
    for (slot, entry) in
        (0..SLOTS).zip(list.iter().map(|entry| entry + relative).chain((0..).map(|_| base.0 + NOPID)))
    {
        bus.write_raw(base.0 + 0x4d0 + 4 * slot, entry);
    }
}

/// A register and what a command loads into it.
type Load = (u32, u32);

/// What a masked register is loaded with to set bits, and to clear them.
const fn set(bits: u32) -> u32 {
    bits << 16 | bits
}
const fn clear(bits: u32) -> u32 {
    bits << 16
}

// Registers by name, as in the tables below.
const CS_CHICKEN1: u32 = 0x2580;
const CACHE_MODE_0: u32 = 0x7000;
const CACHE_MODE_1: u32 = 0x7004;
const GT_MODE: u32 = 0x7008;
const COMMON_SLICE_CHICKEN2: u32 = 0x7014;
const HDC_CHICKEN0: u32 = 0x7300;
const HALF_SLICE_CHICKEN1: u32 = 0xe100;
const HALF_SLICE_CHICKEN2: u32 = 0xe180;
const HALF_SLICE_CHICKEN3: u32 = 0xe184;
const HALF_SLICE_CHICKEN5: u32 = 0xe188;
const SAMPLER_MODE: u32 = 0xe18c;
const HALF_SLICE_CHICKEN7: u32 = 0xe194;
const ROW_CHICKEN: u32 = 0xe4f0;
const ROW_CHICKEN2: u32 = 0xe4f4;

/// Coherency of the data cache forced off, and masked fetches.
const BROADWELL_HDC: u32 = 1 << 4 | 1 << 5 | 1 << 11;

#[rustfmt::skip]
const fn broadwell<const GT3: bool>() -> [Load; 9] {
    [
        (0x20c0, set(1 << 7)),                          // INSTPM: force ordering
        (0x209c, set(1 << 14)),                         // MI_MODE: performance of asynchronous flips
        (ROW_CHICKEN, set(1 << 8 | 1 << 5)),            // partial instruction shootdown, DOP gating stall
        (ROW_CHICKEN2, set(1)),                         // WaDisableDopClockGating
        (HALF_SLICE_CHICKEN3, set(1 << 1)),             // WaDisableSamplerPowerBypass
        // WaForceEnableNonCoherent, WaHdcDisableFetchWhenMasked; GT3: no SLM destination of fences.
        (HDC_CHICKEN0, set(if GT3 { BROADWELL_HDC | 1 << 14 } else { BROADWELL_HDC })),
        (CACHE_MODE_0, clear(1 << 2)),                  // HiZ raw stall optimisation
        (CACHE_MODE_1, set(1 << 6)),                    // Wa4x4STCOptimizationDisable
        (GT_MODE, 0x0280_0200),                         // hashing of 16 x 4 pixels
    ]
}

/// Preemption of compute at commands (3), and none within a draw: the mask is of all levels.
const PREEMPTION_GEN9: Load = (CS_CHICKEN1, 7 << 16 | 1 << 2);
/// The same where the level of 3D is not a choice of the driver.
const PREEMPTION_GEN11: Load = (CS_CHICKEN1, 6 << 16 | 1 << 1);

/// Rows that all parts of Gen9 have.
#[rustfmt::skip]
const GEN9: [Load; 5] = [
    PREEMPTION_GEN9,
    (ROW_CHICKEN, set(1 << 15 | 1 << 8)),               // flow control, partial instruction shootdown
    (CACHE_MODE_1, set(1 << 6 | 1 << 1)),               // Wa4x4STCOptimizationDisable, partial resolve in VC
    (HALF_SLICE_CHICKEN5, clear(1 << 3)),               // WaCcsTlbPrefetchDisable
    (HDC_CHICKEN0, set(1 << 15 | 1 << 5 | 1 << 4)),     // WaForceEnableNonCoherent and its companions
];
/// WaDisableSTUnitPowerOptimization.
const ST_POWER: Load = (HALF_SLICE_CHICKEN2, set(1 << 13));
/// What Linux writes at every restore of a render context, from a batch that the image names
/// (`gen9_init_indirectctx_bb`); here it is part of the state that contexts start from, and written to the
/// registers as well (`render_rows`), whichever of both the hardware keeps it in.
const GATHER: Load = (COMMON_SLICE_CHICKEN2, clear(1 << 12));
const VERTEX: [Load; 2] = [(0x2088, set(1 << 1)), (0x2090, set(1 << 12))];
/// WaToEnableHwFixForPushConstHWBug.
const PUSH_CONSTANTS: u32 = 1 << 8;
/// WaCompressedResourceSamplerPbeMediaNewHashMode.
const PBE_HASH: u32 = 1 << 13;

#[rustfmt::skip]
const fn gen9<const N: usize>(special: [Load; N]) -> [Load; 16] {
    let mut rows = [GATHER; 16];
    let mut at = 0;
    while at < N {
        rows[at] = special[at];
        at += 1;
    }
    let mut common = 0;
    while common < GEN9.len() {
        rows[at] = GEN9[common];
        (at, common) = (at + 1, common + 1);
    }
    rows[at] = ST_POWER;
    rows[at + 1] = VERTEX[0];
    rows[at + 2] = VERTEX[1];
    // The rest is `GATHER`, once or more: it comes after what sets other bits of its register.
    rows
}

/// HALF_SLICE_CHICKEN7: the YV12 fixes, and the hash of compressed reads on big cores.
const CHICKEN7: u32 = 1 << 4 | 1 << 2;
/// WaDisableSamplerPowerBypassForSOPingPong.
const SAMPLER_POWER: Load = (HALF_SLICE_CHICKEN3, set(1 << 1));
const HASHED_CHICKEN7: Load = (HALF_SLICE_CHICKEN7, set(CHICKEN7 | 1 << 8));
/// WaDisableSbeCacheDispatchPortSharing.
const SBE: Load = (HALF_SLICE_CHICKEN1, set(1 << 4));

static BROADWELL: [Load; 9] = broadwell::<false>();
static BROADWELL_GT3: [Load; 9] = broadwell::<true>();
static SKYLAKE: [Load; 16] = gen9([SAMPLER_POWER, HASHED_CHICKEN7, (COMMON_SLICE_CHICKEN2, set(PBE_HASH))]);
/// Before stepping C0.
static EARLY_KABY_LAKE: [Load; 16] =
    gen9([SAMPLER_POWER, HASHED_CHICKEN7, SBE, (COMMON_SLICE_CHICKEN2, set(PBE_HASH))]);
/// Also Coffee Lake and Comet Lake.
static KABY_LAKE: [Load; 16] =
    gen9([SAMPLER_POWER, HASHED_CHICKEN7, SBE, (COMMON_SLICE_CHICKEN2, set(PBE_HASH | PUSH_CONSTANTS))]);
/// WM_CHICKEN3: WaClearHIZ; ROW_CHICKEN: WaDisableThreadStallDopClockGating.
static APOLLO_LAKE: [Load; 16] = gen9([
    (0x5588, set(1 << 9)),
    SAMPLER_POWER,
    (HALF_SLICE_CHICKEN7, set(CHICKEN7)),
    (COMMON_SLICE_CHICKEN2, set(PUSH_CONSTANTS)),
    (ROW_CHICKEN, set(1 << 5)),
]);
static GEMINI_LAKE: [Load; 16] = gen9([
    (0x5588, set(1 << 9)),
    (HALF_SLICE_CHICKEN7, set(CHICKEN7)),
    (COMMON_SLICE_CHICKEN2, set(PUSH_CONSTANTS)),
]);
#[rustfmt::skip]
static GEN11: [Load; 8] = [
    PREEMPTION_GEN11,
    (0x7034, 1 << 9),                                   // L3CNTLREG: error detection (Wa_1406697149)
    (0xe5f4, set(1 << 4)),                              // ICL_HDC_MODE: WaForceEnableNonCoherent
    (0x7020, 0xffff_fffe),                              // FBC_RT_BASE and its upper half: Wa_1604278689
    (0x7024, 0xffff_ffff),
    (0xe48c, set(1 << 7)),                              // ROW_CHICKEN4: Wa_1406306137
    (0xe420, set(1 << 4)),                              // CACHE_MODE_SS: WaEnableFloatBlendOptimization
    (SAMPLER_MODE, set(1 << 5)),                        // headerless messages of preemptible compute
];
#[rustfmt::skip]
static GEN12: [Load; 3] = [
    PREEMPTION_GEN11,
    (0x6604, 224 << 24 | 4 << 16),                      // FF_MODE2: timers of GS and TDS
    (0x7304, set(1 << 9)),                              // COMMON_SLICE_CHICKEN3: Wa_1409142259
];
/// BLIT_CCTL: source and destination uncached where the command says nothing.
static GEN12_COPY: [Load; 1] = [(0x22204, 0x606)];

/// Registers of the context image that differ from their defaults: loaded once by the first request of
/// an engine, from whose saved image all contexts start.
pub(crate) fn context_rows(part: Part, class: EngineClass) -> &'static [Load] {
    if (part.platform.generation, class) == (Generation::Gen12, EngineClass::Copy) {
        return &GEN12_COPY;
    }
    if class != EngineClass::Render {
        return &[];
    }
    match (part.platform.name, part.platform.generation) {
        (_, Generation::Gen8) if part.level == GtLevel::Gt3 => &BROADWELL_GT3,
        (_, Generation::Gen8) => &BROADWELL,
        (PlatformName::Skylake, _) => &SKYLAKE,
        (PlatformName::KabyLake, _) if part.is_kaby_lake_before_c0() => &EARLY_KABY_LAKE,
        (_, Generation::Gen9) => &KABY_LAKE,
        (PlatformName::ApolloLake, _) => &APOLLO_LAKE,
        (_, Generation::Gen9Lp) => &GEMINI_LAKE,
        (_, Generation::Gen11) => &GEN11,
        (_, Generation::Gen12) => &GEN12,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::PciIdentity;
    use crate::testing::FakeHardware;

    fn applied(device: u16, engine: EngineId) -> Vec<(u32, u32)> {
        let identity = PciIdentity { vendor: 0x8086, device, revision: 0, ggc: 0 };
        let (platform, level) = identity.platform().expect("known");
        let mut bus = Bus::new(FakeHardware::new(1), platform.generation, true);
        let part = Part { platform, level, revision: 7 };
        apply_gt(&mut bus, part);
        apply_engine(&mut bus, part, engine);
        bus.hw.writes
    }

    /// What one engine of a Kaby Lake of a stepping has in SEMA_WAIT_POLL.
    fn semaphore_poll(revision: u8, engine: EngineId) -> Option<u32> {
        let identity = PciIdentity { vendor: 0x8086, device: 0x5917, revision, ggc: 0 };
        let (platform, level) = identity.platform().expect("known");
        let mut bus = Bus::new(FakeHardware::new(1), platform.generation, true);
        apply_engine(&mut bus, Part { platform, level, revision }, engine);
        let register = engine.mmio_base(platform.generation) + 0x24c;
        bus.hw.writes.iter().find(|write| write.0 == register).map(|write| write.1)
    }

    #[test]
    fn kaby_lakes_before_stepping_f0_poll_semaphores_slowly_on_all_engines_but_render() {
        for revision in [0, 1, 2, 3, 5, 6] {
            for engine in [EngineId::BCS0, EngineId::VCS0, EngineId::VECS0] {
                assert_eq!(semaphore_poll(revision, engine), Some(1), "{revision} {engine}");
            }
            assert_eq!(semaphore_poll(revision, EngineId::RCS0), None);
        }
        for revision in [4, 7] {
            assert_eq!(semaphore_poll(revision, EngineId::BCS0), None, "{revision}");
        }
    }

    #[test]
    fn idle_messages_stay_on_on_alder_lake_s_and_off_on_the_other_parts_of_gen12() {
        let psmi = |device| applied(device, EngineId::RCS0).into_iter().find(|write| write.0 == 0x2050);
        for device in [0x9a49, 0x4c8a, 0x46a6] {
            assert_eq!(psmi(device), Some((0x2050, 0x1080_1080)), "{device:#x}");
        }
        assert_eq!(psmi(0x4680), None);
    }

    #[test]
    fn tiger_lake_render_as_linux_leaves_it() {
        let writes = applied(0x9a49, EngineId::RCS0);
        for expected in [
            (0x2050, 0x1080_1080),
            (0x20a0, 0x8_0000),
            (0x20c4, 0x3fff_0306),
            (0x20e0, 0x4000_4000),
            (0x20ec, 0x2_0002),
            (0x24d0, 0x7010),
            (0x24d4, 0x7018),
            (0x24d8, 0x1000_2349),
            (0x24dc, 0x2094),
            (0x24fc, 0x2094),
            (0x9550, 0x200),
            (0xe18c, 0x8000_8000),
            (0xe48c, 0x200_0200),
            (0xe4f4, 0x4100_4100),
        ] {
            assert!(writes.contains(&expected), "{expected:x?}");
        }
    }

    #[test]
    fn tiger_lake_video_as_linux_leaves_it() {
        let writes = applied(0x9a49, EngineId::VCS2);
        for expected in [
            (0x1d_3f10, 0x40_0000),
            (0x1d_00c4, 0x3fff_0306),
            (0x1d_04d0, 0x101d_03a8),
            (0x1d_04d4, 0x1d_0094),
        ] {
            assert!(writes.contains(&expected), "{expected:x?}");
        }
    }

    /// The last value of each register that the first request of a render context loads.
    fn loaded(device: u16, revision: u8) -> Vec<(u32, u32)> {
        let identity = PciIdentity { vendor: 0x8086, device, revision, ggc: 0 };
        let (platform, level) = identity.platform().expect("known");
        context_rows(Part { platform, level, revision }, EngineClass::Render).to_vec()
    }

    /// i915's list of the context workarounds of a Skylake, from its debugfs file `i915_wa_registers`.
    #[test]
    fn skylake_contexts_start_as_linux_starts_them() {
        let rows = loaded(0x1912, 6);
        for expected in [
            (0x2580, 0x7_0004),
            (0x7004, 0x42_0042),
            (0x7014, 0x2000_2000),
            (0x7300, 0x8030_8030),
            (0xe180, 0x2000_2000),
            (0xe184, 0x2_0002),
            (0xe188, 0x8_0000),
            (0xe194, 0x114_0114),
            (0xe4f0, 0x8100_8100),
        ] {
            assert!(rows.contains(&expected), "{expected:x?}");
        }
    }

    #[test]
    fn what_belongs_to_a_tier_or_a_stepping_is_for_that_alone() {
        let has = |rows: &[(u32, u32)], row| rows.contains(&row);
        assert!(has(&loaded(0x1616, 0), (0x7300, 0x0830_0830)));
        assert!(has(&loaded(0x1622, 0), (0x7300, 0x4830_4830)));
        assert!(has(&loaded(0x5917, 0), (0x7014, 0x2000_2000)));
        assert!(has(&loaded(0x5917, 2), (0x7014, 0x2100_2100)));
        assert!(has(&loaded(0x3e92, 0), (0x7014, 0x2100_2100)));
        let special = |device, revision| {
            let identity = PciIdentity { vendor: 0x8086, device, revision, ggc: 0 };
            let (platform, level) = identity.platform().expect("known");
            special_rows(Part { platform, level, revision }).iter().map(|row| row.0).collect::<Vec<_>>()
        };
        assert_eq!(special(0x1912, 6), [0x4090, 0x4ab0, 0x9424]);
        assert_eq!(special(0x1912, 7), [0x4090, 0x9424]);
        assert_eq!(special(0x5917, 1), [0x4090, 0x4ab0, 0x9400, 0x9430]);
        assert_eq!(special(0x5917, 2), [0x4090, 0x4ab0]);
        assert_eq!(special(0x3e92, 0), [0x4ab0]);
        assert_eq!(special(0x9a49, 0), [0u32; 0]);
    }

    /// Within a table a register may come twice where the second load touches other bits.
    #[test]
    fn no_load_undoes_another_one() {
        for device in [0x1616, 0x1622, 0x1912, 0x5917, 0x5a84, 0x3185, 0x8a52, 0x9a49, 0x4680] {
            let rows = loaded(device, 2);
            for (at, (register, value)) in rows.iter().enumerate() {
                for (other, later) in &rows[at + 1..] {
                    let overlap = value >> 16 & later >> 16;
                    assert!(other != register || later == value || overlap == 0, "{register:#x}");
                }
            }
        }
    }

    #[test]
    fn gen9_honours_64_kib_tables_and_coffee_lake_keeps_hdc_invalidation() {
        let find = |writes: &[(u32, u32)], register| {
            writes.iter().rev().find(|write| write.0 == register).map(|write| write.1)
        };
        let skylake = applied(0x1912, EngineId::RCS0);
        assert_eq!(find(&skylake, 0x4080), Some(0xf));
        assert_eq!(find(&skylake, 0x4090), Some(1 << 25 | 1 << 8));
        let coffee = applied(0x3e92, EngineId::RCS0);
        assert_eq!(find(&coffee, 0x4090), Some(1 << 25));
    }
}
