// SPDX-License-Identifier: BSD-2-Clause
//! What a run leaves behind: the timeline of its engines, interrupts and tables, and a record that can be repeated.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

mod rig;

use std::io::Write;
use std::sync::{Arc, Mutex};

use gpu_model::{Options, Timing, record};
use rig::{Rig, mi};
use serde_json::Value;

const VA: u64 = 0x7_1234_5000;
const SHARED: u64 = 0x1_0000_0000;

/// Names and phases of a track's events, oldest first; checks that its spans nest and that time does not go back.
fn track(events: &[Value], name: &str) -> Vec<String> {
    let is_name = |event: &&Value| event["ph"] == "M" && event["args"]["name"] == name;
    let tid = &events.iter().find(is_name).unwrap_or_else(|| panic!("no track {name}"))["tid"];
    let mut open = Vec::new();
    let mut last = 0.0;
    let mut found = Vec::new();
    for event in events.iter().filter(|event| event["tid"] == *tid && event["ph"] != "M") {
        let (phase, what) = (event["ph"].as_str().unwrap(), event["name"].as_str().unwrap());
        let time = event["ts"].as_f64().unwrap();
        assert!(time >= last, "{event} goes back");
        last = time;
        match phase {
            "B" => open.push(what),
            "E" => assert_eq!(open.pop(), Some(what), "{event} ends another span"),
            _ => assert_eq!((phase, &event["s"]), ("i", &Value::from("t")), "{event}"),
        }
        found.push(format!("{phase} {what}"));
    }
    assert!(open.is_empty(), "{name}: {open:?} stay open");
    found
}

/// Two engines, a wait, a preemption inside a batch, a hang, a reset and an invalidation. Takes messages as it goes.
fn eventful(rig: &mut Rig) {
    let (batch, shared) = (rig.pages(1), rig.pages(1));
    // A batch that waits for a dword of a shared page to become 1, then stores behind it.
    let mut waiting = rig.context("bcs0");
    rig.map(&waiting, VA, batch);
    rig.map(&waiting, SHARED, shared);
    let wait = if rig.is_gen12() {
        vec![0x0e00_c003, 1, SHARED as u32, (SHARED >> 32) as u32, 0]
    } else {
        vec![0x0e00_c002, 1, SHARED as u32, (SHARED >> 32) as u32]
    };
    let store = mi::store(SHARED + 8, 7);
    for (at, dword) in (0..).step_by(4).zip(wait.iter().chain(&store).chain(&[mi::BATCH_END])) {
        assert!(rig.memory.set_u32(batch + at, *dword));
    }
    rig.emit(&mut waiting, &mi::batch(VA));
    rig.emit(&mut waiting, &[mi::USER_INTERRUPT, mi::NOOP]);
    rig.submit(&mut waiting);
    rig.gpu.run_until_idle(100);
    rig.service_all();

    // Another context takes its place.
    let mut urgent = rig.context("bcs0");
    rig.emit(&mut urgent, &[mi::USER_INTERRUPT, mi::NOOP]);
    rig.submit(&mut urgent);
    rig.gpu.run_until_idle(100);
    rig.service_all();

    // A third, on another engine, lets the first go on.
    let mut other = rig.context("vcs0");
    rig.map(&other, SHARED, shared);
    rig.emit(&mut other, &mi::store(SHARED, 1));
    rig.submit(&mut other);
    rig.gpu.run_until_idle(100);
    rig.service_all();
    rig.submit(&mut waiting);
    rig.gpu.run_until_idle(100);
    rig.service_all();
    assert_eq!(rig.memory.get_u32(shared + 8), Some(7));

    // A command that does not exist; the engine is reset by the book.
    let mut broken = rig.context("bcs0");
    rig.emit(&mut broken, &[0x0f00_0000, 0]);
    rig.submit(&mut broken);
    rig.gpu.run_until_idle(100);
    rig.service_all();
    rig.gpu.log_mut().take();
    rig.write(0x220d0, 0x0001_0001);
    rig.write(0x941c, if rig.is_legacy() { 1 << 3 } else { 1 << 2 });
    rig.write(0x220d0, 0x0001_0000);
    rig.write(if rig.is_gen12() { 0xcee4 } else { 0x426c }, 1);
    rig.assert_clean();
}

#[test]
fn the_timeline_has_a_track_per_engine_and_one_for_interrupts_and_one_for_tables() {
    for name in ["skl", "tgl"] {
        let options = Options { timing: Timing::Deferred, trace: true, ..Options::default() };
        let mut rig = Rig::with(name, options);
        eventful(&mut rig);
        let file: Value = serde_json::from_str(&rig.gpu.trace()).unwrap();
        let events = file["traceEvents"].as_array().unwrap();

        let batch = format!("batch {VA:#x}");
        let copy = track(events, "bcs0");
        let resumed: Vec<_> = copy.iter().filter(|event| event.starts_with("B batch")).collect();
        assert_eq!(resumed.len(), 2, "{name}: begun, and gone on with after the preemption: {copy:?}");
        let wanted = [
            "i reset (power-on)".to_owned(),
            "B context 1".to_owned(),
            format!("B {batch}"),
            "B semaphore wait".to_owned(),
            "i preempted".to_owned(),
            "E semaphore wait".to_owned(),
            format!("E {batch}"),
            "E context 1".to_owned(),
            "B context 2".to_owned(),
            "E context 2".to_owned(),
            "B context 1".to_owned(),
            // The wait stands at the batch's first command, and is satisfied now.
            format!("B {batch}"),
            format!("E {batch}"),
            "E context 1".to_owned(),
            "B context 4".to_owned(),
            "B hang".to_owned(),
            "E hang".to_owned(),
            "E context 4".to_owned(),
            "i reset (GDRST)".to_owned(),
        ];
        assert_eq!(copy, wanted, "{name}");
        assert_eq!(track(events, "vcs0"), ["i reset (power-on)", "B context 3", "E context 3"], "{name}");
        assert_eq!(track(events, "vecs0"), ["i reset (power-on)"], "{name}: it did nothing");

        let interrupts = track(events, "interrupts");
        for wanted in [
            "i bcs0 context switch",
            "i bcs0 user",
            "i bcs0 semaphore",
            "i bcs0 error",
            "i vcs0 context switch",
        ] {
            assert!(interrupts.iter().any(|event| event == wanted), "{name}: no {wanted}: {interrupts:?}");
        }
        let messages = interrupts.iter().filter(|event| *event == "i MSI 0xfee00000 <- 0x35").count() as u64;
        assert_eq!(messages, rig.gpu.msi_count(), "{name}");

        let tables = track(events, "page tables and TLBs");
        for wanted in
            ["i GGTT flush", "i bcs0 PPGTT fill", "i vcs0 PPGTT fill", "i bcs0 TLB invalidated by register"]
        {
            assert!(tables.iter().any(|event| event == wanted), "{name}: no {wanted}: {tables:?}");
        }
    }
}

/// A place that a record is written to.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// A record of an eventful run, and what the machine showed at its end.
fn recorded(name: &str, timing: Timing) -> (String, String) {
    let mut rig = Rig::cold(name, Options { timing, ..Options::default() });
    let sink = Sink::default();
    let recorder = rig.gpu.record(Box::new(sink.clone()));
    rig.bring_up();
    eventful(&mut rig);
    // An atomic, which is a compare and exchange, and time.
    let mut context = rig.context("vcs0");
    let page = rig.pages(1);
    rig.map(&context, VA, page);
    rig.emit(&mut context, &[0x1780_0501, VA as u32, (VA >> 32) as u32, mi::NOOP]);
    rig.submit(&mut context);
    rig.gpu.advance(1_000_000);
    rig.gpu.set_timing(Timing::Instant);
    assert_eq!(rig.memory.get_u32(page), Some(1));
    let base = rig.base("vcs0");
    assert_ne!(rig.read(base + 0x358), 0);
    recorder.flush().unwrap();
    (sink.text(), rig.gpu.register_listing())
}

fn replayed(text: &str) -> (record::Replay, String) {
    let (replay, gpu) = record::replay(&mut text.as_bytes(), Options::default()).unwrap();
    (replay, gpu.register_listing())
}

#[test]
fn a_recorded_run_is_repeated_without_a_difference_and_without_its_guest() {
    for name in ["bdw", "skl", "icl", "tgl"] {
        for timing in [Timing::Instant, Timing::Deferred] {
            let (text, listing) = recorded(name, timing);
            let (replay, again) = replayed(&text);
            assert_eq!(replay.differences, Vec::<String>::new(), "{name}");
            assert!(replay.accesses > 100, "{name}: {} accesses", replay.accesses);
            assert_eq!(again, listing, "{name}: the same registers, as often, with the same last values");
        }
    }
}

#[test]
fn a_record_that_was_changed_anywhere_differs_and_says_where() {
    let (text, _) = recorded("tgl", Timing::Deferred);
    let lines: Vec<&str> = text.lines().collect();
    let differs = |at: usize, line: &str| -> Vec<String> {
        let mut changed = lines.clone();
        changed[at] = line;
        replayed(&changed.join("\n")).0.differences
    };
    // A read: its register is named. RESET_CTL of the copy engine is read nowhere, so an ESR (0x220b8).
    let at = lines.iter().position(|line| line.starts_with("r 0 220b8 4 ")).unwrap();
    let found = differs(at, "r 0 220b8 4 bad");
    assert!(found.len() == 1 && found[0].contains("BCS0 ESR (0x220b8)"), "{found:?}");
    // A written value: the register's next reader, or the work, differs.
    let at = lines.iter().position(|line| line.starts_with("w 0 a188 4 10001")).unwrap();
    assert!(!differs(at, "w 0 a188 4 10000").is_empty());
    // DMA: bytes read, bytes written, an atomic's operands, a message.
    for (kind, change) in [("dw ", "aa"), ("dx ", "1"), ("m ", "1")] {
        let at = lines.iter().position(|line| line.starts_with(kind)).unwrap();
        let found = differs(at, &format!("{}{change}", lines[at]));
        assert!(!found.is_empty(), "{}", lines[at]);
    }
    let at = lines.iter().position(|line| line.starts_with("dx ")).unwrap();
    let mut fields: Vec<&str> = lines[at].split(' ').collect();
    fields[4] = "99";
    let found = differs(at, &fields.join(" "));
    assert!(found.len() == 1 && found[0].starts_with("dx "), "the new value of an atomic: {found:?}");
    // An access that is missing.
    let at = lines.iter().position(|line| line.starts_with("w 0 22518 ")).unwrap();
    assert!(!differs(at, "").is_empty());
}

#[test]
fn a_record_of_endless_work_ends_with_what_it_has() {
    let (text, _) = recorded("tgl", Timing::Deferred);
    // Up to the first submission, without what its work read and wrote; then as much work as there is.
    let lines: Vec<&str> = text.lines().take_while(|line| !line.starts_with("s ")).collect();
    let kept = lines.iter().rposition(|line| line.starts_with("w ")).unwrap() + 1;
    let endless = format!("{}\ns ffffffffffffffff\n", lines[..kept].join("\n"));
    let (replay, _) = replayed(&endless);
    assert!(!replay.differences.is_empty(), "its DMA is not in the record");
}
