// SPDX-License-Identifier: BSD-2-Clause
//! Memory-object control states: what the index in a command's MOCS field means.
//!
//! Sources: PRM vol 2c (LNCFCMOCS, GFX_MOCS / GLOB_MOCS); i915: intel_mocs.c.

use crate::device::{EngineClass, EngineId, Generation, MocsTable};
use crate::mmio::Bus;
use crate::platform::Hardware;

/// Entries of every table.
const COUNT: u32 = 64;

/// Control and L3 halves of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry {
    control: u32,
    l3: u16,
}

/// LLC cacheability, target cache, age.
const fn control(cacheability: u32, target: u32, age: u32) -> u32 {
    cacheability | target << 2 | age << 4
}

const PTE: u32 = 0;
const UC: u32 = 1;
const WB: u32 = 3;
const LLC: u32 = 1;
const LLC_ELLC: u32 = 2;
/// Do not allocate on miss.
const AOM: u32 = 1 << 6;
const RSC: u32 = 1 << 7;
/// Snoop control, LLC bypass.
const SCF: u32 = 1 << 14;
const SELF_SNOOP: u32 = 3 << 17;
const fn skip(count: u32) -> u32 {
    count << 8
}
const L3_UC: u16 = 1 << 4;
const L3_WB: u16 = 3 << 4;

const fn entry(control: u32, l3: u16) -> Entry {
    Entry { control, l3 }
}

/// Entries 2 to 23, 62 and 63, the same on Gen11 and Gen12.
const fn gen11_common(index: u32) -> Option<Entry> {
    let wb = control(WB, LLC, 3);
    Some(match index {
        2 => entry(wb, L3_WB),
        3 => entry(control(UC, LLC, 0), L3_UC),
        4 => entry(control(UC, LLC, 0), L3_WB),
        5 => entry(wb, L3_UC),
        6 => entry(control(WB, LLC, 1), L3_UC),
        7 => entry(control(WB, LLC, 1), L3_WB),
        8 => entry(control(WB, LLC, 2), L3_UC),
        9 => entry(control(WB, LLC, 2), L3_WB),
        10 => entry(wb | AOM, L3_UC),
        11 => entry(wb | AOM, L3_WB),
        12 => entry(control(WB, LLC, 1) | AOM, L3_UC),
        13 => entry(control(WB, LLC, 1) | AOM, L3_WB),
        14 => entry(control(WB, LLC, 2) | AOM, L3_UC),
        15 => entry(control(WB, LLC, 2) | AOM, L3_WB),
        16 => entry(control(UC, LLC, 0) | SCF, L3_UC),
        17 => entry(control(UC, LLC, 0) | SCF, L3_WB),
        18 => entry(wb | SELF_SNOOP, L3_WB),
        19 => entry(wb | skip(7), L3_WB),
        20 => entry(wb | skip(3), L3_WB),
        21 => entry(wb | skip(1), L3_WB),
        22 => entry(wb | RSC | skip(3), L3_WB),
        23 => entry(wb | RSC | skip(7), L3_WB),
        62 | 63 => entry(wb, L3_UC),
        _ => return None,
    })
}

const fn gen12_special(index: u32) -> Option<Entry> {
    Some(match index {
        48 => entry(control(WB, LLC, 3), L3_WB),
        49 => entry(control(UC, LLC, 0), L3_WB),
        50 | 60 => entry(control(WB, LLC, 3), L3_UC),
        51 => entry(control(UC, LLC, 0), L3_UC),
        61 => entry(control(UC, LLC, 0), L3_WB),
        _ => return gen11_common(index),
    })
}

/// Entry `index` of a table; unlisted ones repeat the table's default.
const fn lookup(table: MocsTable, index: u32) -> Option<Entry> {
    let by_pte = entry(control(PTE, 0, 3), L3_WB);
    Some(match (table, index) {
        (MocsTable::None, _) => return None,
        (MocsTable::Gen9 | MocsTable::Gen9Lp, 0) => entry(control(UC, LLC_ELLC, 0), L3_UC),
        (MocsTable::Gen9, 2) => entry(control(WB, LLC_ELLC, 3), L3_WB),
        (MocsTable::Gen9, 63) => entry(control(WB, LLC, 3), L3_UC),
        (MocsTable::Gen9Lp, 2) => entry(control(UC, LLC_ELLC, 3), L3_WB),
        (MocsTable::Gen9 | MocsTable::Gen9Lp, _) => by_pte,
        (MocsTable::Gen11, 0) => entry(control(UC, LLC, 0), L3_UC),
        (MocsTable::Gen11, _) => match gen11_common(index) {
            Some(found) => found,
            None => entry(control(PTE, 0, 0), L3_WB),
        },
        (MocsTable::TigerLake, _) => match gen12_special(index) {
            Some(found) => found,
            None => entry(control(PTE, 0, 0), L3_UC),
        },
        (MocsTable::AlderLake, _) => match gen12_special(index) {
            Some(found) => found,
            None => entry(control(WB, LLC, 3), L3_WB),
        },
    })
}

/// Index of the uncached entry: the default of commands that carry none, on Gen12.
pub(crate) const GEN12_UNCACHED: u32 = 3;

/// First L3 register; two entries each.
const L3: u32 = 0xb020;
/// Gen12: one control table for all engines.
const GLOBAL_CONTROL: u32 = 0x4000;

/// Where an engine's own control table is (Gen9, Gen11).
const fn engine_control(engine: EngineId) -> u32 {
    match (engine.class, engine.instance) {
        (EngineClass::Render, _) => 0xc800,
        (EngineClass::Video, 0) => 0xc900,
        (EngineClass::Video, 1) => 0xca00,
        (EngineClass::Video, _) => 0x1_0000,
        (EngineClass::VideoEnhance, _) => 0xcb00,
        (EngineClass::Copy, _) => 0xcc00,
    }
}

/// Writes what all engines share: the L3 table, and on Gen12 the control table. Lost with a GT reset.
pub(crate) fn program_gt<H: Hardware>(bus: &mut Bus<H>, generation: Generation, table: MocsTable) {
    if generation == Generation::Gen12 {
        program_control(bus, GLOBAL_CONTROL, table);
    }
    for index in (0..COUNT).step_by(2) {
        let (Some(low), Some(high)) = (lookup(table, index), lookup(table, index + 1)) else { return };
        bus.write_raw(L3 + index * 2, u32::from(high.l3) << 16 | u32::from(low.l3));
    }
}

/// Writes an engine's own control table. Lost with a reset of the engine.
pub(crate) fn program_engine<H: Hardware>(
    bus: &mut Bus<H>,
    generation: Generation,
    table: MocsTable,
    engine: EngineId,
) {
    if generation != Generation::Gen12 {
        program_control(bus, engine_control(engine), table);
    }
}

fn program_control<H: Hardware>(bus: &mut Bus<H>, first: u32, table: MocsTable) {
    for index in 0..COUNT {
        let Some(entry) = lookup(table, index) else { return };
        bus.write_raw(first + 4 * index, entry.control);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiger_lake_as_linux_leaves_it() {
        // From the recorded probe of Linux 6.1 on Tiger Lake: 0x4000 + 4 * index.
        let control = [
            (0, 0x0),
            (1, 0x0),
            (2, 0x37),
            (3, 0x5),
            (4, 0x5),
            (5, 0x37),
            (6, 0x17),
            (7, 0x17),
            (8, 0x27),
            (9, 0x27),
            (10, 0x77),
            (11, 0x77),
            (12, 0x57),
            (14, 0x67),
            (16, 0x4005),
            (17, 0x4005),
            (18, 0x60037),
            (19, 0x737),
            (20, 0x337),
            (21, 0x137),
            (22, 0x3b7),
            (23, 0x7b7),
            (24, 0x0),
            (47, 0x0),
            (48, 0x37),
            (49, 0x5),
            (50, 0x37),
            (51, 0x5),
            (52, 0x0),
            (60, 0x37),
            (61, 0x5),
            (62, 0x37),
            (63, 0x37),
        ];
        for (index, value) in control {
            assert_eq!(lookup(MocsTable::TigerLake, index).expect("listed").control, value, "{index}");
        }
        // 0xb020 + 4 * k: entries 2k and 2k + 1.
        for (k, value) in [
            (0, 0x10_0010),
            (1, 0x10_0030),
            (2, 0x10_0030),
            (3, 0x30_0010),
            (9, 0x30_0030),
            (12, 0x10_0010),
            (24, 0x30_0030),
            (25, 0x10_0010),
            (30, 0x30_0010),
            (31, 0x10_0010),
        ] {
            let l3 = |index| u32::from(lookup(MocsTable::TigerLake, index).expect("listed").l3);
            assert_eq!(l3(2 * k + 1) << 16 | l3(2 * k), value, "{k}");
        }
    }

    #[test]
    fn gen9_tables() {
        let control = |table, index| lookup(table, index).expect("listed").control;
        assert_eq!(control(MocsTable::Gen9, 0), 0x09);
        assert_eq!(control(MocsTable::Gen9, 1), 0x30);
        assert_eq!(control(MocsTable::Gen9, 2), 0x3b);
        assert_eq!(control(MocsTable::Gen9, 40), 0x30);
        assert_eq!(control(MocsTable::Gen9, 63), 0x37);
        assert_eq!(control(MocsTable::Gen9Lp, 2), 0x39);
        assert_eq!(lookup(MocsTable::None, 0), None);
    }
}
