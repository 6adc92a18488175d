// SPDX-License-Identifier: BSD-2-Clause
//! Every place in the model that reports a rule which more than one place reports: `strictness.rs` breaks each rule
//! once, this breaks it at the others. A row says the rule, the place, and what breaks it there.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

mod rig;

use gpu_model::{Bar, Options, Rule};
use rig::{Context, RING_SIZE, Rig, mi};

const VA: u64 = 0x7_1234_5000;
const ENTRIES: u64 = 8 << 20;

/// A context of the copy engine that stores a mark into the status page.
fn ready(rig: &mut Rig) -> Context {
    let mut context = rig.context("bcs0");
    let status = rig.status_ggtt("bcs0");
    rig.emit(&mut context, &mi::store_ggtt(status + 0x100, 1));
    context
}

fn submit(rig: &mut Rig, change: impl FnOnce(&mut Rig, &mut Context)) {
    let mut context = ready(rig);
    change(rig, &mut context);
    rig.submit(&mut context);
}

/// Submits a context whose descriptor's low half is changed.
fn describe(rig: &mut Rig, flip: u32) {
    let context = ready(rig);
    let [low, high] = rig.descriptor(&context, true);
    rig.submit_raw(context.base, [low ^ flip, high], [0, 0]);
}

/// Makes the directory entry of VA a leaf or another kind of table.
fn directory_entry(rig: &mut Rig, context: &Context, change: impl FnOnce(u64) -> u64) {
    let mut table = context.pml4;
    for shift in [39, 30] {
        table = rig.memory.get_u64(table + 8 * ((VA >> shift) & 0x1ff)).unwrap() & !0xfff;
    }
    let at = table + 8 * ((VA >> 21) & 0x1ff);
    let entry = rig.memory.get_u64(at).unwrap();
    assert!(rig.memory.set_u64(at, change(entry)));
}

/// Stores through a leaf of 2 MiB.
fn huge(rig: &mut Rig, leaf: u64) {
    submit(rig, |rig, context| {
        rig.map(context, VA, leaf & !0xfff);
        directory_entry(rig, context, |_| leaf);
        rig.emit(context, &mi::store(VA, 1));
    });
}

struct Site {
    rule: Rule,
    /// Rules that necessarily break with it.
    also: &'static [Rule],
    place: &'static str,
    part: &'static str,
    /// Words that the report's subject has.
    subject: &'static str,
    act: fn(&mut Rig),
}

const fn site(
    rule: Rule,
    place: &'static str,
    part: &'static str,
    subject: &'static str,
    act: fn(&mut Rig),
) -> Site {
    Site { rule, also: &[], place, part, subject, act }
}

const HANG: &[Rule] = &[Rule::EngineHang];

#[rustfmt::skip]
fn sites() -> Vec<Site> {
    vec![
        site(Rule::GgttFlush, "an aperture access", "tgl", "GGTT entry 0x700", |rig| {
            let page = rig.pages(1);
            rig.map_ggtt(0x70_0000, page);
            rig.gpu.bar_read(Bar::Aperture, 0x70_0000, 4);
        }),
        site(Rule::GgttAccessSize, "the lower half of an entry", "tgl", "GGTT entry 0x1", |rig| {
            rig.gpu.bar_write(Bar::Registers, ENTRIES + 8, 4, 0);
        }),
        site(Rule::GgttAccessSize, "a byte of an entry", "tgl", "GGTT entry 0x1", |rig| {
            rig.gpu.bar_write(Bar::Registers, ENTRIES + 9, 1, 0);
        }),
        site(Rule::GgttReserved, "MI_UPDATE_GTT", "tgl", "GGTT entry 0x700", |rig| {
            submit(rig, |rig, context| rig.emit(context, &[0x1180_0002, 0x70_0000, 0x5003, 0]));
        }),
        site(Rule::LastGgttPage, "a ring", "tgl", "bcs0: image", |rig| {
            submit(rig, |rig, context| {
                for page in 0..4 {
                    rig.map_ggtt(0xffff_c000 + 0x1000 * page, context.ring_memory + 0x1000 * u64::from(page));
                }
                rig.flush_ggtt();
                rig.set_image_dword(context, 9, 0xffff_c000);
            });
        }),
        site(Rule::StatusPage, "a status event whose page is gone", "tgl", "bcs0: status event", |rig| {
            *rig = Rig::deferred("tgl");
            submit(rig, |_, _| {});
            let entry = u64::from(rig.status_ggtt("bcs0") >> 12);
            rig.gpu.bar_write(Bar::Registers, ENTRIES + 8 * entry, 8, 0);
            rig.flush_ggtt();
            rig.gpu.step(1);
        }),
        site(Rule::TailAlignment, "RING_TAIL by MMIO in ring mode", "tgl", "BCS0 RING_BUFFER_TAIL (0x22030)", |rig| {
            rig.write(0x2_229c, 0x0008_0000);
            rig.write(0x2_2030, 4);
        }),
        site(Rule::SubmitOrder, "another register between the dwords of the ELSP", "skl", "(0x22230)", |rig| {
            for offset in [0x2_2230, 0x2_2230, 0x2_2098, 0x2_2230, 0x2_2230] {
                rig.write(offset, 0);
            }
            // The submission itself is whole, and is none.
            assert_eq!(rig.gpu.reports().len(), 2);
            let kept = rig.gpu.log_mut().take();
            assert_eq!([kept[0].rule, kept[1].rule], [Rule::SubmitOrder, Rule::ElementZero]);
            rig.write(0x2_2230, 0);
            rig.write(0x2_2098, 0);
        }),
        site(Rule::SubmitOrder, "a reset while the ELSP is half written", "skl", "(0x22230)", |rig| {
            rig.write(0x2_2230, 0);
            rig.write(0x941c, 1);
            rig.forcewake();
            // What was written is forgotten: four more dwords are a submission of their own.
            for _ in 0..3 {
                rig.write(0x2_2230, 0);
            }
            assert_eq!(rig.gpu.reports().len(), 1);
            rig.write(0x2_2230, 0);
            rig.gpu.log_mut().take();
            rig.write(0x2_2230, 0);
            rig.write(0x941c, 1);
        }),
        site(Rule::DescriptorReserved, "an element of the ELSP", "skl", "BCS0", |rig| describe(rig, 1 << 5)),
        site(Rule::DescriptorReserved, "the load register", "tgl", "(0x22550)", |rig| rig.write(0x2_2550, 2)),
        site(Rule::AddressingMode, "an element of the ELSP", "skl", "BCS0", |rig| describe(rig, 0x18)),
        site(Rule::Forcewake, "a write", "tgl", "BCS0 HWSTAM (0x22098)", |rig| {
            *rig = Rig::cold("tgl", Options::default());
            rig.gpu.config_write(4, 2, 6);
            rig.write(0x2_2098, 1);
            rig.forcewake();
            assert_eq!(rig.read(0x2_2098), 0, "the write was dropped");
        }),
        site(Rule::Forcewake, "a domain of its own on Gen9", "skl", "VCS0", |rig| {
            rig.write(0xa270, 0x0001_0000);
            rig.read(0x1_2098);
        }),
        site(Rule::ReadOnlyRegister, "an engine register", "tgl", "BCS0 ACTHD (0x22074)", |rig| rig.write(0x2_2074, 0)),
        site(Rule::ReadOnlyRegister, "the copy of GGC", "tgl", "(0x108040)", |rig| rig.write(0x10_8040, 0)),
        site(Rule::DecodeOff, "a write", "tgl", "Registers + 0x22098", |rig| {
            rig.gpu.config_write(4, 2, 0);
            rig.write(0x2_2098, 1);
        }),
        site(Rule::DecodeOff, "the aperture", "tgl", "Aperture + 0x10", |rig| {
            rig.gpu.config_write(4, 2, 0);
            assert_eq!(rig.gpu.bar_read(Bar::Aperture, 0x10, 4), 0xffff_ffff);
        }),
        site(Rule::PowerState, "a write", "tgl", "Registers + 0x22098", |rig| {
            rig.gpu.config_write(0xd4, 2, 3);
            rig.write(0x2_2098, 1);
        }),
        site(Rule::MaskedWrite, "RESET_CTL", "tgl", "RESET_CTL (0x220d0)", |rig| rig.write(0x2_20d0, 1)),
        site(Rule::MaskedWrite, "a forcewake request", "tgl", "(0xa188)", |rig| rig.write(0xa188, 1)),
        site(Rule::MaskedWrite, "a global register", "tgl", "register 0x7000", |rig| rig.write(0x7000, 1)),
        site(Rule::MaskedWrite, "GFX_MODE", "skl", "(0x2229c)", |rig| rig.write(0x2_229c, 0x8000)),
        site(Rule::AccessSize, "a dword that is not aligned", "tgl", "register 0x22099", |rig| {
            rig.gpu.bar_read(Bar::Registers, 0x2_2099, 4);
        }),
        site(Rule::AccessSize, "three bytes", "tgl", "0x22098", |rig| {
            rig.gpu.bar_read(Bar::Registers, 0x2_2098, 3);
        }),
        site(Rule::MmioRange, "a write", "tgl", "0x200000", |rig| rig.write(0x20_0000, 1)),
        site(Rule::PpgttPageSize, "64 KiB pages that 0x4080 does not enable, on Gen9", "skl", "PPGTT entry for 0x712345000", |rig| {
            submit(rig, |rig, context| {
                let page = rig.pages(1);
                rig.map(context, VA, page);
                directory_entry(rig, context, |entry| entry | 1 << 11);
                rig.emit(context, &mi::store(VA, 1));
            });
        }),
        site(Rule::PpgttPageSize, "2 MiB that are not aligned", "tgl", "PPGTT entry for", |rig| {
            huge(rig, 0x140_0000 | 0x2000 | 0x80 | 3);
        }),
        site(Rule::PpgttPageSize, "2 MiB with the GTT cache on", "skl", "PPGTT entry for", |rig| {
            rig.write(0x4024, 1);
            huge(rig, 0x140_0000 | 0x80 | 3);
        }),
        site(Rule::PpgttReserved, "a directory entry", "tgl", "PPGTT level 2 entry for", |rig| {
            submit(rig, |rig, context| {
                let page = rig.pages(1);
                rig.map(context, VA, page);
                directory_entry(rig, context, |entry| entry | 1 << 8);
                rig.emit(context, &mi::store(VA, 1));
            });
        }),
        site(Rule::Pat, "Gemini Lake, without the snoop bit", "glk", "BCS0", |rig| {
            submit(rig, |rig, _| rig.write(0x40e0, 3));
        }),
        site(Rule::Pat, "Gen9, not write-back", "skl", "BCS0", |rig| submit(rig, |rig, _| rig.write(0x40e0, 1))),
        site(Rule::Pat, "never written", "tgl", "BCS0", |rig| {
            rig.write(0x941c, 1);
            rig.forcewake();
            let status = rig.status_ggtt("bcs0");
            rig.init_engine("bcs0", 0x2_2000, status);
            submit(rig, |_, _| {});
        }),
        site(Rule::TlbRegister, "a legacy register", "skl", "(0x426c)", |rig| rig.write(0x426c, 2)),
        site(Rule::TlbRegister, "no engine at all", "tgl", "(0xcedc)", |rig| rig.write(0xcedc, 0)),
        site(Rule::StatusPage, "never set", "skl", "BCS0", |rig| submit(rig, |rig, _| rig.write(0x2_2080, 0))),
        Site { also: HANG, ..site(Rule::RingBounds, "a head beyond the ring", "tgl", "bcs0: image", |rig| {
            submit(rig, |rig, context| rig.set_image_dword(context, 5, RING_SIZE));
        }) },
        Site { also: HANG, ..site(Rule::TranslationFault, "a command fetch", "tgl", "bcs0: command fetch at Ring Ggtt 0x70000000", |rig| {
            submit(rig, |rig, context| rig.set_image_dword(context, 9, 0x7000_0000));
        }) },
        Site { also: HANG, ..site(Rule::TranslationFault, "a context image", "tgl", "bcs0: restore of context image 0x70000000", |rig| {
            submit(rig, |_, context| context.lrca = 0x7000_0000);
        }) },
        Site { also: HANG, ..site(Rule::Dma, "a page table", "tgl", "bcs0: MI_STORE_DATA_IMM (0x10000002)", |rig| {
            submit(rig, |rig, context| {
                rig.set_image_dword(context, 0x31, 0x70);
                rig.emit(context, &mi::store(VA, 1));
            });
        }) },
        site(Rule::Dma, "a write through the aperture", "tgl", "aperture offset 0x700000", |rig| {
            rig.map_ggtt(0x70_0000, 0x70_0000_0000);
            rig.flush_ggtt();
            rig.gpu.bar_write(Bar::Aperture, 0x70_0000, 4, 1);
        }),
        site(Rule::Dma, "a read through the aperture", "tgl", "aperture offset 0x700000", |rig| {
            rig.map_ggtt(0x70_0000, 0x70_0000_0000);
            rig.flush_ggtt();
            assert_eq!(rig.gpu.bar_read(Bar::Aperture, 0x70_0000, 4), 0xffff_ffff);
        }),
        site(Rule::Aperture, "a write", "tgl", "aperture offset 0x700000", |rig| {
            rig.gpu.bar_write(Bar::Aperture, 0x70_0000, 4, 1);
        }),
        site(Rule::PageDirectoryPointers, "one that is not aligned", "tgl", "bcs0: image", |rig| {
            submit(rig, |rig, context| {
                let low = rig.image_dword(context, 0x33);
                rig.set_image_dword(context, 0x33, low | 8);
            });
        }),
        site(Rule::ResetBits, "an engine that the part does not have", "rkl", "(0x941c)", |rig| rig.write(0x941c, 1 << 7)),
        site(Rule::InterruptIdentity, "a bit that is not pending, of the other bank", "tgl", "(0x190074)", |rig| {
            rig.write(0x19_0074, 1);
        }),
    ]
}

#[test]
fn each_rule_is_also_reported_where_else_it_can_be_broken() {
    let mut wrong = Vec::new();
    for Site { rule, also, place, part, subject, act } in sites() {
        let mut rig = Rig::new(part);
        act(&mut rig);
        let reports = rig.gpu.log_mut().take();
        let text: Vec<String> = reports.iter().map(ToString::to_string).collect();
        let text = text.join("\n");
        let mut found: Vec<Rule> = reports.iter().map(|report| report.rule).collect();
        found.sort();
        found.dedup();
        let mut expected = [also, &[rule]].concat();
        expected.sort();
        let named = reports
            .iter()
            .find(|report| report.rule == rule)
            .is_some_and(|report| report.subject.contains(subject) && !report.client);
        if found != expected || !named {
            wrong.push(format!("{place} ({part}): {expected:?}, at {subject}, not\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn sixty_four_kib_pages_translate_where_they_are_enabled() {
    for (name, enabled) in [("skl", true), ("skl", false), ("icl", true), ("tgl", true)] {
        let mut rig = Rig::new(name);
        if name == "skl" {
            rig.write(0x4080, if enabled { 0xf } else { 0 });
        }
        let block = (rig.pages(32) + 0xffff) & !0xffff;
        let mut context = rig.context("bcs0");
        // The entry of the first 4 KiB of the 64 describes them all; VA is the sixth.
        rig.map(&context, VA & !0xffff, block);
        directory_entry(&mut rig, &context, |entry| entry | 1 << 11);
        rig.emit(&mut context, &mi::store(VA + 8, 7));
        rig.submit(&mut context);
        let there = rig.memory.get_u32(block + (VA & 0xffff) + 8);
        assert_eq!(there, Some(if enabled { 7 } else { 0 }), "{name}");
        if enabled {
            rig.assert_clean();
        } else {
            // Without the switch the table describes 4 KiB pages, of which this one is absent.
            rig.assert_broken(&[Rule::PpgttPageSize, Rule::TranslationFault, Rule::EngineHang]);
        }
    }
}
