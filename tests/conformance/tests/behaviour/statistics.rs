// SPDX-License-Identifier: BSD-2-Clause
//! What the domain that watches the driver is shown: the driver's own books.

use conformance::wire::{reads, writes};
use conformance::{Rig, Settings, batch};
use gpu_protocol::{Statistics, SubmitObject};

const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;
const BLITTER: u32 = 3;
/// i915's class of the blitter times 16.
const BCS0: u32 = 0x10;
const MS: u64 = 1_000_000;

fn settings(platform: &'static str) -> Settings {
    let mut settings = Settings::new(platform);
    settings.options.instant_budget = 2_000;
    settings
}

/// A context of a client with a batch in it that has these commands; what its submissions name.
fn job(rig: &mut Rig, client: usize, commands: &[u32]) -> (u32, Vec<SubmitObject>, [conformance::Region; 2]) {
    let context = rig.context_create(client, 0, &[]).unwrap();
    let (data, code) = (rig.region(client, 3), rig.region(client, 1));
    let list = vec![writes(rig.userptr(client, data), DATA), reads(rig.userptr(client, code), CODE)];
    rig.poke(code.physical, commands);
    (context, list, [data, code])
}

fn blitter(shown: &Statistics) -> usize {
    shown.engines.iter().position(|engine| engine.engine == BCS0).unwrap()
}

#[test]
fn requests_pages_and_tables_of_each_client_are_counted() {
    let mut rig = Rig::new("tgl");
    let before = rig.driver.statistics();
    assert_eq!((before.client_count, before.magic), (2, Statistics::MAGIC));
    assert_eq!(before.engine_count as usize, rig.driver.gpu().engines().count());
    let (context, list, regions) = job(&mut rig, 1, &batch::store(DATA, 5));
    for _ in 0..7 {
        rig.run(1, context, BLITTER, &list, &[], &regions).unwrap();
        rig.settle();
    }
    let shown = rig.driver.statistics();
    let [idle, its] = [shown.clients[0], shown.clients[1]];
    assert_eq!((its.completed, its.lent_pages, its.page_requests), (7, 4, 2));
    assert_eq!((its.hangs, its.faults, its.objects, its.connected), (0, 0, 2, 1));
    assert_eq!(its.contexts, before.clients[1].contexts + 1);
    let census = rig.driver.census();
    assert_eq!(its.driver_pages, census.clients[1].driver_pages);
    let grown = its.table_pages - before.clients[1].table_pages;
    assert!(grown >= 4 && grown < its.driver_pages, "{grown} pages of tables for a space and two objects");
    assert_eq!((idle.completed, idle.lent_pages, idle.table_pages), (0, 0, before.clients[0].table_pages));

    rig.context_destroy(1, context).unwrap();
    for object in list {
        rig.close(1, object.handle).unwrap();
    }
    rig.settle();
    let after = rig.driver.statistics().clients[1];
    assert_eq!((after.completed, after.lent_pages, after.objects), (7, 0, 0));
    assert_eq!(after.table_pages, before.clients[1].table_pages, "what was charged is given back");
}

#[test]
fn an_engine_that_executes_a_clients_batch_is_busy_for_that_client_and_nobody_else() {
    for platform in ["skl", "tgl"] {
        let mut rig = Rig::with(settings(platform));
        let (context, list, regions) = job(&mut rig, 0, &batch::endless(CODE));
        let (other, theirs, more) = job(&mut rig, 1, &batch::store(DATA, 5));
        rig.run(0, context, BLITTER, &list, &[], &regions).unwrap();
        rig.run(1, other, BLITTER, &theirs, &[], &more).unwrap();
        rig.settle_for(MS);
        let before = rig.driver.statistics();
        let at = blitter(&before);
        assert_eq!((before.clients[0].queued[at], before.clients[1].queued[at]), (1, 1), "{platform}");
        assert_eq!(before.engines[at].queued, 2);

        rig.model().advance(3 * MS);
        let shown = rig.driver.statistics();
        let passed = shown.time_ns - before.time_ns;
        assert!(passed >= 3 * MS);
        let busy = |statistics: &Statistics, client: usize| statistics.clients[client].busy_ns[at];
        let grown = busy(&shown, 0) - busy(&before, 0);
        // Reading the clock takes a part of a microsecond, too.
        assert!(passed - grown.min(passed) < MS / 100, "{platform}: busy for {grown} of {passed} ns");
        assert_eq!(busy(&shown, 1), busy(&before, 1), "{platform}: the other one waits");
        assert_eq!(shown.engines[at].busy_ns - before.engines[at].busy_ns, grown);
        let idle = shown.engines.iter().enumerate().filter(|(engine, _)| *engine != at);
        assert!(idle.clone().all(|(engine, _)| shown.clients[0].busy_ns[engine] == 0));

        // It is stopped, and then nobody is busy.
        assert!(rig.wait(60_000 * MS, |rig| !rig.driver.is_busy()), "{platform}");
        let ended = rig.driver.statistics();
        assert_eq!((ended.clients[0].hangs, ended.clients[1].hangs), (1, 0), "{platform}");
        assert!(ended.engine_resets + ended.gpu_resets > 0);
        assert_eq!(ended.engines[at].queued, 0);
        rig.model().advance(5 * MS);
        let later = rig.driver.statistics();
        assert_eq!(later.engines[at].busy_ns, ended.engines[at].busy_ns, "{platform}: idle");

        // Then the other one has it alone.
        rig.run(1, other, BLITTER, &theirs, &[], &more).unwrap();
        rig.settle();
        let again = rig.driver.statistics();
        assert!(busy(&again, 1) > busy(&later, 1), "{platform}");
        assert_eq!(busy(&again, 0), busy(&later, 0), "{platform}");
    }
}
