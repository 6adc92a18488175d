// SPDX-License-Identifier: BSD-2-Clause
//! The fuzz targets' scenarios with proptest's bytes. `PROPTEST_CASES=100000 cargo test -p gpu-model --test hostile`
//! runs for longer; `fuzz/run.sh` is guided by coverage.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "../fuzz/src/scenarios.rs"]
mod scenarios;

use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #[test]
    fn any_register_accesses_leave_the_model_alive(data in vec(any::<u8>(), 0..600)) {
        scenarios::registers(&data);
    }

    #[test]
    fn any_context_ring_table_and_batch_ends_in_work_or_a_hang(data in vec(any::<u8>(), 0..600)) {
        scenarios::submission(&data);
    }

    #[test]
    fn any_commands_in_ring_or_batch_end_in_work_or_a_hang(data in vec(any::<u8>(), 0..600)) {
        scenarios::commands(&data);
    }

    #[test]
    fn any_remapping_tables_lead_into_memory_or_to_a_fault(data in vec(any::<u8>(), 0..400)) {
        scenarios::remapping(&data);
    }

    #[test]
    fn any_page_tables_end_in_a_page_or_a_fault(data in vec(any::<u8>(), 0..200)) {
        scenarios::tables(&data);
    }

    #[test]
    fn any_bytes_on_the_proxy_socket_are_parsed_or_refused(data in vec(any::<u8>(), 0..400)) {
        scenarios::protocol(&data);
    }

    #[test]
    fn any_record_is_replayed_or_refused(
        head in "(gpu (tgl|skl|nv50|) (instant|realtime|busy|silent|x)( (keep|host|device=[0-9a-f]{0,5}|lose=[0-9a-f]{0,9}\
                 |budget=[0-9a-f]{0,3}|x=1)){0,3}\n)?",
        lines in vec(
            ("cr|cw|r|w|s|t|dr|dw|dx|m|reset|hide|timing (instant|realtime|busy|silent|x)", vec(0u64..0x200_0000, 0..5)),
            0..40,
        )
    ) {
        let lines: String = lines
            .iter()
            .map(|(kind, numbers)| {
                let numbers: Vec<String> = numbers.iter().map(|number| format!("{number:x}")).collect();
                format!("{kind} {}\n", numbers.join(" "))
            })
            .collect();
        scenarios::replay(format!("{head}{lines}").as_bytes());
    }
}

#[test]
fn the_scenarios_run_their_context_when_nothing_is_spoiled() {
    // Platform, engine, no spoils: the ring holds NOOPs up to the tail.
    for platform in 0..8 {
        for engine in 0..4 {
            // With and without batches of the restore, with a second element, with another engine.
            for extras in [0, 7, 8, 11] {
                assert!(
                    scenarios::submission(&[platform, engine, extras, 0]),
                    "{platform} {engine} {extras}"
                );
                for place in 0..4 {
                    let ran = scenarios::commands(&[platform, engine, extras, place]);
                    assert!(ran, "{platform} {engine} {extras} {place}");
                }
            }
        }
    }
}
