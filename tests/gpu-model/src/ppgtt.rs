// SPDX-License-Identifier: BSD-2-Clause
//! Per-process GTT: the page-table walk.
//!
//! ```text
//!   4-level:  PML4 [47:39] ─► PDP [38:30] ─► PD [29:21] ─► PT [20:12]      root: PDP0 register
//!   3-level:                  PDPn register [31:30] ─► PD ─► PT            roots: PDP0 to PDP3
//!   PD entry bit 7: 2 MiB page.  PD entry bit 11: its table describes 64 KiB pages (entry of VA [20:16]).
//! ```
//!
//! Sources: PRM vol 5, per-process GTT; i915: intel_gtt.h.

use crate::commands::{FaultKind, Generation};
use crate::memory::GuestMemory;
use crate::platform::Platform;

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
/// PD entry: 2 MiB leaf. In a leaf PTE of 4 KiB: PAT bit 2.
const PAGE_SIZE: u64 = 1 << 7;
/// PD entry: the table describes 64 KiB pages.
const LARGE: u64 = 1 << 11;
/// Address field, widest form.
const ADDRESS: u64 = 0x0000_3fff_ffff_f000;
/// Bits that no level uses: 2, 8 to 10, and those above the address but NX.
const RESERVED: u64 = 0x7fff_c000_0000_0704;

/// Address translation of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Root {
    /// 32-bit: four page directories.
    Three([u64; 4]),
    /// 48-bit: the PML4.
    Four(u64),
}

/// A translated page of 4 KiB (of whatever size its entry is).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// DMA address of the 4 KiB page.
    pub page: u64,
    /// Every level allows writing.
    pub writable: bool,
    /// PAT index.
    pub pat: u8,
    /// Size of the page that the entry describes, in bytes.
    pub size: u32,
}

/// A rule that the walked entries break. It does not stop the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Reserved bits are set.
    Reserved {
        /// Level: 4 PML4, 3 PDP, 2 PD, 1 PT.
        level: u8,
        /// The entry.
        entry: u64,
    },
    /// A large page is not aligned in memory, or its size is not enabled.
    PageSize {
        /// The entry.
        entry: u64,
        /// What is wrong.
        reason: &'static str,
    },
}

/// Switches that change how entries are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switches {
    /// 64 KiB pages are honoured (Gen9: bits 3:0 of 0x4080 set; always on later parts).
    pub large_pages: bool,
    /// The GTT cache is on (0x4024), with which 2 MiB pages do not work on Gen8 to Gen11.
    pub gtt_cache: bool,
}

/// Walks the tables of `root` for `address` (48 bits; the low 12 do not matter).
///
/// # Errors
/// The level that is not present, or not in memory, or the address is beyond the space.
pub fn walk(
    memory: &mut dyn GuestMemory,
    platform: &Platform,
    root: &Root,
    address: u64,
    switches: Switches,
    finding: &mut dyn FnMut(Finding),
) -> Result<Leaf, FaultKind> {
    let mut writable = true;
    let directory = match root {
        Root::Four(pml4) => {
            if address >> 48 != 0 {
                return Err(FaultKind::OutOfRange);
            }
            let pml4e = table_entry(memory, *pml4, address >> 39, 4, finding)?;
            let pdpe = table_entry(memory, pml4e & ADDRESS, address >> 30, 3, finding)?;
            writable &= pml4e & pdpe & WRITABLE != 0;
            pdpe & ADDRESS
        }
        Root::Three(directories) => {
            if address >> 32 != 0 {
                return Err(FaultKind::OutOfRange);
            }
            let directory = directories.get((address >> 30) as usize & 3).copied().unwrap_or(0);
            if directory == 0 {
                return Err(FaultKind::InvalidPdpe);
            }
            directory
        }
    };
    let pde = table_entry(memory, directory, address >> 21, 2, finding)?;
    writable &= pde & WRITABLE != 0;
    if pde & PAGE_SIZE != 0 {
        return huge(platform, pde, address, writable, switches, finding);
    }
    let large = pde & LARGE != 0 && switches.large_pages && platform.large_pages;
    if pde & LARGE != 0 && !platform.large_pages {
        finding(Finding::Reserved { level: 2, entry: pde });
    } else if pde & LARGE != 0 && !switches.large_pages {
        finding(Finding::PageSize { entry: pde, reason: "64 KiB pages are not enabled in 0x4080 [3:0]" });
    }
    let index = if large { (address >> 12) & !0xf } else { address >> 12 };
    let pte = entry(memory, pde & ADDRESS, index).ok_or(FaultKind::Bus)?;
    if pte & PRESENT == 0 {
        return Err(FaultKind::InvalidPte);
    }
    // Bit 11 is local memory on Gen12 and reserved before: zero on these parts.
    if pte & (RESERVED | LARGE) != 0 {
        finding(Finding::Reserved { level: 1, entry: pte });
    }
    writable &= pte & WRITABLE != 0;
    let mut page = pte & ADDRESS;
    if large {
        if page & 0xf000 != 0 {
            finding(Finding::PageSize { entry: pte, reason: "a 64 KiB page is not 64 KiB aligned" });
        }
        page = (page & !0xffff) | (address & 0xf000);
    }
    let size = if large { 0x1_0000 } else { 0x1000 };
    Ok(Leaf { page, writable, pat: pat(pte, pte & PAGE_SIZE != 0), size })
}

fn huge(
    platform: &Platform,
    pde: u64,
    address: u64,
    writable: bool,
    switches: Switches,
    finding: &mut dyn FnMut(Finding),
) -> Result<Leaf, FaultKind> {
    const OFFSET: u64 = 0x1f_f000;
    // Bit 12 is PAT bit 2 of a 2 MiB leaf, as in x86 page tables.
    if pde & OFFSET & !0x1000 != 0 {
        finding(Finding::PageSize { entry: pde, reason: "a 2 MiB page is not 2 MiB aligned" });
    }
    if pde & LARGE != 0 {
        finding(Finding::Reserved { level: 2, entry: pde });
    }
    if switches.gtt_cache && platform.generation < Generation::Gen12 {
        finding(Finding::PageSize { entry: pde, reason: "2 MiB pages need the GTT cache (0x4024) off" });
    }
    let page = (pde & ADDRESS & !OFFSET) | (address & OFFSET);
    Ok(Leaf { page, writable, pat: pat(pde, pde & 0x1000 != 0), size: 0x20_0000 })
}

fn pat(entry: u64, high: bool) -> u8 {
    let low = if entry & (1 << 3) != 0 { 1 } else { 0 };
    let middle = if entry & (1 << 4) != 0 { 2 } else { 0 };
    low | middle | if high { 4 } else { 0 }
}

fn entry(memory: &mut dyn GuestMemory, table: u64, index: u64) -> Option<u64> {
    memory.read_u64((table & ADDRESS) + 8 * (index & 0x1ff)).ok()
}

/// Entry of a table of level 2 to 4, present or not.
fn table_entry(
    memory: &mut dyn GuestMemory,
    table: u64,
    index: u64,
    level: u8,
    finding: &mut dyn FnMut(Finding),
) -> Result<u64, FaultKind> {
    let entry = entry(memory, table, index).ok_or(FaultKind::Bus)?;
    if entry & PRESENT == 0 {
        return Err(match level {
            4 => FaultKind::InvalidPml4e,
            3 => FaultKind::InvalidPdpe,
            _ => FaultKind::InvalidPde,
        });
    }
    let reserved = if level == 2 { RESERVED } else { RESERVED | PAGE_SIZE | LARGE };
    if entry & reserved != 0 {
        finding(Finding::Reserved { level, entry });
    }
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::VecMemory;
    use crate::platform::by_name;

    const ON: Switches = Switches { large_pages: true, gtt_cache: false };
    const PML4: u64 = 0x1000;

    /// PML4 -> 0x2000 -> 0x3000 -> 0x4000, first entry of each, last level empty.
    fn tables() -> VecMemory {
        let memory = VecMemory::new(0, 0x40_0000);
        for table in [0x1000, 0x2000, 0x3000u64] {
            assert!(memory.set_u64(table, (table + 0x1000) | 3));
        }
        memory
    }

    fn go(memory: &VecMemory, name: &str, address: u64) -> (Result<Leaf, FaultKind>, Vec<Finding>) {
        let mut findings = Vec::new();
        let platform = by_name(name).unwrap();
        let mut memory = memory.clone();
        let leaf =
            walk(&mut memory, platform, &Root::Four(PML4), address, ON, &mut |found| findings.push(found));
        (leaf, findings)
    }

    #[test]
    fn a_4_kib_page_is_found_with_its_rights_and_pat_index() {
        let memory = tables();
        assert!(memory.set_u64(0x4000 + 8 * 5, 0x9000 | 0x80 | 0x18 | 1));
        let leaf = Leaf { page: 0x9000, writable: false, pat: 7, size: 0x1000 };
        assert_eq!(go(&memory, "skl", 0x5123), (Ok(leaf), vec![]));
    }

    #[test]
    fn each_absent_level_has_its_own_fault() {
        let memory = tables();
        assert_eq!(go(&memory, "tgl", 0).0, Err(FaultKind::InvalidPte));
        assert_eq!(go(&memory, "tgl", 1 << 21).0, Err(FaultKind::InvalidPde));
        assert_eq!(go(&memory, "tgl", 1 << 30).0, Err(FaultKind::InvalidPdpe));
        assert_eq!(go(&memory, "tgl", 1 << 39).0, Err(FaultKind::InvalidPml4e));
        assert_eq!(go(&memory, "tgl", 1 << 48).0, Err(FaultKind::OutOfRange));
    }

    #[test]
    fn a_64_kib_table_uses_the_first_entry_of_sixteen() {
        let memory = tables();
        assert!(memory.set_u64(0x3000, 0x4000 | 0x800 | 3));
        assert!(memory.set_u64(0x4000 + 8 * 16, 0x12_0000 | 3));
        assert!(memory.set_u64(0x4000 + 8 * 17, 0xdead_0000 | 3));
        let (leaf, findings) = go(&memory, "tgl", 0x1_7000);
        assert_eq!(leaf.map(|leaf| (leaf.page, leaf.size)), Ok((0x12_7000, 0x1_0000)));
        assert!(findings.is_empty());
    }

    #[test]
    fn a_64_kib_page_that_is_not_aligned_is_told() {
        let memory = tables();
        assert!(memory.set_u64(0x3000, 0x4000 | 0x800 | 3));
        assert!(memory.set_u64(0x4000, 0x12_1000 | 3));
        let (_, findings) = go(&memory, "icl", 0);
        assert!(matches!(findings[..], [Finding::PageSize { .. }]));
    }

    #[test]
    fn broadwell_has_no_64_kib_pages() {
        let memory = tables();
        assert!(memory.set_u64(0x3000, 0x4000 | 0x800 | 3));
        assert!(memory.set_u64(0x4000, 0x9000 | 3));
        let (_, findings) = go(&memory, "bdw", 0);
        assert!(matches!(findings[..], [Finding::Reserved { level: 2, .. }]));
    }

    #[test]
    fn a_2_mib_page_keeps_21_bits_of_the_address() {
        let memory = tables();
        assert!(memory.set_u64(0x3000 + 8, 0x20_0000 | 0x80 | 3));
        let (leaf, findings) = go(&memory, "tgl", 0x2f_f000);
        assert_eq!(leaf, Ok(Leaf { page: 0x2f_f000, writable: true, pat: 0, size: 0x20_0000 }));
        assert!(findings.is_empty());
    }

    #[test]
    fn a_2_mib_page_with_the_gtt_cache_on_is_told() {
        let memory = tables();
        assert!(memory.set_u64(0x3000, 0x20_0000 | 0x80 | 3));
        let mut findings = Vec::new();
        let switches = Switches { large_pages: true, gtt_cache: true };
        let skl = by_name("skl").unwrap();
        let mut memory = memory;
        let leaf = walk(&mut memory, skl, &Root::Four(PML4), 0, switches, &mut |f| findings.push(f));
        assert!(leaf.is_ok());
        assert!(matches!(findings[..], [Finding::PageSize { .. }]));
    }

    #[test]
    fn three_level_tables_start_at_the_pdp_registers() {
        let mut memory = tables();
        assert!(memory.set_u64(0x4000 + 8, 0x9000 | 3));
        let root = Root::Three([0x3000, 0, 0, 0x3000]);
        let skl = by_name("skl").unwrap();
        let mut walk = |address| walk(&mut memory, skl, &root, address, ON, &mut |_| {});
        assert_eq!(walk(0x1000).map(|leaf| leaf.page), Ok(0x9000));
        assert_eq!(walk(0xc000_1000).map(|leaf| leaf.page), Ok(0x9000));
        assert_eq!(walk(0x4000_1000), Err(FaultKind::InvalidPdpe));
        assert_eq!(walk(0x1_0000_0000), Err(FaultKind::OutOfRange));
    }

    #[test]
    fn a_read_only_directory_makes_its_pages_read_only() {
        let memory = tables();
        assert!(memory.set_u64(0x2000, 0x3000 | 1));
        assert!(memory.set_u64(0x4000, 0x9000 | 3));
        assert_eq!(go(&memory, "skl", 0).0.map(|leaf| leaf.writable), Ok(false));
    }

    #[test]
    fn tables_that_loop_or_lie_outside_memory_end_the_walk() {
        let memory = tables();
        assert!(memory.set_u64(PML4, PML4 | 3));
        assert_eq!(go(&memory, "tgl", 0).0.map(|leaf| leaf.page), Ok(PML4));
        assert!(memory.set_u64(PML4, 0x1f_ffff_f000 | 3));
        assert_eq!(go(&memory, "tgl", 0).0, Err(FaultKind::Bus));
    }

    #[test]
    fn reserved_bits_are_told_per_level() {
        let memory = tables();
        assert!(memory.set_u64(0x2000, 0x3000 | 0x80 | 3));
        assert!(memory.set_u64(0x4000, 0x9000 | 4 | 3));
        let (_, findings) = go(&memory, "tgl", 0);
        assert!(matches!(
            findings[..],
            [Finding::Reserved { level: 3, .. }, Finding::Reserved { level: 1, .. }]
        ));
    }
}
