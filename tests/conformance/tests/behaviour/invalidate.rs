// SPDX-License-Identifier: BSD-2-Clause
//! Taking pages back.

use conformance::wire::{own_range, param, reads, whole_grant, writes};
use conformance::{Region, Rig, Settings, batch};
use gpu_model::Timing;
use gpu_protocol::{
    ContextParam, Errno, InvalidateReply, InvalidateState, InvalidateStatus, OWN_SPACE, Operation,
};
use intel_gpu::uapi::DriverConfig;

const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;
const BLITTER: u32 = 3;
const PAGE: u64 = 4096;
const MS: u64 = 1_000_000;
/// What may come on top of the deadline: the alarm's 10 ms, twice because time passes in such steps here, and
/// a reset, which waits up to 100 ms for an engine to stop by itself.
const SLACK: u64 = 140 * MS;
/// How long invalidations wait here.
const DEADLINE: u64 = 60 * MS;

/// A client with a context, an object for commands and one for data, whose pages are lent.
struct Client {
    rig: Rig,
    context: u32,
    code: (u32, Region),
    data: (u32, Region),
}

impl Client {
    fn with(settings: Settings) -> Self {
        let driver = DriverConfig { invalidate_ns: DEADLINE, ..settings.driver };
        let mut rig = Rig::with(Settings { driver, ..settings });
        let context = rig.context_create(0, 0, &[]).unwrap();
        let [code, data] = [1, 4].map(|pages| {
            let region = rig.region(0, pages);
            (rig.userptr(0, region), region)
        });
        let mut client = Self { rig, context, code, data };
        client.store(7).unwrap();
        client.rig.settle();
        assert_eq!((client.rig.domain.held(), client.rig.peek(data.1.physical)), (5, 7));
        client
    }

    fn new(platform: &'static str) -> Self {
        Self::with(Settings::new(platform))
    }

    /// Submits a store into the data; whatever is missing is lent.
    fn store(&mut self, value: u32) -> Result<gpu_protocol::Fence, Errno> {
        self.rig.poke(self.code.1.physical, &batch::store(DATA, value));
        let list = [writes(self.data.0, DATA), reads(self.code.0, CODE)];
        self.rig.run(0, self.context, BLITTER, &list, &[], &[self.code.1, self.data.1])
    }

    /// Submits a batch that uses the data, never ends, and gives way to nobody.
    fn never_end(&mut self) -> gpu_protocol::Fence {
        self.rig.poke(self.code.1.physical, &batch::endless(CODE));
        let list = [writes(self.data.0, DATA), reads(self.code.0, CODE)];
        self.rig.submit(0, self.context, BLITTER, &list, &[]).unwrap()
    }

    /// Submits a batch that uses the data and waits for ever, but can be preempted where the part does that.
    fn hang(&mut self) -> gpu_protocol::Fence {
        let platform = self.rig.platform();
        self.rig.poke(self.code.1.physical, &batch::gated_store(platform, CODE + 0x800, 1, DATA, 1));
        let list = [writes(self.data.0, DATA), reads(self.code.0, CODE)];
        self.rig.submit(0, self.context, BLITTER, &list, &[]).unwrap()
    }

    fn take_back(&mut self) -> InvalidateReply {
        let region = self.data.1;
        self.rig.invalidate(0, region.address, region.address + region.size).unwrap()
    }

    fn holds_data(&self) -> bool {
        (0..4).any(|page| self.rig.domain.holds(self.data.1.physical + page * PAGE))
    }
}

#[test]
fn pages_that_nobody_uses_are_back_at_once_and_come_anew_at_the_next_use() {
    for platform in ["skl", "tgl"] {
        let mut client = Client::new(platform);
        let flushes = client.rig.driver.gpu().statistics().tlb_invalidations;
        let reply = client.take_back();
        assert!(reply.is_done() && !client.holds_data(), "{platform}");
        assert_eq!(client.rig.domain.held(), 1, "the commands are not in the range");
        assert_eq!(client.rig.driver.gpu().statistics().tlb_invalidations, flushes + 1);
        // The model reports any access to a page that is not lent.
        client.rig.poke(client.data.1.physical, &[0]);
        client.store(9).unwrap();
        client.rig.settle();
        assert_eq!((client.rig.domain.held(), client.rig.peek(client.data.1.physical)), (5, 9));
        client.rig.check();
    }
}

#[test]
fn other_frames_may_come_for_a_range_that_was_taken_back() {
    for platform in ["skl", "tgl"] {
        let mut client = Client::new(platform);
        assert!(client.take_back().is_done());
        let old = client.data.1;
        let new = client.rig.region(0, 4);
        // The same addresses, other frames behind them.
        client.data.1 = Region { address: old.address, ..new };
        client.rig.poke(old.physical, &[0x5c]);
        client.store(11).unwrap();
        client.rig.settle();
        assert_eq!((client.rig.peek(old.physical), client.rig.peek(new.physical)), (0x5c, 11), "{platform}");
        client.rig.check();
    }
}

#[test]
fn a_range_with_a_single_page_of_an_object_takes_all_of_it_and_its_neighbours_stay() {
    let mut client = Client::new("tgl");
    let region = client.data.1;
    assert!(client.rig.invalidate(0, 0, region.address).unwrap().is_done());
    let end = region.address + region.size;
    assert!(client.rig.invalidate(0, end, end + PAGE).unwrap().is_done());
    assert!(client.holds_data(), "neighbours do not intersect");
    assert!(client.rig.invalidate(0, end - PAGE, end).unwrap().is_done());
    assert!(!client.holds_data());
}

#[test]
fn a_malformed_invalidation_is_einval_and_a_foreign_one_refused() {
    let mut client = Client::new("tgl");
    let Region { address, size, .. } = client.data.1;
    let good = own_range(address, address + size);
    for wrong in [
        own_range(address, address),
        own_range(address + PAGE, address),
        own_range(address + 1, address + PAGE),
        own_range(address, address + 1),
        own_range(u64::MAX - PAGE + 1, 0),
        gpu_protocol::Invalidate { flags: 1, ..good },
    ] {
        client.rig.refused(0, Operation::Invalidate, &wrong, Errno::Inval);
    }
    let of = |space| gpu_protocol::Invalidate { space, ..good };
    client.rig.refused(0, Operation::Invalidate, &of(999), Errno::NoEnt);
    // Client 1 does not own the address space of client 0, whose channel is 10.
    client.rig.refused(1, Operation::Invalidate, &of(10), Errno::Perm);
    let status = |ticket, rsvd| InvalidateStatus { ticket, space: OWN_SPACE, rsvd };
    client.rig.refused(0, Operation::InvalidateStatus, &status(1, 1), Errno::Inval);
    client.rig.refused(0, Operation::InvalidateStatus, &status(0, 0), Errno::NoEnt);
    client.rig.refused(0, Operation::InvalidateStatus, &status(u64::MAX, 0), Errno::NoEnt);
    let foreign = InvalidateStatus { ticket: 1, space: 10, rsvd: 0 };
    client.rig.refused(1, Operation::InvalidateStatus, &foreign, Errno::Perm);
    assert!(client.holds_data());
    // The whole space of addresses is a range like any other.
    assert!(client.rig.invalidate(0, 0, !(PAGE - 1)).unwrap().is_done());
    assert_eq!(client.rig.domain.held(), 0);
}

#[test]
fn an_invalidation_waits_for_what_runs_and_the_owner_is_told() {
    for platform in ["skl", "tgl"] {
        let mut client = Client::new(platform);
        client.rig.set_timing(Timing::Busy);
        let fence = client.store(13).unwrap();
        let reply = client.take_back();
        assert!(!reply.is_done() && client.holds_data(), "{platform}");
        // New uses wait until the pages are out; they are not asked for before.
        assert_eq!(client.store(14), Err(Errno::Again));
        assert_eq!(client.rig.next_request(0), None);
        assert!(!client.rig.invalidate_status(0, reply.ticket).unwrap().is_done());
        let told = client.rig.notified(0);
        client.rig.poke(client.code.1.physical, &batch::store(DATA, 13));
        client.rig.set_timing(Timing::Instant);
        client.rig.settle();
        assert!(client.rig.reached(0, fence) && !client.holds_data());
        assert!(client.rig.notified(0) > told);
        let status = client.rig.invalidate_status(0, reply.ticket).unwrap();
        assert!(status.is_done());
        assert_eq!((status.state, status.dirty), (InvalidateState::all(), 4));
        assert_eq!(client.rig.peek(client.data.1.physical), 13, "what ran was finished");
        // Read once, the ticket is forgotten; what it was about may have been written.
        let again = client.rig.invalidate_status(0, reply.ticket).unwrap();
        assert_eq!((again.state, again.dirty), (InvalidateState::all(), 0));
        assert_eq!(client.rig.driver.census().clients[0].invalidations, 0);
        client.store(14).unwrap();
        client.rig.settle();
        client.rig.check();
    }
}

#[test]
fn two_overlapping_invalidations_are_done_when_the_last_object_of_each_has_left() {
    let mut client = Client::new("tgl");
    client.rig.set_timing(Timing::Busy);
    client.store(1).unwrap();
    let Region { address, size, .. } = client.data.1;
    let first = client.rig.invalidate(0, address, address + PAGE).unwrap();
    let second = client.rig.invalidate(0, address + PAGE, address + size).unwrap();
    let all = client.rig.invalidate(0, 0, !(PAGE - 1)).unwrap();
    assert!(!first.is_done() && !second.is_done() && !all.is_done());
    client.rig.set_timing(Timing::Instant);
    client.rig.settle();
    for ticket in [second.ticket, first.ticket, all.ticket] {
        assert!(client.rig.invalidate_status(0, ticket).unwrap().is_done());
    }
    assert_eq!(client.rig.domain.held(), 0);
}

#[test]
fn only_batches_that_say_so_make_pages_dirty() {
    let mut client = Client::new("tgl");
    let reply = client.take_back();
    assert_eq!((reply.state, reply.dirty), (InvalidateState::all(), 4));
    let Region { address, size, .. } = client.code.1;
    let reply = client.rig.invalidate(0, address, address + size).unwrap();
    assert_eq!((reply.state, reply.dirty), (InvalidateState::DONE, 0));
    // Granted anew and not used, they are clean again.
    let list = [writes(client.data.0, DATA), reads(client.code.0, CODE)];
    assert_eq!(client.rig.submit(0, client.context, BLITTER, &list, &[]), Err(Errno::Again));
    client.rig.serve(0, &[client.data.1, client.code.1]);
    let reply = client.take_back();
    assert_eq!((reply.state, reply.dirty), (InvalidateState::DONE, 0));
}

#[test]
fn a_grant_that_was_composed_before_an_invalidation_never_populates() {
    let mut client = Client::new("tgl");
    assert!(client.take_back().is_done());
    let list = [writes(client.data.0, DATA), reads(client.code.0, CODE)];
    assert_eq!(client.rig.submit(0, client.context, BLITTER, &list, &[]), Err(Errno::Again));
    let request = client.rig.next_request(0).unwrap();
    let stale = whole_grant(request, client.data.1);
    // The owner takes back what it is about to grant.
    assert!(client.take_back().is_done());
    assert_eq!(client.rig.submit(0, client.context, BLITTER, &list, &[]), Err(Errno::Again));
    let cnode = client.data.1.cnode;
    assert_eq!(client.rig.grant(0, &stale, cnode), Err(Errno::Again));
    assert!(!client.holds_data());
    let fresh = client.rig.next_request(0).unwrap();
    assert_ne!(fresh.sequence, stale.sequence);
    // Once it is answered it is unknown.
    client.rig.refused_with(0, Operation::GrantCnode, &stale, Some(cnode), Errno::Again);
    client.rig.grant(0, &whole_grant(fresh, client.data.1), cnode).unwrap();
    assert!(client.rig.submit(0, client.context, BLITTER, &list, &[]).is_ok());
    client.rig.settle();
    client.rig.check();
}

#[test]
fn an_invalidation_in_the_middle_of_a_grant_gives_the_first_half_back() {
    let mut client = Client::new("tgl");
    assert!(client.take_back().is_done());
    let list = [writes(client.data.0, DATA), reads(client.code.0, CODE)];
    assert_eq!(client.rig.submit(0, client.context, BLITTER, &list, &[]), Err(Errno::Again));
    let request = client.rig.next_request(0).unwrap();
    let whole = whole_grant(request, client.data.1);
    let half = gpu_protocol::Grant { count: 2, ..whole };
    client.rig.grant(0, &half, client.data.1.cnode).unwrap();
    assert!(client.holds_data());
    let reply = client.take_back();
    assert!(reply.is_done() && !client.holds_data());
    let rest = gpu_protocol::Grant { first: 2, address: whole.address + 2 * PAGE, ..half };
    assert_eq!(client.rig.grant(0, &rest, client.data.1.cnode), Err(Errno::Again));
    assert_eq!(client.rig.domain.held(), 1);
}

#[test]
fn no_more_than_fifteen_requests_of_an_object_wait_for_their_owner() {
    let mut client = Client::new("tgl");
    let list = [writes(client.data.0, DATA), reads(client.code.0, CODE)];
    let mut requests = Vec::new();
    for _ in 0..20 {
        assert!(client.take_back().is_done());
        assert_eq!(client.rig.submit(0, client.context, BLITTER, &list, &[]), Err(Errno::Again));
        requests.extend(client.rig.next_request(0));
    }
    assert_eq!(requests.len(), 15);
    assert_eq!(client.rig.driver.census().clients[0].outstanding, 15);
    // Any answer makes room for one more.
    for request in &requests[..14] {
        let answer = client.rig.refuse(0, *request, Errno::Fault);
        assert_eq!(answer, Err(Errno::Again), "superseded");
    }
    assert_eq!(client.rig.submit(0, client.context, BLITTER, &list, &[]), Err(Errno::Again));
    let grant = whole_grant(requests[14], client.data.1);
    assert_eq!(client.rig.grant(0, &grant, client.data.1.cnode), Err(Errno::Again));
    let fresh = client.rig.next_request(0).unwrap();
    client.rig.grant(0, &whole_grant(fresh, client.data.1), client.data.1.cnode).unwrap();
    assert!(client.rig.submit(0, client.context, BLITTER, &list, &[]).is_ok());
    assert_eq!(client.rig.driver.census().clients[0].outstanding, 0);
    client.rig.settle();
    client.rig.check();
}

#[test]
fn a_closed_object_whose_last_use_ends_during_an_invalidation_is_survived() {
    let mut client = Client::new("tgl");
    // Many objects next to each other; every second one is closed while it runs, so that the walk of the
    // invalidation removes them from the tree under itself.
    let all = client.rig.region(0, 16);
    let objects: Vec<_> =
        (0..16).map(|page| client.rig.userptr_create(0, all.address + page * PAGE, PAGE).unwrap()).collect();
    let placed = (0..).zip(&objects).map(|(page, object)| writes(*object, DATA + 0x10_0000 + page * PAGE));
    let list: Vec<_> = placed.chain([reads(client.code.0, CODE)]).collect();
    client.rig.poke(client.code.1.physical, &[batch::END, 0]);
    client.rig.set_timing(Timing::Busy);
    client.rig.run(0, client.context, BLITTER, &list, &[], &[all]).unwrap();
    for object in objects.iter().step_by(2) {
        client.rig.close(0, *object).unwrap();
    }
    // The GPU finishes, and nobody has looked at it yet.
    client.rig.set_timing(Timing::Instant);
    client.rig.model().run_until_idle(100 * MS);
    let reply = client.rig.invalidate(0, all.address, all.address + all.size).unwrap();
    assert!(reply.is_done(), "finished requests are retired first");
    assert_eq!(reply.dirty, 16, "the closed ones were on their way");
    let held = (0..16).filter(|page| client.rig.domain.holds(all.physical + page * PAGE)).count();
    assert_eq!((held, client.rig.driver.census().objects), (0, 2 + 8));
    client.rig.settle();
    client.rig.check();
}

#[test]
fn a_batch_that_never_ends_is_stopped_at_the_deadline_and_the_pages_come_back() {
    for platform in ["bdw", "skl", "icl", "tgl"] {
        let mut settings = Settings::new(platform);
        // The model gives a batch without end little time within each access.
        settings.options.instant_budget = 2_000;
        let mut client = Client::with(settings);
        let fence = client.never_end();
        let started = client.rig.model().now_ns();
        let reply = client.take_back();
        assert!(!reply.is_done());
        let before = client.rig.wait(DEADLINE - 20 * MS, |rig| !rig.domain.holds(0));
        assert!(before && client.holds_data(), "{platform}: patience has not ended");
        let physical = client.data.1.physical;
        let back = client.rig.wait(10 * DEADLINE, |rig| !rig.domain.holds(physical));
        let took = client.rig.model().now_ns() - started;
        assert!(back && took < DEADLINE + SLACK, "{platform}: took {took} ns");
        assert!(client.rig.invalidate_status(0, reply.ticket).unwrap().is_done());
        assert_eq!(client.rig.driver.gpu().statistics().engine_resets, 1);
        client.rig.settle();
        assert!(client.rig.reached(0, fence), "its waiters go on");
        assert_eq!(client.rig.reset_stats(0, client.context), Ok([0, 1, 0]), "{platform}: it is to blame");
        // It is recorded as what the error state is about, with the object that was taken back.
        let text = client.rig.driver.error_state().unwrap_or_default().to_owned();
        let [high, low] = [DATA >> 32, DATA & 0xffff_ffff];
        assert!(text.contains("GPU HANG"), "{platform}: {text}");
        let line = format!("    {high:08x}_{low:08x} {:8} 02 02 userptr", 4 * PAGE);
        assert!(text.contains(&line), "{platform}: no line {line:?} in {text}");
        // The engine works, also for this client.
        client.store(17).unwrap();
        client.rig.settle();
        assert_eq!(client.rig.peek(physical), 17, "{platform}");
        client.rig.check();
    }
}

/// Patience ends while the driver does not run: what is late is the time to preempt by then, too, and that is noticed
/// first. It means the same.
#[test]
fn a_batch_that_was_asked_to_leave_and_did_not_is_to_blame_however_late_that_is_seen() {
    for platform in ["skl", "icl", "tgl"] {
        let mut settings = Settings::new(platform);
        settings.options.instant_budget = 2_000;
        let mut client = Client::with(settings);
        let fence = client.never_end();
        let reply = client.take_back();
        let asked = DEADLINE - DEADLINE / 5;
        client.rig.wait(asked, |_| false);
        assert!(!reply.is_done() && client.holds_data(), "{platform}: it is asked, and does not leave");
        client.rig.model().advance(700 * MS);
        let physical = client.data.1.physical;
        assert!(client.rig.wait(DEADLINE, |rig| !rig.domain.holds(physical)), "{platform}");
        assert!(client.rig.invalidate_status(0, reply.ticket).unwrap().is_done());
        client.rig.settle();
        assert!(client.rig.reached(0, fence), "its waiters go on");
        assert_eq!(client.rig.driver.gpu().statistics().engine_resets, 1);
        assert_eq!(client.rig.reset_stats(0, client.context), Ok([0, 1, 0]), "{platform}: it is to blame");
        assert!(client.rig.driver.error_state().unwrap_or_default().contains("GPU HANG"), "{platform}");
        client.rig.check();
    }
}

#[test]
fn a_batch_that_is_stopped_is_not_recorded_if_its_context_has_no_errors_captured() {
    let mut settings = Settings::new("tgl");
    settings.options.instant_budget = 2_000;
    let mut client = Client::with(settings);
    let context = client.context;
    client.rig.set(0, context, ContextParam::NO_ERROR_CAPTURE, 1).unwrap();
    let fence = client.never_end();
    let reply = client.take_back();
    let physical = client.data.1.physical;
    assert!(client.rig.wait(10 * DEADLINE, |rig| !rig.domain.holds(physical)));
    assert!(client.rig.invalidate_status(0, reply.ticket).unwrap().is_done());
    client.rig.settle();
    assert!(client.rig.reached(0, fence));
    assert_eq!(client.rig.reset_stats(0, context), Ok([0, 1, 0]));
    assert_eq!(client.rig.driver.error_state(), None);
    client.rig.check();
}

#[test]
fn a_batch_that_can_be_preempted_is_and_its_engine_is_not_reset() {
    for platform in ["skl", "icl", "tgl"] {
        let mut client = Client::new(platform);
        let fence = client.hang();
        let started = client.rig.model().now_ns();
        let reply = client.take_back();
        assert!(!reply.is_done());
        let physical = client.data.1.physical;
        let back = client.rig.wait(10 * DEADLINE, |rig| !rig.domain.holds(physical));
        let took = client.rig.model().now_ns() - started;
        // Asked after four fifths of the deadline; time passes in steps of 10 ms.
        assert!(back && took < DEADLINE + 10 * MS, "{platform}: took {took} ns");
        let status = client.rig.invalidate_status(0, reply.ticket).unwrap();
        assert_eq!((status.is_done(), status.dirty), (true, 4));
        client.rig.settle();
        assert!(client.rig.reached(0, fence), "its waiters go on");
        assert_eq!(client.rig.driver.gpu().statistics().engine_resets, 0, "{platform}");
        assert_eq!(client.rig.reset_stats(0, client.context), Ok([0; 3]), "{platform}: nobody is to blame");
        assert_eq!(client.rig.driver.error_state(), None);
        client.store(17).unwrap();
        client.rig.settle();
        assert_eq!(client.rig.peek(physical), 17, "{platform}: the rest of the batch never runs");
        client.rig.check();
    }
}

#[test]
fn nothing_that_another_client_does_makes_an_invalidation_longer() {
    // The other client keeps every engine busy for ever, at its highest priority, and queues more than the rings
    // hold behind it. The victim's requests never get their turn; its pages come back all the same.
    for platform in ["skl", "tgl"] {
        let mut client = Client::new(platform);
        let other_code = client.rig.region(1, 1);
        let other = client.rig.userptr(1, other_code);
        client.rig.poke(other_code.physical, &batch::gated_store(platform, CODE + 0x800, 1, CODE, 1));
        for _ in 0..4 {
            let context = client.rig.context_create(1, 0, &[]).unwrap();
            for _ in 0..8 {
                let list = [reads(other, CODE)];
                let _ = client.rig.run(1, context, BLITTER, &list, &[], &[other_code]);
            }
        }
        let list = [writes(client.data.0, DATA), reads(client.code.0, CODE)];
        for _ in 0..8 {
            client.rig.submit(0, client.context, BLITTER, &list, &[]).unwrap();
        }
        let started = client.rig.model().now_ns();
        assert!(!client.take_back().is_done());
        let physical = client.data.1.physical;
        let back = client.rig.wait(10 * DEADLINE, |rig| !rig.domain.holds(physical));
        let took = client.rig.model().now_ns() - started;
        assert!(back && took < DEADLINE + SLACK, "{platform}: took {took} ns");
        // The other client lost nothing: its pages are not in the range.
        assert!(client.rig.domain.holds(other_code.physical));
    }
}

#[test]
fn a_request_that_has_not_begun_lets_go_without_a_reset() {
    let mut client = Client::new("tgl");
    // Two contexts share the engine between them for ever, and one that is less urgent waits.
    let gate = client.rig.region(0, 1);
    let busy = client.rig.userptr(0, gate);
    client.rig.poke(gate.physical, &batch::gated_store("tgl", CODE + 0x800, 1, CODE, 1));
    for _ in 0..3 {
        let context = client.rig.context_create(0, 0, &[]).unwrap();
        client.rig.run(0, context, BLITTER, &[reads(busy, CODE)], &[], &[gate]).unwrap();
    }
    let low = 0_i64.wrapping_sub(100).cast_unsigned();
    let context = client.rig.context_create(0, 0, &[param(ContextParam::PRIORITY, low)]).unwrap();
    let list = [writes(client.data.0, DATA), reads(client.code.0, CODE)];
    client.rig.submit(0, context, BLITTER, &list, &[]).unwrap();
    assert!(!client.take_back().is_done());
    let resets = client.rig.driver.gpu().statistics().engine_resets;
    let physical = client.data.1.physical;
    assert!(client.rig.wait(10 * DEADLINE, |rig| !rig.domain.holds(physical)));
    assert_eq!(client.rig.driver.gpu().statistics().engine_resets, resets);
    assert!(client.rig.domain.holds(gate.physical), "the others are not in the range");
}

#[test]
fn an_engine_that_does_not_forget_is_reset_with_the_gpu_and_at_last_given_up() {
    let mut client = Client::new("tgl");
    client.rig.model().injection().stuck_tlb_invalidation = true;
    let reply = client.take_back();
    assert!(!reply.is_done() && client.holds_data(), "not confirmed is not done");
    let physical = client.data.1.physical;
    assert!(client.rig.wait(10 * DEADLINE, |rig| !rig.domain.holds(physical)), "bounded all the same");
    assert!(client.rig.invalidate_status(0, reply.ticket).unwrap().is_done());
    let (gpu_resets, wedged) =
        (client.rig.driver.gpu().statistics().gpu_resets, client.rig.driver.gpu().is_wedged());
    assert!(gpu_resets >= 1 && wedged);
    assert_eq!(client.store(1), Err(Errno::Io), "and nothing is ever submitted to it again");
}

#[test]
fn a_device_that_is_gone_does_not_keep_an_owner_from_its_pages() {
    let mut client = Client::new("tgl");
    client.hang();
    assert!(!client.take_back().is_done());
    client.rig.model().injection().device_gone = true;
    let physical = client.data.1.physical;
    assert!(client.rig.wait(10 * DEADLINE, |rig| !rig.domain.holds(physical)));
}

#[test]
fn an_owner_that_never_reads_how_its_invalidations_ended_is_made_to() {
    let mut client = Client::new("tgl");
    client.rig.set_timing(Timing::Busy);
    client.store(1).unwrap();
    let tickets: Vec<_> = (0..16).map(|_| client.take_back().ticket).collect();
    let region = client.data.1;
    let more = own_range(region.address, region.address + PAGE);
    client.rig.refused(0, Operation::Invalidate, &more, Errno::Again);
    client.rig.set_timing(Timing::Instant);
    client.rig.settle();
    client.rig.refused(0, Operation::Invalidate, &more, Errno::Again);
    assert!(client.rig.invalidate_status(0, tickets[5]).unwrap().is_done());
    assert!(client.rig.invalidate(0, more.start, more.end).unwrap().is_done());
}

#[test]
fn ten_thousand_objects_leave_with_one_invalidation_of_the_tlbs() {
    let mut settings = Settings::new("tgl");
    settings.limits[0].objects = 11_000;
    let mut client = Client::with(settings);
    let base = 1 << 45;
    for index in 0..10_000 {
        client.rig.userptr_create(0, base + index * 2 * PAGE, PAGE).unwrap();
    }
    let flushes = client.rig.driver.gpu().statistics().tlb_invalidations;
    assert!(client.rig.invalidate(0, 0, !(PAGE - 1)).unwrap().is_done());
    assert_eq!(client.rig.driver.gpu().statistics().tlb_invalidations, flushes + 1);
    assert_eq!(client.rig.domain.held(), 0);
}

#[test]
fn a_page_that_its_owner_revokes_is_noticed_and_asked_for_again() {
    for platform in ["skl", "tgl"] {
        let mut client = Client::new(platform);
        // Whichever it is, and however many other submissions there are in between. The batch writes to the first page.
        for page in 1..4 {
            let physical = client.data.1.physical;
            client.rig.domain.revoke(physical + page * PAGE);
            assert_eq!(client.rig.domain.held(), 4);
            let mut noticed = false;
            for _ in 0..512 {
                for _ in 0..page {
                    client
                        .rig
                        .submit(0, client.context, BLITTER, &[reads(client.code.0, CODE)], &[])
                        .unwrap();
                }
                let list = [writes(client.data.0, DATA), reads(client.code.0, CODE)];
                noticed |= client.rig.submit(0, client.context, BLITTER, &list, &[]) == Err(Errno::Again);
                client.rig.settle();
                if noticed {
                    break;
                }
            }
            assert!(noticed && client.rig.driver.revoked() == page, "{platform}, page {page}");
            let held = |rig: &Rig| (0..4).any(|page| rig.domain.holds(physical + page * PAGE));
            assert!(client.rig.wait(100 * MS, |rig| !held(rig)), "what was left of it is given up");
            client.store(21).unwrap();
            client.rig.settle();
            assert_eq!(client.rig.peek(physical), 21);
        }
        client.rig.check();
    }
}

#[test]
fn a_batch_that_fails_because_its_page_was_revoked_leads_to_a_look_at_all_of_them() {
    let mut settings = Settings::new("tgl");
    (settings.config.hang_ns, settings.config.preempt_timeout_ns) = (20 * MS, 10 * MS);
    let mut client = Client::with(settings);
    client.rig.poke(client.code.1.physical, &batch::endless(CODE));
    let list = [writes(client.data.0, DATA), reads(client.code.0, CODE)];
    let fence = client.rig.submit(0, client.context, BLITTER, &list, &[]).unwrap();
    client.rig.domain.revoke(client.data.1.physical + 3 * PAGE);
    // The GPU's own hang detection ends the batch.
    assert!(client.rig.wait(1_000 * MS, |rig| rig.reached(0, fence)));
    assert!(!client.holds_data());
    assert_eq!(client.rig.driver.revoked(), 1);
}
