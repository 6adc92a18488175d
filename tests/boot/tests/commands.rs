// SPDX-License-Identifier: BSD-2-Clause
//! Every command that the documentation shows is run by a test, and a command that nobody has thought of fails here.
//!
//! Most are typed by [`every_command_that_can_be_typed_says_what_it_should`], as they stand. What takes too long or wants
//! something that not every machine has is run by another test, whose name stands beside the command and has to exist.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use boot_tests::documents::{chapters, commands, read, root};

/// How a command is run.
#[derive(Debug)]
enum Run {
    /// Typed here as it stands: it succeeds, and says this.
    Typed(&'static str),
    /// Typed here with what this machine has in the place of what the reader has.
    TypedAs(&'static str, &'static str),
    /// What it does the test of this name does, in this file below `tests`.
    By(&'static str, &'static str),
    /// The same where there is a Microkit SDK; it is skipped elsewhere.
    WithSdk(&'static str, &'static str),
    /// It is what continuous integration runs, or runs as a part of that: this line is in this file.
    Part(&'static str, &'static str),
    /// What it takes is neither in the tree nor in a registry. Not for the README and the guide.
    Elsewhere(&'static str),
}

use Run::{By, Elsewhere, Part, Typed, TypedAs, WithSdk};

/// Every command of the documentation.
const COMMANDS: &[(&str, Run)] = &[
    ("make help", Typed("make run")),
    ("make run", Typed("run: ok: paint with GPU tgl")),
    ("make run GPU=skl", Typed("run: ok: paint with GPU skl")),
    ("make run DEMO=recover", Typed("run: ok: recover with GPU tgl")),
    ("make run DEMO=share", Typed("run: ok: share with GPU tgl")),
    ("make run DEMO=stream", Typed("run: ok: stream with GPU tgl")),
    ("make run DEMO=show", Typed("run: the screen shows the picture: target/run/screen.png")),
    // Of the last run that has a trace: that is the one before.
    (
        "make timeline LOG=target/run/events.bin MODEL=target/run/trace.json",
        Typed("events of the driver: target/run/timeline.json"),
    ),
    ("make run DEMO=hello-c", Typed("run: ok: hello-c with GPU tgl")),
    // Half a minute alone.
    (
        "make run DEMO=migrate",
        By("boot/tests/demo.rs", "clients_paint_on_while_their_pages_move_10_000_times"),
    ),
    ("make image", Typed("image: kernel target/kernel/debug/kernel32.elf")),
    ("make image BOARD=mine", TypedAs("make image BOARD=xps13-9310", "image: kernel target/kernel/debug")),
    (
        "make board BOARD=mine",
        By("boot/tests/guide.rs", "the_pages_commands_write_the_board_file_of_a_machine_from_its_dumps"),
    ),
    (
        "make board BOARD=mine LSPCI=lspci.txt IOMEM=iomem.txt",
        By("boot/tests/guide.rs", "the_pages_commands_write_the_board_file_of_a_machine_from_its_dumps"),
    ),
    (
        "make board BOARD=mine LOG=log.txt",
        By("boot/tests/guide.rs", "the_pages_commands_write_the_board_file_of_a_machine_from_its_dumps"),
    ),
    ("cargo run -p image --bin microkit-board -- --help", Typed("--vector")),
    ("make parity", Typed("parity: ok: ")),
    ("make test", Part(".ci/run", "make test")),
    // The linter calls it.
    ("make guide", Part("toolchain/xtask/src/lint.rs", "guide::guide(workspace)")),
    // All of it takes most of an hour; the short form of it is a part of the tests.
    (
        "make oracle",
        Part("toolchain/xtask/src/test.rs", "oracle::oracle(workspace, &oracle::Options::short(gpu))"),
    ),
    // One of its subjects: all of them take minutes.
    ("make bench", TypedAs("cargo run -q -p xtask -- bench call", "bench: ok: ")),
    (
        "cargo test -p boot-tests --test clients the_smallest_client_lets_the_gpu_greet",
        By("boot/tests/clients.rs", "the_smallest_client_lets_the_gpu_greet"),
    ),
    // Tests themselves, with what they print.
    (
        "cargo test -p lending -- --nocapture",
        By(
            "lending/tests/exploration.rs",
            "in_every_order_of_events_nothing_reaches_pages_that_were_taken_back",
        ),
    ),
    ("cargo doc --no-deps -p gpu-client -p gpu-protocol -p gpu-ring", Typed("")),
    (
        "cargo build --config toolchain/domain.toml --profile domain -p gpu-client-c --features gpu-client-c/runtime",
        Typed(""),
    ),
    (
        "MICROKIT_SDK=/opt/microkit-sdk-2.3.0 cargo build --config toolchain/domain.toml --profile domain --target-dir \
         target/mine -p gpu-client-c --features gpu-client-c/runtime -p microkit-ext --features microkit-ext/mcs",
        WithSdk("boot/tests/examples.rs", "the_pages_command_builds_the_library_for_c_for_microkits_kernel"),
    ),
    (
        "make -C examples/hello-c run",
        By("boot/tests/examples.rs", "a_client_in_c_is_built_without_the_top_level_makefile_and_paints"),
    ),
    ("make setup", Typed("")),
    (
        "make image MICROKIT_SDK=DIR [CONFIG=debug|release]",
        WithSdk("boot/tests/kernels.rs", "the_demonstration_paints_its_picture_on_microkits_release_kernel"),
    ),
    (
        "make image MICROKIT_SDK=/opt/microkit-sdk-2.3.0",
        WithSdk("boot/tests/kernels.rs", "the_demonstration_paints_its_picture_on_microkits_kernel"),
    ),
    (
        "make run MICROKIT_SDK=/opt/microkit-sdk-2.3.0",
        WithSdk("boot/tests/kernels.rs", "the_demonstration_paints_its_picture_on_microkits_kernel"),
    ),
    (
        "make image BOARD=mine MICROKIT_SDK=/opt/microkit-sdk-2.3.0 CONFIG=debug",
        WithSdk(
            "boot/tests/boards.rs",
            "what_is_wrong_with_a_board_is_told_with_its_line_on_microkits_kernel",
        ),
    ),
    (
        "RUSTUP_TOOLCHAIN=nightly cargo update -p unwinding --precise 0.2.8",
        Elsewhere("a nightly Rust, rust-sel4's repository, and an SDK's headers"),
    ),
    (
        "RUSTUP_TOOLCHAIN=nightly cargo check --config toolchain/domain.toml --profile domain -p microkit-ext --features \
         microkit-ext/mcs -p gpu-driver",
        Elsewhere("a nightly Rust, rust-sel4's repository, and an SDK's headers"),
    ),
];

fn account(command: &str) -> Option<&'static Run> {
    COMMANDS.iter().find(|(known, _)| *known == command).map(|(_, run)| run)
}

/// Types a command at the top of the tree, without what cargo and make pass down; what it says.
fn typed(command: &str) -> Result<String> {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(root()?).stdin(Stdio::null());
    for name in boot_tests::HANDED_DOWN {
        shell.env_remove(name);
    }
    let output = shell.output().context("sh")?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success(), "`{command}` fails:\n{said}");
    Ok(said)
}

/// Checks that a command is run by what is said to run it.
fn check(command: &str, run: &Run) -> Result<()> {
    let tests = root()?.join("tests");
    match run {
        // The other test does it.
        Typed(_) | TypedAs(..) => Ok(()),
        By(file, test) => ensure_test(&tests.join(file), test, false),
        WithSdk(file, test) => ensure_test(&tests.join(file), test, true),
        Part(file, line) => {
            let there = read(&root()?.join(file))?.lines().any(|found| found.contains(line));
            ensure!(there, "{file} has no line with {line:?}");
            Ok(())
        }
        Elsewhere(_) => Ok(()),
    }
    .with_context(|| format!("`{command}`"))
}

/// A file has a test of this name, which is skipped only where it needs an SDK and there is none.
fn ensure_test(file: &Path, name: &str, with_sdk: bool) -> Result<()> {
    let text = read(file)?;
    let lines: Vec<_> = text.lines().collect();
    let at = lines.iter().position(|line| line.starts_with(&format!("fn {name}()")));
    let at = at.with_context(|| format!("{} has no test {name}", file.display()))?;
    let attributes: Vec<_> = lines[..at].iter().rev().take_while(|line| line.starts_with("#[")).collect();
    ensure!(attributes.iter().any(|line| **line == "#[test]"), "{name} is no test");
    let ignored = attributes.iter().any(|line| line.contains("ignore"));
    ensure!(ignored == with_sdk, "{name}: {attributes:?}");
    Ok(())
}

#[test]
fn every_command_of_the_documentation_is_run_by_a_test() -> Result<()> {
    let root = root()?;
    let mut pages = vec![root.join("README.md")];
    pages.extend(chapters()?);
    let first = pages.len();
    pages.extend(["docs/microkit.md", "docs/boards.md"].map(|page| root.join(page)));
    let mut seen = vec![];
    for (place, page) in pages.iter().enumerate() {
        for command in commands(&read(page)?) {
            let here = || format!("{}: `{command}`", page.display());
            let run = account(&command).with_context(|| format!("{}: no test runs it", here()))?;
            if let Elsewhere(what) = run {
                ensure!(place >= first, "{}: takes {what}", here());
            }
            check(&command, run).with_context(|| page.display().to_string())?;
            seen.push(command);
        }
    }
    let stale =
        COMMANDS.iter().map(|(command, _)| *command).find(|command| !seen.iter().any(|it| it == command));
    if let Some(command) = stale {
        bail!("no page has `{command}` any more");
    }
    ensure!(seen.len() >= 25, "{seen:?}");
    Ok(())
}

/// One after the other: all runs have the same folder.
#[test]
fn every_command_that_can_be_typed_says_what_it_should() -> Result<()> {
    for (command, run) in COMMANDS {
        let (line, expected) = match run {
            Typed(expected) => (command, expected),
            TypedAs(line, expected) => (line, expected),
            _ => continue,
        };
        let start = std::time::Instant::now();
        let said = typed(line)?;
        ensure!(said.contains(expected), "`{line}` does not say {expected:?}:\n{said}");
        println!("`{line}`: {:.1} s", start.elapsed().as_secs_f64());
        if line.starts_with("make run") {
            let files =
                said.lines().find(|line| line.starts_with("run: in target/run: ")).context("the files")?;
            for name in files.split_whitespace().skip(3) {
                let file = root()?.join("target/run").join(name);
                ensure!(file.is_file(), "`{line}` names {}, which is not there", file.display());
            }
        }
    }
    Ok(())
}

#[test]
fn commands_are_found_wherever_a_page_has_them() {
    let page = "# Page\n\n    make run   DEMO=x   # comment\n    VARIABLE=1 cargo check \\\n        -p y\n    other words\n\n\
                `make help`, `make run DEMO=x`, `make`, `make image MICROKIT_SDK=...`\n\n```sh\nls -l\n```\n";
    let found = commands(page);
    assert_eq!(found, ["ls -l", "make run DEMO=x", "VARIABLE=1 cargo check -p y", "make help"]);
}

#[test]
fn what_is_no_test_or_skips_more_than_it_says_runs_nothing() -> Result<()> {
    let kernels = root()?.join("tests/boot/tests/kernels.rs");
    let sdk = "the_demonstration_paints_its_picture_on_microkits_kernel";
    ensure!(ensure_test(&kernels, sdk, true).is_ok());
    ensure!(ensure_test(&kernels, sdk, false).is_err(), "it is skipped without an SDK");
    ensure!(ensure_test(&kernels, "paints_its_picture_on_microkits_kernel", false).is_err(), "a function");
    ensure!(ensure_test(&kernels, "the_demonstration_flies", false).is_err());
    ensure!(account("make coffee").is_none());
    Ok(())
}
