// SPDX-License-Identifier: BSD-2-Clause
//! What a client can read of its request that hung.

use std::io::Write;
use std::process::{Command, Stdio};

use conformance::wire::{Link, param, reads, writes};
use conformance::{Region, Rig, Settings, batch};
use gpu_model::Timing;
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
        // A reset waits 100 ms for what does not stop.
        rig.driver.gpu().hardware_mut().pause = (1_000_000, 1_000);
        let regions = [rig.region(0, 3), rig.region(0, 1)];
        let objects = regions.map(|region| rig.userptr(0, region));
        rig.poke(regions[1].physical, &batch::endless(CODE));
        Self { rig, list: [writes(objects[0], DATA), reads(objects[1], CODE)], regions }
    }

    fn hang(&mut self, context: u32) {
        self.hang_on(context, BLITTER);
    }

    fn hang_on(&mut self, context: u32, engine: u32) {
        let fence = self.rig.run(0, context, engine, &self.list, &[], &self.regions).unwrap();
        assert!(self.rig.wait(60_000_000_000, |rig| rig.reached(0, fence)));
    }

    /// The batch is in 4 pages, lent or the driver's, and is `dwords` behind `offset` bytes of MI_NOOP.
    fn use_long_batch(&mut self, lent: bool, dwords: &[u32], offset: u64) {
        let object = if lent {
            self.regions[1] = self.rig.region(0, 4);
            self.rig.poke(self.regions[1].physical + offset, dwords);
            self.rig.userptr(0, self.regions[1])
        } else {
            let object = self.rig.gem_create(0, 4 * 4096).unwrap();
            let bytes: Vec<u8> = dwords.iter().flat_map(|dword| dword.to_le_bytes()).collect();
            self.rig.gem_write(0, object, offset, &bytes).unwrap();
            object
        };
        self.list[1] = reads(object, CODE);
    }

    /// A batch of the context is executed when the GPU is reset, and executed again.
    fn lose_to_a_reset(&mut self, context: u32) {
        let gate = self.regions[0].physical;
        self.rig.poke(gate, &[0; 4]);
        let platform = self.rig.platform();
        let code = self.rig.region(0, 1);
        self.rig.poke(code.physical, &batch::gated_store(platform, DATA, 1, DATA + 4, 1));
        let object = self.rig.userptr(0, code);
        let list = [self.list[0], reads(object, CODE + 0x10_0000)];
        let fence = self.rig.run(0, context, BLITTER, &list, &[], &[self.regions[0], code]).unwrap();
        self.rig.settle_for(1_000_000);
        self.rig.driver.gpu().reset().unwrap();
        self.rig.poke(gate, &[1]);
        assert!(self.rig.wait(60_000_000_000, |rig| rig.reached(0, fence)));
        assert_eq!(self.rig.peek(gate + 4), 1, "it was executed");
    }

    /// What the text says of the context, which must be so; and what its counts are after this hang.
    fn counted(&mut self, counts: &str) -> [u64; 2] {
        let text = text(&mut self.rig, 0);
        let line = text.lines().find(|line| line.starts_with("  Active context: ")).expect("a line of it");
        assert!(line.contains(&format!(" prio 0, {counts}, runtime total ")), "{line}");
        let mut numbers = counts.split(' ').filter_map(|word| word.parse::<u64>().ok());
        [numbers.next().unwrap() + 1, numbers.next().unwrap()]
    }
}

/// What the decoder makes of a text.
fn decoded(text: String) -> String {
    let mut decoder = Command::new("intel_error_decode")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("intel_error_decode is there: `make setup` installs intel-gpu-tools");
    let mut input = decoder.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = decoder.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_text_lists_what_was_bound_marked_as_userptr_with_its_handle() {
    for platform in ["bdw", "skl", "glk", "icl", "tgl"] {
        let mut rig = hung(platform);
        let text = text(&mut rig, 0);
        let cached = if platform == "glk" { "snooped" } else { "LLC" };
        assert!(text.contains("Active (bcs0) [2]:\n"), "{text}");
        let data = format!("    00000005_00000000    12288 02 02 userptr {cached} (name: 1)\n");
        let code = format!("    00000000_00100000     4096 02 00 userptr {cached} (name: 2)\n");
        assert!(text.contains(&data) && text.contains(&code), "{text}");
        assert!(text.contains("  batch: [0x00000000_00100000, 0x00000000_00101000]\n"), "{text}");
    }
}

/// The driver has no access to the pages: the engine that hung copies the batch after its reset.
#[test]
fn a_batch_in_lent_pages_is_in_the_text_on_every_part() {
    for platform in ["bdw", "skl", "kbl", "glk", "icl", "tgl", "rkl", "adls"] {
        let mut hanger = Hanger::new(platform);
        for engine in 1..=4 {
            let context = hanger.rig.context_create(0, 0, &[]).unwrap();
            let free = hanger.rig.driver.gpu().free_pages();
            hanger.hang_on(context, engine);
            let decoded = decoded(text(&mut hanger.rig, 0));
            // The first command of the batch, at its address.
            let batch = decoded.lines().skip_while(|line| !line.starts_with("batch ("));
            let mut batch = batch.skip_while(|line| !line.contains("at 0x00000000_00100000"));
            let found = batch.any(|line| line.contains("MI_BATCH_BUFFER_START"));
            assert!(found, "{platform}, engine {engine}: {decoded}");
            hanger.rig.op(0, Operation::ErrorState, &read(0, 0, 1)).unwrap();
            hanger.rig.context_destroy(0, context).unwrap();
            hanger.rig.settle();
            // At most the page of the timeline that the context needed is kept.
            let now = hanger.rig.driver.gpu().free_pages();
            assert!(now + 1 >= free, "{platform}: what was for that is free");
        }
        let own: Vec<String> = hanger
            .rig
            .model()
            .reports()
            .iter()
            .filter(|report| !report.client)
            .map(ToString::to_string)
            .collect();
        assert!(own.is_empty(), "{platform}: {own:#?}");
    }
}

#[test]
fn of_a_long_batch_the_text_has_what_is_around_the_head() {
    for platform in ["bdw", "skl", "icl", "tgl"] {
        for lent in [true, false] {
            let mut hanger = Hanger::new(platform);
            let context = hanger.rig.context_create(0, 0, &[]).unwrap();
            let at = CODE + 0x2a40;
            hanger.use_long_batch(lent, &batch::endless(at), 0x2a40);
            hanger.hang(context);
            let text = text(&mut hanger.rig, 0);
            let start = text.lines().find_map(|line| line.strip_prefix("bcs0 --- gtt_offset = 0x00000000 "));
            let start = u64::from_str_radix(start.expect("a batch"), 16).unwrap();
            let shown = if lent { 1344 } else { 4096 };
            assert!(start <= at && at < start + shown, "{platform}: {start:#x}");
            let decoded = decoded(text);
            let found = decoded
                .lines()
                .any(|line| line.contains("MI_BATCH_BUFFER_START") && line.contains(&format!("{at:08x}")));
            assert!(found, "{platform}, lent: {lent}: {decoded}");
        }
    }
}

#[test]
fn a_batch_that_cannot_be_read_any_more_is_missing_and_said_to_be() {
    for platform in ["skl", "tgl"] {
        let mut hanger = Hanger::new(platform);
        let context = hanger.rig.context_create(0, 0, &[]).unwrap();
        let fence = hanger.rig.run(0, context, BLITTER, &hanger.list, &[], &hanger.regions).unwrap();
        hanger.rig.settle_for(1_000);
        // The owner revokes the page under the batch.
        hanger.rig.domain.revoke(hanger.regions[1].physical);
        let began = hanger.rig.model().now_ns();
        assert!(hanger.rig.wait(60_000_000_000, |rig| rig.reached(0, fence)), "{platform}");
        let took = hanger.rig.model().now_ns() - began;
        assert!(took < 1_000_000_000, "{platform}: that it was tried has a bound: {took} ns");
        let text = text(&mut hanger.rig, 0);
        assert!(text.contains("  batch contents: could not be read\n"), "{platform}: {text}");
        assert!(!text.contains("gtt_offset"), "{platform}");
        assert_eq!(hanger.rig.reset_stats(0, context), Ok([0, 1, 0]), "{platform}: one hang");
    }
}

#[test]
fn a_batch_on_a_gpu_that_cannot_be_reset_is_missing_and_said_to_be() {
    let mut hanger = Hanger::new("tgl");
    let context = hanger.rig.context_create(0, 0, &[]).unwrap();
    hanger.rig.model().injection().failing_resets = 1_000;
    hanger.hang(context);
    assert!(hanger.rig.driver.gpu().is_wedged());
    let text = text(&mut hanger.rig, 0);
    assert!(text.contains("  batch contents: could not be read\n"), "{text}");
}

#[test]
fn a_record_that_is_cleared_while_the_batch_is_read_stays_cleared() {
    let mut hanger = Hanger::new("tgl");
    let context = hanger.rig.context_create(0, 0, &[]).unwrap();
    let free = hanger.rig.driver.gpu().free_pages();
    let fence = hanger.rig.run(0, context, BLITTER, &hanger.list, &[], &hanger.regions).unwrap();
    hanger.rig.set_timing(Timing::Deferred);
    assert!(hanger.rig.wait(60_000_000_000, |rig| rig.driver.error_state().is_some()));
    assert!(!hanger.rig.reached(0, fence), "it reads the batch");
    hanger.rig.op(0, Operation::ErrorState, &read(0, 0, 1)).unwrap();
    assert!(hanger.rig.wait(60_000_000_000, |rig| rig.reached(0, fence)));
    assert_eq!(text(&mut hanger.rig, 0), "");
    hanger.rig.context_destroy(0, context).unwrap();
    hanger.rig.settle();
    assert!(hanger.rig.driver.gpu().free_pages() + 1 >= free);
}

/// As i915 prints them: counts of what was before.
#[test]
fn the_text_counts_the_contexts_earlier_hangs_and_what_it_lost_to_others() {
    for platform in ["skl", "tgl"] {
        let mut hanger = Hanger::new(platform);
        let context = hanger.rig.context_create(0, 0, &[]).unwrap();
        for counts in ["guilty 0 active 0", "guilty 1 active 0", "guilty 2 active 1"] {
            hanger.hang(context);
            assert_eq!(
                hanger.rig.reset_stats(0, context).unwrap()[1..],
                hanger.counted(counts),
                "{platform}"
            );
            hanger.rig.op(0, Operation::ErrorState, &read(0, 0, 1)).unwrap();
            if counts == "guilty 1 active 0" {
                hanger.lose_to_a_reset(context);
            }
            // Not three hangs within the time that bans.
            hanger.rig.model().advance(130_000_000_000);
        }
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
