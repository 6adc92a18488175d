// SPDX-License-Identifier: BSD-2-Clause
//! Domains that talk to each other.

use anyhow::Result;
use boot_tests::System;

#[test]
fn a_protected_call_carries_every_word_there_and_back_and_tells_its_channel() -> Result<()> {
    System::new("protected_call")?.passes().map(drop)
}

#[test]
fn notifications_of_one_round_arrive_together_each_channel_once() -> Result<()> {
    System::new("notification")?.passes().map(drop)
}

#[test]
fn shared_memory_shows_what_the_other_wrote_with_small_and_large_pages() -> Result<()> {
    System::new("shared_memory")?.passes().map(drop)
}

#[test]
fn a_deferred_action_happens_besides_the_answer() -> Result<()> {
    System::new("deferred_action")?.passes().map(drop)
}

#[test]
fn the_higher_priority_runs_first() -> Result<()> {
    System::new("priority")?.passes().map(drop)
}
