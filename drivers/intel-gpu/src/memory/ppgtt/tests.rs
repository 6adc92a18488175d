// SPDX-License-Identifier: BSD-2-Clause
//! Page tables against a naive map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::address::{DmaOffset, GpuVirtual};
use crate::device::Generation;
use crate::platform::DmaMemory;
use crate::testing::FakeHardware;

const PAGES: u32 = 512;

struct Fixture {
    bus: Bus<FakeHardware>,
    pool: Pool,
    account: AccountId,
    free: u32,
    space: Ppgtt,
}

fn format(generation: Generation, bits: u32) -> Format {
    let gen12 = generation == Generation::Gen12;
    Format {
        generation,
        bits,
        pages_64k: generation != Generation::Gen8,
        pages_2m: gen12,
        read_only: !gen12,
        dma_bits: 39,
    }
}

impl Fixture {
    fn new(format: Format) -> Self {
        let mut bus = Bus::new(FakeHardware::new(PAGES as usize), format.generation, true);
        let mut pool = Pool::new(DeviceAddress::new(FakeHardware::BASE), PAGES, 3).expect("a pool");
        let account = pool.create_account(PAGES).expect("room");
        let free = pool.free_pages();
        let space = Ppgtt::new(&mut bus, &mut pool, format, None, account).expect("memory");
        Self { bus, pool, account, free, space }
    }

    fn bind(&mut self, va: u64, runs: &[PageRun], read_only: bool) -> Result<(), Error> {
        let pages: u64 = runs.iter().map(|run| u64::from(run.pages)).sum();
        let range = range(va, pages);
        let reserved = self.space.reserve(&self.bus, &mut self.pool, range)?;
        let mut runs = runs.iter().copied();
        let next = |_: &Pool| runs.next();
        self.space.bind(&mut self.bus, &mut self.pool, reserved, next, Cache::Coherent, read_only);
        Ok(())
    }

    fn unbind(&mut self, va: u64, pages: u64) -> u64 {
        let mut emptied = PageList::new();
        let removed = self.space.unbind(&mut self.bus, &mut self.pool, range(va, pages), &mut emptied);
        self.pool.free_list(&mut emptied);
        removed
    }

    fn translate(&self, va: u64) -> Option<(u64, bool)> {
        self.space.translate(&self.bus, &self.pool, va)
    }

    fn size_at(&self, va: u64) -> u64 {
        self.space.size_at(&self.bus, &self.pool, va)
    }

    /// Destroys the space and demands every page back.
    fn finish(mut self) {
        let mut emptied = PageList::new();
        self.space.dismantle(&mut self.bus, &mut self.pool, &mut emptied);
        self.pool.free_list(&mut emptied);
        assert_eq!(self.pool.free_pages(), self.free);
        assert_eq!(self.pool.usage(self.account).expect("exists").used, 0);
    }
}

fn range(va: u64, pages: u64) -> VaRange {
    VaRange::new(GpuVirtual::new(va).expect("canonical"), pages << 12).expect("aligned")
}

fn run(address: u64, pages: u32) -> PageRun {
    PageRun { address: DeviceAddress::new(address), pages }
}

#[test]
fn golden_entries_of_a_gen12_space() {
    let mut fixture = Fixture::new(format(Generation::Gen12, 47));
    fixture.bind(0x12_3456_7000, &[run(0x5000, 1)], false).expect("free");
    let Root::Pml4(pml4) = fixture.space.root else { panic!("four levels") };
    let mut table = pml4;
    for (shift, expected) in [(39, 3u64), (30, 3), (21, 3)] {
        let index = u32::try_from(0x12_3456_7000u64 >> shift & 0x1ff).expect("nine bits");
        let entry = fixture.bus.hw.read_u64(table.at(index * 8));
        assert_eq!(entry & 0xfff, expected, "present and writable, cached by PAT index 0");
        table = fixture.pool.page_at(entry & !0xfff).expect("a table of ours");
    }
    assert_eq!(fixture.bus.hw.read_u64(table.at(0x167 * 8)), 0x5003);
    // A neighbour is scratch: writable there, for read-only does not work on Gen12.
    assert_eq!(fixture.bus.hw.read_u64(table.at(0x166 * 8)) & 0xfff, 3);
    fixture.finish();
}

#[test]
fn golden_entries_of_a_gen9_space_are_cached_by_index_4_and_scratch_is_read_only() {
    let mut fixture = Fixture::new(format(Generation::Gen9, 48));
    fixture.bind(0x1000, &[run(0x5000, 1)], true).expect("free");
    fixture.bind(0x2000, &[run(0x6000, 1)], false).expect("free");
    assert_eq!(fixture.translate(0x1000), Some((0x5000, false)));
    assert_eq!(fixture.translate(0x2000), Some((0x6000, true)));
    let entry = fixture.space.scratch.entry(Level::PT);
    assert_eq!(entry & 0xfff, 0x81, "present, read-only, PAT index 4");
    assert_eq!(fixture.space.scratch.entry(Level::PD) & 0xfff, 0x1b, "scratch tables are uncached");
    fixture.finish();
}

#[test]
fn an_aligned_contiguous_range_uses_2_mib_entries_and_can_be_unbound_in_part() {
    let mut fixture = Fixture::new(format(Generation::Gen12, 47));
    fixture.bind(0x20_0000, &[run(0x4000_0000, 1024)], false).expect("free");
    assert_eq!(fixture.size_at(0x20_0000), 2 << 20);
    assert_eq!(fixture.size_at(0x40_0000), 2 << 20);
    let before = fixture.pool.free_pages();
    assert_eq!(fixture.unbind(0x20_3000, 2), 2);
    assert_eq!(fixture.pool.free_pages(), before, "the deposit served");
    assert_eq!(fixture.size_at(0x20_0000), 4 << 10);
    assert_eq!(fixture.translate(0x20_2000), Some((0x4000_2000, true)));
    assert_eq!(fixture.translate(0x20_3000), None);
    assert_eq!(fixture.translate(0x20_5000), Some((0x4000_5000, true)));
    assert_eq!(fixture.unbind(0, 2048), 1022);
    fixture.finish();
}

#[test]
fn a_table_full_of_64_kib_runs_is_marked_and_loses_the_mark_with_its_first_hole() {
    let mut fixture = Fixture::new(format(Generation::Gen9, 48));
    fixture.bind(0x20_0000, &[run(0x4001_0000, 256), run(0x8000_0000, 256)], false).expect("free");
    assert_eq!(fixture.size_at(0x20_0000), 64 << 10);
    fixture.unbind(0x20_0000, 1);
    assert_eq!(fixture.size_at(0x20_0000), 4 << 10);
    assert_eq!(fixture.translate(0x20_1000), Some((0x4001_1000, true)));
    fixture.bind(0x40_0000, &[run(0x4001_0000, 255), run(0x8000_0000, 257)], false).expect("free");
    assert_eq!(fixture.size_at(0x40_0000), 4 << 10, "a run that is not a multiple of 64 KiB");
    fixture.finish();
}

#[test]
fn a_bind_over_something_bound_changes_nothing() {
    let mut fixture = Fixture::new(format(Generation::Gen12, 47));
    fixture.bind(0x3000, &[run(0x9000, 1)], false).expect("free");
    let free = fixture.pool.free_pages();
    assert_eq!(fixture.bind(0x1000, &[run(0x1_0000, 4)], false), Err(Error::Overlap));
    assert_eq!(fixture.translate(0x1000), None);
    fixture.bind(0x20_0000, &[run(0x4000_0000, 512)], false).expect("free");
    assert_eq!(fixture.bind(0x21_0000, &[run(0x1_0000, 1)], false), Err(Error::Overlap));
    assert_eq!(fixture.pool.free_pages(), free - 1);
    fixture.finish();
}

#[test]
fn a_bind_that_lacks_page_tables_changes_nothing() {
    let mut fixture = Fixture::new(format(Generation::Gen12, 47));
    let mut hoard = PageList::new();
    while fixture.pool.free_pages() > 2 {
        let page = fixture.pool.allocate(0, fixture.pool.driver_account()).expect("free");
        fixture.pool.push(&mut hoard, page);
    }
    assert_eq!(fixture.bind(0x1000, &[run(0x9000, 1)], false), Err(Error::NoMemory), "needs three");
    assert_eq!(fixture.pool.free_pages(), 2);
    fixture.pool.free_list(&mut hoard);
    fixture.bind(0x1000, &[run(0x9000, 1)], false).expect("now there is memory");
    fixture.finish();
}

#[test]
fn a_range_past_the_end_of_the_space_is_refused() {
    let mut fixture = Fixture::new(format(Generation::Gen9, 32));
    assert_eq!(fixture.bind(0xffff_f000, &[run(0x9000, 2)], false), Err(Error::Invalid));
    fixture.bind(0xffff_f000, &[run(0x9000, 1)], false).expect("the last page");
    assert_eq!(fixture.unbind(0, 1 << 24), 1);
    fixture.finish();
}

#[test]
fn without_a_shared_cache_every_changed_table_is_flushed() {
    let llc = format(Generation::Gen9, 48);
    let mut fixture = Fixture::new(Format { generation: Generation::Gen9Lp, ..llc });
    fixture.bus = Bus::new(fixture.bus.hw, Generation::Gen9Lp, false);
    fixture.bind(0x1000, &[run(0x9000, 1)], false).expect("free");
    let flushed = fixture.bus.hw.flushed;
    // Three tables and their three pointers.
    assert_eq!(flushed, 3 * 4096 + 3 * 8);
    assert_eq!(fixture.unbind(0x1000, 1), 1);
    assert!(fixture.bus.hw.flushed > flushed);
    fixture.finish();
}

#[derive(Clone, Debug)]
enum Step {
    Bind { va: u64, runs: Vec<(u64, u32)>, read_only: bool },
    Unbind { va: u64, pages: u64 },
}

fn step(space_pages: u64) -> impl Strategy<Value = Step> {
    // Few places, near table boundaries, so that steps meet.
    let va = (0u64..6, 0u64..24, prop::sample::select(vec![0u64, 504, 512 * 512 - 8])).prop_map(
        move |(chunk, page, base)| ((base + chunk * 512 + page / 8 * 8 * (page & 1)) % space_pages) << 12,
    );
    let aligned = prop::sample::select(vec![1u64, 16, 512]);
    let length = prop::sample::select(vec![1u32, 3, 16, 100, 256, 512, 1024]);
    let a_run = (0u64..64, aligned, length).prop_map(|(n, align, pages)| ((n * align) << 12, pages));
    prop_oneof![
        (va.clone(), prop::collection::vec(a_run, 1..4), any::<bool>())
            .prop_map(|(va, runs, read_only)| Step::Bind { va, runs, read_only }),
        (va, prop::sample::select(vec![1u64, 7, 16, 512, 1536, 4096]))
            .prop_map(|(va, pages)| Step::Unbind { va, pages }),
    ]
}

fn agree_with_naive_map(format: Format, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut fixture = Fixture::new(format);
    let mut naive: BTreeMap<u64, (u64, bool)> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Bind { va, runs, read_only } => {
                let mut wanted = Vec::new();
                for (address, pages) in &runs {
                    for page in 0..u64::from(*pages) {
                        let at = va + ((wanted.len() as u64) << 12);
                        wanted.push((at, (address + (page << 12), !read_only)));
                    }
                }
                let inside = va + ((wanted.len() as u64) << 12) <= format.bytes();
                let free = wanted.iter().all(|(at, _)| !naive.contains_key(at));
                let runs: Vec<PageRun> = runs.iter().map(|(address, pages)| run(*address, *pages)).collect();
                match fixture.bind(va, &runs, read_only) {
                    Ok(()) => {
                        prop_assert!(free && inside);
                        naive.extend(wanted);
                    }
                    Err(Error::Overlap) => prop_assert!(!free),
                    Err(Error::Invalid) => prop_assert!(!inside),
                    Err(error) => prop_assert!(matches!(error, Error::NoMemory | Error::Quota)),
                }
            }
            Step::Unbind { va, pages } => {
                let end = va + (pages << 12);
                let gone: Vec<u64> = naive.range(va..end).map(|entry| *entry.0).collect();
                prop_assert_eq!(fixture.unbind(va, pages), gone.len() as u64);
                for at in gone {
                    naive.remove(&at);
                }
            }
        }
        prop_assert_eq!(fixture.space.mapped_pages(), naive.len() as u64);
        for (at, expected) in &naive {
            prop_assert_eq!(fixture.translate(*at), Some(*expected), "{:#x}", at);
        }
        for at in (0..10 * 512).chain(512 * 512 - 64..512 * 512 + 64) {
            let at = (at << 12) % format.bytes();
            prop_assert_eq!(fixture.translate(at), naive.get(&at).copied(), "{:#x}", at);
        }
    }
    fixture.finish();
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn random_binds_and_unbinds_of_a_gen12_space_agree_with_a_naive_map(
        steps in prop::collection::vec(step(1 << 20), 1..24)
    ) {
        agree_with_naive_map(format(Generation::Gen12, 47), steps)?;
    }

    #[test]
    fn random_binds_and_unbinds_of_a_three_level_gen9_space_agree_with_a_naive_map(
        steps in prop::collection::vec(step(1 << 20), 1..24)
    ) {
        agree_with_naive_map(format(Generation::Gen9, 32), steps)?;
    }
}

/// Every byte of the tables, and what is charged.
fn snapshot(fixture: &Fixture) -> (Vec<u64>, u32, u32) {
    let words =
        (0..PAGES as usize * 512).map(|index| fixture.bus.hw.read_u64(DmaOffset(index * 8))).collect();
    let used = fixture.pool.usage(fixture.account).expect("exists").used;
    (words, used, fixture.pool.free_pages())
}

/// A bind that needs tables of every level, on both sides of the end of a directory, fails at each of its
/// allocations in turn: nothing has changed then, in the tables and in the account.
#[test]
fn a_bind_that_fails_at_any_of_its_allocations_leaves_everything_as_it_was() {
    for (generation, bits, boundary, tables) in [
        (Generation::Gen12, 47, 1_u64 << 39, 1 + 2 + 4),
        (Generation::Gen9, 48, 1 << 39, 1 + 2 + 4),
        (Generation::Gen8, 32, 1 << 30, 4),
    ] {
        let mut failures = 0;
        loop {
            let mut fixture = Fixture::new(format(generation, bits));
            fixture.bind(0x1000, &[run(0x5000, 3)], false).expect("free");
            // All but so many pages are taken by somebody else.
            let other = fixture.pool.create_account(PAGES).expect("room");
            let mut taken = PageList::new();
            while fixture.pool.free_pages() > failures {
                let page = fixture.pool.allocate(0, other).expect("there are free ones");
                fixture.pool.push(&mut taken, page);
            }
            let before = snapshot(&fixture);
            // Pages that are nowhere contiguous: 4 KiB entries only.
            let runs: Vec<_> = (0..2048).map(|n| run(0x4000_0000 + (n << 13), 1)).collect();
            let bound = fixture.bind(boundary - (4 << 20), &runs, false);
            if bound.is_ok() {
                assert_eq!(failures, tables, "{generation:?}");
                assert_eq!(fixture.translate(boundary), Some((0x4000_0000 + (1024 << 13), true)));
                fixture.pool.free_list(&mut taken);
                fixture.unbind(boundary - (4 << 20), 2048);
                break;
            }
            assert_eq!(bound, Err(Error::NoMemory), "{generation:?}, {failures}");
            assert!(snapshot(&fixture) == before, "{generation:?}: something changed, {failures}");
            fixture.pool.free_list(&mut taken);
            fixture.finish();
            failures += 1;
        }
    }
}

/// What binding in entries of 4 KiB takes, held against writing the same entries to the same memory one after the other,
/// and what unbinding 1 GiB of them takes: `bench: NAME VALUE UNIT` for `make bench`. Time is printed, never judged.
#[test]
fn a_gibibyte_of_4_kib_entries_is_bound_and_unbound() {
    const ENTRIES_OF_1_GIB: u32 = 1 << 18;
    /// Small enough that on a busy host some round is not interrupted.
    const PART: u32 = 1 << 14;
    let format = format(Generation::Gen9, 48);
    let mut bus = Bus::new(FakeHardware::new(1200), format.generation, true);
    let mut pool = Pool::new(DeviceAddress::new(FakeHardware::BASE), 1200, 2).expect("a pool");
    let account = pool.create_account(1200).expect("room");
    let mut space = Ppgtt::new(&mut bus, &mut pool, format, None, account).expect("memory");
    let block = pool.allocate(5, account).expect("32 pages");
    let part = range(1 << 30, PART.into());
    let entries: Vec<u64> = (0..u64::from(PART)).map(|n| 0x40_0000_0003 + (n << 13)).collect();
    // A copy; binds, every page alone, and all in one run that is not aligned for larger entries; an unbind.
    let mut best = [u128::MAX; 4];
    let mut keep = |place: usize, start: std::time::Instant| {
        best[place] = best[place].min(start.elapsed().as_nanos().max(1));
    };
    for _ in 0..40 {
        let start = std::time::Instant::now();
        for (index, entry) in entries.iter().enumerate() {
            bus.hw.write_u64(block.at(0).add(index * 8), *entry);
        }
        keep(0, start);
        for (place, stride, pages) in [(1, 13, 1), (2, 12, PART)] {
            let mut at = 0;
            let next = |_: &Pool| {
                let run = run(0x40_0000_1000 + (u64::from(at) << stride), pages);
                at += pages;
                (at <= PART).then_some(run)
            };
            let start = std::time::Instant::now();
            let reserved = space.reserve(&bus, &mut pool, part).expect("tables");
            space.bind(&mut bus, &mut pool, reserved, next, Cache::Coherent, false);
            keep(place, start);
            assert_eq!(space.mapped_pages(), PART.into());
            let mut emptied = PageList::new();
            assert_eq!(space.unbind(&mut bus, &mut pool, part, &mut emptied), PART.into());
            pool.free_list(&mut emptied);
        }
    }
    let everything = range(1 << 30, ENTRIES_OF_1_GIB.into());
    for _ in 0..5 {
        let mut pages = Some(run(0x40_0000_1000, ENTRIES_OF_1_GIB));
        let reserved = space.reserve(&bus, &mut pool, everything).expect("tables");
        let next = |_: &Pool| pages.take();
        space.bind(&mut bus, &mut pool, reserved, next, Cache::Coherent, false);
        let mut emptied = PageList::new();
        let start = std::time::Instant::now();
        let removed = space.unbind(&mut bus, &mut pool, everything, &mut emptied);
        keep(3, start);
        assert_eq!(removed, ENTRIES_OF_1_GIB.into());
        assert_eq!(emptied.len(), 512 + 1 + 1, "page tables, their directory and the table above it");
        pool.free_list(&mut emptied);
    }
    let share = |place: usize| best[0] * 100 / best[place];
    println!("\nbench: bind-4-kib-entries-page-by-page {} % of the speed of a copy", share(1));
    println!("bench: bind-4-kib-entries-contiguous {} % of the speed of a copy", share(2));
    println!("bench: unbind-1-gib-of-4-kib-entries {} us", best[3] / 1000);
    pool.free(block);
}
