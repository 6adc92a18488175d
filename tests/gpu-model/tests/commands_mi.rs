// SPDX-License-Identifier: BSD-2-Clause
//! MI commands that store, load and signal. Headers are the golden values of PRM vol 2a.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

#[path = "commands_support/mod.rs"]
mod support;

use gpu_model::commands::{ErrorKind, Generation, Interrupt, Outcome, Space};
use support::{BCS, DATA, GENERATIONS, HWSP, Machine, PPHWSP, RCS, VCS, VCS2, split};

const DATA_LOW: u32 = DATA as u32;
const DATA_HIGH: u32 = (DATA >> 32) as u32;
const GGTT_DATA: u32 = 0x4_0000;

fn machine() -> Machine {
    Machine::new(Generation::Gen12, BCS)
}

#[test]
fn noop_with_bit_22_writes_its_identification_number() {
    let mut machine = machine();
    assert_eq!(machine.ring(&[0x0040_0000 | 0x2_5a5a, 0x0000_1234]), Outcome::RingEmpty);
    assert_eq!(machine.state.noop_id, 0x2_5a5a);
    assert_eq!(machine.state.read_register(0x94), Some(0x2_5a5a));
    machine.assert_clean();
}

#[test]
fn user_interrupt_raises_the_user_interrupt() {
    let mut machine = machine();
    assert_eq!(machine.ring(&[0x0100_0000]), Outcome::RingEmpty);
    assert_eq!(machine.bus.interrupts, [Interrupt::User]);
}

#[test]
fn store_data_imm_stores_a_dword_in_the_ppgtt_and_in_the_ggtt() {
    for generation in GENERATIONS {
        let mut machine = Machine::new(generation, BCS);
        machine.ring(&[
            0x1000_0002,
            DATA_LOW,
            DATA_HIGH,
            0xdead_beef,
            0x1040_0002,
            GGTT_DATA,
            0,
            0xcafe_f00d,
        ]);
        assert_eq!(machine.read_u64(Space::Ppgtt, DATA), 0xdead_beef);
        assert_eq!(machine.read(Space::Ggtt, GGTT_DATA.into()), 0xcafe_f00d);
        machine.assert_clean();
    }
}

#[test]
fn store_data_imm_stores_a_qword() {
    let mut machine = machine();
    machine.ring(&[0x1020_0003, DATA_LOW, DATA_HIGH, 0x1111_2222, 0x3333_4444]);
    assert_eq!(machine.read_u64(Space::Ppgtt, DATA), 0x3333_4444_1111_2222);
    machine.assert_clean();
}

#[test]
fn store_data_imm_stores_consecutive_dwords_and_qwords() {
    let mut machine = machine();
    machine.ring(&[0x1000_0004, DATA_LOW, DATA_HIGH, 1, 2, 3]);
    machine.ring(&[0x1020_0005, DATA_LOW + 16, DATA_HIGH, 4, 5, 6, 7]);
    let stored: Vec<u32> = (0..8).map(|i| machine.read(Space::Ppgtt, DATA + 4 * i)).collect();
    assert_eq!(stored, [1, 2, 3, 0, 4, 5, 6, 7]);
    machine.assert_clean();
}

#[test]
fn a_misaligned_store_is_reported_and_goes_to_the_aligned_address() {
    let mut machine = machine();
    machine.ring(&[0x1020_0003, DATA_LOW + 4, DATA_HIGH, 1, 2]);
    machine.assert_broken("aligned");
    assert_eq!(machine.read_u64(Space::Ppgtt, DATA), 0x2_0000_0001);
}

#[test]
fn a_non_canonical_address_is_reported() {
    let mut machine = machine();
    machine.ring(&[0x1000_0002, DATA_LOW, DATA_HIGH | 1 << 16, 7]);
    machine.assert_broken("canonical");
    assert_eq!(machine.read(Space::Ppgtt, DATA), 7);
}

#[test]
fn a_canonical_address_of_the_upper_half_is_not_reported_and_faults_with_48_bits() {
    let mut machine = machine();
    let Outcome::Fault(fault) = machine.ring(&[0x1000_0002, 0x1000, 0xffff_8000, 7]) else { panic!() };
    assert_eq!(fault.fault.address, 0x8000_0000_1000);
    machine.assert_clean();
}

#[test]
fn store_data_index_writes_the_status_pages() {
    let mut machine = machine();
    machine.ring(&[0x1080_0001, 0x100, 0xaaaa, 0x10a0_0002, 0xd0, 0x1111, 0x2222]);
    assert_eq!(machine.read(Space::Ggtt, HWSP + 0x100), 0xaaaa);
    assert_eq!(machine.read_u64(Space::Ggtt, PPHWSP + 0xd0), 0x2222_0000_1111);
    machine.assert_clean();
}

#[test]
fn store_data_index_into_the_hardwares_part_of_the_status_page_is_reported() {
    let mut machine = machine();
    machine.ring(&[0x1080_0001, 0x40, 1]);
    machine.assert_broken("belong to the hardware");
}

#[test]
fn store_data_index_with_more_than_an_offset_is_reported() {
    for offset in [0x101, 0x1000_0100] {
        let mut machine = machine();
        machine.ring(&[0x1080_0001, offset, 0xaaaa]);
        machine.assert_broken("dword 1 holds nothing but the aligned offset");
        assert_eq!(machine.read(Space::Ggtt, HWSP + 0x100), 0xaaaa);
    }
}

#[test]
fn report_head_writes_the_head_to_status_page_dword_4() {
    let mut machine = machine();
    machine.ring(&[0, 0, 0x0380_0000, 0]);
    assert_eq!(machine.read(Space::Ggtt, HWSP + 16), 8);
}

#[test]
fn load_register_imm_writes_pairs() {
    let mut machine = machine();
    machine.ring(&[0x1100_1003, 0x2_2600, 0x1234_5678, 0x2_2604, 0x9abc_def0]);
    assert_eq!(machine.gpr(0), 0x9abc_def0_1234_5678);
    machine.assert_clean();
}

#[test]
fn load_register_imm_is_relative_to_the_engine_since_gen11() {
    for generation in [Generation::Gen11, Generation::Gen12] {
        let mut machine = Machine::new(generation, BCS);
        machine.ring(&[0x1108_0001, 0x608, 5]);
        assert_eq!(machine.gpr(1), 5);
        machine.assert_clean();
    }
    let mut machine = Machine::new(Generation::Gen9, BCS);
    machine.ring(&[0x1108_0001, 0x2_2608, 5]);
    machine.assert_broken("reserved header bits");
    assert_eq!(machine.gpr(1), 5);
}

#[test]
fn the_documented_example_of_relative_addressing_reaches_the_sum() {
    // PRM: 0x2000 relative on the render engine is register 0x4000.
    let mut machine = Machine::new(Generation::Gen12, RCS);
    machine.ring(&[0x1108_0001, 0x2000, 0xabcd]);
    assert_eq!(machine.bus.register(0x4000), 0xabcd);
}

#[test]
fn byte_write_disables_leave_bytes_of_the_register() {
    let mut machine = machine();
    machine.set_gpr(0, 0x1111_1111);
    machine.ring(&[0x1100_0501, 0x2_2600, 0x2233_4455]);
    assert_eq!(machine.gpr(0), 0x2211_4411);
    machine.assert_clean();
}

#[test]
fn register_operands_are_remapped_to_the_executing_video_engine_on_gen12() {
    let mut machine = Machine::new(Generation::Gen12, VCS2);
    machine.ring(&[0x1102_0001, 0x1c_0600, 7, 0x1102_0001, 0x2600, 8]);
    assert_eq!(machine.gpr(0), 7);
    assert_eq!(machine.bus.register(0x2600), 8);
    machine.assert_clean();
}

#[test]
fn load_register_imm_with_an_even_number_of_operands_missing_one_hangs() {
    let mut machine = machine();
    let Outcome::Error(error) = machine.ring(&[0x1100_0002, 0x2_2600, 1, 0x2_2604]) else { panic!() };
    assert_eq!(error.kind, ErrorKind::BadLength);
    assert_eq!(error.header, 0x1100_0002);
}

#[test]
fn register_operands_with_reserved_bits_are_reported() {
    let mut machine = machine();
    machine.ring(&[0x1100_0001, 0x8002_2600, 1]);
    machine.assert_broken("[22:2]");
}

#[test]
fn a_stream_that_writes_its_own_ring_registers_is_reported_and_not_obeyed() {
    let mut machine = machine();
    assert_eq!(machine.ring(&[0x1100_0001, 0x2_2030, 0x800]), Outcome::RingEmpty);
    machine.assert_broken("own parser");
}

#[test]
fn registers_travel_between_memory_and_registers() {
    let mut machine = machine();
    machine.load(Space::Ppgtt, DATA, &[0x600d_cafe]);
    machine.load(Space::Ggtt, GGTT_DATA.into(), &[0x0bad_beef]);
    machine.ring(&[
        0x1480_0002,
        0x2_2600,
        DATA_LOW,
        DATA_HIGH, // LRM GPR0
        0x14c0_0002,
        0x2_2604,
        GGTT_DATA,
        0, // LRM GPR0 upper, GGTT
        0x1500_0001,
        0x2_2600,
        0x2_2608, // LRR GPR0 -> GPR1
        0x1200_0002,
        0x2_2608,
        DATA_LOW + 8,
        DATA_HIGH, // SRM
        0x1240_0002,
        0x2_2604,
        GGTT_DATA + 8,
        0, // SRM GGTT
    ]);
    assert_eq!(machine.gpr(0), 0x0bad_beef_600d_cafe);
    assert_eq!(machine.gpr(1), 0x600d_cafe);
    assert_eq!(machine.read(Space::Ppgtt, DATA + 8), 0x600d_cafe);
    assert_eq!(machine.read(Space::Ggtt, u64::from(GGTT_DATA) + 8), 0x0bad_beef);
    machine.assert_clean();
}

#[test]
fn load_register_reg_has_separate_relative_bits_for_source_and_destination() {
    let mut machine = machine();
    machine.set_gpr(2, 77);
    machine.ring(&[0x1504_0001, 0x610, 0x2_2618, 0x1508_0001, 0x2_2610, 0x620]);
    assert_eq!((machine.gpr(3), machine.gpr(4)), (77, 77));
    machine.assert_clean();
}

#[test]
fn store_register_mem_sees_the_streams_own_registers() {
    let mut machine = machine();
    machine.ring(&[
        0x1200_0002,
        0x2_2038,
        DATA_LOW,
        DATA_HIGH,
        0x1200_0002,
        0x2_2034,
        DATA_LOW + 4,
        DATA_HIGH,
    ]);
    assert_eq!(machine.read(Space::Ppgtt, DATA), support::RING);
    assert_eq!(machine.read(Space::Ppgtt, DATA + 4), 16);
}

#[test]
fn a_predicated_register_store_needs_the_predicate_result() {
    let mut machine = Machine::new(Generation::Gen9, RCS);
    let store = [0x1220_0002, 0x2600, DATA_LOW, DATA_HIGH];
    machine.set_gpr(0, 9);
    machine.ring(&store);
    assert_eq!(machine.read(Space::Ppgtt, DATA), 0);
    machine.set_register(0x418, 1);
    machine.ring(&store);
    assert_eq!(machine.read(Space::Ppgtt, DATA), 9);
    machine.assert_clean();
}

#[test]
fn copy_mem_mem_copies_one_dword_between_the_spaces() {
    let mut machine = machine();
    machine.load(Space::Ppgtt, DATA, &[1, 2]);
    machine.ring(&[0x1700_0003, DATA_LOW + 64, DATA_HIGH, DATA_LOW, DATA_HIGH]);
    machine.ring(&[0x1720_0003, GGTT_DATA, 0, DATA_LOW + 4, DATA_HIGH]);
    machine.ring(&[0x1740_0003, DATA_LOW + 72, DATA_HIGH, GGTT_DATA, 0]);
    assert_eq!(machine.read(Space::Ppgtt, DATA + 64), 1);
    assert_eq!(machine.read(Space::Ggtt, GGTT_DATA.into()), 2);
    assert_eq!(machine.read(Space::Ppgtt, DATA + 72), 2);
    machine.assert_clean();
}

#[test]
fn update_gtt_writes_consecutive_entries() {
    let mut machine = machine();
    machine.ring(&[0x1180_0004, 0x0012_3000, 0x8000_0001, 0x1, 0x9000_0001, 0x2]);
    assert_eq!(machine.bus.gtt_updates, [(0x123, 0x1_8000_0001), (0x124, 0x2_9000_0001)]);
    machine.assert_clean();
}

#[test]
fn update_gtt_outside_the_ring_is_reported() {
    let mut machine = machine();
    assert_eq!(machine.batch_in(Space::Ggtt, 0x5_0000, &[0x1180_0002, 0x1000, 1, 0]), Outcome::RingEmpty);
    machine.assert_broken("belongs into the ring");
    assert_eq!(machine.bus.gtt_updates.len(), 1);
}

#[test]
fn update_gtt_of_an_address_inside_a_page_is_reported() {
    let mut machine = machine();
    machine.ring(&[0x1180_0002, 0x0012_3004, 0x8000_0001, 0]);
    machine.assert_broken("dword 1 names a page");
    assert_eq!(machine.bus.gtt_updates, [(0x123, 0x8000_0001)]);
}

#[test]
fn set_context_is_reported_because_contexts_are_switched_by_submission() {
    let mut machine = Machine::new(Generation::Gen9, RCS);
    machine.ring(&[0x0c00_0000, 0]);
    machine.assert_broken("contexts are switched by submission");
}

#[test]
fn a_predicate_load_that_does_not_exist_is_reported() {
    let mut machine = machine();
    machine.ring(&[0x0600_0040, 0]);
    machine.assert_broken("load operation 1 does not exist");
}

#[test]
fn force_wakeup_clflush_and_suspend_flush_have_no_effect() {
    let mut machine = Machine::new(Generation::Gen12, RCS);
    assert_eq!(
        machine.ring(&[0x0e80_0000, 0x0002_0002, 0x1380_0001, DATA_LOW, DATA_HIGH, 0x0580_0001]),
        Outcome::RingEmpty
    );
    machine.assert_clean();
}

#[test]
fn semaphore_signal_names_target_engine_and_context() {
    let mut machine = Machine::new(Generation::Gen9, BCS);
    machine.ring(&[0x0d81_0000, 0x1234, 0x0d82_0000, 0x5678]);
    assert_eq!(machine.bus.signals, [(2, 0x1234), (4, 0x5678)]);
    machine.assert_clean();
}

#[test]
fn commands_of_the_display_are_skipped_and_reported() {
    let mut machine = Machine::new(Generation::Gen9, BCS);
    assert_eq!(machine.ring(&[0x0180_0002, 0x0a00_0001, 0, 0, 0x0900_0000, 0]), Outcome::RingEmpty);
    assert_eq!(machine.unexecuted(), ["MI_WAIT_FOR_EVENT", "MI_DISPLAY_FLIP", "MI_LOAD_SCAN_LINES_INCL"]);
}

#[test]
fn reserved_opcodes_hang_with_their_header_and_position() {
    for header in [0x0800_0000, 0x0b00_0001, 0x1f80_0000, 0x2000_0000, 0xe000_0000] {
        let mut machine = machine();
        let Outcome::Error(error) = machine.ring(&[0, 0, header, 0]) else { panic!("{header:#x}") };
        assert_eq!((error.kind, error.header), (ErrorKind::UnknownCommand, header));
        assert_eq!(error.position.address, u64::from(support::RING) + 8);
        assert_eq!(machine.state.read_register(0x68), Some(header));
        // A hang stays a hang.
        assert_eq!(machine.run(), Outcome::Error(error));
    }
}

#[test]
fn commands_that_came_later_do_not_exist_before() {
    // MI_FORCE_WAKEUP came with Gen9, MI_WAIT_FOR_EVENT_2 with Gen11.
    for (generation, header) in [(Generation::Gen8, 0x0e80_0000), (Generation::Gen9, 0x0200_0000)] {
        let mut machine = Machine::new(generation, BCS);
        let Outcome::Error(error) = machine.ring(&[header, 0]) else { panic!("{header:#x}") };
        assert_eq!(error.kind, ErrorKind::UnknownCommand);
    }
}

#[test]
fn too_short_lengths_hang_and_too_long_ones_are_reported() {
    let mut short = machine();
    let Outcome::Error(error) = short.ring(&[0x1000_0001, DATA_LOW, DATA_HIGH, 0]) else { panic!() };
    assert_eq!(error.kind, ErrorKind::BadLength);
    let mut long = machine();
    assert_eq!(
        long.ring(&[0x1200_0004, 0x2_2600, DATA_LOW, DATA_HIGH, 0xffff_ffff, 0xffff_ffff]),
        Outcome::RingEmpty
    );
    long.assert_broken("exceeds the command");
}

#[test]
fn reserved_header_bits_are_reported() {
    let mut machine = machine();
    machine.ring(&[0x0100_0010, 0]);
    machine.assert_broken("reserved header bits");
    assert_eq!(machine.bus.interrupts, [Interrupt::User]);
}

#[test]
fn commands_of_other_engines_hang() {
    let flush_dw = [0x1300_0002, 0, 0, 0];
    let pipe_control = [0x7a00_0004, 0, 0, 0, 0, 0];
    let color = [0x5400_0005, 0, 0, 0, 0, 0, 0, 0];
    let clflush = [0x1380_0001, 0, 0, 0];
    let cases: [(_, &[u32]); 6] = [
        (RCS, &flush_dw),
        (BCS, &pipe_control),
        (VCS, &pipe_control),
        (RCS, &color),
        (VCS, &color),
        (BCS, &clflush),
    ];
    for (engine, dwords) in cases {
        let mut machine = Machine::new(Generation::Gen12, engine);
        let Outcome::Error(error) = machine.ring(dwords) else { panic!("{engine:?} {:#x}", dwords[0]) };
        assert_eq!(error.kind, ErrorKind::WrongEngine, "{engine:?} {:#x}", dwords[0]);
    }
}

#[test]
fn an_operand_fault_names_address_and_command_and_is_retried() {
    let mut machine = machine();
    let [low, high] = split(0x7000_0000_1000);
    let outcome = machine.ring(&[0x1000_0002, low, high, 1]);
    let Outcome::Fault(fault) = &outcome else { panic!("{outcome:?}") };
    assert_eq!((fault.fault.address, fault.header), (0x7000_0000_1000, 0x1000_0002));
    assert_eq!(machine.run(), outcome);
    assert_eq!(machine.state.head_offset(), 0);
}
