// SPDX-License-Identifier: BSD-2-Clause
//! The guide and the README: what they show is what is there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use boot::Demo;
use boot_tests::workspace;

fn root() -> Result<PathBuf> {
    Ok(workspace()?.root().to_owned())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// The chapters, by the links of the summary.
fn chapters() -> Result<Vec<PathBuf>> {
    let folder = root()?.join("docs/guide/src");
    let summary = read(&folder.join("SUMMARY.md"))?;
    Ok(links(&summary).map(|link| folder.join(link)).collect())
}

/// Targets of `[text](target)`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(link, _)| link))
}

/// The lines of the blocks of a language.
fn block_lines(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}");
    let mut lines = vec![];
    let mut inside = false;
    for line in text.lines() {
        if line.trim_end() == fence {
            inside = true;
        } else if line.starts_with("```") {
            inside = false;
        } else if inside {
            lines.push(line.to_owned());
        }
    }
    lines
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
            let file = include.split_once("}}").context("an include without end")?.0;
            ensure!(folder.join(file).exists(), "{}: nothing is at {file}", chapter.display());
        }
    }
    let readme = read(&root()?.join("README.md"))?;
    for link in links(&readme).filter(|link| !link.starts_with("https://")) {
        ensure!(root()?.join(link).exists(), "README.md: nothing is at {link}");
    }
    Ok(())
}

#[test]
fn every_command_of_the_guide_is_a_verb_of_the_makefile_or_names_what_there_is() -> Result<()> {
    let makefile = read(&root()?.join("Makefile"))?;
    let tests = read(&root()?.join("tests/boot/tests/clients.rs"))?;
    let mut commands = 0;
    for chapter in chapters()? {
        for line in block_lines(&read(&chapter)?, "sh") {
            commands += 1;
            let words: Vec<_> = line.split_whitespace().collect();
            match words[..] {
                ["make", verb, ref settings @ ..] => {
                    ensure!(makefile.contains(&format!("\n{verb}: ")), "{line}: there is no such verb");
                    for setting in settings {
                        let (name, value) = setting.split_once('=').context(line.clone())?;
                        ensure!(makefile.contains(&format!("\n{name} ?= ")), "{line}: nothing reads {name}");
                        if name == "DEMO" {
                            Demo::named(value)?;
                        }
                    }
                }
                ["cargo", "doc", "--no-deps", ref packages @ ..] => {
                    for package in packages.iter().filter(|word| **word != "-p") {
                        ensure!(root()?.join("drivers").join(package).is_dir(), "{line}: no {package}");
                    }
                }
                ["cargo", "test", "-p", "boot-tests", "--test", "clients", name] => {
                    ensure!(tests.contains(&format!("fn {name}()")), "{line}: there is no such test");
                }
                _ => bail!("{line}: nobody has checked such a command"),
            }
        }
    }
    ensure!(commands >= 4, "{commands} commands");
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

#[test]
fn the_client_in_the_readme_is_the_one_that_is_tested() -> Result<()> {
    let client = read(&root()?.join("components/hello-gpu/src/main.rs"))?;
    let shown = block_lines(&read(&root()?.join("README.md"))?, "rust").join("\n");
    ensure!(shown.trim() == client.trim(), "they differ");
    Ok(())
}
