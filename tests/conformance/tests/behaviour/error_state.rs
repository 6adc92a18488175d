// SPDX-License-Identifier: BSD-2-Clause
//! What a client can read of its request that hung.

use std::io::Write;
use std::process::{Command, Stdio};

use conformance::wire::{Link, param, reads, writes};
use conformance::{Region, Rig, Settings, batch};
use gpu_protocol::{CloneFlags, ContextParam, Errno, Operation, ReadErrorState, SubmitObject};
use intel_gpu::Config;

const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x5_0000_0000;
const BLITTER: u32 = 3;
/// Where the text is put in the message area.
const BUFFER: usize = 8192;

fn read(offset: u64, length: u32, flags: u32) -> ReadErrorState {
    ReadErrorState { offset, buffer: BUFFER as u64, length, flags }
}

/// Reads the text in pieces.
fn text(rig: &mut Rig, client: usize) -> String {
    let mut text = Vec::new();
    loop {
        let words = rig.op(client, Operation::ErrorState, &read(text.len() as u64, 4000, 0)).unwrap();
        let count = usize::try_from(words[0]).unwrap();
        text.extend_from_slice(rig.read_area(client, BUFFER, count));
        if text.len() as u64 == words[1] {
            return String::from_utf8(text).unwrap();
        }
        assert!(count > 0, "it goes on");
    }
}

/// A client whose batch did not end.
fn hung(platform: &'static str) -> Rig {
    let mut hanger = Hanger::new(platform);
    let context = hanger.rig.context_create(0, 0, &[]).unwrap();
    hanger.hang(context);
    hanger.rig
}

/// A client with a batch that does not end.
struct Hanger {
    rig: Rig,
    list: [SubmitObject; 2],
    regions: [Region; 2],
}

impl Hanger {
    fn new(platform: &'static str) -> Self {
        let mut settings = Settings::new(platform);
        settings.options.instant_budget = 2_000;
        settings.config = Config { hang_ns: 50_000_000, preempt_timeout_ns: 20_000_000, ..settings.config };
        let mut rig = Rig::with(settings);
        let regions = [rig.region(0, 3), rig.region(0, 1)];
        let objects = regions.map(|region| rig.userptr(0, region));
        rig.poke(regions[1].physical, &batch::endless(CODE));
        Self { rig, list: [writes(objects[0], DATA), reads(objects[1], CODE)], regions }
    }

    fn hang(&mut self, context: u32) {
        let fence = self.rig.run(0, context, BLITTER, &self.list, &[], &self.regions).unwrap();
        assert!(self.rig.wait(60_000_000_000, |rig| rig.reached(0, fence)));
    }
}

#[test]
fn the_text_lists_what_was_bound_marked_as_userptr_and_holds_the_batch() {
    for platform in ["skl", "tgl"] {
        let mut rig = hung(platform);
        let text = text(&mut rig, 0);
        assert!(text.contains("Active (bcs0) [2]:\n"), "{text}");
        assert!(text.contains("    00000005_00000000    12288 02 02 userptr LLC\n"), "{text}");
        assert!(text.contains("    00000000_00100000     4096 02 02 userptr LLC\n"), "{text}");
        let mut decoder = Command::new("intel_error_decode")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("intel_error_decode is there: `make setup` installs intel-gpu-tools");
        let mut input = decoder.stdin.take().unwrap();
        let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
        let output = decoder.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        let decoded = String::from_utf8(output.stdout).unwrap();
        // The first command of the batch, at its address.
        let mut batch =
            decoded.lines().skip_while(|line| !line.starts_with("batch (bcs0) at 0x00000000_00100000"));
        assert!(batch.any(|line| line.contains("MI_BATCH_BUFFER_START")), "{platform}: {decoded}");
    }
}

#[test]
fn nobody_hung_is_an_empty_text_and_another_clients_hang_is_eperm() {
    let mut rig = Rig::new("tgl");
    assert_eq!(
        rig.op(0, Operation::ErrorState, &read(0, 100, 1)).map(|words| words[..2].to_vec()),
        Ok(vec![0, 0])
    );
    let mut rig = hung("tgl");
    rig.refused(1, Operation::ErrorState, &read(0, 100, 0), Errno::Perm);
    rig.refused(1, Operation::ErrorState, &read(0, 100, 1), Errno::Perm);
    assert!(!text(&mut rig, 0).is_empty());
}

#[test]
fn wrong_arguments_have_their_errors_and_keep_the_record() {
    let mut rig = hung("tgl");
    let whole = text(&mut rig, 0);
    for bit in 1..32 {
        rig.refused(0, Operation::ErrorState, &read(0, 100, 1 << bit), Errno::Inval);
    }
    let end = rig.area_len(0) as u64;
    for buffer in [end - 99, end, u64::MAX] {
        let read = ReadErrorState { buffer, ..read(0, 100, 1) };
        rig.refused(0, Operation::ErrorState, &read, Errno::Fault);
    }
    // Behind the end there is nothing.
    for offset in [whole.len() as u64, u64::MAX] {
        let words = rig.op(0, Operation::ErrorState, &read(offset, 100, 0)).unwrap();
        assert_eq!(words[..2], [0, whole.len() as u64]);
    }
    assert_eq!(text(&mut rig, 0), whole);
}

#[test]
fn a_cleared_record_is_gone() {
    let mut rig = hung("tgl");
    rig.op(0, Operation::ErrorState, &read(0, 0, 1)).unwrap();
    assert_eq!(text(&mut rig, 0), "");
}

#[test]
fn a_context_without_error_capture_leaves_no_record_and_the_next_ones_hang_is_recorded() {
    for platform in ["skl", "tgl"] {
        let mut hanger = Hanger::new(platform);
        let silent = hanger.rig.context_create(0, 0, &[param(ContextParam::NO_ERROR_CAPTURE, 1)]).unwrap();
        hanger.hang(silent);
        assert_eq!(hanger.rig.reset_stats(0, silent), Ok([0, 1, 0]));
        assert_eq!(text(&mut hanger.rig, 0), "", "{platform}");
        // Nor does a clone of it.
        let clone = hanger.rig.context_with(0, 0, &[Link::Clone(silent, CloneFlags::FLAGS)]).unwrap();
        hanger.hang(clone);
        assert_eq!(text(&mut hanger.rig, 0), "", "{platform}");
        let other = hanger.rig.context_create(0, 0, &[]).unwrap();
        hanger.hang(other);
        assert_ne!(text(&mut hanger.rig, 0), "", "{platform}");
    }
}

#[test]
fn error_capture_can_be_switched_while_the_context_is_in_use() {
    let mut hanger = Hanger::new("tgl");
    let context = hanger.rig.context_create(0, 0, &[]).unwrap();
    hanger.hang(context);
    for (off, recorded) in [(1, false), (0, true)] {
        hanger.rig.op(0, Operation::ErrorState, &read(0, 0, 1)).unwrap();
        hanger.rig.set(0, context, ContextParam::NO_ERROR_CAPTURE, off).unwrap();
        // Not the third hang, which would ban it.
        hanger.rig.model().advance(130_000_000_000);
        hanger.hang(context);
        assert_eq!(!text(&mut hanger.rig, 0).is_empty(), recorded);
    }
}
