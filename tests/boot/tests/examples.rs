// SPDX-License-Identifier: BSD-2-Clause
//! The systems in `examples/`, built as they say and booted: with `toolchain/intel-gpu.mk`, not with the top-level Makefile.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use boot::{Ending, Gpu, Image, Kernel, Machine, Outcome};
use boot_tests::{DEADLINE, SDK_DEADLINE, workspace};

/// Builds an example with its own Makefile, for the embedded kernel or for an SDK, and boots it.
fn run(example: &str, sdk: Option<(&Path, &str)>) -> Result<Outcome> {
    let workspace = workspace()?;
    let kind = sdk.map_or("embedded".to_owned(), |(_, config)| format!("sdk-{config}"));
    let folder = workspace.target().join("boot-tests").join(format!("example-{example}-{kind}"));
    let build = folder.join("build");
    let mut make = boot_tests::make(&workspace.root().join("examples").join(example));
    make.arg(format!("BUILD_DIR={}", build.display()));
    make.arg(format!("INTEL_GPU_KERNELS={}", workspace.target().display()));
    let kernel = match sdk {
        Some((sdk, config)) => {
            let programs = workspace.sdk_dir(&boot::Sdk::open(sdk, config)?);
            make.arg(format!("INTEL_GPU_TARGET={}", target(&programs)?));
            make.arg(format!("MICROKIT_SDK={}", sdk.display())).arg(format!("MICROKIT_CONFIG={config}"));
            sdk.join(format!("board/x86_64_generic/{config}/elf/sel4_32.elf"))
        }
        None => {
            make.arg(format!("INTEL_GPU_TARGET={}", target(&workspace.domain_dir(Kernel::Debug))?));
            workspace.target().join("kernel/debug/kernel32.elf")
        }
    };
    let output = make.output().context("make")?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success(), "make in examples/{example}:\n{said}");

    let (system, report) = (build.join("loader.img"), build.join("report.json"));
    let machine = Machine::new(folder.join("run"))
        .deadline(if sdk.is_some() { SDK_DEADLINE } else { DEADLINE })
        .silent();
    let machine = machine.gpu(Gpu::new("tgl"), boot::build_model(&workspace)?);
    let outcome = machine.run(&Image { kernel, system, report, regions: vec![] }, |line| {
        if line.tells_of_a_break() {
            std::ops::ControlFlow::Break(())
        } else {
            std::ops::ControlFlow::Continue(())
        }
    })?;
    ensure!(outcome.ending == Ending::Exit(0), "{:?}:\n{}", outcome.ending, outcome.tail());
    let reports = outcome.verdict.as_ref().map(|verdict| verdict.reports.clone()).unwrap_or_default();
    ensure!(reports.is_empty(), "a real GPU would have punished: {reports:?}");
    Ok(outcome)
}

/// Where cargo is to build so that the driver, which is there already, is not built once more.
fn target(programs: &Path) -> Result<String> {
    let target = programs.ancestors().nth(2).context("TARGET/x86_64-unknown-linux-gnu/domain")?;
    Ok(target.display().to_string())
}

/// The top-level Makefile's demonstration.
#[test]
fn the_demonstration_is_built_without_the_top_level_makefile_and_paints() -> Result<()> {
    let outcome = run("paint", None)?;
    ensure!(outcome.told("paint: all 307200 pixels are right").is_some(), "{}", outcome.tail());
    Ok(())
}

#[test]
#[cfg_attr(not(microkit_sdk), ignore = "skipped: no MICROKIT_SDK")]
fn the_demonstration_is_built_for_microkits_kernel_without_the_top_level_makefile_and_paints() -> Result<()> {
    #[cfg(microkit_sdk)]
    {
        let sdk = std::env::var_os("MICROKIT_SDK").context("the build script saw it")?;
        let outcome = run("paint", Some((Path::new(&sdk), "debug")))?;
        ensure!(outcome.told("paint: all 307200 pixels are right").is_some(), "{}", outcome.tail());
    }
    Ok(())
}

fn shared(outcome: &Outcome) -> Result<()> {
    for client in [0, 1] {
        // The picture's pages and the commands'.
        let line = format!("bank: client {client} has lent 2 times, 4096 pixels are right");
        ensure!(outcome.told(&line).is_some(), "nothing says {line:?}:\n{}", outcome.tail());
    }
    Ok(())
}

#[test]
fn two_clients_paint_into_pages_that_a_memory_server_lends() -> Result<()> {
    shared(&run("shared", None)?)
}

/// There the memory server lends by the rows of its regions.
#[test]
#[cfg_attr(not(microkit_sdk), ignore = "skipped: no MICROKIT_SDK")]
fn two_clients_paint_into_pages_that_a_memory_server_lends_on_microkits_kernels() -> Result<()> {
    #[cfg(microkit_sdk)]
    {
        let sdk = std::env::var_os("MICROKIT_SDK").context("the build script saw it")?;
        shared(&run("shared", Some((Path::new(&sdk), "debug")))?)?;
        run("shared", Some((Path::new(&sdk), "release")))?;
    }
    Ok(())
}
