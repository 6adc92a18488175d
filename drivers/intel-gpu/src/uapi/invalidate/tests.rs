// SPDX-License-Identifier: BSD-2-Clause
#![allow(clippy::unwrap_used, reason = "tests stop at what is not as it should be")]

use gpu_protocol::Errno;

use super::{Answer, Ledger, MAX_OUTSTANDING, MAX_TICKETS, Outcome, Pages, Step, Want};
use crate::uapi::interval::Interval;

fn range(start: u64, last: u64) -> Interval {
    Interval::new(start, last).unwrap()
}

fn present() -> Pages {
    let mut pages = Pages::new();
    assert_eq!(pages.want(1), Want::Ask);
    assert_eq!(pages.deliver(), Some(1));
    assert_eq!(pages.about(1), Answer::Current);
    pages.granted();
    pages
}

#[test]
fn pages_leave_the_tables_then_the_tlbs_then_the_driver() {
    let mut pages = present();
    assert_eq!(pages.step(true), Step::Nothing);
    assert!(pages.withdraw(2, true));
    assert_eq!(pages.want(3), Want::Wait, "new uses are refused at once");
    assert_eq!(pages.step(false), Step::Nothing, "a request still uses them");
    assert_eq!(pages.step(true), Step::Unbind);
    pages.flushed();
    assert_eq!(pages.step(true), Step::Unbind, "no step can be left out");
    pages.unbound();
    assert_eq!(pages.step(true), Step::Flush);
    pages.flushed();
    assert_eq!(pages.step(true), Step::Drop);
    assert_eq!(pages.dropped(), Some(2));
    assert!(pages.is_absent());
    assert_eq!(pages.dropped(), None);
}

#[test]
fn the_answer_of_a_withdrawn_request_is_superseded_and_ends_it() {
    let mut pages = Pages::new();
    assert_eq!(pages.want(7), Want::Ask);
    assert_eq!(pages.about(7), Answer::Unknown, "the owner has not seen it");
    assert_eq!(pages.deliver(), Some(7));
    assert_eq!(pages.deliver(), None);
    assert!(!pages.withdraw(8, false));
    assert_eq!((pages.outstanding(), pages.about(7)), (1, Answer::Superseded));
    assert_eq!(pages.want(9), Want::Ask);
    assert_eq!(pages.deliver(), Some(9));
    assert_eq!(pages.outstanding(), 2);
    pages.answered(7);
    assert_eq!((pages.outstanding(), pages.about(7)), (1, Answer::Unknown));
    assert_eq!(pages.about(9), Answer::Current);
}

#[test]
fn a_request_that_nobody_fetched_leaves_no_trace() {
    let mut pages = Pages::new();
    assert_eq!(pages.want(1), Want::Ask);
    assert!(!pages.withdraw(2, false));
    assert_eq!((pages.outstanding(), pages.about(1)), (0, Answer::Unknown));
}

#[test]
fn no_more_than_fifteen_requests_of_an_object_are_with_its_owner() {
    let mut pages = Pages::new();
    for sequence in 1..=MAX_OUTSTANDING as u64 {
        assert_eq!(pages.want(sequence * 10), Want::Ask);
        assert_eq!(pages.deliver(), Some(sequence * 10));
        pages.withdraw(sequence * 10 + 1, false);
    }
    assert_eq!(pages.outstanding(), 15);
    assert_eq!(pages.want(1000), Want::Wait, "not asked for a sixteenth time");
    // Answers may come in any order, and each makes room for one.
    pages.answered(80);
    pages.answered(80);
    pages.answered(0);
    assert_eq!(pages.outstanding(), 14);
    assert_eq!(pages.want(1000), Want::Ask);
    assert_eq!(pages.deliver(), Some(1000));
    assert_eq!(pages.outstanding(), 15);
    for sequence in [10, 150, 70] {
        assert_eq!(pages.about(sequence), Answer::Superseded);
    }
}

#[test]
fn an_error_is_reported_once_and_an_invalidation_forgets_it() {
    let mut pages = Pages::new();
    for again in 0..2 {
        assert_eq!(pages.want(1 + again), Want::Ask);
        assert_eq!(pages.deliver(), Some(1 + again));
        pages.refused(Errno::Fault);
        if again == 0 {
            assert_eq!(pages.want(9), Want::Error(Errno::Fault));
        } else {
            assert!(!pages.withdraw(10, false));
        }
    }
    assert_eq!(pages.want(11), Want::Ask);
}

#[test]
fn what_was_granted_of_an_unfinished_request_is_dropped_without_unbinding() {
    let mut pages = Pages::new();
    pages.want(1);
    pages.deliver();
    assert!(pages.withdraw(2, true));
    assert_eq!(pages.step(false), Step::Drop);
    assert_eq!((pages.dropped(), pages.outstanding()), (Some(2), 1));
}

#[test]
fn an_invalidation_waits_for_what_began_to_leave_before_its_end_and_in_its_range() {
    let mut ledger = Ledger::new();
    let first = ledger.begin(range(0, 9), 100).unwrap();
    ledger.wait_for(first);
    let second = ledger.begin(range(5, 20), 100).unwrap();
    ledger.wait_for(second);
    ledger.wait_for(second);
    // Something beside both, something that began to leave later.
    assert!(!ledger.left(range(30, 40), first, 1));
    let later = ledger.advance();
    assert!(!ledger.left(range(0, 20), later, 1));
    // The one that only the second is about, then the one that both wait for.
    assert!(!ledger.left(range(10, 20), second, 3));
    assert!(ledger.left(range(5, 9), first, 4));
    assert_eq!(ledger.outcome(first), Some(Outcome { done: true, dirty: 4 }));
    assert_eq!(ledger.outcome(second), Some(Outcome { done: true, dirty: 7 }));
    ledger.forget(first);
    assert_eq!(ledger.outcome(first), None);
    assert!(ledger.has_issued(first) && !ledger.has_issued(later + 1) && !ledger.has_issued(0));
}

#[test]
fn patience_ends_once_for_each_invalidation() {
    let mut ledger = Ledger::new();
    let first = ledger.begin(range(0, 9), 100).unwrap();
    ledger.wait_for(first);
    let idle = ledger.begin(range(0, 9), 50).unwrap();
    assert_eq!(ledger.expire(99), None, "{idle} waits for nothing");
    assert!(!ledger.is_overdue(range(0, 0), first));
    assert_eq!(ledger.expire(100), Some(first));
    assert_eq!(ledger.expire(100), None);
    assert!(ledger.is_overdue(range(0, 0), first));
    assert!(!ledger.is_overdue(range(0, 0), first + 1));
    assert!(!ledger.is_overdue(range(10, 10), first));
    ledger.left(range(0, 9), first, 0);
    assert!(!ledger.is_overdue(range(0, 0), first) && !ledger.is_waiting());
}

#[test]
fn a_full_ledger_begins_nothing_and_an_unfinished_invalidation_is_not_forgotten() {
    let mut ledger = Ledger::new();
    for _ in 0..MAX_TICKETS {
        let number = ledger.begin(range(0, 9), 0).unwrap();
        ledger.wait_for(number);
        ledger.forget(number);
    }
    assert!(!ledger.has_room());
    let before = ledger.clone();
    assert_eq!(ledger.begin(range(0, 9), 0), None);
    assert_eq!(ledger, before);
    assert_eq!(ledger.open(), MAX_TICKETS);
}

#[test]
fn tickets_and_requests_that_an_owner_has_lost_are_in_nobodys_way() {
    let mut ledger = Ledger::new();
    let lost: [_; MAX_TICKETS] = core::array::from_fn(|_| ledger.begin(range(0, 9), 0).unwrap());
    lost.iter().for_each(|number| ledger.wait_for(*number));
    ledger.abandon();
    assert!(!ledger.is_waiting() && ledger.open() == 0);
    // What they waited for is what the next one waits for.
    let next = ledger.begin(range(0, 9), 0).unwrap();
    ledger.wait_for(next);
    assert!(next > lost[MAX_TICKETS - 1] && !ledger.outcome(next).unwrap().done);
    assert!(ledger.left(range(0, 9), lost[0], 1));
    assert!(ledger.outcome(next).unwrap().done);

    let mut pages = Pages::new();
    for sequence in 1..=MAX_OUTSTANDING as u64 {
        pages.want(sequence);
        pages.deliver();
        pages.withdraw(sequence, false);
    }
    assert_eq!((pages.outstanding(), pages.want(90)), (MAX_OUTSTANDING, Want::Wait));
    pages.forget_outstanding();
    assert_eq!((pages.outstanding(), pages.about(1)), (0, Answer::Unknown));
    assert_eq!(pages.want(91), Want::Ask);
}
