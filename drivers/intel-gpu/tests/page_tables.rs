// SPDX-License-Identifier: BSD-2-Clause
//! Page tables after random binds and unbinds of all sizes, as the device model walks them: each page is where a naive
//! map says, and what is not bound leads to the driver's scratch page.

mod machine;

use std::collections::BTreeMap;

use gpu_model::ppgtt::{Finding, Root, Switches, walk};
use gpu_model::{Options, by_name};
use intel_gpu::address::{DeviceAddress, PageRun};
use intel_gpu::memory::Cache;
use intel_gpu::{Config, Error};
use machine::{Rig, range};
use proptest::prelude::*;

/// Where the pages of clients lie: nothing of the driver's is there.
const FOREIGN: u64 = 0x40_0000_0000;

#[derive(Clone, Debug)]
enum Step {
    Bind { page: u64, runs: Vec<(u64, u32)>, read_only: bool },
    Unbind { page: u64, pages: u64 },
}

/// A page near the start of a table of any level, so that steps meet and cross their ends.
fn page() -> impl Strategy<Value = u64> {
    let base = prop::sample::select(vec![0_u64, 504, 512 * 3, 512 * 512 - 8]);
    (base, 0_u64..4, prop::sample::select(vec![0_u64, 0, 1, 16, 17]))
        .prop_map(|(base, table, at)| base + table * 512 + at)
}

fn step() -> impl Strategy<Value = Step> {
    let alignment = prop::sample::select(vec![1_u64, 16, 512]);
    let length = prop::sample::select(vec![1_u32, 3, 16, 100, 512, 1024]);
    let run =
        (0_u64..64, alignment, length).prop_map(|(n, align, pages)| (FOREIGN + ((n * align) << 12), pages));
    prop_oneof![
        (page(), prop::collection::vec(run, 1..4), any::<bool>())
            .prop_map(|(page, runs, read_only)| Step::Bind { page, runs, read_only }),
        (page(), prop::sample::select(vec![1_u64, 7, 16, 512, 1536, 4096]))
            .prop_map(|(page, pages)| Step::Unbind { page, pages }),
    ]
}

/// What the model finds behind an address: the page and whether it can be written; `None` for what is not foreign.
fn found(rig: &mut Rig, platform: &str, root: &Root, address: u64) -> Option<(u64, bool)> {
    let platform = by_name(platform).expect("a platform of the model");
    let mut memory = rig.gpu.hardware().memory.clone();
    let mut findings: Vec<Finding> = Vec::new();
    let switches = Switches { large_pages: true, gtt_cache: false };
    let leaf = walk(&mut memory, platform, root, address, switches, &mut |finding| findings.push(finding));
    assert!(findings.is_empty(), "{address:#x}: {findings:?}");
    let leaf = leaf.expect("every address leads somewhere, if only to scratch");
    (leaf.page >= FOREIGN).then_some((leaf.page, leaf.writable))
}

fn agree(platform: &'static str, three_level: bool, steps: Vec<Step>) {
    let mut rig = Rig::with(platform, Options::default(), Config { three_level, ..Config::default() });
    let directories = rig.gpu.vm_page_directories(rig.vm).expect("exists");
    let root = if directories[1] == 0 { Root::Four(directories[0]) } else { Root::Three(directories) };
    assert_eq!(matches!(root, Root::Three(_)), three_level);
    let used = rig.gpu.account_usage(rig.account).expect("exists").used;
    let mut naive: BTreeMap<u64, (u64, bool)> = BTreeMap::new();
    let read_only_pages = rig.gpu.platform().read_only;
    for step in steps {
        match step {
            Step::Bind { page, runs, read_only } => {
                let read_only = read_only && read_only_pages;
                let pages =
                    runs.iter().flat_map(|(at, pages)| (0..u64::from(*pages)).map(move |n| at + (n << 12)));
                let wanted: Vec<_> = (page..).zip(pages.map(|at| (at, !read_only))).collect();
                let free = wanted.iter().all(|(page, _)| !naive.contains_key(page));
                let runs = runs
                    .iter()
                    .map(|(at, pages)| PageRun { address: DeviceAddress::new(*at), pages: *pages });
                let place = range(page << 12, wanted.len() as u64);
                match rig.gpu.bind(rig.vm, place, runs.collect::<Vec<_>>(), Cache::Coherent, read_only) {
                    Ok(()) => {
                        assert!(free, "bound over something");
                        naive.extend(wanted);
                    }
                    Err(error) => assert!(error == Error::Overlap && !free, "{error}"),
                }
            }
            Step::Unbind { page, pages } => {
                let unbinding = rig.gpu.unbind(rig.vm, range(page << 12, pages)).expect("exists");
                let gone: Vec<u64> = naive.range(page..page + pages).map(|(page, _)| *page).collect();
                let released = rig.gpu.release(unbinding).expect("the hardware answers");
                assert_eq!(released.pages(), gone.len() as u64);
                for page in gone {
                    naive.remove(&page);
                }
            }
        }
        // Everything that is bound, and its neighbours.
        let near = naive.keys().flat_map(|page| [page.saturating_sub(1), *page, page + 1]);
        let looked_at: Vec<u64> =
            near.chain((0..4096).step_by(61)).chain(512 * 512 - 2..512 * 512 + 2).collect();
        for page in looked_at {
            let address = page << 12;
            assert_eq!(found(&mut rig, platform, &root, address), naive.get(&page).copied(), "{address:#x}");
        }
    }
    let everything = range(0, 1 << 20);
    let unbinding = rig.gpu.unbind(rig.vm, everything).expect("exists");
    rig.gpu.release(unbinding).expect("the hardware answers");
    assert_eq!(rig.gpu.account_usage(rig.account).expect("exists").used, used, "empty tables are given back");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn the_models_walk_agrees_with_a_naive_map_on_tiger_lake(steps in prop::collection::vec(step(), 1..12)) {
        agree("tgl", false, steps);
    }

    #[test]
    fn the_models_walk_agrees_with_a_naive_map_on_skylake(steps in prop::collection::vec(step(), 1..12)) {
        agree("skl", false, steps);
    }

    #[test]
    fn the_models_walk_agrees_with_a_naive_map_in_three_levels(steps in prop::collection::vec(step(), 1..12)) {
        agree("bdw", true, steps);
    }

    #[test]
    fn the_models_walk_agrees_with_a_naive_map_without_a_shared_cache(steps in prop::collection::vec(step(), 1..12)) {
        agree("glk", false, steps);
    }
}
