// SPDX-License-Identifier: BSD-2-Clause
//! Each rule has a test that breaks it: the match below has no wildcard, so a rule without one does not compile.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

mod rig;

use gpu_model::{Bar, Options, Rule};
use rig::{Context, RING_SIZE, Rig, mi};

fn ready(rig: &mut Rig) -> Context {
    let mut context = rig.context("bcs0");
    let status = rig.status_ggtt("bcs0");
    rig.emit(&mut context, &mi::store_ggtt(status + 0x100, 1));
    context
}

/// Submits a context of a fresh machine after `change` has spoiled something.
fn submitted(name: &str, change: impl FnOnce(&mut Rig, &mut Context)) -> Rig {
    let mut rig = Rig::new(name);
    let mut context = ready(&mut rig);
    change(&mut rig, &mut context);
    rig.submit(&mut context);
    rig
}

/// Submits descriptors of a ready context after `change`.
fn described(name: &str, change: impl FnOnce(&mut [u32; 2], &mut [u32; 2])) -> Rig {
    let mut rig = Rig::new(name);
    let context = ready(&mut rig);
    let (mut first, mut second) = (rig.descriptor(&context, true), [0, 0]);
    change(&mut first, &mut second);
    rig.submit_raw(context.base, first, second);
    rig
}

fn cold(name: &str) -> Rig {
    Rig::cold(name, Options::default())
}

/// A machine on which `rule` was broken, and rules that necessarily break with it.
fn broken(rule: Rule) -> (Rig, &'static [Rule]) {
    let mut rig = Rig::new("tgl");
    match rule {
        Rule::Forcewake => {
            rig = cold("tgl");
            rig.gpu.config_write(4, 2, 6);
            assert_eq!(rig.read(0x2_2098), 0, "a sleeping register reads 0");
        }
        Rule::MaskedWrite => rig.write(0x2_209c, 0x100),
        Rule::ForcewakeRequest => rig.write(0xa278, 0x0004_0004),
        Rule::AccessSize => rig.gpu.bar_write(Bar::Registers, 0x2_2098, 2, 0xffff),
        Rule::ReadOnlyRegister => rig.write(0x9138, 0),
        Rule::DecodeOff => {
            rig = cold("tgl");
            assert_eq!(rig.read(0x13_0044), u32::MAX);
        }
        Rule::PowerState => {
            rig.gpu.config_write(0xd4, 2, 3);
            assert_eq!(rig.read(0x13_0044), u32::MAX);
        }
        Rule::BusMaster => {
            return (submitted("tgl", |rig, _| rig.gpu.config_write(4, 2, 2)), &[]);
        }
        Rule::GgttReserved => rig.gpu.bar_write(Bar::Registers, 8 << 20, 8, 0x5003),
        Rule::GgttFlush => {
            let mut context = ready(&mut rig);
            let page = rig.pages(1);
            rig.map_ggtt(0x80_0000, page);
            rig.emit(&mut context, &mi::store_ggtt(0x80_0000, 1));
            rig.submit(&mut context);
        }
        Rule::GgttAccessSize => rig.gpu.bar_write(Bar::Registers, (8 << 20) + 4, 4, 0),
        Rule::PpgttReserved => {
            let rig = submitted("tgl", |rig, context| {
                let page = rig.pages(1);
                rig.map_entry(context.pml4, 0x1000, page | 4 | 3);
                rig.emit(context, &mi::store(0x1000, 1));
            });
            return (rig, &[]);
        }
        Rule::PpgttPageSize => {
            let rig = submitted("tgl", |rig, context| {
                let page = rig.pages(1);
                rig.map(context, 0x1000, page);
                // The directory entry, found again, becomes a 64 KiB table over an unaligned page.
                let mut table = context.pml4;
                for _ in 0..2 {
                    table = rig.memory.get_u64(table).unwrap() & !0xfff;
                }
                let entry = rig.memory.get_u64(table).unwrap();
                assert!(rig.memory.set_u64(table, entry | 0x800));
                assert!(rig.memory.set_u64(entry & !0xfff, 0x100_1000 | 3));
                rig.emit(context, &mi::store(0x1000, 1));
            });
            return (rig, &[]);
        }
        Rule::PpgttReadOnly => {
            let rig = submitted("tgl", |rig, context| {
                let page = rig.pages(1);
                rig.map_entry(context.pml4, 0x1000, page | 1);
                rig.emit(context, &mi::store(0x1000, 1));
            });
            return (rig, &[Rule::TranslationFault, Rule::EngineHang]);
        }
        Rule::TranslationFault => {
            let rig = submitted("tgl", |rig, context| rig.emit(context, &mi::store(0x1000, 1)));
            return (rig, &[Rule::EngineHang]);
        }
        Rule::ExeclistsOff => {
            return (submitted("tgl", |rig, context| rig.write(context.base + 0x29c, 0x0008_0000)), &[]);
        }
        Rule::RingRegisterInExeclists => rig.write(0x2_2030, 8),
        Rule::SubmitOrder => {
            let mut context = ready(&mut rig);
            rig.submit(&mut context);
            rig.emit(&mut context, &[mi::NOOP, mi::NOOP]);
            rig.write(context.base + 0x550, 1);
            // The old descriptor is still there, so the context runs again.
        }
        Rule::SubmitBeforeAck => {
            rig = Rig::deferred("tgl");
            let (mut one, mut two) = (ready(&mut rig), ready(&mut rig));
            rig.submit(&mut one);
            rig.submit(&mut two);
        }
        Rule::ElementZero => {
            return (described("skl", |first, second| (*second, *first) = (*first, [0, 0])), &[]);
        }
        Rule::DuplicateElements => {
            return (described("tgl", |first, second| *second = *first), &[]);
        }
        Rule::ContextBusyElsewhere => {
            let status = rig.status_ggtt("bcs0");
            let mut context = rig.context("bcs0");
            let wait = mi::wait_ggtt(true, status + 0x200, 1);
            rig.emit(&mut context, &wait);
            rig.submit(&mut context);
            let [low, high] = rig.descriptor(&context, true);
            // On a video engine, with its class.
            rig.submit_raw(0x1c_0000, [low, high & 0x1fff_ffff | 1 << 29], [0, 0]);
        }
        Rule::DescriptorReserved => return (described("tgl", |first, _| first[1] |= 1), &[]),
        Rule::DescriptorEngine => return (described("tgl", |first, _| first[1] ^= 1 << 29), &[]),
        Rule::ContextId => return (described("tgl", |first, _| first[1] |= 0x7ff << 5), &[]),
        Rule::AddressingMode => return (described("tgl", |first, _| first[0] &= !0x18), &[]),
        Rule::TailAlignment => {
            return (
                submitted("tgl", |rig, context| rig.set_image_dword(context, 7, 12)),
                &[Rule::EngineHang],
            );
        }
        Rule::RingBounds => {
            let rig = submitted("tgl", |rig, context| rig.set_image_dword(context, 7, RING_SIZE));
            return (rig, &[Rule::EngineHang]);
        }
        Rule::RingDisabled => {
            return (
                submitted("tgl", |rig, context| rig.set_image_dword(context, 0xb, 0x3000)),
                &[Rule::EngineHang],
            );
        }
        Rule::EmptyRing => {
            let mut context = ready(&mut rig);
            rig.submit(&mut context);
            rig.submit(&mut context);
        }
        Rule::ImageNotReloaded => {
            let mut context = ready(&mut rig);
            rig.submit(&mut context);
            rig.emit(&mut context, &[mi::NOOP, mi::NOOP]);
            rig.set_image_dword(&context, 0x33, 0);
            rig.submit(&mut context);
        }
        Rule::ImageFormat => {
            let rig = submitted("tgl", |rig, context| rig.set_image_dword(context, 0x34, 0x1000_0002));
            return (rig, &[Rule::EngineHang]);
        }
        Rule::ImageSlot => {
            let rig = submitted("tgl", |rig, context| {
                let name = rig.image_dword(context, 0x1a);
                rig.set_image_dword(context, 0x1a, name + 4);
            });
            return (rig, &[]);
        }
        Rule::ImageForeignRegister => {
            let rig = submitted("skl", |rig, context| rig.set_image_dword(context, 0x1e - 2, 0x1_21c8));
            return (rig, &[Rule::ImageSlot]);
        }
        Rule::LastGgttPage => {
            let rig = submitted("tgl", |rig, context| {
                rig.map_ggtt(0xffff_f000, context.image + 0x1000);
                rig.map_ggtt(0xffff_e000, context.image);
                rig.flush_ggtt();
                context.lrca = 0xffff_e000;
            });
            return (rig, &[]);
        }
        Rule::ContextControl => {
            return (submitted("tgl", |rig, context| rig.set_image_dword(context, 3, 0x0001_0001)), &[]);
        }
        Rule::PageDirectoryPointers => {
            return (submitted("tgl", |rig, context| rig.set_image_dword(context, 0x33, 0)), &[]);
        }
        Rule::ArbitrationOff => {
            let rig = submitted("tgl", |rig, context| rig.emit(context, &[mi::ARB_OFF, mi::NOOP]));
            return (rig, &[]);
        }
        Rule::StartsStopped => {
            return (submitted("tgl", |rig, context| rig.write(context.base + 0x9c, 0x0100_0100)), &[]);
        }
        Rule::StatusPage => {
            return (submitted("tgl", |rig, context| rig.write(context.base + 0x80, 0x7000_0000)), &[]);
        }
        Rule::ResetHandshake => rig.write(0x941c, 1 << 2),
        Rule::ResetBits => rig.write(0x941c, 1 << 4),
        Rule::InterruptIdentity => rig.write(0x19_0070, 1 << 15),
        Rule::InterruptMaster => rig.write(0x19_0010, 0x8000_0001),
        Rule::Pat => {
            return (submitted("tgl", |rig, _| rig.write(0x4800, 0)), &[]);
        }
        Rule::TlbRegister => rig.write(0xcedc, 2 << 16 | 2),
        Rule::Dma => {
            let rig = submitted("tgl", |rig, context| {
                rig.map(context, 0x1000, 0x70_0000_0000);
                rig.emit(context, &mi::store(0x1000, 1));
            });
            return (rig, &[Rule::EngineHang]);
        }
        Rule::MsiProgrammed => {
            let rig = submitted("tgl", |rig, context| {
                rig.gpu.config_write(0xb0, 4, 0);
                rig.emit(context, &[mi::USER_INTERRUPT, mi::NOOP]);
            });
            return (rig, &[]);
        }
        Rule::Aperture => _ = rig.gpu.bar_read(Bar::Aperture, 0xff_0000, 4),
        Rule::Privilege => {
            let rig = submitted("tgl", |rig, context| {
                let batch = rig.pages(1);
                rig.map(context, 0x1000, batch);
                for (n, dword) in [0x1100_0001, 0x2_2080, 0, mi::BATCH_END].into_iter().enumerate() {
                    assert!(rig.memory.set_u32(batch + 4 * n as u64, dword));
                }
                rig.emit(context, &mi::batch(0x1000));
            });
            return (rig, &[]);
        }
        Rule::EngineHang => {
            return (submitted("tgl", |rig, context| rig.emit(context, &[0x0f00_0000, 0])), &[]);
        }
        Rule::Fence => {
            rig.write(0x10_0000, 1);
            rig.write(0x10_0004, 0x10);
        }
        Rule::NonPrivSlot => rig.write(0x2_24d0, 0x8000_0000),
        Rule::MmioRange => _ = rig.read(0x20_0000),
        Rule::Command => {
            // A dword store to an odd address.
            let status = rig.status_ggtt("bcs0");
            let mut context = ready(&mut rig);
            rig.emit(&mut context, &mi::store_ggtt(status + 0x102, 1));
            rig.submit(&mut context);
        }
    }
    (rig, &[])
}

#[test]
fn every_rule_is_broken_by_its_test_and_by_nothing_else_in_it() {
    for rule in Rule::ALL {
        let (mut rig, also) = broken(*rule);
        let mut expected = also.to_vec();
        expected.push(*rule);
        let reports = rig.assert_broken(&expected);
        let report = reports.iter().find(|report| report.rule == *rule).unwrap();
        let text = report.to_string();
        assert!(text.contains(report.text) && text.contains(report.source), "{text}");
        assert!(is_known(&report.subject), "{text}: neither a register nor a command nor a structure");
        let sources = ["PRM vol ", "PRM, ", "i915: ", "PCI ", "VT-d ", "HSDES ", "Wa"];
        assert!(sources.iter().any(|start| report.source.starts_with(start)), "{text}");
    }
}

/// Names the subject a register with its offset, a command with its header, or what else a rule can be about?
fn is_known(subject: &str) -> bool {
    let structures = [
        "GGTT entry 0x",
        "aperture offset 0x",
        "Registers + 0x",
        "MSI capability",
        "register 0x",
        "bcs0: image 0x",
        "bcs0: context ",
        "bcs0: PPGTT level ",
        "bcs0: PPGTT entry for 0x",
        "vcs0: image 0x",
        "bcs0: restore of context image 0x",
        "bcs0: command 0x",
        "bcs0: command fetch at ",
        "bcs0: reserved MI opcode (0x",
    ];
    subject.contains(" (0x") || structures.iter().any(|start| subject.starts_with(start))
}

#[test]
fn messages_name_the_register_the_rule_and_its_source() {
    let (mut rig, _) = broken(Rule::Forcewake);
    let report = rig.assert_broken(&[Rule::Forcewake])[0].to_string();
    assert_eq!(
        report,
        "BCS0 HWSTAM (0x22098): the register's forcewake domain must be awake before it is accessed: read while \
         Gt sleeps [Forcewake; i915: intel_uncore.c forcewake ranges]"
    );
}

#[test]
fn a_masked_write_without_mask_is_the_clients_in_its_batch_and_the_drivers_in_the_ring() {
    for from_ring in [true, false] {
        let mut rig = Rig::new("tgl");
        let mut context = rig.context("rcs0");
        // CACHE_MODE_0.
        let load = [0x1100_0001, 0x7000, 1];
        if from_ring {
            rig.emit(&mut context, &[load[0], load[1], load[2], mi::NOOP]);
        } else {
            let batch = rig.pages(1);
            rig.map(&context, 0x1000, batch);
            for (at, dword) in (0..).step_by(4).zip(load.into_iter().chain([mi::BATCH_END])) {
                assert!(rig.memory.set_u32(batch + at, dword));
            }
            rig.emit(&mut context, &mi::batch(0x1000));
        }
        rig.submit(&mut context);
        let reports = rig.assert_broken(&[Rule::MaskedWrite]);
        assert_eq!(reports[0].client, !from_ring, "{}", reports[0]);
    }
}

#[test]
fn an_engine_at_work_answers_while_its_domain_was_let_go_and_the_read_is_reported() {
    let mut rig = Rig::deferred("skl");
    let mut context = ready(&mut rig);
    rig.submit(&mut context);
    rig.gpu.step(1);
    for request in [0xa188, 0xa278, 0xa270] {
        rig.write(request, 0x0001_0000);
    }
    let [_, high] = rig.descriptor(&context, true);
    assert_eq!(rig.read(context.base + 0x238), high, "the context that runs");
    rig.assert_broken(&[Rule::Forcewake]);
    rig.gpu.run_until_idle(1000);
    assert_eq!(rig.read(context.base + 0x238), 0, "asleep");
    rig.assert_broken(&[Rule::Forcewake]);
}

#[test]
fn a_flood_of_one_breach_is_counted_but_hides_no_other() {
    let mut rig = cold("tgl");
    for _ in 0..10_000 {
        rig.read(0x13_0044);
    }
    assert_eq!(rig.gpu.log().total(), 10_000);
    assert!(rig.gpu.reports().len() < 100);
    rig.gpu.config_write(4, 2, 6);
    rig.read(0x2_2098);
    assert_eq!(rig.gpu.reports().last().unwrap().rule, Rule::Forcewake, "hidden by the flood");
}

#[test]
fn touching_performance_counters_says_that_they_are_out_of_scope() {
    // OACTXCONTROL, triggers, OACONTROL of Gen8 to Gen11, OAR and OAG of Gen12; MI_REPORT_PERF_COUNT.
    for (name, offset) in [
        ("bdw", 0x2360),
        ("bdw", 0x2710),
        ("skl", 0x2b00),
        ("icl", 0x2b00),
        ("icl", 0x2360),
        ("tgl", 0x2360),
        ("tgl", 0x2960),
        ("tgl", 0x2968),
        ("tgl", 0xdaf4),
        ("adls", 0xd900),
    ] {
        for by_write in [true, false] {
            let mut rig = Rig::new(name);
            if by_write {
                rig.write(offset, 1);
            } else {
                rig.read(offset);
            }
            rig.assert_clean();
            let wanted = format!("OA (performance counters) is out of scope: {offset:#x}");
            let told = rig.gpu.log().notices().iter().any(|notice| notice.text.contains(&wanted));
            assert!(told, "{name}: {offset:#x}, write {by_write}");
        }
    }
    let mut rig = Rig::new("skl");
    let mut context = rig.context("rcs0");
    rig.emit(&mut context, &[0x1400_0002, 0, 0, 0]);
    rig.submit(&mut context);
    rig.assert_clean();
    assert!(rig.gpu.log().notices().iter().any(|notice| notice.text.contains("MI_REPORT_PERF_COUNT")));
}
