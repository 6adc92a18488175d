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

/// What the client says once the driver has brought the GPU up and answered its call.
#[cfg(microkit_sdk)]
const CONNECTED: &str = "paint: connected to GPU 0x9a49 with 5 engines";

#[cfg(microkit_sdk)]
fn sdk_image(config: &str) -> Result<(boot::Image, Machine)> {
    use anyhow::Context as _;
    let sdk = std::env::var_os("MICROKIT_SDK").context("the build script saw it")?;
    let sdk = boot::Sdk::open(std::path::Path::new(&sdk), config)?;
    let workspace = workspace()?;
    let folder = workspace.target().join("boot-tests").join(format!("sdk-{config}"));
    let image = Demo::named("paint")?.build_with_sdk(&workspace, &sdk, &folder.join("image"))?;
    let machine = Machine::new(folder.join("run")).deadline(DEADLINE);
    Ok((image, machine.gpu(Gpu::new("tgl"), boot::build_model(&workspace)?)))
}

/// Registers, DMA memory behind the IOMMU, the engines' first requests, and a protected call of a client.
#[test]
#[cfg_attr(not(microkit_sdk), ignore = "skipped: no MICROKIT_SDK")]
fn the_driver_starts_on_microkits_kernel_and_answers_its_client() -> Result<()> {
    #[cfg(microkit_sdk)]
    {
        let (image, machine) = sdk_image("debug")?;
        let outcome = machine.run(&image, |line| {
            if line.text.contains(CONNECTED) {
                std::ops::ControlFlow::Break(())
            } else {
                std::ops::ControlFlow::Continue(())
            }
        })?;
        ensure!(outcome.line(CONNECTED).is_some(), "{}", outcome.tail());
        let verdict = outcome.verdict.as_ref();
        ensure!(verdict.is_some_and(|verdict| verdict.reports.is_empty()), "{verdict:?}");
    }
    Ok(())
}

/// The numbers of a release kernel are others: the image is built with them.
#[test]
#[cfg_attr(not(microkit_sdk), ignore = "skipped: no MICROKIT_SDK")]
fn an_image_is_built_for_microkits_release_kernel() -> Result<()> {
    #[cfg(microkit_sdk)]
    {
        let (image, _) = sdk_image("release")?;
        ensure!(image.system.metadata()?.len() > 0 && image.kernel.is_file());
    }
    Ok(())
}
