// SPDX-License-Identifier: BSD-2-Clause
//! The invalidations of one address space.

use crate::uapi::interval::Interval;

use super::{Rules, Sound};

/// Most invalidations of an address space whose end the owner has not seen.
pub const MAX_TICKETS: usize = 16;

/// How an invalidation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outcome {
    /// Everything has left.
    pub done: bool,
    /// Pages that the GPU may have written since they were granted, as far as they have left.
    pub dirty: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Ticket {
    number: u64,
    start: u64,
    last: u64,
    /// Objects that it waits for.
    waits_for: u32,
    dirty: u64,
    /// When patience ends.
    deadline_ns: u64,
    /// Patience is about to end, and what is in the way was asked to leave.
    hurried: bool,
    /// Patience has ended, and what could be done about it was.
    expired: bool,
}

impl Ticket {
    fn concerns(&self, range: Interval, since: u64) -> bool {
        since <= self.number && range.start() <= self.last && self.start <= range.last()
    }
}

/// The numbers and the open invalidations of an address space: see the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ledger {
    last: u64,
    tickets: [Option<Ticket>; MAX_TICKETS],
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

impl Ledger {
    /// Nothing has happened.
    #[must_use]
    pub const fn new() -> Self {
        Self { last: 0, tickets: [const { None }; MAX_TICKETS] }
    }

    /// The number of what happens next: larger than every one before.
    pub fn advance(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Whether [`Ledger::begin`] has room: always, unless the owner leaves the ends of its invalidations
    /// unread.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.tickets.iter().any(Option::is_none)
    }

    /// Begins an invalidation; its number, which is also its ticket. `None`: there is no room, and nothing has
    /// changed.
    pub fn begin(&mut self, range: Interval, deadline_ns: u64) -> Option<u64> {
        let place = self.tickets.iter().position(Option::is_none)?;
        let number = self.advance();
        let (start, last) = (range.start(), range.last());
        let ticket = Ticket {
            number,
            start,
            last,
            waits_for: 0,
            dirty: 0,
            deadline_ns,
            hurried: false,
            expired: false,
        };
        self.tickets[place] = Some(ticket);
        Some(number)
    }

    /// An object of the range leaves, or is on its way already, and the invalidation waits for it.
    pub fn wait_for(&mut self, number: u64) {
        if let Some(ticket) = self.find(number) {
            ticket.waits_for += 1;
        }
    }

    /// The pages of an object at `range`, which began to leave at `since`, are gone; `dirty` of them may
    /// have been written. Whether an invalidation is done now that was not before.
    pub fn left(&mut self, range: Interval, since: u64, dirty: u64) -> bool {
        let mut ended = false;
        for ticket in self.tickets.iter_mut().flatten() {
            if ticket.waits_for > 0 && ticket.concerns(range, since) {
                ticket.waits_for -= 1;
                ticket.dirty += dirty;
                ended |= ticket.waits_for == 0;
            }
        }
        ended
    }

    /// How an invalidation stands; `None` for a number that names none whose end is unread.
    #[must_use]
    pub fn outcome(&self, number: u64) -> Option<Outcome> {
        self.outcome_by::<Sound>(number)
    }

    /// [`Ledger::outcome`] by other rules.
    #[must_use]
    pub fn outcome_by<R: Rules>(&self, number: u64) -> Option<Outcome> {
        let ticket = self.tickets.iter().flatten().find(|ticket| ticket.number == number)?;
        Some(Outcome { done: ticket.waits_for == 0 || !R::DONE_WHEN_LEFT, dirty: ticket.dirty })
    }

    /// The owner has been told how an invalidation ended: it is forgotten.
    pub fn forget(&mut self, number: u64) {
        for place in &mut self.tickets {
            if place.as_ref().is_some_and(|ticket| ticket.number == number && ticket.waits_for == 0) {
                *place = None;
            }
        }
    }

    /// The owner has lost its tickets and reads none of their ends: they are forgotten. What they waited for leaves all the
    /// same; a later invalidation waits for it.
    pub fn abandon(&mut self) {
        self.tickets = [const { None }; MAX_TICKETS];
    }

    /// Whether a number has been an invalidation's or anything else's.
    #[must_use]
    pub const fn has_issued(&self, number: u64) -> bool {
        number != 0 && number <= self.last
    }

    /// Whether an invalidation waits for something.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.tickets.iter().flatten().any(|ticket| ticket.waits_for > 0)
    }

    /// The next invalidation whose patience will be over at `at_ns`, once each: its number.
    pub fn hurry(&mut self, at_ns: u64) -> Option<u64> {
        let ticket = self
            .tickets
            .iter_mut()
            .flatten()
            .find(|ticket| ticket.waits_for > 0 && !ticket.hurried && ticket.deadline_ns <= at_ns)?;
        ticket.hurried = true;
        Some(ticket.number)
    }

    /// Whether an invalidation whose patience is about to end waits for an object at `range` that began to leave at
    /// `since`.
    #[must_use]
    pub fn is_hurried(&self, range: Interval, since: u64) -> bool {
        let hurried = |ticket: &&Ticket| ticket.hurried && ticket.waits_for > 0;
        self.tickets.iter().flatten().filter(hurried).any(|ticket| ticket.concerns(range, since))
    }

    /// The next invalidation whose patience is over, once each: its number.
    pub fn expire(&mut self, now_ns: u64) -> Option<u64> {
        let ticket = self
            .tickets
            .iter_mut()
            .flatten()
            .find(|ticket| ticket.waits_for > 0 && !ticket.expired && ticket.deadline_ns <= now_ns)?;
        ticket.expired = true;
        Some(ticket.number)
    }

    /// Whether an invalidation waits for an object at `range` that began to leave at `since`, and its patience
    /// is over.
    #[must_use]
    pub fn is_overdue(&self, range: Interval, since: u64) -> bool {
        let overdue = |ticket: &&Ticket| ticket.expired && ticket.waits_for > 0;
        self.tickets.iter().flatten().filter(overdue).any(|ticket| ticket.concerns(range, since))
    }

    /// Invalidations whose ends are unread.
    #[must_use]
    pub fn open(&self) -> usize {
        self.tickets.iter().flatten().count()
    }

    fn find(&mut self, number: u64) -> Option<&mut Ticket> {
        self.tickets.iter_mut().flatten().find(|ticket| ticket.number == number)
    }
}
