// SPDX-License-Identifier: BSD-2-Clause
//! A run of the driver, recorded by the device model from its power-on, repeats without the driver and without its
//! memory; a record that was changed tells which register differs.

mod machine;

use std::io::Write;
use std::sync::{Arc, Mutex};

use gpu_model::{Options, Timing, record};
use intel_gpu::{Config, Status};
use machine::{BATCH_END, Machine, Rig, color_blt, store};

/// A place that a record is written to.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("one thread").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Brings a GPU up, works on every engine, and gives the record and the registers that were touched.
fn recorded(platform: &str, timing: Timing) -> (String, String) {
    let sink = Sink::default();
    let options = Options { timing, ..Options::default() };
    let machine = Machine::observed(platform, options, machine::PAGES, |model| {
        model.record(Box::new(sink.clone()));
    });
    let mut rig = Rig::over(machine, Config::default());
    let data = rig.object_at(0x10_0000, 1);
    let batch = rig.object_at(0x20_0000, 1);
    let engines: Vec<_> = rig.gpu.engines().collect();
    for (slot, engine) in (0u32..).zip(&engines) {
        let context =
            rig.gpu.context_create(rig.account, engine.index, rig.vm, rig.timeline, 0).expect("memory");
        let mut dwords = store(0x10_0000 + u64::from(slot) * 4, 0x1000 + slot).to_vec();
        if engine.id.class == intel_gpu::device::EngineClass::Copy {
            dwords.extend(color_blt(0x10_0000, 64, (0, 16, 16, 32), 0x1122_3344));
        }
        dwords.extend([BATCH_END, 0]);
        rig.write(&batch, &dwords);
        rig.submit(context, 0x20_0000, slot.into());
        rig.settle();
        assert_eq!(rig.completions().pop().map(|completion| completion.status), Some(Status::Done));
        assert_eq!(rig.read(&data)[slot as usize], 0x1000 + slot, "{platform} {}", engine.id);
    }
    rig.check();
    let text = String::from_utf8(sink.0.lock().expect("one thread").clone()).expect("a record is text");
    (text, rig.model().register_listing())
}

fn replayed(text: &str) -> (record::Replay, String) {
    let (replay, model) = record::replay(&mut text.as_bytes(), Options::default()).expect("a record");
    (replay, model.register_listing())
}

#[test]
fn a_recorded_run_of_the_driver_repeats_without_a_difference() {
    for platform in ["bdw", "skl", "icl", "tgl"] {
        for timing in [Timing::Instant, Timing::Deferred] {
            let (text, registers) = recorded(platform, timing);
            let (replay, again) = replayed(&text);
            assert_eq!(replay.differences, Vec::<String>::new(), "{platform}");
            assert!(replay.accesses > 300, "{platform}: {} accesses", replay.accesses);
            assert_eq!(again, registers, "{platform}");
        }
    }
}

#[test]
fn a_changed_record_of_the_driver_names_the_register_that_differs() {
    let (text, _) = recorded("tgl", Timing::Instant);
    // The acknowledgement of the first forcewake request.
    let line = text.lines().find(|line| line.starts_with("r 0 130044 4 ")).expect("the driver wakes the GT");
    let (replay, _) = replayed(&text.replacen(line, "r 0 130044 4 bad", 1));
    let [difference] = replay.differences.as_slice() else { panic!("{:#?}", replay.differences) };
    assert!(difference.contains("(0x130044)") && difference.contains("bad"), "{difference}");
}
