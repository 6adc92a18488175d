// SPDX-License-Identifier: BSD-2-Clause
//! Page faults, TLBs, hangs, privilege, and resets.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

mod rig;

use gpu_model::{Activity, Rule};
use rig::{Context, Rig, mi};

const VA: u64 = 0x7_1234_5000;
const MARK: u32 = 0x100;

fn put(rig: &Rig, memory: u64, dwords: &[u32]) {
    for (n, dword) in dwords.iter().enumerate() {
        assert!(rig.memory.set_u32(memory + 4 * n as u64, *dword));
    }
}

/// A context whose ring stores to VA in its own address space.
fn storer(rig: &mut Rig, engine: &'static str, value: u32) -> Context {
    let mut context = rig.context(engine);
    rig.emit(&mut context, &mi::store(VA, value));
    context
}

fn hung(rig: &Rig, engine: &str) -> bool {
    matches!(rig.gpu.engine(engine).unwrap().activity, Activity::Hung(_))
}

/// RESET_CTL handshake and GDRST of an engine, then initialisation.
fn reset_engine(rig: &mut Rig, name: &'static str, gdrst: u32) {
    let base = rig.base(name);
    rig.write(base + 0xd0, 0x0001_0001);
    assert_eq!(rig.read(base + 0xd0) & 2, 2, "ready for reset");
    rig.write(0x941c, gdrst);
    assert_eq!(rig.read(0x941c), 0);
    rig.write(base + 0xd0, 0x0001_0000);
    assert_eq!(rig.read(base + 0xd0) & 2, 0);
    let status = rig.status_ggtt(name);
    rig.init_engine(name, base, status);
    let index = rig.status.iter().position(|(engine, ..)| *engine == name).unwrap();
    rig.csb[index] = 0;
    let (page, size) = (rig.status_page(name), if rig.is_legacy() { 6 } else { 12 });
    let pointer = if rig.is_legacy() { 0x7c } else { 0xbc };
    assert!(rig.memory.set_u32(page + pointer, size - 1));
}

#[test]
fn an_address_that_the_ring_uses_is_the_drivers_and_one_that_a_batch_uses_the_clients() {
    for (from_ring, client) in [(true, false), (false, true)] {
        let mut rig = Rig::new("tgl");
        let mut context = rig.context("bcs0");
        if from_ring {
            rig.emit(&mut context, &mi::store(VA, 1));
        } else {
            let batch = rig.pages(1);
            rig.map(&context, 0x1000, batch);
            put(&rig, batch, &mi::store(VA, 1));
            rig.emit(&mut context, &mi::batch(0x1000));
        }
        rig.submit(&mut context);
        for report in rig.assert_broken(&[Rule::TranslationFault, Rule::EngineHang]) {
            assert_eq!(report.client, client, "{report}");
            assert!(report.to_string().contains("0x10000002"), "{report} names no command");
        }
    }
}

#[test]
fn an_engine_that_a_command_of_its_own_ring_resets_stands_still() {
    // The copy engine's bit, and a full reset.
    for gdrst in [1 << 2, 1] {
        let mut rig = Rig::new("tgl");
        let mut context = rig.context("bcs0");
        let (status, page) = (rig.status_ggtt("bcs0"), rig.status_page("bcs0"));
        rig.write(0x220d0, 0x0001_0001);
        rig.write(0x220d0, 0x0001_0000);
        // Ready by command, then reset by command; what follows is never executed, in this LRI neither.
        rig.emit(&mut context, &mi::lri(0x220d0, 0x0001_0001));
        rig.emit(&mut context, &[0x1100_0003, 0x941c, gdrst, 0x2_2600, 7, mi::NOOP]);
        for n in 0..100 {
            rig.emit(&mut context, &mi::store_ggtt(status + MARK, n + 1));
        }
        rig.submit(&mut context);
        rig.gpu.run_until_idle(10_000);
        rig.forcewake();
        let view = rig.gpu.engine("bcs0").unwrap();
        assert_eq!((view.activity, view.context, view.pending), (Activity::Idle, None, false));
        assert_eq!(rig.memory.get_u32(page + u64::from(MARK)), Some(0), "the ring went on");
        assert_eq!((rig.read(0x22600), rig.read(0x22080)), (0, 0), "state of before the reset");
        assert!(!rig.gpu.is_busy());
        rig.assert_clean();

        // Brought up again, it works.
        rig.write(0x220d0, 0x0001_0000);
        rig.program_pat();
        rig.init_engine("bcs0", 0x2_2000, status);
        let mut other = rig.context("bcs0");
        rig.emit(&mut other, &mi::store_ggtt(status + MARK, 5));
        rig.submit(&mut other);
        assert_eq!(rig.memory.get_u32(page + u64::from(MARK)), Some(5));
        rig.assert_clean();
    }
}

#[test]
fn a_batch_of_a_context_restore_that_resets_the_engine_leaves_it_idle() {
    let mut rig = Rig::new("tgl");
    let (ggtt, memory) = rig.ggtt_pages(1);
    put(&rig, memory, &[0x1100_0001, 0x220d0, 0x0001_0001, 0x1100_0001, 0x941c, 1 << 2, 0]);
    let mut context = rig.context("bcs0");
    let (status, page) = (rig.status_ggtt("bcs0"), rig.status_page("bcs0"));
    rig.emit(&mut context, &mi::store_ggtt(status + MARK, 1));
    // BB_PER_CTX_PTR (register 0x1c0): its value stands in dword 0x13 of the Gen12 list.
    rig.set_image_dword(&context, 0x13, ggtt | 1);
    rig.submit(&mut context);
    let view = rig.gpu.engine("bcs0").unwrap();
    assert_eq!((view.activity, view.context), (Activity::Idle, None));
    assert_eq!(rig.memory.get_u32(page + u64::from(MARK)), Some(0));
    rig.assert_clean();
}

#[test]
fn an_unmapped_address_fills_the_fault_registers_and_hangs_the_engine() {
    for (name, fault, data0, data1) in [
        ("bdw", 0x4094, 0x4b10, 0x4b14),
        ("skl", 0x4094, 0x4b10, 0x4b14),
        ("icl", 0x4094, 0x4b10, 0x4b14),
        ("tgl", 0xcec4, 0xceb8, 0xcebc),
    ] {
        let mut rig = Rig::new(name);
        let mut context = storer(&mut rig, "bcs0", 1);
        rig.submit(&mut context);
        assert!(hung(&rig, "bcs0"), "{name}");
        let value = rig.read(fault);
        // Valid, type 3 (PML4 entry), engine 4 (copy).
        assert_eq!((value & 1, value >> 1 & 3, value >> 12 & 7), (1, 3, 4), "{name}: {value:#x}");
        assert_eq!(rig.read(data0), (VA >> 12) as u32);
        assert_eq!(rig.read(data1), 0, "upper bits of the address; PPGTT");
        // IPEHR names the command, ACTHD its place in the ring.
        assert_eq!(rig.read(0x22068), 0x1000_0002);
        assert_eq!(rig.read(0x22074), 0);
        let reports = rig.assert_broken(&[Rule::TranslationFault, Rule::EngineHang]);
        assert!(reports.iter().all(|report| !report.client), "the ring is the driver's");
        rig.write(fault, value & !1);
        assert_eq!(rig.read(fault) & 1, 0);
    }
}

#[test]
fn a_fault_in_the_global_gtt_is_the_drivers_and_says_so_in_the_registers() {
    let mut rig = Rig::new("tgl");
    let mut context = rig.context("vcs2");
    rig.emit(&mut context, &mi::store_ggtt(0x4000_0000, 1));
    rig.submit(&mut context);
    assert_eq!(rig.read(0xceb8), 0x4_0000);
    assert_eq!(rig.read(0xcebc), 1 << 4);
    let reports = rig.assert_broken(&[Rule::TranslationFault, Rule::EngineHang]);
    assert!(reports.iter().all(|report| !report.client));
}

#[test]
fn the_first_fault_stays_recorded() {
    let mut rig = Rig::new("tgl");
    let mut one = storer(&mut rig, "bcs0", 1);
    rig.submit(&mut one);
    let mut two = rig.context("vcs0");
    rig.emit(&mut two, &mi::store(0x1000, 1));
    rig.submit(&mut two);
    assert!(hung(&rig, "vcs0"));
    assert_eq!(rig.read(0xceb8), (VA >> 12) as u32);
}

#[test]
fn a_page_fault_raises_its_interrupt_where_enabled() {
    let mut rig = Rig::new("tgl");
    rig.write(0x19_0030, 0x0989_0989);
    rig.write(0x19_00a0, !0x0989_0000);
    rig.write(0x220a8, !0x989);
    let mut context = storer(&mut rig, "bcs0", 1);
    rig.submit(&mut context);
    // Context switch, and page fault.
    assert_eq!(rig.service_all(), [(3, 0, 0x180)]);
}

#[test]
fn a_translation_stays_in_the_tlb_until_it_is_invalidated() {
    for name in ["bdw", "skl", "icl", "tgl"] {
        let mut rig = Rig::new(name);
        let (old, new) = (rig.pages(1), rig.pages(1));
        let mut context = storer(&mut rig, "bcs0", 1);
        rig.map(&context, VA, old);
        rig.submit(&mut context);
        assert_eq!(rig.memory.get_u32(old), Some(1));

        // The entry moves, nobody tells the engine: the old page is written.
        rig.map(&context, VA, new);
        rig.emit(&mut context, &mi::store(VA, 2));
        rig.submit(&mut context);
        assert_eq!((rig.memory.get_u32(old), rig.memory.get_u32(new)), (Some(2), Some(0)), "{name}");

        // By command.
        rig.emit(&mut context, &mi::INVALIDATE);
        rig.emit(&mut context, &mi::store(VA, 3));
        rig.submit(&mut context);
        assert_eq!((rig.memory.get_u32(old), rig.memory.get_u32(new)), (Some(2), Some(3)), "{name}");

        // By register; it reads back 0 when done.
        rig.map(&context, VA, old);
        let register = if name == "tgl" { 0xcee4 } else { 0x426c };
        rig.write(register, 1);
        assert_eq!(rig.read(register) & 1, 0);
        rig.emit(&mut context, &mi::store(VA, 4));
        rig.submit(&mut context);
        assert_eq!((rig.memory.get_u32(old), rig.memory.get_u32(new)), (Some(4), Some(3)), "{name}");
        rig.assert_clean();
    }
}

#[test]
fn an_unmapped_page_is_still_reached_through_a_stale_tlb_and_not_after_the_invalidation() {
    let mut rig = Rig::new("tgl");
    let page = rig.pages(1);
    let mut context = storer(&mut rig, "bcs0", 1);
    rig.map(&context, VA, page);
    rig.submit(&mut context);
    rig.map_entry(context.pml4, VA, 0);
    rig.emit(&mut context, &mi::store(VA, 2));
    rig.submit(&mut context);
    assert_eq!(rig.memory.get_u32(page), Some(2), "stale");
    rig.write(0xcee4, 1);
    rig.emit(&mut context, &mi::store(VA, 3));
    rig.submit(&mut context);
    assert!(hung(&rig, "bcs0"));
    assert_eq!(rig.memory.get_u32(page), Some(2));
}

#[test]
fn each_engine_has_its_own_tlb_and_its_own_invalidation_bit() {
    let mut rig = Rig::new("tgl");
    let (old, new) = (rig.pages(1), rig.pages(1));
    let pml4 = rig.pages(1);
    rig.map_entry(pml4, VA, old | 3);
    let mut contexts = Vec::new();
    for engine in ["vcs0", "vcs2"] {
        let mut context = rig.context_in(engine, pml4);
        rig.emit(&mut context, &mi::store(VA, 1));
        rig.submit(&mut context);
        contexts.push(context);
    }
    rig.map_entry(pml4, VA, new | 3);
    // Masked register: instance 2 only.
    rig.write(0xcedc, 4 << 16 | 4);
    for (n, context) in contexts.iter_mut().enumerate() {
        rig.emit(context, &mi::store(VA + 8 * n as u64, 2));
        rig.submit(context);
    }
    assert_eq!(rig.memory.get_u32(old), Some(2), "vcs0 was not invalidated");
    assert_eq!(rig.memory.get_u32(new + 8), Some(2), "vcs2 was");
    rig.assert_clean();
}

#[test]
fn a_write_to_a_read_only_page_is_dropped_where_the_part_can_and_faults_where_it_cannot() {
    for (name, dropped) in [("bdw", true), ("skl", true), ("icl", false), ("tgl", false)] {
        let mut rig = Rig::new(name);
        let page = rig.pages(1);
        let mut context = storer(&mut rig, "bcs0", 1);
        rig.map_entry(context.pml4, VA, page | 1);
        rig.submit(&mut context);
        assert_eq!(rig.memory.get_u32(page), Some(0), "{name}");
        assert_eq!(hung(&rig, "bcs0"), !dropped, "{name}");
        if dropped {
            assert_eq!(rig.read(0x220b8) & 4, 4, "CP_PRIV in ESR");
            rig.assert_clean();
        } else {
            rig.assert_broken(&[Rule::PpgttReadOnly, Rule::TranslationFault, Rule::EngineHang]);
        }
    }
}

#[test]
fn large_pages_translate() {
    let mut rig = Rig::new("tgl");
    let block = rig.pages(0x400);
    let aligned = (block + 0x1f_ffff) & !0x1f_ffff;
    let mut context = storer(&mut rig, "bcs0", 7);
    // A 4 KiB mapping next door makes the tables down to the directory; then its entry becomes a 2 MiB leaf.
    rig.map(&context, VA, block);
    let mut table = context.pml4;
    for shift in [39, 30] {
        table = rig.memory.get_u64(table + 8 * ((VA >> shift) & 0x1ff)).unwrap() & !0xfff;
    }
    assert!(rig.memory.set_u64(table + 8 * ((VA >> 21) & 0x1ff), aligned | 0x80 | 3));
    rig.submit(&mut context);
    assert_eq!(rig.memory.get_u32(aligned + (VA & 0x1f_ffff)), Some(7));
    rig.assert_clean();
}

#[test]
fn memory_that_does_not_exist_is_refused() {
    let mut rig = Rig::new("skl");
    let mut context = storer(&mut rig, "bcs0", 1);
    rig.map(&context, VA, 0x7f_0000_0000);
    rig.submit(&mut context);
    assert!(hung(&rig, "bcs0"));
    rig.assert_broken(&[Rule::Dma, Rule::EngineHang]);
}

#[test]
fn an_unknown_command_hangs_with_an_error_interrupt_and_an_engine_reset_recovers() {
    for (name, gdrst) in [("bdw", 1 << 3), ("skl", 1 << 3), ("icl", 1 << 2), ("tgl", 1 << 2)] {
        let mut rig = Rig::new(name);
        let mut context = rig.context("bcs0");
        let batch = rig.pages(1);
        rig.map(&context, VA, batch);
        put(&rig, batch, &[0x0f00_0000, 0]);
        rig.emit(&mut context, &mi::batch(VA));
        rig.submit(&mut context);
        assert!(hung(&rig, "bcs0"), "{name}");
        assert_eq!(rig.read(0x220b0), 1, "EIR");
        assert_eq!(rig.read(0x22068), 0x0f00_0000, "IPEHR");
        assert_eq!(u64::from(rig.read(0x22074)) | u64::from(rig.read(0x2205c)) << 32, VA, "ACTHD");
        assert_eq!(rig.read(0x2209c) & 0x200, 0, "not idle");
        assert!(rig.service_all().iter().any(|(class, _, vector)| *class == 3 && vector & 8 != 0));
        let reports = rig.assert_broken(&[Rule::EngineHang]);
        assert!(reports[0].client, "the batch is the client's");

        reset_engine(&mut rig, "bcs0", gdrst);
        assert_eq!(rig.read(0x220b0), 0);
        assert_eq!(rig.read(0x2209c) & 0x200, 0x200, "idle");
        let mut other = rig.context("bcs0");
        let status = rig.status_ggtt("bcs0");
        rig.emit(&mut other, &mi::store_ggtt(status + MARK, 5));
        rig.submit(&mut other);
        assert_eq!(rig.memory.get_u32(rig.status_page("bcs0") + u64::from(MARK)), Some(5), "{name}");
        assert_eq!(rig.events("bcs0").len(), 2);
        rig.assert_clean();
    }
}

#[test]
fn a_reset_of_one_engine_leaves_the_others_running() {
    let mut rig = Rig::new("tgl");
    let mut context = rig.context("vcs0");
    let status = rig.status_ggtt("vcs0");
    let wait = mi::wait_ggtt(true, status + 0x200, 1);
    rig.emit(&mut context, &wait);
    rig.submit(&mut context);
    reset_engine(&mut rig, "bcs0", 1 << 2);
    let view = rig.gpu.engine("vcs0").unwrap();
    assert!(matches!(view.activity, Activity::Waiting(_)));
    assert_eq!(view.context, Some(context.id));
}

#[test]
fn a_full_reset_loses_everything_but_the_ggtt() {
    let mut rig = Rig::new("tgl");
    rig.write(0x4000, 0x37);
    for name in ["rcs0", "bcs0", "vcs0", "vcs2", "vecs0"] {
        let base = rig.base(name);
        rig.write(base + 0xd0, 0x0001_0001);
    }
    rig.write(0x941c, 1);
    assert_eq!(rig.read(0x941c), 0, "needs no forcewake");
    assert_eq!(rig.read(0x13_0044), 0, "requests are gone");
    rig.forcewake();
    assert_eq!(rig.read(0x4000), 0, "MOCS");
    assert_eq!(rig.read(0x4800), 0, "PAT");
    for name in ["rcs0", "bcs0", "vcs0", "vcs2", "vecs0"] {
        let base = rig.base(name);
        assert_eq!((rig.read(base + 0x29c), rig.read(base + 0x80)), (0, 0), "{name}");
        assert_eq!(rig.read(base + 0x3a0), 0x0b0b);
    }
    let (ggtt, memory) = rig.ggtt_pages(1);
    let entry = rig.gpu.bar_read(gpu_model::Bar::Registers, (8 << 20) + 8 * u64::from(ggtt >> 12), 8);
    assert_eq!(entry, memory | 1);
    rig.assert_clean();
}

#[test]
fn a_failing_reset_never_clears_its_bits() {
    let mut rig = Rig::new("tgl");
    rig.gpu.injection().failing_resets = 1;
    rig.write(0x941c, 1);
    assert!((0..100).all(|_| rig.read(0x941c) == 1));
    rig.write(0x941c, 1);
    assert_eq!(rig.read(0x941c), 0, "the next one works");
}

#[test]
fn a_reset_may_be_repeated_while_its_request_stands_and_not_after() {
    let mut rig = Rig::new("tgl");
    let base = rig.base("bcs0");
    rig.write(base + 0xd0, 0x0001_0001);
    rig.write(0x941c, 1 << 2);
    rig.write(0x941c, 1 << 2);
    rig.assert_clean();
    rig.write(base + 0xd0, 0x0001_0000);
    rig.write(0x941c, 1 << 2);
    assert!(rig.gpu.reports().iter().any(|report| report.rule == Rule::ResetHandshake));
}

#[test]
fn an_engine_can_refuse_to_become_ready_for_reset() {
    let mut rig = Rig::new("skl");
    rig.gpu.injection().never_ready_for_reset = vec!["bcs0"];
    rig.write(0x220d0, 0x0001_0001);
    assert!((0..100).all(|_| rig.read(0x220d0) & 2 == 0));
}

#[test]
fn a_stuck_engine_acknowledges_but_does_nothing_until_it_is_freed() {
    let mut rig = Rig::new("tgl");
    rig.gpu.injection().stuck_engines = vec!["bcs0"];
    let mut context = rig.context("bcs0");
    let status = rig.status_ggtt("bcs0");
    rig.emit(&mut context, &mi::store_ggtt(status + MARK, 5));
    rig.submit(&mut context);
    assert_eq!(rig.events("bcs0").len(), 1);
    let head = rig.read(0x22034);
    rig.gpu.step(1000);
    assert_eq!(rig.read(0x22034), head);
    rig.gpu.injection().stuck_engines.clear();
    rig.gpu.step(1000);
    assert_eq!(rig.memory.get_u32(rig.status_page("bcs0") + u64::from(MARK)), Some(5));
}

#[test]
fn a_lost_status_event_leaves_the_work_done_and_untold() {
    let mut rig = Rig::new("tgl");
    rig.gpu.injection().lose_status_events = vec!["bcs0"];
    let mut context = rig.context("bcs0");
    let status = rig.status_ggtt("bcs0");
    rig.emit(&mut context, &mi::store_ggtt(status + MARK, 5));
    rig.submit(&mut context);
    assert_eq!(rig.memory.get_u32(rig.status_page("bcs0") + u64::from(MARK)), Some(5));
    assert_eq!(rig.events("bcs0").len(), 0);
}

#[test]
fn a_gone_device_reads_ones_and_takes_nothing() {
    let mut rig = Rig::new("tgl");
    rig.gpu.injection().device_gone = true;
    assert_eq!(rig.read(0x13_0044), u32::MAX);
    assert_eq!(rig.gpu.config_read(0, 4), u32::MAX);
    rig.write(0xa188, 0x0001_0000);
    rig.gpu.injection().device_gone = false;
    assert_eq!(rig.read(0x13_0044), 1);
}

#[test]
fn a_slow_forcewake_acknowledgement_keeps_the_domain_asleep_meanwhile() {
    let mut rig = Rig::cold("skl", gpu_model::Options::default());
    rig.gpu.config_write(4, 2, 6);
    rig.gpu.injection().forcewake = gpu_model::registers::forcewake::AckDelay::Reads(3);
    rig.write(0xa278, 0x0001_0001);
    assert_eq!(rig.read(0x2358), 0);
    rig.assert_broken(&[Rule::Forcewake]);
    let acks: Vec<_> = (0..4).map(|_| rig.read(0xd84)).collect();
    assert_eq!(acks, [0, 0, 0, 1]);
    rig.gpu.advance(1_000_000);
    assert_ne!(rig.read(0x2358), 0);
    rig.assert_clean();
}

#[test]
fn a_tlb_invalidation_register_can_be_stuck() {
    let mut rig = Rig::new("tgl");
    rig.gpu.injection().stuck_tlb_invalidation = true;
    rig.write(0xcee4, 1);
    assert!((0..100).all(|_| rig.read(0xcee4) == 1));
}

/// A part whose blitter has done about half of 100 stores, of 0 to 99, to the mark of its status page.
fn half_way_through_stores(name: &str) -> Rig {
    let mut rig = Rig::deferred(name);
    let mut context = rig.context("bcs0");
    let status = rig.status_ggtt("bcs0");
    for n in 0..100 {
        rig.emit(&mut context, &mi::store_ggtt(status + MARK, n));
    }
    rig.submit(&mut context);
    rig.gpu.step(50);
    rig
}

#[test]
fn stop_ring_holds_the_engine_at_ring_level() {
    let mut rig = half_way_through_stores("tgl");
    rig.write(0x2209c, 0x0100_0100);
    assert_eq!(rig.read(0x2209c) & 0x200, 0x200, "MODE_IDLE");
    let head = rig.read(0x22034);
    rig.gpu.step(1000);
    assert_eq!(rig.read(0x22034), head);
    rig.write(0x2209c, 0x0100_0000);
    assert!(rig.gpu.run_until_idle(1000));
    assert_eq!(rig.memory.get_u32(rig.status_page("bcs0") + u64::from(MARK)), Some(99));
}

#[test]
fn without_bus_mastering_engines_stand_before_their_next_access_and_go_on_when_it_is_back() {
    for name in ["skl", "tgl"] {
        let mut rig = half_way_through_stores(name);
        // The command register: memory decoding without bus mastering, and with it.
        rig.gpu.config_write(4, 2, 2);
        let mark = |rig: &Rig| rig.memory.get_u32(rig.status_page("bcs0") + u64::from(MARK));
        let reached = mark(&rig);
        assert!(reached.is_some_and(|reached| (1..99).contains(&reached)), "{name}: {reached:?}");
        assert_eq!((rig.gpu.step(1000), mark(&rig)), (0, reached), "{name}");
        assert!(rig.gpu.is_busy(), "{name}: it waits");
        rig.gpu.config_write(4, 2, 6);
        assert!(rig.gpu.run_until_idle(1000));
        assert_eq!(mark(&rig), Some(99), "{name}");
        rig.assert_clean();
    }
}

/// MI_MODE's value in an image of Gen12 (PRM vol 2c: dword 0x60 of the register state context).
const IMAGE_MI_MODE: u64 = 0x61;

/// An engine that was stopped while it had a context saved: preempted by another one, behind which it came back.
fn stopped_between_two() -> (Rig, Context, Context) {
    let mut rig = Rig::deferred("tgl");
    let (mut first, mut other) = (rig.context("bcs0"), rig.context("bcs0"));
    let status = rig.status_ggtt("bcs0");
    // Both have been saved before, so that a load takes all of their images.
    for round in 0..2 {
        for (context, mark) in [(&mut first, MARK), (&mut other, MARK + 8)] {
            rig.emit(context, &mi::store_ggtt(status + mark, round));
            if round == 0 {
                rig.submit(context);
                assert!(rig.gpu.run_until_idle(1000));
                rig.set_image_dword(context, 3, 0x0009_0008);
            }
        }
    }
    let force = |rig: &Rig, context: &Context| rig.descriptor(context, true);
    let elements = (force(&rig, &first), force(&rig, &other));
    rig.submit_raw(first.base, elements.0, [0, 0]);
    rig.gpu.step(1);
    rig.write(0x2209c, 0x0100_0100);
    rig.submit_raw(first.base, elements.1, elements.0);
    rig.gpu.step(1000);
    (rig, first, other)
}

fn reset_copy_engine(rig: &mut Rig) {
    rig.write(0x220d0, 0x0001_0001);
    assert_eq!(rig.read(0x220d0) & 2, 2);
    rig.write(0x941c, 1 << 2);
    rig.write(0x220d0, 0x0001_0000);
    let status = rig.status_ggtt("bcs0");
    rig.init_engine("bcs0", 0x22000, status);
}

#[test]
fn a_context_that_a_stopped_engine_saved_may_come_back_before_the_reset() {
    let (mut rig, first, _) = stopped_between_two();
    let memory = rig.status_page("bcs0") + u64::from(MARK);
    assert_eq!(rig.memory.get_u32(memory + 8), Some(1), "the other one's image started the engine");
    assert_eq!(rig.memory.get_u32(memory), Some(0), "and the first one's stopped it");
    assert_eq!(rig.read(0x2209c) & 0x100, 0x100);
    assert_eq!(rig.image_dword(&first, IMAGE_MI_MODE) & 0x100, 0x100, "a save has STOP_RING");
    rig.assert_clean();
}

#[test]
fn a_context_that_a_stopped_engine_saved_must_not_come_back_stopped_after_the_reset() {
    for cleared in [false, true] {
        let (mut rig, first, _) = stopped_between_two();
        reset_copy_engine(&mut rig);
        if cleared {
            rig.set_image_dword(&first, IMAGE_MI_MODE, 0x0100_0000);
        }
        let again = rig.descriptor(&first, true);
        rig.submit_raw(first.base, again, [0, 0]);
        rig.gpu.step(1000);
        let memory = rig.status_page("bcs0") + u64::from(MARK);
        assert_eq!(rig.memory.get_u32(memory), Some(cleared.into()));
        rig.assert_broken(if cleared { &[] } else { &[Rule::StartsStopped] });
    }
}

#[test]
fn a_context_that_a_stopped_engine_saved_must_not_come_back_stopped_once_the_stop_is_taken_back() {
    let (mut rig, first, other) = stopped_between_two();
    let elements = (rig.descriptor(&first, true), rig.descriptor(&other, true));
    rig.submit_raw(first.base, elements.1, [0, 0]);
    rig.gpu.step(1000);
    rig.write(0x2209c, 0x0100_0000);
    rig.assert_clean();
    rig.submit_raw(first.base, elements.0, [0, 0]);
    rig.gpu.step(1000);
    rig.assert_broken(&[Rule::StartsStopped]);
}

#[test]
fn an_image_that_the_driver_wrote_stopped_is_its_mistake_also_while_the_engine_is_being_stopped() {
    let (mut rig, _, other) = stopped_between_two();
    let third = rig.context("bcs0");
    for at in 0x34..0x120 {
        rig.set_image_dword(&third, at, rig.image_dword(&other, at));
    }
    rig.set_image_dword(&third, 3, 0x0009_0008);
    rig.set_image_dword(&third, IMAGE_MI_MODE, 0x0100_0100);
    let elements = (rig.descriptor(&other, true), rig.descriptor(&third, true));
    rig.submit_raw(other.base, elements.0, elements.1);
    rig.gpu.step(1000);
    rig.assert_broken(&[Rule::StartsStopped]);
}

#[test]
fn a_batch_writes_only_unprivileged_registers_and_those_of_the_slots() {
    let mut rig = Rig::new("tgl");
    let mut context = rig.context("rcs0");
    let batch = rig.pages(1);
    rig.map(&context, VA, batch);
    let mut dwords = Vec::new();
    for (offset, value) in [(0x2600, 0x11), (0x20a0, 0x22), (0x7010, 0x0033_0033)] {
        dwords.extend(&mi::lri(offset, value)[..3]);
    }
    dwords.push(mi::BATCH_END);
    put(&rig, batch, &dwords);
    rig.write(0x24d0, 0x7010);
    rig.emit(&mut context, &mi::batch(VA));
    rig.submit(&mut context);
    assert_eq!(rig.read(0x2600), 0x11, "a general purpose register");
    assert_eq!(rig.read(0x20a0), 0, "a privileged one");
    assert_eq!(rig.read(0x7010), 0x33, "whitelisted");
    assert_eq!(rig.read(0x20b8) & 4, 4, "CP_PRIV");
    let reports = rig.assert_broken(&[Rule::Privilege]);
    assert!(reports[0].client);
}

#[test]
fn the_aperture_reaches_what_the_ggtt_maps() {
    let mut rig = Rig::new("skl");
    let (ggtt, memory) = rig.ggtt_pages(1);
    rig.gpu.bar_write(gpu_model::Bar::Aperture, u64::from(ggtt) + 8, 4, 0x1234_5678);
    assert_eq!(rig.memory.get_u32(memory + 8), Some(0x1234_5678));
    assert_eq!(rig.gpu.bar_read(gpu_model::Bar::Aperture, u64::from(ggtt) + 8, 4), 0x1234_5678);
    rig.assert_clean();
}

#[test]
fn an_aperture_access_that_crosses_a_page_reaches_both_pages_that_the_ggtt_maps_and_no_third() {
    let mut rig = Rig::new("skl");
    let (first, between, second) = (rig.pages(1), rig.pages(1), rig.pages(1));
    rig.map_ggtt(0x20_0000, first);
    rig.map_ggtt(0x20_1000, second);
    rig.flush_ggtt();
    rig.gpu.bar_write(gpu_model::Bar::Aperture, 0x20_0ffc, 8, 0x1122_3344_5566_7788);
    assert_eq!(rig.memory.get_u32(first + 0xffc), Some(0x5566_7788));
    assert_eq!(rig.memory.get_u32(second), Some(0x1122_3344));
    assert_eq!(rig.memory.get_u32(between), Some(0), "the next page in memory is somebody else's");
    assert_eq!(rig.gpu.bar_read(gpu_model::Bar::Aperture, 0x20_0ffc, 8), 0x1122_3344_5566_7788);
    rig.assert_clean();
    // The next page is not mapped: its half reads as ones and takes nothing.
    rig.gpu.bar_write(gpu_model::Bar::Aperture, 0x20_1fff, 2, 0xabcd);
    assert_eq!(rig.gpu.bar_read(gpu_model::Bar::Aperture, 0x20_1fff, 2), 0xffcd);
    rig.assert_broken(&[Rule::Aperture]);
}

#[test]
fn a_three_level_context_translates_by_its_four_directories() {
    for name in ["skl", "tgl"] {
        let mut rig = Rig::new(name);
        let mut context = rig.context("bcs0");
        let (page, directory, table) = (rig.pages(1), rig.pages(1), rig.pages(1));
        assert!(rig.memory.set_u64(directory, table | 3));
        assert!(rig.memory.set_u64(table + 8, page | 3));
        for n in [0x33, 0x2f, 0x2b, 0x27] {
            rig.set_image_dword(&context, n, directory as u32);
        }
        rig.emit(&mut context, &mi::store(0xc000_1000, 9));
        let [low, high] = rig.descriptor(&context, true);
        rig.submit_raw(0x22000, [low & !0x18 | 0x8, high], [0, 0]);
        assert_eq!(rig.memory.get_u32(page), Some(9), "{name}");
        rig.assert_clean();
    }
}

#[test]
fn sleep_in_d3_keeps_engines_and_tables_and_loses_fences_and_forcewake() {
    for name in ["skl", "tgl"] {
        let mut rig = Rig::new(name);
        let page = rig.pages(1);
        let mut context = storer(&mut rig, "bcs0", 7);
        rig.map(&context, VA, page);
        rig.write(0x10_0000, 1);
        rig.gpu.config_write(0xd4, 2, 3);
        assert!(rig.gpu.reports().is_empty(), "asleep, and nobody asks anything");
        rig.gpu.config_write(0xd4, 2, 0);
        assert_eq!(rig.read(0x10_0000), 0, "{name}: a fence");
        assert_eq!(rig.read(0x22080), 0, "{name}: forcewake is to be asked for again");
        rig.assert_broken(&[Rule::Forcewake]);
        rig.forcewake();
        rig.submit(&mut context);
        assert_eq!(rig.memory.get_u32(page), Some(7), "{name}");
        rig.assert_clean();
    }
}
