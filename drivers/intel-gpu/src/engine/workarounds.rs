// SPDX-License-Identifier: BSD-2-Clause
//! Register workarounds: what the parts need beside their documentation's defaults. One table per
//! generation, one row per register.
//!
//! Sources: PRM vol 16 (Workarounds) where public; i915: intel_workarounds.c; for Tiger Lake also the
//! recorded probe of Linux 6.1.

use super::mocs;
use crate::device::{EngineClass, EngineId, Generation, Platform, PlatformName};
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

/// GT-wide registers: written at start and after a GT reset.
#[rustfmt::skip]
const fn gt_rows(generation: Generation) -> &'static [Row] {
    match generation {
        Generation::Gen8 => &[
            (0x4dd4, Write(0x67f1_427f)),               // GEN8_L3_LRA_1_GPGPU
            (0x4024, Write(0xf000_7fff)),               // HSW_GTT_CACHE_EN
        ],
        Generation::Gen9 => &[
            (0x4dd4, Write(0x67f1_427f)),
            (0x4024, Write(0xf000_7fff)),
            (0x4080, Change(0, 0xf)),                         // GAMW_ECO_DEV_RW_IA: honour IPS of 64 KiB tables
            (0x4090, Change(0, 1 << 25)),                     // GAM_ECOCHK: ECOCHK_DIS_TLB
            (0x4ddc, Change(0, 1 << 31 | 1 << 27)),           // MMCD_MISC_CTRL: PCLA, hotspot
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
        ],
        Generation::Gen9Lp => &[
            (0x20d4, MaskedSet(1 << 2)),
            (0xb11c, Change(1 << 8, 1 << 2)),
            (0xb118, Change(1 << 22, 1 << 21)),
            (0xb008, Change(1 << 0, 0)),
            (0x20e0, MaskedSet(1 << 14)),
        ],
        Generation::Gen11 => &[
            (0x20e0, MaskedSet(1 << 14)),
            (0x20ec, MaskedSet(1 << 1)),                // CS_DEBUG_MODE1: FF clock gate, Wa_1606700617
            (0x20a0, Change(0, 1 << 19)),                     // FF_THREAD_MODE: tessellation clock gate
        ],
        Generation::Gen12 => &[
            (0x2050, MaskedSet(1 << 12 | 1 << 7)),      // PSMI_CTL: Wa_1607186500, Wa_1607297627
            (0x20a0, Change(0, 1 << 19)),                     // FF_THREAD_MODE: Wa_1407928979
            (0x20e0, MaskedSet(1 << 14)),
            (0x20ec, MaskedSet(1 << 1)),                // CS_DEBUG_MODE1: Wa_1606700617
            (0xe18c, MaskedSet(1 << 15)),               // SAMPLER_MODE: small polygons
            (0xe48c, MaskedSet(1 << 9)),                // ROW_CHICKEN4: Wa_1409085225
            (0xe4f4, MaskedSet(1 << 8 | 1 << 14)),      // ROW_CHICKEN2: Wa_1409804808, Wa_1606931601
        ],
    }
}

/// Registers that a user's batch may access beyond the hardware's own list: FORCE_TO_NONPRIV slots.
#[rustfmt::skip]
const fn whitelist(platform: &Platform, class: EngineClass) -> &'static [u32] {
    const READ_ONLY: u32 = 1 << 28;
    const FOUR: u32 = 1;
    const INVOCATIONS: u32 = 0x2348 | READ_ONLY | FOUR; // PS_INVOCATION_COUNT
    const CONTEXT_TIMESTAMP: u32 = 0x3a8 | READ_ONLY;   // relative, see `write_whitelist`
    match (platform.generation, class) {
        (Generation::Gen9 | Generation::Gen9Lp, EngineClass::Render) => match platform.name {
            PlatformName::CoffeeLake | PlatformName::CometLake => {
                &[0x2248, 0x2580, 0x7304, 0x7014, INVOCATIONS]
            }
            _ => &[0x2248, 0x2580, 0x7304, 0x7014],     // CTX_PREEMPT, CS_CHICKEN1, HDC_CHICKEN1,
        },                                              // COMMON_SLICE_CHICKEN2
        (Generation::Gen11, EngineClass::Render) => &[0xe194, 0xe18c, 0x731c, INVOCATIONS],
        (Generation::Gen12, EngineClass::Render) => &[0x7010, 0x7018, INVOCATIONS],
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
pub(crate) fn apply_gt<H: Hardware>(bus: &mut Bus<H>, platform: &Platform) {
    apply(bus, gt_rows(platform.generation));
    let coffee = matches!(platform.name, PlatformName::CoffeeLake | PlatformName::CometLake);
    if platform.generation.is_gen9() && !coffee {
        apply(bus, &[(0x4090, Change(0, 1 << 8))]); // GAM_ECOCHK: BDW_DISABLE_HDC_INVALIDATION
    }
}

/// Applies what belongs to one engine.
pub(crate) fn apply_engine<H: Hardware>(bus: &mut Bus<H>, platform: &Platform, engine: EngineId) {
    let base = EngineBase(engine.mmio_base(platform.generation));
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

/// Registers of the context image that differ from their defaults: loaded once by the first request of
/// an engine, from whose saved image all contexts start.
pub(crate) const fn context_rows(generation: Generation, class: EngineClass) -> &'static [(u32, u32)] {
    match (generation, class) {
        // INSTPM force ordering; MI_MODE async-flip performance.
        (Generation::Gen8, EngineClass::Render) => &[(0x20c0, 0x0080_0080), (0x209c, 0x4000_4000)],
        // BLIT_CCTL: source and destination uncached where the command says nothing.
        (Generation::Gen12, EngineClass::Copy) => &[(0x22204, 0x7f7f_0606)],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::PciIdentity;
    use crate::testing::FakeHardware;

    fn applied(device: u16, engine: EngineId) -> Vec<(u32, u32)> {
        let identity = PciIdentity { vendor: 0x8086, device, revision: 0, ggc: 0 };
        let (platform, _) = identity.platform().expect("known");
        let mut bus = Bus::new(FakeHardware::new(1), platform.generation, true);
        apply_gt(&mut bus, platform);
        apply_engine(&mut bus, platform, engine);
        bus.hw.writes
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
