// SPDX-License-Identifier: BSD-2-Clause
//! Clients of the driver domain, on the real kernel with the device model attached.

use anyhow::{Result, ensure};
use boot::{Demo, Gpu, Kernel, Machine, Outcome, Pieces, Timing};
use boot_tests::{DEADLINE, System, workspace};

/// The driver domain and others.
fn pieces(packages: &[&str]) -> Result<Pieces> {
    Pieces::build(&workspace()?, Kernel::Debug, packages)
}

/// Boots a system with a GPU.
fn boots(system: System, gpu: Gpu) -> Result<Outcome> {
    let model = boot::build_model(&workspace()?)?;
    let outcome = system.on(|machine| machine.gpu(gpu, model)).passes()?;
    let reports = outcome.verdict.as_ref().map(|verdict| verdict.reports.clone()).unwrap_or_default();
    ensure!(reports.is_empty(), "a real GPU would have punished: {reports:?}");
    Ok(outcome)
}

#[test]
fn a_client_with_a_full_ring_sleeps_until_its_last_batch_is_done() -> Result<()> {
    let system = System::of(&pieces(&["gpu-driver", "boot-domains"])?, "rings")?;
    boots(system, Gpu { timing: Timing::Realtime, ..Gpu::new("tgl") }).map(drop)
}

/// Each of them reads what the description gives it, and sees that it is so; their budgets are from one request a turn on.
#[test]
fn four_clients_with_rings_budgets_and_ceilings_of_their_own_are_all_served() -> Result<()> {
    let system = System::of(&pieces(&["gpu-driver", "boot-domains"])?, "ring_crowd")?;
    let outcome = boots(system, Gpu { timing: Timing::Realtime, ..Gpu::new("tgl") })?;
    for (client, ceiling) in [0, 10, 20, 1022].into_iter().enumerate() {
        let told =
            format!("ring_crowd: client {client} is done with 128 batches, priorities up to {ceiling}");
        ensure!(outcome.told(&told).is_some(), "nothing says {told:?}:\n{}", outcome.tail());
    }
    Ok(())
}

/// Every page is taken back in every way there is, every lie refused; the kernel counts what the driver holds.
#[test]
fn a_lender_gets_its_pages_back_and_its_lies_are_refused() -> Result<()> {
    for part in ["tgl", "skl"] {
        let system = System::variant_of(&pieces(&["gpu-driver", "boot-domains"])?, "lending", part)?;
        let outcome = boots(system, Gpu { timing: Timing::Realtime, ..Gpu::new(part) })?;
        for told in
            ["holds no capability", "every lie is refused", "a single frame", "noticed a revoked page"]
        {
            ensure!(outcome.told(told).is_some(), "nothing says {told:?}:\n{}", outcome.tail());
        }
    }
    Ok(())
}

/// What the GPU's page tables in the driver's memory have of a range of physical memory: entries of 2 MiB, and others.
fn entries(image: &boot::Image, outcome: &Outcome, region: &str) -> Result<(usize, usize)> {
    let (tables, lent) = (image.region("gpu_dma")?, image.region(region)?);
    let bytes = outcome.ram.read(tables.paddr, tables.size)?;
    let words =
        bytes.chunks_exact(8).map(|word| word.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
    // Present and writable, address in bits 12 to 47; in a page directory bit 7 is the size (PRM vol 5, page walk).
    let leads_there = |word: &u64| {
        let address = word & 0xffff_ffff_f000;
        word & 3 == 3 && (lent.paddr..lent.paddr + lent.size).contains(&address)
    };
    let (large, small): (Vec<u64>, Vec<u64>) = words
        .filter(leads_there)
        .partition(|word| word & 1 << 7 != 0 && (word & 0xffff_ffff_f000).is_multiple_of(2 << 20));
    Ok((large.len(), small.len()))
}

/// Read-only, unsynchronised and probed objects; and frames of 2 MiB, which are one entry of the page tables where the part
/// has such entries.
#[test]
fn objects_have_what_their_flags_say_and_large_frames_become_large_entries() -> Result<()> {
    for (part, read_only) in [("tgl", "are not to be had"), ("skl", "the GPU does not write read-only pages")]
    {
        let system = System::variant_of(&pieces(&["gpu-driver", "boot-domains"])?, "lending_flags", part)?;
        let image = system.image().clone();
        let outcome = boots(system, Gpu { timing: Timing::Realtime, ..Gpu::new(part) })?;
        for told in [
            read_only,
            "a probe has the pages or an error",
            "keeps its pages until it is exported",
            "frames of 2 MiB were lent and taken back",
            "an unprivileged client gets no unsynchronised object",
        ] {
            ensure!(outcome.told(told).is_some(), "nothing says {told:?}:\n{}", outcome.tail());
        }
        let (large, small) = entries(&image, &outcome, "large")?;
        // Tables that are free again keep what was in them last, so that there may be more small ones. In those bit 7 is not
        // the size but chooses how the page is cached (PRM vol 5, page walk), so that it tells nothing where all are small.
        let right = if part == "tgl" { (large, small) == (2, 0) } else { large + small >= 1024 };
        ensure!(right, "{part}: {large} large entries and {small} small ones");
    }
    Ok(())
}

/// The README and the guide show it.
#[test]
fn the_smallest_client_lets_the_gpu_greet() -> Result<()> {
    for part in ["tgl", "skl"] {
        let pieces = pieces(&["gpu-driver", "hello-gpu"])?;
        let name = format!("hello-{part}");
        let system = System::described(&pieces, &name, "components/hello-gpu/system.xml")?;
        boots(system, Gpu::new(part))?;
    }
    let source = workspace()?.root().join("components/hello-gpu/src/main.rs");
    let lines = std::fs::read_to_string(source)?.lines().count();
    ensure!(lines < 60, "{lines} lines are not the smallest client");
    Ok(())
}

/// Its program is C, built by a Makefile and linked with the client library's archive; it checks every pixel, and
/// so does the host.
#[test]
fn a_client_in_c_paints_its_picture() -> Result<()> {
    let pieces = pieces(&["gpu-driver", "hello-c"])?;
    for part in ["tgl", "skl"] {
        let demo = Demo::named("hello-c")?;
        let folder = workspace()?.target().join("boot-tests").join(format!("hello-c-{part}"));
        let description = workspace()?.root().join("examples/hello-c/system.xml");
        let image = pieces.image(&workspace()?, &description, &folder.join("image"))?;
        let machine = Machine::new(folder.join("run")).deadline(DEADLINE);
        let machine = machine.gpu(Gpu::new(part), boot::build_model(&workspace()?)?);
        let outcome = demo.run(&machine, &image, |_| {})?;
        let shown = demo.judge(&image, &outcome)?;
        ensure!(outcome.told("hello-c: every pixel is right").is_some(), "{}", outcome.tail());
        ensure!(shown.png.metadata()?.len() > 0);
    }
    Ok(())
}

/// In C, on a part with two video engines: a batch of a bonded slot starts with its master, which waits for it, a full ring
/// is answered in full, and the library does with the 8 KiB of stack that Microkit gives a domain which asks for none.
#[test]
fn a_client_in_c_balances_bonds_and_fills_its_ring() -> Result<()> {
    let system = System::of(&pieces(&["gpu-driver", "engines-c"])?, "engines_c")?;
    let outcome = boots(system, Gpu { timing: Timing::Realtime, ..Gpu::new("tgl") })?;
    for told in [
        "a batch has let the one go on that it started with",
        "every answer of a full queue is there",
        "a batch with 63 objects is done",
    ] {
        let told = format!("engines-c: {told}");
        ensure!(outcome.told(&told).is_some(), "nothing says {told:?}:\n{}", outcome.tail());
    }
    Ok(())
}

/// The same for the kernel of a Microkit SDK.
#[cfg(microkit_sdk)]
fn sdk_pieces(packages: &[&str]) -> Result<boot::SdkPieces> {
    boot::SdkPieces::build(&workspace()?, &boot_tests::sdk("debug")?, packages)
}

fn starts_late(system: System) -> Result<()> {
    let outcome = boots(system, Gpu::new("tgl"))?;
    let at = |text: &str| outcome.lines.iter().position(|line| line.text.contains(text));
    let (started, ready) = (at("late_starter: the driver starts now"), at("gpu_driver: ready"));
    ensure!(started.is_some() && ready > started, "the driver was not held back:\n{}", outcome.tail());
    Ok(())
}

/// A call is answered whenever the driver gets to it.
#[test]
fn a_driver_that_starts_after_its_client_has_called_serves_it() -> Result<()> {
    starts_late(System::of(&pieces(&["gpu-driver", "hello-gpu", "boot-domains"])?, "late_driver")?)
}

#[test]
#[cfg_attr(not(microkit_sdk), ignore = "skipped: no MICROKIT_SDK")]
fn a_driver_that_starts_after_its_client_has_called_serves_it_on_microkits_kernel() -> Result<()> {
    #[cfg(microkit_sdk)]
    starts_late(System::with_sdk(
        &sdk_pieces(&["gpu-driver", "hello-gpu", "boot-domains"])?,
        "late_driver",
    )?)?;
    Ok(())
}

fn restarts(system: System) -> Result<()> {
    let outcome = boots(system, Gpu { timing: Timing::Realtime, ..Gpu::new("tgl") })?;
    ensure!(outcome.told("restarter: ends life 22").is_some(), "{}", outcome.tail());
    Ok(())
}

/// Contexts, objects, lent pages and a batch that never ends: of all of it nothing is left for the next life.
#[test]
fn a_client_that_its_parent_restarts_finds_nothing_of_its_life_before() -> Result<()> {
    restarts(System::of(&pieces(&["gpu-driver", "boot-domains"])?, "restart")?)
}

#[test]
#[cfg_attr(not(microkit_sdk), ignore = "skipped: no MICROKIT_SDK")]
fn a_client_that_its_parent_restarts_finds_nothing_of_its_life_before_on_microkits_kernel() -> Result<()> {
    #[cfg(microkit_sdk)]
    restarts(System::with_sdk(&sdk_pieces(&["gpu-driver", "boot-domains"])?, "restart")?)?;
    Ok(())
}

fn restarts_server(system: System) -> Result<()> {
    let outcome = boots(system, Gpu { timing: Timing::Realtime, ..Gpu::new("tgl") })?;
    for told in ["served_client: 12 rounds", "restarter: ends life 22"] {
        ensure!(outcome.told(told).is_some(), "nothing says {told:?}:\n{}", outcome.tail());
    }
    Ok(())
}

/// Its lives end with pages lent, and with a request fetched and not answered. Its client asks the next one.
#[test]
fn a_memory_server_that_its_parent_restarts_has_its_pages_back_and_goes_on_serving() -> Result<()> {
    restarts_server(System::of(&pieces(&["gpu-driver", "boot-domains"])?, "restart_server")?)
}

#[test]
#[cfg_attr(not(microkit_sdk), ignore = "skipped: no MICROKIT_SDK")]
fn a_memory_server_that_its_parent_restarts_goes_on_serving_on_microkits_kernel() -> Result<()> {
    #[cfg(microkit_sdk)]
    restarts_server(System::with_sdk(&sdk_pieces(&["gpu-driver", "boot-domains"])?, "restart_server")?)?;
    Ok(())
}
