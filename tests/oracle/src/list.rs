// SPDX-License-Identifier: BSD-2-Clause
//! The tests that are known to pass on a part: `passing-GPU.txt`.
//!
//! ```text
//!   # a remark
//!   count 2                                           of tests; a list that says another number is refused
//!   kernel linux-image-6.1.0-56-amd64 6.1.192-2       what they passed with
//!   programs igt-gpu-tools-tests 2.5-1
//!   gem_exec_store@dword                              PROGRAM[@SUBTEST[@DYNAMIC]]
//!   gem_exec_store@dword@rcs0
//! ```

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use crate::jobs::ONLY_ON;

/// How many tests each part's list has at least. Lists grow; who takes a test out has to say so here too.
const FEWEST: &[(&str, usize)] = &[("tgl", 721), ("skl", 492)];

/// What is to be judged, and the tests of IGT that are about it, by what their names start with.
const KINDS: &[(&str, &[&str])] = &[
    (
        "basic batches",
        &["gem_exec_basic@", "gem_exec_params@", "gem_ctx_exec@", "gem_exec_parallel@", "gem_exec_await@"],
    ),
    ("no-op batches", &["gem_exec_nop@", "gem_sync@", "gem_ringfill@"]),
    ("store batches", &["gem_exec_store@", "gem_exec_async@", "gem_exec_reloc@", "gem_softpin@"]),
    ("fences", &["gem_exec_fence@"]),
    ("context creation", &["gem_ctx_create@", "gem_ctx_bad_destroy@", "gem_ctx_persistence@"]),
    ("context parameters", &["gem_ctx_param@", "gem_ctx_engines@"]),
    ("context switching", &["gem_ctx_switch@", "gem_ctx_shared@", "gem_exec_balancer@"]),
    ("address spaces", &["gem_vm_create@", "gem_softpin@", "gem_ctx_shared@", "gem_ppgtt@"]),
    ("userptr", &["gem_userptr_blits@"]),
    ("wait and busy", &["gem_wait@", "gem_busy@", "gem_spin_batch@"]),
    (
        "hang and reset",
        &[
            "gem_busy@hang",
            "gem_exec_capture@",
            "gem_reset_stats@",
            "gem_eio@",
            "i915_hangman@",
            "gem_workarounds@reset",
        ],
    ),
    ("preemption and priorities", &["gem_exec_schedule@"]),
    ("workarounds", &["gem_workarounds@"]),
    ("registers kept across switches", &["gem_ctx_isolation@"]),
];

/// A list of tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct List {
    /// `NAME VERSION` of the packages with which they passed.
    pub(crate) packages: Vec<String>,
    pub(crate) tests: Vec<String>,
}

impl List {
    /// The list of a part.
    pub(crate) fn parse(gpu: &str, text: &str) -> Result<Self> {
        let mut list = Self::default();
        let mut count = None;
        let mut known = BTreeSet::new();
        for line in lines(text) {
            match line.split_once(' ') {
                Some(("count", number)) => count = Some(number.parse::<usize>().context("count")?),
                Some(("kernel" | "programs", package)) => list.packages.push(package.to_owned()),
                Some(_) => anyhow::bail!("neither a test nor a property of the list: {line:?}"),
                None => {
                    ensure!(known.insert(line), "{line} is there twice");
                    list.tests.push(line.to_owned());
                }
            }
        }
        let found = list.tests.len();
        ensure!(count == Some(found), "the list of {gpu} has {found} tests, and says that it has {count:?}");
        ensure!(list.packages.len() == 2, "the list of {gpu} does not say with which packages it was made");
        for test in &list.tests {
            // A program ends well only if all of a subtest's parts do.
            let whole = test.rsplit_once('@').map_or("", |(whole, _)| whole);
            let part_is_whole = ONLY_ON.iter().any(|(program, _)| whole.split('@').next() == Some(program));
            ensure!(
                !whole.contains('@') || part_is_whole || known.contains(whole),
                "{test} is listed, {whole} is not"
            );
        }
        let fewest = FEWEST.iter().find(|(name, _)| *name == gpu).map_or(1, |(_, fewest)| *fewest);
        ensure!(found >= fewest, "the list of {gpu} has {found} tests; it had {fewest} (src/list.rs)");
        Ok(list)
    }
}

/// Whether a part has to have a list.
pub(crate) fn has_list(gpu: &str) -> bool {
    FEWEST.iter().any(|(name, _)| *name == gpu)
}

/// The lines that say something.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// How many of these tests there are of each kind.
pub(crate) fn kinds<'a>(tests: impl Iterator<Item = &'a String> + Clone) -> Vec<(&'static str, usize)> {
    let count = |starts: &[&str]| {
        tests.clone().filter(|test| starts.iter().any(|start| format!("{test}@").starts_with(start))).count()
    };
    KINDS.iter().map(|(name, starts)| (*name, count(starts))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTS: &[(&str, &str, &[&str])] = &[
        ("tgl", include_str!("../passing-tgl.txt"), &["rcs0", "bcs0", "vcs0", "vcs1", "vecs0"]),
        ("skl", include_str!("../passing-skl.txt"), &["rcs0", "bcs0", "vcs0", "vecs0"]),
    ];

    #[test]
    fn no_list_of_the_tree_has_fewer_tests_than_it_had() -> Result<()> {
        assert_eq!(LISTS.len(), FEWEST.len());
        for ((gpu, text, _), (name, fewest)) in LISTS.iter().zip(FEWEST) {
            assert_eq!(gpu, name);
            assert!(List::parse(gpu, text)?.tests.len() >= *fewest);
        }
        Ok(())
    }

    #[test]
    fn every_kind_is_judged_by_some_test_and_basic_ones_on_every_engine() -> Result<()> {
        for (gpu, text, engines) in LISTS {
            let list = List::parse(gpu, text)?;
            for (kind, count) in kinds(list.tests.iter()) {
                assert!(count > 0, "{gpu}: {kind}");
            }
            for engine in *engines {
                for test in
                    [format!("gem_exec_basic@basic@{engine}-smem"), format!("gem_exec_store@dword@{engine}")]
                {
                    assert!(list.tests.contains(&test), "{gpu}: {test}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn a_list_that_lost_a_test_is_refused_even_if_its_count_was_changed_too() {
        let (gpu, text, _) = LISTS[0];
        let count = text.lines().find(|line| line.starts_with("count ")).unwrap_or_default();
        let number: usize = count.trim_start_matches("count ").parse().unwrap_or_default();
        let last = text.trim_end().lines().last().unwrap_or_default();
        let shorter = text.replace(&format!("\n{last}\n"), "\n");
        let error =
            |text: &str| List::parse(gpu, text).map_or_else(|error| error.to_string(), |_| String::new());
        assert!(error(&shorter).contains("and says that it has"), "{}", error(&shorter));
        let fewest = FEWEST[0].1;
        // As many fewer as the number in this file allows, and one.
        let kept: Vec<_> =
            lines(text).filter(|line| !line.contains(' ') && line.split('@').count() < 3).collect();
        assert!(kept.len() < fewest && number >= fewest);
        let header = format!("count {}\nkernel k 1\nprograms p 1\n", kept.len());
        assert!(error(&(header + &kept.join("\n"))).contains("src/list.rs"));
        assert!(error("").contains("0 tests"));
    }

    #[test]
    fn a_list_says_each_test_once_and_subtests_with_their_parts() {
        let refused = |tests: &str| {
            let count = tests.lines().count();
            List::parse("x", &format!("# remark\ncount {count}\nkernel k 1\nprograms p 1\n{tests}\n"))
                .is_err()
        };
        assert!(!refused("a@x\na@x@rcs0\nb"));
        assert!(refused("a@x\na@x"));
        assert!(refused("a@x@rcs0"));
        assert!(refused("a@x\nwhat is this"));
        assert!(List::parse("x", "count 1\na@x\n").is_err());
    }
}
