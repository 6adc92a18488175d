// SPDX-License-Identifier: BSD-2-Clause
//! The record of the first hang, as `intel_error_decode` of Debian's package intel-gpu-tools reads it.

mod machine;

use std::io::Write;
use std::process::{Command, Stdio};

use gpu_model::{Options, Timing};
use intel_gpu::device::EngineClass;
use intel_gpu::{Config, Status};
use machine::{BATCH_END, Rig, store};

const DATA: u64 = 0x10_0000;
const SPIN: u64 = 0x30_0000;

/// A driver whose copy engine executes a batch without end until it is stopped; what was recorded of that.
fn hang(platform: &str, class: EngineClass) -> (Rig, String) {
    let options = Options { timing: Timing::Deferred, ..Options::default() };
    let config = Config { hang_ns: 50_000_000, preempt_timeout_ns: 20_000_000, ..Config::default() };
    let mut rig = Rig::with(platform, options, config);
    let _data = rig.object_at(DATA, 1);
    let spin = rig.object_at(SPIN, 1);
    let mut dwords = store(DATA, 0x600d).to_vec();
    dwords.extend([0x1880_0101, 0x30_0000, 0]);
    rig.write(&spin, &dwords);
    assert_eq!(rig.gpu.error_state(), None);
    let context = rig.context(class);
    rig.submit(context, SPIN, 7);
    run(&mut rig);
    let text = rig.gpu.error_state().expect("the hang was recorded").to_owned();
    (rig, text)
}

/// Until the request has ended, as a hang.
fn run(rig: &mut Rig) {
    let done = rig.turns(3_000, 1);
    let (_, status) = done.first().expect("the hang is noticed");
    assert_eq!(*status, Status::Hang);
}

/// What the decoder makes of it.
fn decode(text: &str) -> String {
    let mut decoder = Command::new("intel_error_decode")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("intel_error_decode is there: `make setup` installs intel-gpu-tools");
    let mut input = decoder.stdin.take().expect("piped");
    let text = text.to_owned();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = decoder.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("it reads everything");
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "it complains");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_decoder_finds_the_chipset_the_ring_with_its_head_the_batch_and_the_context() {
    for (platform, generation) in [("bdw", 8), ("skl", 9), ("icl", 11), ("tgl", 12)] {
        let (_, text) = hang(platform, EngineClass::Copy);
        let decoded = decode(&text);
        let has = |what: &str| assert!(decoded.contains(what), "{platform}: {what} is not in\n{decoded}");
        has(&format!("Detected GEN{generation} chipset"));
        has("bcs0 command stream:");
        has("batch (bcs0) at 0x00000000_00300000");
        has("MI_STORE_DATA_IMM");
        has("MI_BATCH_BUFFER_START");
        has("ring (bcs0) at 0x00000000_");
        has("HEAD points to: 0x00000000_");
        has("MI_USER_INTERRUPT");
        has("HW context (bcs0)");
        has("HW status (bcs0)");
        // The batch is executed at its own address.
        let acthd = text.lines().find_map(|line| line.strip_prefix("  ACTHD: 0x")).expect("a line of it");
        let address = u64::from_str_radix(&acthd.replace(' ', ""), 16).expect("a number");
        assert!((SPIN..SPIN + 32).contains(&address), "{platform}: {address:#x}");
        has("  START: 0x");
    }
}

#[test]
fn the_registers_in_it_are_the_engines() {
    let (_, text) = hang("tgl", EngineClass::Render);
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix(name)).expect("a line of it");
        u64::from_str_radix(line.trim().trim_start_matches("0x").split(' ').next().expect("a word"), 16)
            .expect("a number")
    };
    assert_eq!(value("CTL:"), 0x3001, "four pages, valid");
    assert_eq!(value("ESR:"), 0);
    let start = value("START:");
    assert!(text.contains(&format!("rcs0 --- ringbuffer = 0x00000000 {start:08x}\n")));
    let head = value("HEAD:") & 0x1f_fffc;
    let tail = value("TAIL:");
    assert!(0 < head && head < tail, "it stands in its request: {head:#x}, {tail:#x}");
    assert!(text.starts_with("GPU HANG: ecode 12:1:"), "{text}");
}

#[test]
fn the_text_says_what_was_submitted_and_which_engine_and_context_hung_as_i915_does() {
    // The engine's bit among i915's engines; the clock of the contexts' timestamps runs.
    for (platform, class, bit) in [
        ("tgl", EngineClass::Copy, 2),
        ("skl", EngineClass::Video, 4),
        ("icl", EngineClass::VideoEnhance, 0x40),
    ] {
        let (_, text) = hang(platform, class);
        let generation = text.strip_prefix("GPU HANG: ecode ").and_then(|rest| rest.split(':').nth(1));
        assert_eq!(generation.map(|mask| u32::from_str_radix(mask, 16)), Some(Ok(bit)), "{text}");
        let line = |start: &str| text.lines().find(|line| line.starts_with(start));
        assert!(line("  ELSP[0]:  pid 0, seqno ").is_some(), "{text}");
        let context = line("  Active context: context").expect("a line of it");
        let (_, runtime) = context.split_once("runtime total ").expect("as i915 has it");
        let (total, average) = runtime.split_once("ns, avg ").expect("as i915 has it");
        assert!(
            total.parse::<u64>().is_ok() && average.trim_end_matches("ns").parse::<u64>().is_ok(),
            "{text}"
        );
    }
}

#[test]
fn only_the_first_hang_is_recorded_until_the_record_is_cleared() {
    let (mut rig, first) = hang("tgl", EngineClass::Copy);
    let context = rig.context(EngineClass::Render);
    rig.submit(context, SPIN, 8);
    run(&mut rig);
    assert_eq!(rig.gpu.error_state(), Some(first.as_str()));
    rig.gpu.error_state_clear();
    assert_eq!(rig.gpu.error_state(), None);
    rig.submit(context, SPIN, 9);
    run(&mut rig);
    let second = rig.gpu.error_state().expect("recorded");
    assert!(second.contains("rcs0 --- ringbuffer") && first.contains("bcs0 --- ringbuffer"));
}

#[test]
fn looking_at_the_hardware_breaks_none_of_its_rules() {
    for platform in ["bdw", "skl", "glk", "icl", "tgl"] {
        let (mut rig, _) = hang(platform, EngineClass::Copy);
        // A batch that ends itself never is its client's affair.
        let own: Vec<String> =
            rig.model().reports().iter().filter(|report| !report.client).map(ToString::to_string).collect();
        assert!(own.is_empty(), "{platform}: {own:#?}");
        assert_eq!(rig.gpu.sleeping_accesses(), 0, "{platform}");
        let end = rig.object_at(0x50_0000, 1);
        rig.write(&end, &[BATCH_END, 0]);
        let context = rig.context(EngineClass::Copy);
        rig.submit(context, 0x50_0000, 10);
        rig.settle();
        assert_eq!(rig.completions().len(), 1, "{platform}: it goes on");
    }
}
