// SPDX-License-Identifier: BSD-2-Clause
//! DMA of engines and of the aperture through an IOMMU: what its tables map is reached, nothing else is, and each
//! refusal is recorded.
//!
//! The tables are built from the VT-d specification (3.0, 3.4 and 9.1 to 9.8), by literals. Memory of the machine is
//! mapped one to one by 2 MiB pages, but for its last 4 MiB, of which a test maps what it needs, elsewhere.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

mod rig;

use std::sync::Arc;

use gpu_model::memory::vtd::{FaultReason, IommuFault, Registers, Vtd};
use gpu_model::{Activity, Bar, Options, Rule, Timing};
use rig::{Context, MEMORY_BASE, MEMORY_SIZE, Rig, mi};

/// Memory that is not mapped one to one.
const PRIVATE: u64 = MEMORY_BASE + MEMORY_SIZE as u64 - (4 << 20);
/// Where the IOMMU's tables stand: root, contexts, levels 3 to 1.
const ROOT: u64 = PRIVATE;
const CONTEXTS: u64 = PRIVATE + 0x1000;
const LEVEL3: u64 = PRIVATE + 0x2000;
const LEVEL2: u64 = PRIVATE + 0x3000;
/// Pages by level 1, from device address 1 GiB on.
const LEVEL1: u64 = PRIVATE + 0x4000;
const WINDOW: u64 = 1 << 30;
/// Level 2 of the window.
const WINDOW2: u64 = PRIVATE + 0x5000;
/// A page of memory for a test.
const PAGE: u64 = PRIVATE + 0x10_0000;
/// GPU address of a page of the client.
const VA: u64 = 0x7_1234_5000;

const READ: u64 = 1;
const WRITE: u64 = 2;

/// A machine whose function 0:2.0 is behind an IOMMU with translation on.
fn remapped(name: &str, timing: Timing) -> (Rig, Arc<Registers>) {
    let registers = Arc::new(Registers::default());
    let behind = Arc::clone(&registers);
    let options = Options { timing, ..Options::default() };
    let mut rig = Rig::behind(name, options, |memory| Box::new(Vtd::new(memory, behind, 0, 2, 0)));
    let set = |at, value| assert!(rig.memory.set_u64(at, value));
    // Root entry of bus 0; context entry of devfn 0x10, three levels (39 bits).
    set(ROOT, CONTEXTS | 1);
    set(CONTEXTS + 16 * 0x10, LEVEL3 | 1);
    set(CONTEXTS + 16 * 0x10 + 8, 1);
    set(LEVEL3, LEVEL2 | READ | WRITE);
    set(LEVEL3 + 8, WINDOW2 | READ | WRITE);
    set(WINDOW2, LEVEL1 | READ | WRITE);
    for address in (MEMORY_BASE..PRIVATE).step_by(2 << 20) {
        set(LEVEL2 + 8 * (address >> 21), address | 1 << 7 | READ | WRITE);
    }
    registers.set(true, ROOT);
    rig.bring_up();
    (rig, registers)
}

/// Maps a page of the window.
fn map(rig: &Rig, page: u64, to: u64) {
    assert!(rig.memory.set_u64(LEVEL1 + 8 * page, to));
}

fn hung(rig: &Rig) -> bool {
    matches!(rig.gpu.engine("bcs0").unwrap().activity, Activity::Hung(_))
}

/// A context of the copy engine in whose space VA is the first page of the window.
fn context(rig: &mut Rig) -> Context {
    let context = rig.context("bcs0");
    rig.map(&context, VA, WINDOW);
    context
}

/// The one recorded refusal.
fn refusal(registers: &Registers, address: u64, write: bool) {
    let reason = if write { FaultReason::WriteDenied } else { FaultReason::ReadDenied };
    assert_eq!(registers.faults(), [IommuFault { address, write, reason }]);
}

#[test]
fn an_engine_writes_and_reads_a_page_where_the_iommu_maps_it() {
    for name in ["bdw", "skl", "icl", "tgl"] {
        let (mut rig, registers) = remapped(name, Timing::Instant);
        map(&rig, 0, PAGE | READ | WRITE);
        let mut context = context(&mut rig);
        rig.emit(&mut context, &mi::fill(VA, 64, 16, 64, 0x1122_3344));
        // Reads it back: register 0x22600 from VA + 0xffc, and to VA + 8.
        rig.emit(&mut context, &[0x1480_0002, 0x2_2600, (VA + 0xffc) as u32, (VA >> 32) as u32]);
        rig.emit(&mut context, &mi::store(VA, 7));
        rig.submit(&mut context);
        assert_eq!(rig.memory.get_u32(PAGE), Some(7), "{name}");
        assert_eq!(rig.memory.get_u32(PAGE + 0xffc), Some(0x1122_3344), "{name}");
        assert_eq!(rig.read(0x2_2600), 0x1122_3344, "{name}");
        assert_eq!(rig.events("bcs0").len(), 2, "status events went through the IOMMU too");
        assert!(registers.faults().is_empty());
        rig.assert_clean();
    }
}

#[test]
fn a_store_of_an_engine_to_an_unmapped_page_is_refused_recorded_and_hangs_it() {
    for name in ["bdw", "skl", "icl", "tgl"] {
        let (mut rig, registers) = remapped(name, Timing::Instant);
        let mut context = rig.context("bcs0");
        // The page exists in memory; the IOMMU does not let the GPU to it.
        rig.map(&context, VA, PAGE);
        rig.emit(&mut context, &mi::store(VA + 4, 7));
        rig.submit(&mut context);
        assert!(hung(&rig), "{name}");
        assert_eq!(rig.memory.get_u32(PAGE + 4), Some(0), "{name}: reached");
        refusal(&registers, PAGE + 4, true);
        let reports = rig.assert_broken(&[Rule::Dma, Rule::EngineHang]);
        let text = reports.iter().find(|report| report.rule == Rule::Dma).unwrap().to_string();
        assert!(text.contains("MI_STORE_DATA_IMM") && text.contains("write not permitted"), "{text}");
    }
}

#[test]
fn a_blit_reads_no_page_that_is_not_mapped_and_writes_none_that_is_mapped_for_reading() {
    for (flags, write) in [(0, false), (READ, true)] {
        let (mut rig, registers) = remapped("tgl", Timing::Instant);
        map(&rig, 0, if flags == 0 { 0 } else { PAGE | flags });
        let mut context = context(&mut rig);
        let page = rig.pages(1);
        rig.map(&context, VA + 0x1000, page);
        assert!(rig.memory.set_u32(PAGE, 0x5ec2e7) && rig.memory.set_u32(page, 1));
        let (from, to) = if write { (VA + 0x1000, VA) } else { (VA, VA + 0x1000) };
        // XY_SRC_COPY_BLT: 4 by 1 pixels of 32 bits.
        let copy = [0x54f0_0008, 0x03cc_0040, 0, 1 << 16 | 4];
        let copy =
            copy.into_iter().chain([to as u32, (to >> 32) as u32, 0, 0x40, from as u32, (from >> 32) as u32]);
        rig.emit(&mut context, &copy.collect::<Vec<_>>());
        rig.submit(&mut context);
        assert!(hung(&rig));
        assert_eq!(rig.memory.get_u32(page), Some(1));
        assert_eq!(rig.memory.get_u32(PAGE), Some(0x5ec2e7));
        refusal(&registers, WINDOW, write);
    }
}

/// What of a machine's own memory a device may be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Ring,
    Image,
    StatusPage,
    PageTables,
}

#[test]
fn rings_images_status_pages_and_page_tables_go_through_the_iommu_too() {
    for part in [Part::Ring, Part::Image, Part::StatusPage, Part::PageTables] {
        for mapped in [true, false] {
            let (mut rig, registers) = remapped("tgl", Timing::Instant);
            let (status, status_memory) = (rig.status_ggtt("bcs0"), rig.status_page("bcs0"));
            let mut context = rig.context("bcs0");
            let page = rig.pages(1);
            rig.map(&context, VA, page);
            rig.emit(&mut context, &mi::store(VA, 7));
            // The part moves to a page of the window, with its content.
            let (ggtt, memory) = match part {
                Part::Ring => (context.ring, context.ring_memory),
                Part::Image => (context.lrca + 0x1000, context.image + 0x1000),
                Part::StatusPage => (status, status_memory),
                Part::PageTables => (0, context.pml4),
            };
            for at in (0..4096).step_by(8) {
                assert!(rig.memory.set_u64(PAGE + at, rig.memory.get_u64(memory + at).unwrap()));
            }
            if part == Part::PageTables {
                rig.set_image_dword(&context, 0x33, WINDOW as u32);
            } else {
                rig.map_ggtt(ggtt, WINDOW);
                rig.flush_ggtt();
            }
            map(&rig, 0, if mapped { PAGE | READ | WRITE } else { 0 });
            let low = rig.descriptor(&context, true);
            rig.submit_raw(context.base, low, [0, 0]);
            assert_eq!(rig.memory.get_u32(page) == Some(7), mapped || part == Part::StatusPage, "{part:?}");
            assert_eq!(registers.faults().is_empty(), mapped, "{part:?}");
            if mapped {
                rig.assert_clean();
            } else {
                assert!(
                    registers.faults().iter().all(|fault| fault.address >> 12 == WINDOW >> 12),
                    "{part:?}"
                );
                let rule = if part == Part::StatusPage { Rule::StatusPage } else { Rule::Dma };
                assert!(rig.gpu.reports().iter().any(|report| report.rule == rule), "{part:?}");
            }
        }
    }
}

#[test]
fn a_compare_and_exchange_of_an_engine_is_refused_like_a_write() {
    let (mut rig, registers) = remapped("tgl", Timing::Instant);
    map(&rig, 0, PAGE | READ);
    let mut context = context(&mut rig);
    // MI_ATOMIC: 4-byte increment.
    rig.emit(&mut context, &[0x1780_0501, VA as u32, (VA >> 32) as u32, mi::NOOP]);
    rig.submit(&mut context);
    assert!(hung(&rig));
    assert_eq!(rig.memory.get_u32(PAGE), Some(0));
    assert!(registers.faults().iter().any(|fault| fault.address == WINDOW && fault.write));
}

#[test]
fn the_aperture_goes_through_the_iommu_in_both_directions() {
    let (mut rig, registers) = remapped("skl", Timing::Instant);
    map(&rig, 0, PAGE | READ | WRITE);
    rig.map_ggtt(0x20_0000, WINDOW);
    rig.map_ggtt(0x20_1000, WINDOW + 0x1000);
    rig.flush_ggtt();
    rig.gpu.bar_write(Bar::Aperture, 0x20_0008, 4, 0x1234_5678);
    assert_eq!(rig.memory.get_u32(PAGE + 8), Some(0x1234_5678));
    assert_eq!(rig.gpu.bar_read(Bar::Aperture, 0x20_0008, 4), 0x1234_5678);
    rig.assert_clean();
    assert_eq!(rig.gpu.bar_read(Bar::Aperture, 0x20_1000, 4), 0xffff_ffff);
    refusal(&registers, WINDOW + 0x1000, false);
    rig.assert_broken(&[Rule::Dma]);
    rig.gpu.bar_write(Bar::Aperture, 0x20_1000, 4, 1);
    rig.assert_broken(&[Rule::Dma]);
}

#[test]
fn tables_that_change_and_translation_that_goes_on_hold_for_the_next_access() {
    let (mut rig, registers) = remapped("tgl", Timing::Deferred);
    registers.set(false, 0);
    let mut context = rig.context("bcs0");
    rig.map(&context, VA, PAGE);
    for n in 1..=3 {
        rig.emit(&mut context, &mi::store(VA, n));
    }
    rig.submit(&mut context);
    // The context is loaded, then one store.
    rig.gpu.step(1);
    rig.gpu.step(1);
    assert_eq!(rig.memory.get_u32(PAGE), Some(1), "off: the identity");
    registers.set(true, ROOT);
    assert!(rig.memory.set_u64(LEVEL2 + 8 * (PAGE >> 21), PAGE & !0x1f_ffff | 1 << 7 | READ | WRITE));
    rig.gpu.step(1);
    assert_eq!(rig.memory.get_u32(PAGE), Some(2), "mapped");
    assert!(rig.memory.set_u64(LEVEL2 + 8 * (PAGE >> 21), 0));
    rig.gpu.step(1);
    assert_eq!(rig.memory.get_u32(PAGE), Some(2), "no longer mapped");
    assert!(hung(&rig));
    refusal(&registers, PAGE, true);
}
