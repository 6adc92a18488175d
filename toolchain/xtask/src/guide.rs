// SPDX-License-Identifier: BSD-2-Clause
//! `guide`: the guide as a book, and whether every link in it leads somewhere.
//!
//! The book is made by mdBook, of exactly one version. If it is neither in `target/tools` nor on the path, cargo installs it
//! there from crates.io, once: unoptimised, as it is built in a fraction of the time and has eight pages to make.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use boot::Workspace;

/// The version of mdBook. Others make other pages.
const VERSION: &str = "0.5.4";

pub(crate) fn guide(workspace: &Workspace) -> Result<String> {
    let (program, book) = (mdbook(workspace)?, workspace.target().join("guide"));
    workspace.step("guide: the book");
    let _ = fs::remove_dir_all(&book);
    let mut build = Command::new(&program);
    build.arg("build").arg(workspace.root().join("docs/guide")).arg("--dest-dir").arg(&book);
    let output = build.output().with_context(|| format!("cannot start {}", program.display()))?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    // It goes on after an include that is not there, and says so.
    ensure!(output.status.success() && !said.contains("ERROR"), "mdBook:\n{said}");

    let pages = pages(&book)?;
    ensure!(!pages.is_empty(), "there is no page in {}", book.display());
    let problems = broken(&pages, &book);
    if let [first, ..] = &problems[..] {
        bail!("{} links lead nowhere, such as {first}:\n{}", problems.len(), problems.join("\n"));
    }
    let links: usize = pages.values().map(|page| links(page).len()).sum();
    let index = workspace.shown(&book.join("index.html"));
    Ok(format!("guide: ok: {} pages, {links} links: {index}", pages.len()))
}

/// mdBook, installed where it is not there in this version.
fn mdbook(workspace: &Workspace) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    mdbook_in(workspace, &workspace.target().join("tools"), Path::new("mdbook"), &cargo)
}

/// The same, installed below `root` by `cargo` if that has none and the one that the system knows as `known` is another.
fn mdbook_in(workspace: &Workspace, root: &Path, known: &Path, cargo: &OsStr) -> Result<PathBuf> {
    let program = root.join("bin/mdbook");
    for present in [&program, known] {
        let said = Command::new(present).arg("--version").stdin(Stdio::null()).output();
        if said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).trim() == format!("mdbook v{VERSION}"))
        {
            return Ok(present.to_owned());
        }
    }
    workspace.step(&format!("guide: installing mdBook {VERSION}, once"));
    let mut command = Command::new(cargo);
    command.args(["install", "--quiet", "--locked", "--force", "--debug", "mdbook", "--version", VERSION]);
    command.args(["--no-default-features", "--root"]).arg(root).arg("--target-dir").arg(root.join("build"));
    workspace.run("mdBook", &mut command).with_context(|| {
        format!(
            "the guide needs mdBook {VERSION}, which cargo could not install below {} (that takes a connection to crates.io, \
             once); an `mdbook` of this version on the PATH does, too",
            workspace.shown(root)
        )
    })?;
    // What it was built of is not needed any more.
    let _ = fs::remove_dir_all(root.join("build"));
    Ok(program)
}

/// Every page of the book, by its path.
fn pages(folder: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut pages = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            pages.append(&mut self::pages(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "html") {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            pages.insert(path, text);
        }
    }
    Ok(pages)
}

/// What a page refers to: values of `href` and `src`.
fn links(page: &str) -> Vec<&str> {
    let values = |name: &'static str| {
        page.split(name).skip(1).filter_map(|rest| rest.split_once('"').map(|(value, _)| value))
    };
    values(" href=\"").chain(values(" src=\"")).collect()
}

/// The links of pages that lead nowhere: within the book, to files that are not there or to parts that a page lacks.
fn broken(pages: &BTreeMap<PathBuf, String>, book: &Path) -> Vec<String> {
    let mut problems = vec![];
    for (path, page) in pages {
        // The page for addresses that there are not has links from the root of whatever server.
        if path.ends_with("404.html") {
            continue;
        }
        let folder = path.parent().unwrap_or(book);
        for link in links(page) {
            if ["https://", "http://", "data:", "mailto:"].iter().any(|scheme| link.starts_with(scheme)) {
                continue;
            }
            let (file, part) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { plain(&folder.join(file)) };
            let found = match pages.get(&target) {
                Some(other) => part.is_empty() || other.contains(&format!("id=\"{part}\"")),
                None => target.exists() && part.is_empty(),
            };
            if !found || !target.starts_with(book) {
                problems.push(format!("{}: {link}", path.strip_prefix(book).unwrap_or(path).display()));
            }
        }
    }
    problems
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use boot::Verbosity;

    use super::*;

    /// A program that says this and fails or not. Another process writes it: whatever another thread of this one starts
    /// meanwhile would inherit the open file, and a file that is open for writing cannot be executed.
    fn program(path: &Path, says: &str, status: u8) -> Result<()> {
        fs::create_dir_all(path.parent().context("a folder")?)?;
        let text = format!("#!/bin/sh\necho '{says}'\nexit {status}\n");
        let write = "printf %s \"$1\" >\"$0\" && chmod +x \"$0\"";
        let done = Command::new("sh").args(["-c", write]).arg(path).arg(text).status()?;
        ensure!(done.success(), "{}", path.display());
        Ok(())
    }

    #[test]
    fn mdbook_is_taken_in_its_one_version_from_its_folder_or_the_path_and_installed_otherwise() -> Result<()>
    {
        let workspace = Workspace::locate(Verbosity::Silent)?;
        let folder = workspace.target().join("xtask-tests/mdbook");
        let _ = fs::remove_dir_all(&folder);
        let (root, known, cargo) = (folder.join("tools"), folder.join("known"), folder.join("cargo"));
        let find = || mdbook_in(&workspace, &root, &known, cargo.as_os_str());
        // Nobody has it, or another one, and there is no connection.
        program(&known, "mdbook v0.4.1", 0)?;
        program(&cargo, "no connection", 101)?;
        let error = find().err().map(|error| format!("{error:#}")).unwrap_or_default();
        for told in [&format!("mdBook {VERSION}"), "crates.io", "on the PATH", "no connection"] {
            assert!(error.contains(told), "nothing says {told:?}: {error}");
        }
        // The system has it; it was installed before.
        program(&known, &format!("mdbook v{VERSION}"), 0)?;
        assert_eq!(find()?, known);
        program(&root.join("bin/mdbook"), &format!("mdbook v{VERSION}"), 0)?;
        assert_eq!(find()?, root.join("bin/mdbook"));
        // It is installed.
        fs::remove_dir_all(&root)?;
        program(&known, "mdbook v0.4.1", 0)?;
        program(&cargo, "installed", 0)?;
        assert_eq!(find()?, root.join("bin/mdbook"));
        Ok(())
    }

    fn book(pages: &[(&str, &str)]) -> BTreeMap<PathBuf, String> {
        pages.iter().map(|(path, text)| (Path::new("/book").join(path), (*text).to_owned())).collect()
    }

    #[test]
    fn links_to_pages_and_to_their_parts_are_followed() {
        let good = [
            (
                "a.html",
                r##"<a href="deep/b.html#part">x</a> <a href="#own" id="own"> <a href="https://x.y">"##,
            ),
            ("deep/b.html", r#"<h1 id="part"><a href="../a.html">"#),
        ];
        assert_eq!(broken(&book(&good), Path::new("/book")), Vec::<String>::new());
    }

    #[test]
    fn links_that_lead_nowhere_are_told_with_their_page() {
        let bad = [
            (
                "a.html",
                r##"<a href="c.html"> <a href="deep/b.html#other"> <img src="none.png"> <a href="#no">"##,
            ),
            ("deep/b.html", r#"<h1 id="part"><a href="../../outside.html">"#),
        ];
        let told = broken(&book(&bad), Path::new("/book"));
        let expected = [
            "a.html: c.html",
            "a.html: deep/b.html#other",
            "a.html: #no",
            "a.html: none.png",
            "deep/b.html: ../../outside.html",
        ];
        assert_eq!(told, expected);
    }
}
