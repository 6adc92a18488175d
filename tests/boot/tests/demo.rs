// SPDX-License-Identifier: BSD-2-Clause
//! The system that `make run` boots, with the device model attached in every way that a user may find it.

use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use boot::{Demo, Ending, Gpu, Image, Kernel, Machine, Outcome, Timing, Trace};
use boot_tests::{DEADLINE, line_with, workspace};
use gpu_protocol::TraceKind;
use pictures::stream;

struct Run {
    demo: &'static Demo,
    image: Image,
    outcome: Outcome,
}

/// Boots the demonstration in a folder of this test's own.
fn run(test: &str, gpu: Option<Gpu>) -> Result<Run> {
    run_demo(Demo::named("paint")?, test, gpu)
}

/// Boots any demonstration.
fn run_demo(demo: &'static Demo, test: &str, gpu: Option<Gpu>) -> Result<Run> {
    run_within(demo, test, gpu, DEADLINE)
}

fn run_within(demo: &'static Demo, test: &str, gpu: Option<Gpu>, deadline: Duration) -> Result<Run> {
    let workspace = workspace()?;
    let folder = workspace.target().join("boot-tests").join(test);
    let image = demo.build(&workspace, Kernel::Debug, &folder.join("image"))?;
    let mut machine = Machine::new(folder.join("run")).deadline(deadline);
    if let Some(gpu) = gpu {
        machine = machine.gpu(gpu, boot::build_model(&workspace)?);
    }
    let outcome = demo.run(&machine, &image, |_| {})?;
    Ok(Run { demo, image, outcome })
}

fn paints_its_picture(part: &str) -> Result<()> {
    let Run { demo, image, outcome } = run(&format!("demo-{part}"), Some(Gpu::new(part)))?;
    let shown = demo.judge(&image, &outcome)?;
    ensure!(shown.png.metadata()?.len() > 0);
    seen_from_inside(&image, &outcome)?;
    let Some(verdict) = outcome.verdict else { bail!("no verdict of the device model") };
    for file in [&verdict.files.registers, &verdict.files.trace] {
        ensure!(file.metadata().is_ok_and(|file| file.len() > 0), "{} is missing or empty", file.display());
    }
    Ok(())
}

/// The driver's trace tells the whole story of the picture, and becomes files.
fn seen_from_inside(image: &Image, outcome: &Outcome) -> Result<()> {
    let Some(trace) = Trace::take(image, outcome)? else { bail!("the system has no trace") };
    ensure!(trace.lost == 0, "{} events are lost", trace.lost);
    for kind in [
        TraceKind::PagesAsked,
        TraceKind::PagesGranted,
        TraceKind::Submitted,
        TraceKind::Accepted,
        TraceKind::Entered,
        TraceKind::Finished,
    ] {
        ensure!(trace.has(kind), "no event of kind {kind:?} among {}", trace.len());
    }
    ensure!(!trace.has(TraceKind::Hang) && !trace.has(TraceKind::Lost), "nothing goes wrong");
    for file in files(outcome, &trace)? {
        ensure!(file.metadata().is_ok_and(|file| file.len() > 200), "{} is empty", file.display());
    }
    Ok(())
}

/// The driver's trace has events of these kinds. Returns what its files say: Perfetto's, the log, the picture.
fn seen(image: &Image, outcome: &Outcome, kinds: &[TraceKind]) -> Result<Vec<String>> {
    let Some(trace) = Trace::take(image, outcome)? else { bail!("the system has no trace") };
    for kind in kinds {
        ensure!(trace.has(*kind), "no event of kind {kind:?} among {}", trace.len());
    }
    let read = |file: &std::path::PathBuf| Ok(std::fs::read_to_string(file)?);
    files(outcome, &trace)?.iter().map(read).collect()
}

/// The files that are made of what the run left, in which this trace has to be.
fn files(outcome: &Outcome, trace: &Trace) -> Result<[std::path::PathBuf; 3]> {
    let Some((kept, files)) = Trace::of_folder(&outcome.folder)? else { bail!("the run has kept no trace") };
    ensure!(kept == *trace, "what is kept is not what is in memory");
    Ok(files)
}

#[test]
fn the_demonstration_paints_its_picture_on_tiger_lake() -> Result<()> {
    paints_its_picture("tgl")
}

#[test]
fn the_demonstration_paints_its_picture_on_skylake() -> Result<()> {
    paints_its_picture("skl")
}

/// Whatever `make run GPU=` takes. One image is for all: nothing of the part is in it.
#[test]
fn the_demonstration_paints_its_picture_on_every_other_part_that_the_model_can_be() -> Result<()> {
    let (demo, workspace) = (Demo::named("paint")?, workspace()?);
    let (model, folder) = (boot::build_model(&workspace)?, workspace.target().join("boot-tests/demo-parts"));
    let image = demo.build(&workspace, Kernel::Debug, &folder.join("image"))?;
    let parts = Gpu::parts(&model)?;
    let others: Vec<_> = parts.iter().filter(|part| !["tgl", "skl"].contains(&part.as_str())).collect();
    ensure!(others.len() + 2 == parts.len() && !others.is_empty(), "{parts:?}");
    let makefile = std::fs::read_to_string(workspace.root().join("Makefile"))?;
    ensure!(
        makefile.contains(&format!("[GPU={}]", parts.join("|"))),
        "`make help` lists others than {parts:?}"
    );
    for part in others {
        let machine = Machine::new(folder.join(part)).deadline(DEADLINE);
        let outcome = demo.run(&machine.gpu(demo.gpu(part), model.clone()), &image, |_| {});
        demo.judge(&image, &outcome.with_context(|| part.clone())?).with_context(|| part.clone())?;
    }
    Ok(())
}

/// Checks that a system without a GPU that it can use has said so and ended by itself.
fn gave_up(run: &Run, reason: &str) -> Result<()> {
    let Run { demo, image, outcome } = run;
    ensure!(
        matches!(outcome.ending, Ending::Exit(1..)),
        "it ended with {:?}:\n{}",
        outcome.ending,
        outcome.tail()
    );
    ensure!(outcome.told(reason).is_some(), "nothing says {reason:?}:\n{}", outcome.tail());
    ensure!(demo.judge(image, outcome).is_err(), "this is no success");
    Ok(())
}

/// Without interrupts only the driver's alarm can notice that the batch is complete.
#[test]
fn the_picture_is_painted_although_every_interrupt_is_lost() -> Result<()> {
    let gpu = Gpu { lost_interrupts: u32::MAX, ..Gpu::new("tgl") };
    let Run { demo, image, outcome } = run("demo-lost-interrupts", Some(gpu))?;
    demo.judge(&image, &outcome)?;
    ensure!(outcome.line("interrupt arrives").is_none(), "none should:\n{}", outcome.tail());
    Ok(())
}

/// A GPU that works beside the CPU instead of within the access that starts it.
#[test]
fn the_picture_is_painted_by_a_gpu_that_takes_its_time() -> Result<()> {
    let gpu = Gpu { timing: Timing::Realtime, ..Gpu::new("tgl") };
    let Run { demo, image, outcome } = run("demo-realtime", Some(gpu))?;
    demo.judge(&image, &outcome)?;
    Ok(())
}

/// The README shows it.
#[test]
fn the_picture_is_the_one_in_the_documentation() -> Result<()> {
    let Run { demo, image, outcome } = run("demo-picture", Some(Gpu::new("tgl")))?;
    let shown = demo.judge(&image, &outcome)?;
    let documented = workspace()?.root().join("docs/frame.png");
    ensure!(std::fs::read(&shown.png)? == std::fs::read(&documented)?, "{} differs", documented.display());
    Ok(())
}

#[test]
fn without_a_gpu_the_demonstration_ends_with_an_error() -> Result<()> {
    gave_up(&run("demo-no-gpu", None)?, "no GPU at 00:02.0")
}

#[test]
fn with_an_unknown_gpu_the_demonstration_ends_with_an_error_that_names_it() -> Result<()> {
    let gpu = Gpu { device_id: Some(0xfffe), ..Gpu::new("tgl") };
    gave_up(&run("demo-unknown-gpu", Some(gpu))?, "8086:fffe")
}

/// The numbers of a line.
fn numbers(line: &str) -> Vec<u64> {
    line.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
}

/// The picture is compared with what the host computes, and with the one in the README.
#[test]
fn a_client_composes_a_picture_of_what_another_one_has_exported_to_it() -> Result<()> {
    let Run { demo, image, outcome } = run_demo(Demo::named("share")?, "share", Some(Gpu::new("tgl")))?;
    let shown = demo.judge(&image, &outcome)?;
    let documented = workspace()?.root().join("docs/share.png");
    ensure!(std::fs::read(&shown.png)? == std::fs::read(&documented)?, "{} differs", documented.display());
    let Some(trace) = Trace::take(&image, &outcome)? else { bail!("the system has no trace") };
    ensure!(trace.clients(TraceKind::Finished) == [0, 1], "both have let the GPU work");
    let (tile, picture) = (image.mapped("tile")?, image.mapped("frame")?);
    ensure!(tile == ["artist"] && picture.is_empty(), "{tile:?} and {picture:?} map the pictures");
    Ok(())
}

/// No domain maps the picture, so that no CPU has copied anything into it; the count is of the loop that copies, which the
/// comparison uses.
#[test]
fn frames_that_the_cpu_draws_in_its_own_pages_are_composed_without_a_copy() -> Result<()> {
    let demo = Demo::named("stream")?;
    let Run { demo, image, outcome } = run_demo(demo, "stream", Some(demo.gpu("tgl")))?;
    demo.judge(&image, &outcome)?;
    let source = u64::from(stream::SOURCE_WIDTH * stream::SOURCE_HEIGHT * 4);
    for (how, frames, copied) in [("with a copy", 24, 24 * source), ("in place", stream::FRAMES.into(), 0)] {
        let line = line_with(&outcome, &["stream: ", how, " frames per second"])?;
        let [told, whole, tenths, bytes, _] = numbers(line)[..] else { bail!("{line}") };
        ensure!(told == frames && bytes == copied, "{line}");
        ensure!(whole * 10 + tenths > 0, "{line}");
    }
    let drawn = (u64::from(stream::FRAMES) + 24) * source;
    line_with(&outcome, &[&format!("stream: {drawn} bytes drawn by the CPU")])?;
    ensure!(image.mapped("frame")?.is_empty(), "{:?} map the picture", image.mapped("frame")?);
    shown_by_gpu_top(&image, &outcome)
}

/// The last thing that `gpu-top` says of a stream is what the stream has done.
fn shown_by_gpu_top(image: &Image, outcome: &Outcome) -> Result<()> {
    let lent = ["stream_frames", "stream_staging", "frame", "stream_code"];
    let lent: Vec<_> = lent.into_iter().map(|name| image.region(name)).collect::<Result<_>>()?;
    let pages: u64 = lent.iter().map(|region| region.size / 4096).sum();
    // Two buffers of each kind, the picture, the commands and the times.
    let done = stream::FRAMES + 24;
    let line =
        format!("gpu-top: client 0: {done} done, 0 hangs, 0 faults, 7 page requests, {pages} pages lent");
    line_with(outcome, &[&line])?;
    let last = |text: &str| {
        let line = outcome.lines.iter().rev().find(|line| line.text.contains(text));
        line.map(|line| numbers(&line.text))
            .ok_or_else(|| anyhow!("nothing says {text:?}:\n{}", outcome.tail()))
    };
    let [_, _, _, engine_us, queued] = last("gpu-top: bcs0: busy ")?[..] else { bail!("{}", outcome.tail()) };
    let [_, _, _, client_us, _] = last("gpu-top:   client 0: busy ")?[..] else {
        bail!("{}", outcome.tail())
    };
    ensure!(queued == 0, "everything was done");
    ensure!(
        0 < client_us && client_us <= engine_us,
        "busy for {engine_us} us, {client_us} of them for the client"
    );
    ensure!(
        u128::from(engine_us) < outcome.duration.as_micros(),
        "busy for longer than the run was: {engine_us} us"
    );
    Ok(())
}

/// The boot loader has set the mode; what QEMU says is on the screen is the picture, pixel by pixel, whichever GPU composed
/// it. The compositor cannot reach the screen, and the domain that has it cannot write the picture.
#[test]
fn the_picture_that_any_gpu_has_composed_is_on_the_screen_that_the_boot_loader_set_up() -> Result<()> {
    let (demo, workspace) = (Demo::named("show")?, workspace()?);
    let (model, folder) = (boot::build_model(&workspace)?, workspace.target().join("boot-tests/show"));
    let image = demo.build(&workspace, Kernel::Debug, &folder.join("image"))?;
    let (picture, memory) = (image.mapped("frame")?, image.mapped("screen")?);
    ensure!(picture == ["screen"] && memory == ["screen"], "{picture:?} and {memory:?}");
    let documented = workspace.root().join("docs/share.png");
    let parts = Gpu::parts(&model)?;
    ensure!(["tgl", "skl"].iter().all(|part| parts.iter().any(|there| there == part)), "{parts:?}");
    for part in parts {
        let machine = Machine::new(folder.join(&part)).deadline(2 * DEADLINE);
        let outcome = demo.run(&machine.gpu(demo.gpu(&part), model.clone()), &image, |_| {});
        let outcome = outcome.with_context(|| part.clone())?;
        demo.judge(&image, &outcome).with_context(|| part.clone())?;
        let Some(screen) = &outcome.screen else { bail!("{part}: nobody has looked at the screen") };
        // The same pixels in the same format make the same file.
        let same = std::fs::read(&screen.png)? == std::fs::read(&documented)?;
        ensure!(same, "{part}: {} differs", documented.display());
    }
    Ok(())
}

/// QEMU's own loader sets no mode. The driver's trace is kept all the same.
#[test]
fn without_a_mode_on_the_screen_the_run_ends_with_an_error_that_says_so() -> Result<()> {
    let workspace = workspace()?;
    let folder = workspace.target().join("boot-tests/show-without-mode");
    let image = Demo::named("show")?.build(&workspace, Kernel::Debug, &folder.join("image"))?;
    let machine = Machine::new(folder.join("run")).deadline(DEADLINE).device("VGA,addr=3.0");
    let machine = machine.gpu(Gpu::new("tgl"), boot::build_model(&workspace)?);
    let outcome = machine.run(&image, |line| {
        if line.tells_of_a_break() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    ensure!(outcome.ending == Ending::Exit(3), "{:?}:\n{}", outcome.ending, outcome.tail());
    line_with(&outcome, &["screen: error: the boot loader has set no mode"])?;
    // What it was no success for does not keep anybody from seeing what it did.
    let Some((trace, files)) = Trace::of_folder(&outcome.folder)? else { bail!("the run has kept no trace") };
    ensure!(trace.has(TraceKind::Entered) && files.iter().all(|file| file.is_file()), "{files:?}");
    Ok(())
}

/// A memory server moves the pages of two painting clients 10,000 times: every pixel of every frame is right, and no word
/// of an old frame is written.
#[test]
fn clients_paint_on_while_their_pages_move_10_000_times() -> Result<()> {
    let demo = Demo::named("migrate")?;
    // A quarter of a minute alone; on a busy machine each of its many switches waits.
    let gpu = Gpu { trace: false, ..demo.gpu("tgl") };
    let Run { demo, image, outcome } = run_within(demo, "migrate", Some(gpu), 3 * DEADLINE)?;
    demo.judge(&image, &outcome)?;
    let line = line_with(&outcome, &["conductor: ", " pages moved", " frames are right"])?;
    let [moves, waited, a, b] = numbers(line)[..] else { bail!("{line}") };
    ensure!(moves >= 10_000 && waited > 100 && a.min(b) > 500, "{line}");
    line_with(&outcome, &["conductor: no word of an old frame was written"])?;
    let memory = [
        TraceKind::PagesAsked,
        TraceKind::PagesGranted,
        TraceKind::Invalidated,
        TraceKind::TlbsInvalidated,
        TraceKind::PagesReleased,
    ];
    for file in seen(&image, &outcome, &memory)? {
        for what in ["pages granted", "pages taken back", "TLBs invalidated", "pages released"] {
            ensure!(file.contains(what), "a file does not tell of {what}");
        }
    }
    Ok(())
}

fn recovers_with_a_clone(part: &str) -> Result<()> {
    let demo = Demo::named("recover")?;
    let Run { demo, image, outcome } = run_demo(demo, &format!("recover-{part}"), Some(demo.gpu(part)))?;
    demo.judge(&image, &outcome)?;
    let story = [
        "recover: the context is guilty of 1 hang",
        "recover: it is banned: the driver answers EIO",
        "recover: cloned it; painting on",
        "recover: all 307200 pixels are right",
    ];
    for line in story {
        ensure!(outcome.told(line).is_some(), "nothing says {line:?}:\n{}", outcome.tail());
    }
    line_with(&outcome, &["gpu-top: client 0: ", " 1 hangs, 0 faults, 2 page requests"])?;
    let files = seen(&image, &outcome, &[TraceKind::Hang, TraceKind::EngineReset, TraceKind::Left])?;
    for (file, what) in files.iter().zip(["\"engine reset\"", " bcs0  engine reset", ">engine reset<"]) {
        ensure!(file.contains(what), "a file does not tell of the reset");
    }
    Ok(())
}

#[test]
fn a_client_hangs_a_context_learns_it_is_guilty_and_finishes_its_picture_with_a_clone_on_tiger_lake()
-> Result<()> {
    recovers_with_a_clone("tgl")
}

#[test]
fn a_client_hangs_a_context_learns_it_is_guilty_and_finishes_its_picture_with_a_clone_on_skylake()
-> Result<()> {
    recovers_with_a_clone("skl")
}
