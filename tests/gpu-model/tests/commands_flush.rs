// SPDX-License-Identifier: BSD-2-Clause
//! MI_FLUSH_DW, PIPE_CONTROL and the skipping of render and codec commands.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

#[path = "commands_support/mod.rs"]
mod support;

use gpu_model::commands::{ErrorKind, Flush, Generation, Interrupt, Outcome, Space};
use support::{BCS, DATA, GENERATIONS, Machine, PPHWSP, RCS, VCS};

const DATA_LOW: u32 = DATA as u32;
const DATA_HIGH: u32 = (DATA >> 32) as u32;
const STALL_AND_FLUSH: u32 = 1 << 20 | 1 << 12;

fn machine() -> Machine {
    Machine::new(Generation::Gen12, BCS)
}

fn render(generation: Generation) -> Machine {
    Machine::new(generation, RCS)
}

/// A PIPE_CONTROL that writes nothing.
fn pipe_control(flags: u32) -> [u32; 6] {
    [0x7a00_0004, flags, 0, 0, 0, 0]
}

#[test]
fn the_minimal_flush_only_flushes() {
    for generation in GENERATIONS {
        let mut machine = Machine::new(generation, BCS);
        assert_eq!(machine.ring(&[0x1300_0002, 0, 0, 0]), Outcome::RingEmpty);
        assert_eq!(machine.bus.flushes, [Flush { write_back: true, stall: true, ..Flush::default() }]);
        assert!(machine.bus.interrupts.is_empty());
        machine.assert_clean();
    }
}

#[test]
fn a_post_sync_write_stores_a_dword_or_a_qword_by_length() {
    let mut machine = machine();
    machine.load(Space::Ppgtt, DATA, &[9, 9, 9, 9]);
    machine.ring(&[0x1300_4002, DATA_LOW, DATA_HIGH, 1, 0x1300_4003, DATA_LOW + 8, DATA_HIGH, 2, 3, 0]);
    assert_eq!(machine.read_u64(Space::Ppgtt, DATA), 9 << 32 | 1);
    assert_eq!(machine.read_u64(Space::Ppgtt, DATA + 8), 3 << 32 | 2);
    machine.assert_clean();
}

#[test]
fn bit_2_of_the_address_selects_the_ggtt() {
    let mut machine = machine();
    machine.ring(&[0x1300_4002, 0x6_0000 | 4, 0, 0x1234]);
    assert_eq!(machine.read(Space::Ggtt, 0x6_0000), 0x1234);
    machine.assert_clean();
}

#[test]
fn store_index_writes_the_per_process_status_page() {
    // The start of a request as Linux frames it, PRM vol 2a.
    let mut machine = Machine::new(Generation::Gen9, VCS);
    machine.ring(&[0x1300_4002 | 1 << 21 | 1 << 18 | 1 << 7, 0xd0, 0, 0x77]);
    assert_eq!(machine.read(Space::Ggtt, PPHWSP + 0xd0), 0x77);
    assert_eq!(machine.bus.tlb_invalidations, 1);
    assert!(machine.bus.flushes[0].invalidate);
    machine.assert_clean();
}

#[test]
fn the_timestamp_of_a_flush_has_36_bits() {
    let mut machine = machine();
    machine.bus.now = 0x1234_5678_9abc_def0;
    machine.ring(&[0x1300_c003, DATA_LOW, DATA_HIGH, 0, 0, 0]);
    assert_eq!(machine.read_u64(Space::Ppgtt, DATA), 0x8_9abc_def0);
}

#[test]
fn notify_interrupts_after_the_write() {
    let mut machine = machine();
    machine.ring(&[0x1300_4102, DATA_LOW, DATA_HIGH, 5]);
    assert_eq!(machine.bus.interrupts, [Interrupt::FlushNotify]);
    assert_eq!(machine.read(Space::Ppgtt, DATA), 5);
}

#[test]
fn a_tlb_invalidation_without_post_sync_is_reported_and_ignored() {
    let mut machine = machine();
    machine.ring(&[0x1304_0002, 0, 0, 0]);
    machine.assert_broken("needs a post-sync operation");
    assert_eq!(machine.bus.tlb_invalidations, 0);
}

#[test]
fn rules_of_flush_dw_are_reported() {
    let cases: [(&[u32], &str); 4] = [
        (&[0x1300_4002, DATA_LOW | 0x20, DATA_HIGH, 1], "bit 5"),
        (&[0x1300_0082, 0, 0, 0], "video engines only"),
        (&[0x1300_4002 | 1 << 21, 0x10d0, 0, 1], "offset in the status page"),
        (&[0x1300_0001, 0, 0, 0], "four or five dwords"),
    ];
    for (dwords, rule) in cases {
        let mut machine = machine();
        assert_eq!(machine.ring(dwords), Outcome::RingEmpty);
        machine.assert_broken(rule);
    }
}

#[test]
fn impossible_flushes_hang() {
    for (dwords, kind) in [
        ([0x1300_8003, 0, 0, 0, 0, 0], ErrorKind::BadField),
        ([0x1300_4001, 0, 0, 0, 0, 0], ErrorKind::BadLength),
    ] {
        let mut machine = machine();
        let Outcome::Error(error) = machine.ring(&dwords) else { panic!("{kind:?}") };
        assert_eq!(error.kind, kind);
    }
}

#[test]
fn a_non_privileged_flush_flushes_but_does_not_write_the_ggtt() {
    for dwords in [[0x1300_4102, 0x6_0004, 0, 1], [0x1320_4102, 0xd0, 0, 1]] {
        let mut machine = machine();
        machine.batch(&dwords);
        assert_eq!(machine.bus.violations.len(), 1);
        assert_eq!(machine.bus.flushes.len(), 1);
        assert_eq!(machine.bus.interrupts, [Interrupt::FlushNotify]);
        assert_eq!((machine.read(Space::Ggtt, 0x6_0000), machine.read(Space::Ggtt, PPHWSP + 0xd0)), (0, 0));
    }
}

#[test]
fn pipe_control_writes_immediate_data_to_either_space() {
    for generation in GENERATIONS {
        let mut machine = render(generation);
        let flags = STALL_AND_FLUSH | 1 << 14;
        machine.ring(&[0x7a00_0004, flags, DATA_LOW, DATA_HIGH, 1, 2]);
        machine.ring(&[0x7a00_0004, flags | 1 << 24 | 1 << 7, 0x6_0000, 0, 3, 4]);
        assert_eq!(machine.read_u64(Space::Ppgtt, DATA), 2 << 32 | 1);
        assert_eq!(machine.read_u64(Space::Ggtt, 0x6_0000), 4 << 32 | 3);
        assert_eq!(machine.bus.flushes[0], Flush { write_back: true, stall: true, ..Flush::default() });
        machine.assert_clean();
    }
}

#[test]
fn pipe_control_writes_timestamp_depth_count_register_and_status_page() {
    let mut machine = render(Generation::Gen11);
    machine.bus.now = 0x1234_5678_9abc_def0;
    machine.bus.set_register(0x2350, 5);
    machine.bus.set_register(0x2354, 6);
    machine.ring(&[0x7a00_0004, STALL_AND_FLUSH | 3 << 14, DATA_LOW, DATA_HIGH, 0, 0]);
    machine.ring(&[0x7a00_0004, STALL_AND_FLUSH | 2 << 14, DATA_LOW + 8, DATA_HIGH, 0, 0]);
    machine.ring(&[0x7a00_0004, STALL_AND_FLUSH | 1 << 23, 0x2600, 0, 0x99, 0]);
    machine.ring(&[0x7a00_0004, STALL_AND_FLUSH | 1 << 14 | 1 << 21, 0xd0, 0, 7, 8]);
    assert_eq!(machine.read_u64(Space::Ppgtt, DATA), 0x1234_5678_9abc_def0);
    assert_eq!(machine.read_u64(Space::Ppgtt, DATA + 8), 6 << 32 | 5);
    assert_eq!(machine.gpr(0), 0x99);
    assert_eq!(machine.read_u64(Space::Ggtt, PPHWSP + 0xd0), 8 << 32 | 7);
    machine.assert_clean();
}

#[test]
fn pipe_control_invalidates_the_tlb_and_notifies() {
    let mut machine = render(Generation::Gen12);
    // The start of a request on Gen12: command cache, TLB, instruction, texture, VF, constants, state.
    let flags =
        1 << 29 | 1 << 20 | 1 << 18 | 1 << 11 | 1 << 10 | 1 << 4 | 1 << 3 | 1 << 2 | 1 << 14 | 1 << 21;
    machine.ring(&[0x7a00_0004, flags | 1 << 8, 0xd0, 0, 0, 0]);
    assert_eq!(machine.bus.tlb_invalidations, 1);
    assert_eq!(machine.bus.interrupts, [Interrupt::FlushNotify]);
    assert!(machine.bus.flushes[0].invalidate && !machine.bus.flushes[0].write_back);
    machine.assert_clean();
}

#[test]
fn the_end_of_a_request_on_gen12_breaks_no_rule() {
    let mut machine = render(Generation::Gen12);
    let flags = 1 << 20 | 1 << 18 | 1 << 28 | 1 << 12 | 1 | 1 << 13 | 1 << 5 | 1 << 7 | 1 << 27;
    machine.ring(&[0x7a00_0204, flags, 0, 0, 0, 0]);
    machine.ring(&[0x7a00_0004, 1 << 7 | 1 << 20 | 1 << 14 | 1 << 24, 0x6_0000, 0, 1, 0, 0x0100_0000, 0]);
    assert_eq!(machine.bus.interrupts, [Interrupt::User]);
    machine.assert_clean();
}

#[test]
fn rules_of_pipe_control_are_reported() {
    let cases = [
        (Generation::Gen9, pipe_control(1 << 20), "stall needs"),
        (Generation::Gen12, pipe_control(1 << 18), "needs a command streamer stall"),
        (Generation::Gen9, pipe_control(STALL_AND_FLUSH | 1 << 4), "VF invalidation"),
        (Generation::Gen9, pipe_control(STALL_AND_FLUSH | 1 << 28), "reserved bits"),
        (Generation::Gen11, pipe_control(STALL_AND_FLUSH | 1 << 25), "reserved bits"),
        (Generation::Gen12, pipe_control(1 << 30), "reserved bits"),
        (Generation::Gen11, [0x7a00_0204, STALL_AND_FLUSH, 0, 0, 0, 0], "reserved header bits"),
        (
            Generation::Gen9,
            [0x7a00_0004, STALL_AND_FLUSH | 1 << 23 | 1 << 14, 0x2600, 0, 0, 0],
            "post-sync field",
        ),
        (
            Generation::Gen9,
            [0x7a00_0004, STALL_AND_FLUSH | 1 << 14, DATA_LOW + 4, DATA_HIGH, 0, 0],
            "aligned",
        ),
    ];
    for (generation, dwords, rule) in cases {
        let mut machine = render(generation);
        assert_eq!(machine.ring(&dwords), Outcome::RingEmpty);
        machine.assert_broken(rule);
    }
}

#[test]
fn a_null_pipe_control_before_a_vf_invalidation_satisfies_gen9() {
    let mut machine = render(Generation::Gen9);
    machine.ring(&pipe_control(0));
    machine.ring(&pipe_control(1 << 5));
    machine.ring(&pipe_control(STALL_AND_FLUSH | 1 << 4));
    machine.assert_clean();
    machine.ring(&pipe_control(STALL_AND_FLUSH | 1 << 4));
    machine.assert_broken("VF invalidation");
}

#[test]
fn a_stall_alone_is_fine_since_gen11() {
    let mut machine = render(Generation::Gen11);
    machine.ring(&pipe_control(1 << 20));
    machine.assert_clean();
}

#[test]
fn a_non_privileged_pipe_control_flushes_but_writes_neither_ggtt_nor_registers() {
    for (flags, address) in [(1 << 14 | 1 << 24, 0x6_0000), (1 << 14 | 1 << 21, 0xd0), (1 << 23, 0x2600)] {
        let mut machine = render(Generation::Gen12);
        machine.bus.whitelist.insert(0x2600);
        machine.batch(&[0x7a00_0004, STALL_AND_FLUSH | flags, address, 0, 1, 0]);
        assert_eq!(machine.bus.violations.len(), 1, "{flags:#x}");
        assert_eq!(machine.bus.flushes.len(), 1);
        assert_eq!((machine.read(Space::Ggtt, 0x6_0000), machine.gpr(0)), (0, 0));
    }
}

#[test]
fn a_short_pipe_control_hangs() {
    let mut machine = render(Generation::Gen9);
    let Outcome::Error(error) = machine.ring(&[0x7a00_0003, 0, 0, 0, 0, 0]) else { panic!() };
    assert_eq!(error.kind, ErrorKind::BadLength);
}

/// A marker after each command proves that its length was understood.
fn skips(generation: Generation, engine: gpu_model::commands::Engine, command: &[u32]) -> Machine {
    let mut machine = Machine::new(generation, engine);
    let mut dwords = command.to_vec();
    dwords.extend([0x1000_0002, DATA_LOW, DATA_HIGH, 0x5a5a]);
    assert_eq!(machine.batch(&dwords), Outcome::RingEmpty, "{:#x}", command[0]);
    assert_eq!(machine.read(Space::Ppgtt, DATA), 0x5a5a, "{:#x}", command[0]);
    machine
}

fn padded(header: u32, dwords: usize) -> Vec<u32> {
    // Payload that would hang if it were executed.
    let mut command = vec![0xffff_ffff; dwords];
    command[0] = header;
    command
}

#[test]
fn state_commands_are_skipped_silently() {
    let cases = [
        (0x6904_0003, 1),   // PIPELINE_SELECT
        (0x680b_0001, 1),   // 3DSTATE_VF_STATISTICS
        (0x6101_0014, 22),  // STATE_BASE_ADDRESS
        (0x7000_0007, 9),   // MEDIA_VFE_STATE
        (0x7810_0007, 9),   // 3DSTATE_VS
        (0x7907_001f, 33),  // 3DSTATE_POLY_STIPPLE_PATTERN
        (0x7917_0101, 259), // 3DSTATE_SO_DECL_LIST, nine length bits
        (0x7808_0003, 5),   // 3DSTATE_VERTEX_BUFFERS
    ];
    for (header, dwords) in cases {
        let machine = skips(Generation::Gen12, RCS, &padded(header, dwords));
        machine.assert_clean();
    }
}

#[test]
fn lengths_differ_by_generation() {
    for (generation, dwords) in
        [(Generation::Gen8, 16), (Generation::Gen9, 19), (Generation::Gen11, 22), (Generation::Gen12, 22)]
    {
        let header = 0x6101_0000 | (dwords as u32 - 2);
        skips(generation, RCS, &padded(header, dwords)).assert_clean();
        skips(generation, RCS, &padded(header + 1, dwords + 1)).assert_broken("another length");
    }
}

#[test]
fn commands_that_start_work_are_reported_as_not_executed() {
    let cases = [
        (0x7b00_0005, 7, "3DPRIMITIVE"),
        (0x7105_000d, 15, "GPGPU_WALKER"),
        (0x7100_0004, 6, "MEDIA_OBJECT"),
        (0x7103_000f, 17, "MEDIA_OBJECT_WALKER"),
    ];
    for (header, dwords, name) in cases {
        let machine = skips(Generation::Gen9, RCS, &padded(header, dwords));
        assert_eq!(machine.unexecuted(), [name]);
        assert!(machine.broken_rules().is_empty());
    }
}

#[test]
fn a_draw_is_an_arbitration_point() {
    let mut machine = render(Generation::Gen9);
    machine.bus.preempt = true;
    assert_eq!(machine.ring(&[0x7b00_0005, 0, 0, 0, 0, 0, 0, 0]), Outcome::ArbitrationPoint);
}

#[test]
fn unknown_render_commands_are_skipped_by_their_length_and_reported() {
    skips(Generation::Gen9, RCS, &padded(0x78f0_0003, 5)).assert_broken("does not exist on this generation");
    // 3DSTATE_CONSTANT_ALL is Gen12's.
    skips(Generation::Gen9, RCS, &padded(0x786d_0002, 4)).assert_broken("does not exist on this generation");
    skips(Generation::Gen12, RCS, &padded(0x786d_0002, 4)).assert_clean();
}

#[test]
fn codec_commands_are_skipped_on_video_engines_only() {
    let skipped = skips(Generation::Gen9, VCS, &padded(0x7102_0045, 71));
    assert_eq!(skipped.unexecuted(), ["codec command"]);
    // Twelve length bits.
    skips(Generation::Gen9, VCS, &padded(0x7702_033d, 831));
    skips(Generation::Gen12, VCS, &padded(0x6800_0000, 1)).assert_clean();
    let mut machine = machine();
    assert!(matches!(machine.ring(&[0x7102_0000, 0]), Outcome::Error(_)));
}

#[test]
fn a_skipped_command_is_not_fetched_beyond_its_header() {
    // Its payload lies in unmapped memory; only the length matters.
    let end = support::PPGTT_BASE + support::MEMORY as u64;
    let mut machine = render(Generation::Gen9);
    machine.load(Space::Ppgtt, end - 4, &[0x7103_ffff]);
    let Outcome::Fault(fault) = machine.ring(&support::bb_start(Space::Ppgtt, end - 4)) else { panic!() };
    assert_eq!(fault.fault.address, end - 4 + 4 * 0x1_0001);
}
