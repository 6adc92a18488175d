// SPDX-License-Identifier: BSD-2-Clause
//! What the driver tells of itself becomes files that a person reads: here of things that go wrong, told by the driver above
//! the device model on the host.

use anyhow::{Context as _, Result, ensure};
use boot::Trace;
use boot_tests::workspace;
use conformance::wire::{reads, writes};
use conformance::{Region, Rig, Settings, batch};
use gpu_protocol::{ContextParam, Errno, TraceRecord};

const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;
const GATE: u64 = 0x30_0000;
const BLITTER: u32 = 3;
const MINUTE_NS: u64 = 60_000_000_000;

fn rig() -> Rig {
    let mut settings = Settings::new("tgl");
    settings.options.instant_budget = 2_000;
    let mut rig = Rig::with(settings);
    rig.watch();
    rig
}

/// The files of what the driver has told: Perfetto's, the log, the picture. They are left in a folder of the test's name.
fn files(rig: &mut Rig, test: &str) -> Result<[String; 3]> {
    let records: Vec<TraceRecord> = rig.events().into_iter().map(|(ns, event)| event.record(ns)).collect();
    let texts = Trace::of(&records)?.texts(None)?;
    let folder = workspace()?.target().join("boot-tests/timeline").join(test);
    std::fs::create_dir_all(&folder)?;
    for (name, text) in ["timeline.json", "timeline.txt", "timeline.svg"].into_iter().zip(&texts) {
        std::fs::write(folder.join(name), text)?;
    }
    Ok(texts)
}

/// An errno as an error of the test.
fn failed(errno: Errno) -> anyhow::Error {
    anyhow::anyhow!("the driver answers {errno:?}")
}

/// A context of a client, and a batch for it that waits at a gate and then writes to [`DATA`].
struct Gated {
    context: u32,
    data: Region,
    gate: Region,
    fence: gpu_protocol::Fence,
}

fn gated(rig: &mut Rig, client: usize) -> Result<Gated> {
    let context = rig.context_create(client, 0, &[]).map_err(failed)?;
    // Lower than everybody else's.
    rig.set(client, context, ContextParam::PRIORITY, (-100_i64).cast_unsigned()).map_err(failed)?;
    let (data, gate, code) = (rig.region(client, 1), rig.region(client, 1), rig.region(client, 1));
    rig.poke(code.physical, &batch::gated_store("tgl", GATE, 1, DATA, 5));
    let list = [
        writes(rig.userptr(client, data), DATA),
        writes(rig.userptr(client, gate), GATE),
        reads(rig.userptr(client, code), CODE),
    ];
    let fence = rig.run(client, context, BLITTER, &list, &[], &[data, gate, code]).map_err(failed)?;
    rig.settle();
    Ok(Gated { context, data, gate, fence })
}

/// The events of Perfetto's file with this name: what each says, and its track.
fn moments(json: &str, name: &str) -> Result<Vec<String>> {
    let file: serde_json::Value = serde_json::from_str(json)?;
    let list = file["traceEvents"].as_array().context("a list of events")?;
    let named = list.iter().filter(|event| event["name"] == name && event["ph"] == "i");
    named.map(|event| Ok(event["args"]["what"].as_str().context("what")?.to_owned())).collect()
}

#[test]
fn a_page_fault_is_in_each_file_with_its_address_and_so_is_the_hang_that_it_causes() -> Result<()> {
    let mut rig = rig();
    let Gated { data, gate, fence, .. } = gated(&mut rig, 0)?;
    rig.domain.revoke(data.physical);
    rig.poke(gate.physical, &[1]);
    ensure!(rig.wait(MINUTE_NS, |rig| rig.reached(0, fence)), "it is never stopped");
    rig.settle();
    let [json, text, svg] = files(&mut rig, "fault")?;
    ensure!(moments(&json, "page fault")? == ["nothing answers at 0x200000"], "{json}");
    ensure!(moments(&json, "hang")?.len() == 1 && moments(&json, "engine reset")?.len() == 1, "{json}");
    let hung = moments(&json, "finished")?;
    ensure!(hung.len() == 1 && hung[0].ends_with(", hung"), "{hung:?}");

    let lines: Vec<_> = text.lines().collect();
    let at = |what: &str| lines.iter().position(|line| line.contains(what)).with_context(|| what.to_owned());
    let [hang, fault] = [at(" bcs0  hang")?, at(" bcs0  page fault nothing answers at 0x200000")?];
    let [reset, end] = [at(" bcs0  engine reset")?, at(", hung")?];
    ensure!(hang < fault && fault < reset && reset < end, "{text}");

    ensure!(
        svg.contains("stroke=\"#cc0000\"><title>page fault nothing answers at 0x200000</title>"),
        "{svg}"
    );
    ensure!(svg.contains("stroke=\"#cc0000\"><title>hang</title>"), "{svg}");
    ensure!(svg.contains(", hung</title></rect>"), "{svg}");
    Ok(())
}

#[test]
fn the_models_events_are_at_the_drivers_times_between_submission_and_completion() -> Result<()> {
    let mut settings = Settings::new("tgl");
    settings.options.trace = true;
    let mut rig = Rig::with(settings);
    rig.watch();
    let context = rig.context_create(0, 0, &[]).map_err(failed)?;
    let (data, code) = (rig.region(0, 1), rig.region(0, 1));
    rig.poke(code.physical, &batch::store(DATA, 6));
    let list = [writes(rig.userptr(0, data), DATA), reads(rig.userptr(0, code), CODE)];
    for _ in 0..3 {
        rig.run(0, context, BLITTER, &list, &[], &[data, code]).map_err(failed)?;
        rig.settle();
    }
    let records: Vec<TraceRecord> = rig.events().into_iter().map(|(ns, event)| event.record(ns)).collect();
    // The model's clock is another one: it began long before, and stands still where nobody works.
    let shifted = |event: &serde_json::Value| {
        let mut event = event.clone();
        event["ts"] = serde_json::json!(event["ts"].as_f64().unwrap_or(0.0) + 1e6);
        event
    };
    let model: serde_json::Value = serde_json::from_str(&rig.model().trace())?;
    let model: Vec<_> =
        model["traceEvents"].as_array().context("a list of events")?.iter().map(shifted).collect();
    let model = serde_json::json!({ "traceEvents": model }).to_string();
    // What the driver did before somebody watched is not in its trace.
    let mut trace = Trace::of(&records)?;
    trace.lost = 1;
    let [json, ..] = trace.texts(Some(&model))?;
    let file: serde_json::Value = serde_json::from_str(&json)?;
    let list = file["traceEvents"].as_array().context("a list of events")?;
    let times = |name: &str, phase: &str, process: u32| -> Vec<f64> {
        let found = list.iter().filter(|event| {
            event["ph"] == phase
                && event["pid"] == process
                && event["name"].as_str().is_some_and(|text| text.starts_with(name))
        });
        found.filter_map(|event| event["ts"].as_f64()).collect()
    };
    let (submitted, finished) = (times("context ", "b", 2), times("context ", "e", 2));
    ensure!(submitted.len() == 3 && finished.len() == 3, "{submitted:?} {finished:?}");
    let batches = times("batch", "B", 1);
    for (from, to) in submitted.iter().zip(&finished) {
        // Hundredths of a microsecond are rounded.
        let inside = batches.iter().map(|time| time + 0.01).filter(|time| time >= from && time < to).count();
        ensure!(inside == 1, "{inside} batches of {batches:?} from {from} to {to}");
    }
    Ok(())
}

#[test]
fn a_preemption_is_in_each_file_with_the_context_that_had_to_leave() -> Result<()> {
    let mut rig = rig();
    let Gated { context: patient, gate, fence, .. } = gated(&mut rig, 0)?;
    let urgent = rig.context_create(1, 0, &[]).map_err(failed)?;
    let (data, code) = (rig.region(1, 1), rig.region(1, 1));
    rig.poke(code.physical, &batch::store(DATA, 6));
    let list = [writes(rig.userptr(1, data), DATA), reads(rig.userptr(1, code), CODE)];
    let quick = rig.run(1, urgent, BLITTER, &list, &[], &[data, code]).map_err(failed)?;
    rig.settle();
    ensure!(rig.reached(1, quick) && !rig.reached(0, fence), "nothing is preempted");
    rig.poke(gate.physical, &[1]);
    ensure!(rig.wait(MINUTE_NS, |rig| rig.reached(0, fence)), "it never came back");
    rig.settle();
    rig.context_destroy(0, patient).map_err(failed)?;

    let [json, text, svg] = files(&mut rig, "preemption")?;
    let left = moments(&json, "left")?;
    ensure!(left.iter().filter(|what| what.ends_with(", preempted")).count() == 1, "{left:?}");
    ensure!(
        left.iter().any(|what| what.starts_with("client 0, ") && what.ends_with(", preempted")),
        "{left:?}"
    );
    let lines: Vec<_> = text.lines().filter(|line| line.contains(", preempted")).collect();
    ensure!(lines.len() == 1 && lines[0].contains("       0    bcs0  left context "), "{lines:?}");
    ensure!(svg.matches(", preempted</title></line>").count() == 1, "{svg}");
    // One bar for each request, the preempted one's once.
    ensure!(svg.matches("executed</title></rect>").count() == 2, "{svg}");
    ensure!(moments(&json, "hang")?.is_empty() && !svg.contains("#cc0000"), "nothing went wrong");
    Ok(())
}
