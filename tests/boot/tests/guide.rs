// SPDX-License-Identifier: BSD-2-Clause
//! The guide and the README: what they show is what is there.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use boot::{Demo, Kernel};
use boot_tests::documents::{block_lines, chapters, commands, links, read, root};
use boot_tests::workspace;

/// The name of the section that a heading begins, as links have it: small letters, a hyphen for each space.
fn anchor(line: &str) -> Option<String> {
    let heading = line.trim_start_matches('#');
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let small = |c: char| if c == ' ' { '-' } else { c.to_ascii_lowercase() };
    (heading.len() < line.len()).then(|| heading.trim().chars().filter(kept).map(small).collect())
}

#[test]
fn every_chapter_is_in_the_summary_and_every_link_leads_somewhere() -> Result<()> {
    let chapters = chapters()?;
    ensure!(chapters.len() >= 7, "{chapters:?}");
    let folder = root()?.join("docs/guide/src");
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let listed = chapters.contains(&path) || path.ends_with("SUMMARY.md");
        ensure!(listed, "{} is not in the summary", path.display());
    }
    for chapter in chapters {
        let text = read(&chapter)?;
        for link in links(&text).filter(|link| !link.starts_with("https://")) {
            ensure!(folder.join(link).exists(), "{}: nothing is at {link}", chapter.display());
        }
        for include in text.split("{{#include ").skip(1) {
            let what = include.split_once("}}").context("an include without end")?.0;
            let (file, part) = what.split_once(':').unwrap_or((what, ""));
            ensure!(folder.join(file).exists(), "{}: nothing is at {file}", chapter.display());
            // mdBook takes all of the file if it has no such part.
            let text = read(&folder.join(file))?;
            let whole = ["ANCHOR", "ANCHOR_END"].map(|mark| text.contains(&format!("{mark}: {part} ")));
            ensure!(part.is_empty() || whole == [true; 2], "{}: nothing is at {what}", chapter.display());
        }
    }
    let readme = read(&root()?.join("README.md"))?;
    for link in links(&readme).filter(|link| !link.starts_with("https://")) {
        let (file, section) = link.split_once('#').unwrap_or((link, ""));
        let file = root()?.join(file);
        ensure!(file.exists(), "README.md: nothing is at {link}");
        let there =
            section.is_empty() || read(&file)?.lines().any(|line| anchor(line) == Some(section.into()));
        ensure!(there, "README.md: no section is at {link}");
    }
    Ok(())
}

/// What a command of the top-level Makefile says, and whether it succeeds.
fn typed(words: &[String]) -> Result<(bool, String)> {
    let workspace = workspace()?;
    let output = boot_tests::make(workspace.root()).args(words).output().context("make")?;
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
    ))
}

/// As the page says, with dumps of a machine; and an image is built for what they write.
#[test]
fn the_pages_commands_write_the_board_file_of_a_machine_from_its_dumps() -> Result<()> {
    let workspace = workspace()?;
    let folder = workspace.target().join("boot-tests/board-commands");
    fs::create_dir_all(&folder)?;
    let at = |name: &str| folder.join(name).display().to_string();
    for (name, dump) in
        [("lspci.txt", "lspci.txt"), ("iomem.txt", "iomem.txt"), ("log.txt", "kernel-log.txt")]
    {
        fs::copy(workspace.root().join("toolchain/image/tests/data").join(dump), folder.join(name))?;
    }
    let page = commands(&read(&workspace.root().join("docs/boards.md"))?);
    let from_dumps = page.iter().filter(|command| command.contains(".txt"));
    let mut written = 0;
    for command in from_dumps {
        let _ = fs::remove_file(at("mine.toml"));
        let words = command.split_whitespace().skip(1).map(|word| match word.split_once('=') {
            Some(("BOARD", name)) => format!("BOARD={}", at(&format!("{name}.toml"))),
            Some((name, file)) => format!("{name}={}", at(file)),
            None => word.to_owned(),
        });
        let (success, said) = typed(&words.collect::<Vec<_>>())?;
        ensure!(success && said.contains("Tiger Lake (8086:9a49)"), "{command}: {said}");
        let image = Demo::named("paint")?.build_on(
            &workspace,
            Kernel::Debug,
            &folder.join("mine.toml"),
            &folder.join("image"),
        )?;
        ensure!(image.region("gpu_registers")?.paddr == 0x60_3c00_0000, "{command}: {image:?}");
        written += 1;
    }
    ensure!(written == 2, "{page:?}");
    Ok(())
}

#[test]
fn what_is_typed_wrongly_is_told_with_what_would_be_right() -> Result<()> {
    let data = root()?.join("toolchain/image/tests/data");
    let nowhere = workspace()?.target().join("boot-tests/nowhere.toml");
    let board = format!("BOARD={}", nowhere.display());
    let dump = |variable: &str, file: &str| format!("{variable}={}", data.join(file).display());
    for (words, told) in [
        (vec!["image".into(), "BOARD=toaster".into()], "there is no board toaster; there is "),
        (
            vec!["image".into(), "MICROKIT_SDK=/nonexistent".into()],
            "/nonexistent is no Microkit SDK: there is no such folder; what is expected has VERSION, ",
        ),
        (
            vec!["image".into(), "MICROKIT_SDK=no/where".into()],
            "no/where is no Microkit SDK: there is no such folder in /",
        ),
        (
            vec!["image".into(), "MICROKIT_SDK=".into()],
            "MICROKIT_SDK is empty: name the folder of a Microkit SDK",
        ),
        (
            vec!["run".into(), "MICROKIT_SDK=".into()],
            "MICROKIT_SDK is empty: name the folder of a Microkit SDK",
        ),
        (vec!["image".into(), "CONFIG=release".into()], "CONFIG is which configuration of a Microkit SDK"),
        (vec!["run".into(), "DEMO=tetris".into()], "there is no demonstration tetris; there is paint, "),
        (vec!["run".into(), "GPU=voodoo".into()], "voodoo"),
        (vec!["timeline".into(), "LOG=/nonexistent".into()], "cannot read /nonexistent: No such file"),
        (
            vec!["timeline".into(), "LOG=README.md".into()],
            "README.md: there is no trace: it begins otherwise",
        ),
        (vec!["board".into()], "make board BOARD=mine"),
        (vec!["board".into(), board.clone(), dump("LSPCI", "iomem.txt")], "no output of lspci -vvv -xxx"),
        (vec!["board".into(), board.clone(), dump("LSPCI", "lspci.txt")], "/proc/iomem has it, read as root"),
        (vec!["board".into(), board.clone(), dump("IOMEM", "lspci.txt")], "this is no /proc/iomem"),
        (vec!["board".into(), board.clone(), dump("LOG", "none.txt")], "none.txt: No such file"),
    ] {
        let (success, said) = typed(&words)?;
        ensure!(!success && said.contains(told), "{words:?} does not say {told:?}:\n{said}");
    }
    ensure!(!nowhere.exists(), "a board file is written from half of what is needed");
    Ok(())
}

/// The same of Makefiles that include the snippet.
#[test]
fn what_an_examples_makefile_is_given_wrongly_is_told_before_anything_is_built() -> Result<()> {
    let folder = workspace()?.target().join("boot-tests/sdks");
    let sdk = |version: &str| -> Result<String> {
        let folder = folder.join(version);
        fs::create_dir_all(folder.join("board/x86_64_generic/debug"))?;
        fs::write(folder.join("VERSION"), format!("{version}\n"))?;
        Ok(format!("MICROKIT_SDK={}", folder.display()))
    };
    for (words, told) in [
        (
            vec!["MICROKIT_SDK=/nonexistent".into()],
            "/nonexistent is no Microkit SDK: there is no such folder; what is expected has VERSION, ",
        ),
        (vec!["MICROKIT_SDK=no/where".into()], "no/where is no Microkit SDK: there is no such folder in /"),
        (
            vec![format!("MICROKIT_SDK={}", root()?.display())],
            "is no Microkit SDK: there is no VERSION in it",
        ),
        (vec!["MICROKIT_SDK=".into()], "MICROKIT_SDK is empty: name the folder of a Microkit SDK"),
        (vec!["MICROKIT_SDK=/a folder".into()], "MICROKIT_SDK is \"/a folder\": make cannot work with"),
        (
            vec!["MICROKIT_BOARD=odroidc4".into()],
            "MICROKIT_BOARD is odroidc4; the GPU driver is for the board x86_64_generic",
        ),
        (vec![sdk("2.3.0")?, "MICROKIT_BOARD=odroidc4".into()], "MICROKIT_BOARD is odroidc4; "),
        (vec!["INTEL_GPU=..".into()], "toolchain/intel-gpu.mk: No such file"),
        (vec![sdk("2.2.0")?], "is Microkit 2.2.0; what is supported is 2.3.0"),
        (
            vec![sdk("2.3.0-dev")?, "MICROKIT_CONFIG=benchmark".to_owned()],
            "no configuration benchmark of the board x86_64_generic; it has debug",
        ),
        (vec!["BUILD_DIR=".to_owned()], "set BUILD_DIR"),
    ] {
        for example in ["paint", "shared"] {
            let mut make = boot_tests::make(&root()?.join("examples").join(example));
            let output = make.args(&words).output().context("make")?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure!(
                !output.status.success() && said.contains(told),
                "{words:?} does not say {told:?}:\n{said}"
            );
        }
    }
    Ok(())
}

/// A Makefile that includes the snippet in front of its own rules, as the page has it.
#[test]
fn the_snippet_takes_nobodys_default_goal() -> Result<()> {
    let folder = workspace()?.target().join("boot-tests/snippet");
    fs::create_dir_all(&folder)?;
    for (before, goal) in [("", "mine"), ("first:\n\t@echo first\n", "first")] {
        let makefile = format!(
            "INTEL_GPU := {}\nBUILD_DIR := build\n{before}include $(INTEL_GPU)/toolchain/intel-gpu.mk\n\
             mine:\n\t@echo mine\n",
            root()?.display()
        );
        fs::write(folder.join("Makefile"), makefile)?;
        let output = boot_tests::make(&folder).arg("-s").output().context("make")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(said.trim() == goal, "{said}{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// The sources of the tests below a folder, one after the other.
fn sources(folder: &Path) -> Result<String> {
    let mut text = String::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            text += &sources(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &read(&path)?;
        }
    }
    Ok(text)
}

#[test]
fn every_test_that_the_guide_names_exists() -> Result<()> {
    let mut tests = String::new();
    for package in ["boot", "conformance", "lending"] {
        tests += &sources(&root()?.join("tests").join(package).join("tests"))?;
    }
    let mut named = 0;
    for chapter in chapters()? {
        for (number, word) in read(&chapter)?.split('`').enumerate() {
            // Between two of those marks; nothing else has names as long as tests have.
            let is_name = word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            if number % 2 == 1 && is_name && word.matches('_').count() >= 5 {
                named += 1;
                ensure!(tests.contains(&format!("fn {word}()")), "{}: no test {word}", chapter.display());
            }
        }
    }
    ensure!(named >= 15, "{named} tests");
    Ok(())
}

/// Each line of a description in the guide is a line of a description that is booted.
#[test]
fn what_the_guide_shows_of_descriptions_is_in_descriptions_that_are_booted() -> Result<()> {
    let root = root()?;
    let plain = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut booted = std::collections::HashSet::new();
    let mut folders = vec![root.clone()];
    for parent in ["components", "examples", "tests/boot"] {
        for entry in fs::read_dir(root.join(parent))? {
            folders.push(entry?.path());
        }
    }
    for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "xml") {
                booted.extend(read(&path)?.lines().map(plain));
            }
        }
    }
    let mut shown = 0;
    for chapter in chapters()? {
        for line in block_lines(&read(&chapter)?, "xml") {
            let line = plain(&line);
            if !line.starts_with("<!--") {
                ensure!(booted.contains(&line), "{}: no description has {line}", chapter.display());
                shown += 1;
            }
        }
    }
    ensure!(shown >= 30, "{shown} lines");
    Ok(())
}

#[test]
fn the_client_in_the_readme_is_the_one_that_is_tested() -> Result<()> {
    let client = read(&root()?.join("components/hello-gpu/src/main.rs"))?;
    let shown = block_lines(&read(&root()?.join("README.md"))?, "rust").join("\n");
    ensure!(shown.trim() == client.trim(), "they differ");
    Ok(())
}
