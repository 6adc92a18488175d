// SPDX-License-Identifier: BSD-2-Clause
//! Which modules a module needs. The package has no `modules.dep`; each module names what it depends on itself, in its
//! section `.modinfo`: strings that end in zero, one of them `depends=A,B`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The files of the named modules and of all that they need, each after what it needs.
pub(crate) fn in_order(folder: &Path, wanted: &[&str]) -> Result<Vec<PathBuf>> {
    let mut files = BTreeMap::new();
    find(folder, &mut files)?;
    let mut order = vec![];
    let mut seen = BTreeSet::new();
    for name in wanted {
        visit(name, &files, &mut seen, &mut order)?;
    }
    Ok(order)
}

/// One name for a module: files have dashes where others have underscores.
fn normal(name: &str) -> String {
    name.replace('-', "_")
}

fn find(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "ko")
            && let Some(stem) = path.file_stem()
        {
            files.insert(normal(&stem.to_string_lossy()), path);
        }
    }
    Ok(())
}

fn visit(
    name: &str,
    files: &BTreeMap<String, PathBuf>,
    seen: &mut BTreeSet<String>,
    order: &mut Vec<PathBuf>,
) -> Result<()> {
    if !seen.insert(normal(name)) {
        return Ok(());
    }
    let file = files.get(&normal(name)).with_context(|| format!("no module {name}"))?;
    let content = fs::read(file).with_context(|| file.display().to_string())?;
    for needed in depends(&content) {
        visit(&needed, files, seen, order)?;
    }
    order.push(file.clone());
    Ok(())
}

fn depends(content: &[u8]) -> Vec<String> {
    let strings = content.split(|byte| *byte == 0);
    let list = strings.filter_map(|string| string.strip_prefix(b"depends=")).next().unwrap_or_default();
    let list = String::from_utf8_lossy(list).into_owned();
    list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_module_needs_comes_before_it_and_once() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("oracle-modules-{}", std::process::id()));
        fs::create_dir_all(folder.join("deep"))?;
        fs::write(folder.join("top.ko"), b"ELF\0license=GPL\0depends=left-side,right\0")?;
        fs::write(folder.join("deep/left-side.ko"), b"ELF\0depends=base\0")?;
        fs::write(folder.join("deep/right.ko"), b"ELF\0depends=base,left-side\0")?;
        fs::write(folder.join("base.ko"), b"ELF\0depends=\0")?;
        let order = in_order(&folder, &["top", "base"]);
        let missing = in_order(&folder, &["absent"]);
        fs::remove_dir_all(&folder)?;
        let names: Vec<_> = order?.iter().filter_map(|path| Some(path.file_stem()?.to_owned())).collect();
        assert_eq!(names, ["base", "left-side", "right", "top"]);
        assert!(missing.is_err());
        Ok(())
    }
}
