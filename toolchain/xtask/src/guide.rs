// SPDX-License-Identifier: BSD-2-Clause
//! `guide`: the guide as a book, and whether every link in it leads somewhere.
//!
//! The book is made by mdBook, of exactly one version, which cargo installs below `target/tools` where it is not there yet:
//! unoptimised, as it is built in a fraction of the time and has eight pages to make.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

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
    let root = workspace.target().join("tools");
    let program = root.join("bin/mdbook");
    let present = Command::new(&program).arg("--version").output();
    if present.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).trim() == format!("mdbook v{VERSION}"))
    {
        return Ok(program);
    }
    workspace.step(&format!("guide: installing mdBook {VERSION}, once"));
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["install", "--quiet", "--locked", "--force", "--debug", "mdbook", "--version", VERSION]);
    cargo.args(["--no-default-features", "--root"]).arg(&root).arg("--target-dir").arg(root.join("build"));
    workspace.run("mdBook", &mut cargo)?;
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
    use super::*;

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
