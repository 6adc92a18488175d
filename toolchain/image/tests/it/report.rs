// SPDX-License-Identifier: BSD-2-Clause
//! The report of a system with one of everything. After a deliberate change `UPDATE_GOLDEN=1` writes it anew.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::common::golden;

fn compare(name: &str, found: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden").join(name);
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    assert_eq!(found, expected, "{} differs", path.display());
}

#[test]
fn the_report_tells_where_everything_went() {
    let image = golden();
    assert_eq!(image.warnings, []);
    compare("report.json", &image.report.to_json());
    compare("report.txt", &image.report.to_string());
}

#[test]
fn the_same_inputs_give_the_same_image() {
    assert_eq!(golden().elf, golden().elf);
}
