// SPDX-License-Identifier: BSD-2-Clause
//! The systems in `examples/`, built as they say and booted: with `toolchain/intel-gpu.mk`, not with the top-level Makefile.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use boot::{Ending, Gpu, Image, Kernel, Machine, Outcome, Trace};
use boot_tests::{DEADLINE, SDK_DEADLINE, workspace};
use gpu_protocol::TraceKind;

/// Builds an example with its own Makefile, for the embedded kernel or for an SDK, and boots it.
fn run(example: &str, sdk: Option<(&Path, &str)>) -> Result<Outcome> {
    let workspace = workspace()?;
    let kind = sdk.map_or("embedded".to_owned(), |(_, config)| format!("sdk-{config}"));
    let folder = workspace.target().join("boot-tests").join(format!("example-{example}-{kind}"));
    run_in(&workspace.root().join("examples").join(example), &folder.join("build"), &folder, sdk)
}

/// The same of an example that lies in `example`, is built in `build`, and leaves what the run has in `folder`.
fn run_in(example: &Path, build: &Path, folder: &Path, sdk: Option<(&Path, &str)>) -> Result<Outcome> {
    let workspace = workspace()?;
    let mut make = boot_tests::make(example);
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
    ensure!(output.status.success(), "make in {}:\n{said}", example.display());

    let machine = Machine::new(folder.join("run"))
        .deadline(if sdk.is_some() { SDK_DEADLINE } else { DEADLINE })
        .silent();
    let machine = machine.gpu(Gpu::new("tgl"), boot::build_model(&workspace)?);
    let outcome = machine.run(&Image::found(kernel, build.join("loader.img"))?, |line| {
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
    // What is seen of it is found by the report that is beside the image.
    let Some((trace, _)) = Trace::of_folder(&outcome.folder)? else { bail!("no trace") };
    ensure!(trace.has(TraceKind::PagesGranted) && trace.has(TraceKind::Finished), "{} events", trace.len());
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

fn painted_in_c(outcome: &Outcome) -> Result<()> {
    ensure!(outcome.told("hello-c: every pixel is right").is_some(), "{}", outcome.tail());
    Ok(())
}

/// Linked with the runtime of the client library.
#[test]
fn a_client_in_c_is_built_without_the_top_level_makefile_and_paints() -> Result<()> {
    painted_in_c(&run("hello-c", None)?)
}

/// Linked with the SDK's libmicrokit.
#[test]
#[cfg_attr(not(microkit_sdk), ignore = "skipped: no MICROKIT_SDK")]
fn a_client_in_c_is_linked_with_microkits_own_library_and_paints_on_its_kernels() -> Result<()> {
    #[cfg(microkit_sdk)]
    {
        let sdk = std::env::var_os("MICROKIT_SDK").context("the build script saw it")?;
        painted_in_c(&run("hello-c", Some((Path::new(&sdk), "debug")))?)?;
        run("hello-c", Some((Path::new(&sdk), "release")))?;
    }
    Ok(())
}

/// The commands of docs/microkit.md that copy an example, as they are there but for where the copy goes: `~` is `home`.
fn copy_as_documented(home: &Path) -> Result<()> {
    let root = workspace()?.root().to_owned();
    let page = std::fs::read_to_string(root.join("docs/microkit.md"))?;
    let commands: Vec<_> = page
        .lines()
        .skip_while(|line| !line.starts_with("    INTEL_GPU=$PWD"))
        .map_while(|line| line.strip_prefix("    "))
        .collect();
    let [copying @ .., building] = &commands[..] else { bail!("the page copies nothing") };
    ensure!(building.starts_with("make run MICROKIT_SDK="), "{building}");
    let mut shell = Command::new("bash");
    shell.args(["-euc", &copying.join("\n")]).env("HOME", home).current_dir(&root);
    let output = shell.output().context("bash")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// What a user does who has this repository somewhere, and systems elsewhere.
fn built_elsewhere(sdk: Option<(&Path, &str)>) -> Result<()> {
    let kind = sdk.map_or("embedded", |(_, config)| config);
    let home = std::env::temp_dir().join(format!("intel-gpu-elsewhere-{kind}-{}", std::process::id()));
    std::fs::create_dir_all(&home)?;
    copy_as_documented(&home)?;
    let copy = home.join("my-system");
    ensure!(copy.join("tile/src/main.rs").is_file(), "{} lacks a program", copy.display());
    shared(&run_in(&copy, &copy.join("build"), &home, sdk)?)?;
    // Left where something is wrong, for who looks.
    std::fs::remove_dir_all(&home)?;
    Ok(())
}

#[test]
fn an_example_that_is_copied_elsewhere_as_the_page_says_is_built_and_runs_there() -> Result<()> {
    built_elsewhere(None)
}

#[test]
#[cfg_attr(not(microkit_sdk), ignore = "skipped: no MICROKIT_SDK")]
fn an_example_that_is_copied_elsewhere_as_the_page_says_runs_on_microkits_kernel() -> Result<()> {
    #[cfg(microkit_sdk)]
    {
        let sdk = std::env::var_os("MICROKIT_SDK").context("the build script saw it")?;
        built_elsewhere(Some((Path::new(&sdk), "debug")))?;
    }
    Ok(())
}

/// The archive for domains in C with its own runtime; the demonstration `hello-c` is linked with one that is built so.
#[test]
#[cfg_attr(not(microkit_sdk), ignore = "skipped: no MICROKIT_SDK")]
fn the_pages_command_builds_the_library_for_c_for_microkits_kernel() -> Result<()> {
    #[cfg(microkit_sdk)]
    {
        let workspace = workspace()?;
        let sdk = boot_tests::sdk("debug")?;
        let page = std::fs::read_to_string(workspace.root().join("docs/microkit.md"))?;
        let start = page.find("      MICROKIT_SDK=").context("the page has no such command")?;
        let command = page[start..].split("\n\n").next().context("a command")?;
        let folder = workspace.target().join("boot-tests/page-c");
        let command = command
            .replace("/opt/microkit-sdk-2.3.0", &sdk.folder().display().to_string())
            .replace("target/mine", &folder.display().to_string());
        let mut shell = Command::new("bash");
        // As somebody types it: of a surrounding cargo nothing.
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR"] {
            shell.env_remove(name);
        }
        let output = shell.args(["-euc", &command]).current_dir(workspace.root()).output().context("bash")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{command}:\n{said}");
        let archive = folder.join("x86_64-unknown-linux-gnu/domain/libgpu_client_c.a");
        let bytes = std::fs::read(&archive).with_context(|| archive.display().to_string())?;
        let has = |name: &str| bytes.windows(name.len()).any(|window| window == name.as_bytes());
        ensure!(has("microkit_ppcall") && has("_start"), "{} has no runtime", archive.display());
    }
    Ok(())
}

/// What the examples' Makefiles build in the tree is nothing that a commit could take along.
#[test]
fn what_examples_build_is_ignored_by_git() -> Result<()> {
    let root = workspace()?.root().to_owned();
    let built = ["paint/build/loader.img", "shared/build/report.json", "hello-c/build/hello-c.elf"];
    let paths = built.map(|path| format!("examples/{path}"));
    let mut git = Command::new("git");
    git.arg("-C").arg(&root).args(["check-ignore", "--no-index"]).args(&paths);
    // Sources without their history, of an archive, or a machine without git: there is nothing to take along.
    let Ok(output) = git.output() else { return Ok(()) };
    if output.status.code() == Some(128) {
        return Ok(());
    }
    let ignored = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(paths.iter().all(|path| ignored.lines().any(|line| line == path)), "{ignored}");
    Ok(())
}
