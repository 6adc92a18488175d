// SPDX-License-Identifier: BSD-2-Clause
//! The demonstration on other kernels than the tests' usual one: the release build, and those of a Microkit SDK.

use anyhow::{Result, ensure};
use boot::{Demo, Ending, Gpu, Kernel, Machine};
use boot_tests::{DEADLINE, workspace};

/// Nothing appears on the serial port, so the client's exit code is what there is; it is 0 only when every pixel is
/// right.
#[test]
fn the_demonstration_runs_on_the_release_kernel() -> Result<()> {
    let workspace = workspace()?;
    let folder = workspace.target().join("boot-tests/release-kernel");
    let demo = Demo::named("paint")?;
    let image = demo.build(&workspace, Kernel::Release, &folder.join("image"))?;
    let machine = Machine::new(folder.join("run")).deadline(DEADLINE).silent();
    let machine = machine.gpu(Gpu::new("tgl"), boot::build_model(&workspace)?);
    let outcome = demo.run(&machine, &image, |_| {})?;
    ensure!(outcome.ending == Ending::Exit(0), "{:?}:\n{}", outcome.ending, outcome.tail());
    let verdict = outcome.verdict.as_ref();
    ensure!(verdict.is_some_and(|verdict| verdict.reports.is_empty()), "{verdict:?}");
    Ok(())
}

#[cfg(microkit_sdk)]
fn paints_its_picture_on_microkits_kernel(config: &str) -> Result<()> {
    let sdk = boot_tests::sdk(config)?;
    let workspace = workspace()?;
    let folder = workspace.target().join("boot-tests").join(format!("sdk-{config}"));
    let demo = Demo::named("paint")?;
    let board = boot::board_file(&workspace, boot::DEFAULT_BOARD)?;
    let image = demo.build_with_sdk(&workspace, &sdk, &board, &folder.join("image"))?;
    let machine = Machine::new(folder.join("run")).deadline(boot_tests::SDK_DEADLINE);
    let machine = if config == "release" { machine.silent() } else { machine };
    let machine = machine.gpu(Gpu::new("tgl"), boot::build_model(&workspace)?);
    let outcome = demo.run(&machine, &image, |_| {})?;
    let shown = demo.judge(&image, &outcome)?;
    let documented = workspace.root().join("docs/frame.png");
    ensure!(std::fs::read(&shown.png)? == std::fs::read(&documented)?, "it is not the documented picture");
    Ok(())
}

/// The others; their judges are the domains, the device model, and where no CPU of the guest sees the picture the host.
#[test]
#[cfg_attr(not(microkit_sdk), ignore = "skipped: no MICROKIT_SDK")]
fn every_other_demonstration_does_its_job_on_microkits_kernel() -> Result<()> {
    #[cfg(microkit_sdk)]
    {
        let (sdk, workspace) = (boot_tests::sdk("debug")?, workspace()?);
        let board = boot::board_file(&workspace, boot::DEFAULT_BOARD)?;
        let mut others = 0;
        let runs = |demo: &&Demo| demo.name != "paint" && !demo.is_for_the_embedded_kernel();
        for demo in Demo::all().iter().filter(runs) {
            let folder = workspace.target().join("boot-tests").join(format!("sdk-demo-{}", demo.name));
            let image = demo.build_with_sdk(&workspace, &sdk, &board, &folder.join("image"))?;
            let machine = Machine::new(folder.join("run")).deadline(boot_tests::SDK_DEADLINE);
            let machine = machine.gpu(demo.gpu("tgl"), boot::build_model(&workspace)?);
            let judged = demo.run(&machine, &image, |_| {}).and_then(|outcome| demo.judge(&image, &outcome));
            judged.map_err(|error| error.context(demo.name))?;
            others += 1;
        }
        ensure!(others >= 4, "{others} demonstrations");
    }
    Ok(())
}

/// With pages lent by region, behind the IOMMU.
#[test]
#[cfg_attr(not(microkit_sdk), ignore = "skipped: no MICROKIT_SDK")]
fn the_demonstration_paints_its_picture_on_microkits_kernel() -> Result<()> {
    #[cfg(microkit_sdk)]
    paints_its_picture_on_microkits_kernel("debug")?;
    Ok(())
}

/// The numbers of its system calls are others, and nothing is printed.
#[test]
#[cfg_attr(not(microkit_sdk), ignore = "skipped: no MICROKIT_SDK")]
fn the_demonstration_paints_its_picture_on_microkits_release_kernel() -> Result<()> {
    #[cfg(microkit_sdk)]
    paints_its_picture_on_microkits_kernel("release")?;
    Ok(())
}
