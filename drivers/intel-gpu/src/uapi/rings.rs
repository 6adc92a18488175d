// SPDX-License-Identifier: BSD-2-Clause
//! The data path: submissions out of the clients' rings, answers into them.
//!
//! ```text
//!   client ──requests──► serve_rings: one of each client by turns, its budget at most ─► submit
//!     ▲                                                      │ refused           job with a ticket │
//!     └──────answers─────────────── post ◄───────────────────┴───────── completed ◄────────────────┘
//! ```
//!
//! A request is taken only while there is room for its answer and for those that are owed already, so that
//! posting one never has to wait. A client that leaves its answers unread is not served; a client whose
//! rings contradict themselves is not served until it connects again. Neither is noticed by anybody else.

use gpu_protocol::{Errno, RING_ANSWER_WORDS, RING_REQUEST_WORDS, RingAnswer, RingFlags, RingRequest};
use gpu_ring::{Consumer, Corrupt, Pair, Producer, Words};

use super::domain::{ClientId, Domain};
use super::driver::Driver;
use super::job::Job;
use crate::gpu::Status;
use crate::platform::Hardware;

/// What ties a request in flight to the answer that is owed for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// The client's word for it.
    user: u64,
    /// Which connection it came by.
    connection: u64,
}

/// The driver's ends of a client's rings.
#[derive(Debug)]
pub(crate) struct Rings {
    requests: Consumer<RING_REQUEST_WORDS>,
    answers: Producer<RING_ANSWER_WORDS>,
    /// Requests that were taken and not answered.
    owed: u64,
    /// Answers that there was room for beyond those, when that was last looked at: posting one that is owed changes nothing.
    spare: u64,
    /// Counts how often the client has connected.
    connection: u64,
}

/// What a look into a client's ring brought.
enum Taken {
    /// A request was taken and submitted or refused.
    One,
    /// There is nothing, and the client will notify the driver when there is.
    Idle,
    /// The client has to read its answers first, and will notify the driver when it has.
    Blocked,
}

impl Rings {
    fn new(pair: Pair, connection: u64) -> Self {
        Self {
            requests: Consumer::new(pair.requests),
            answers: Producer::new(pair.answers),
            owed: 0,
            spare: 0,
            connection,
        }
    }

    /// Whether there is room for one answer more than is owed. Else the client notifies the driver when there is.
    #[inline]
    fn has_room(&mut self, words: &dyn Words) -> Result<bool, Corrupt> {
        Ok(self.spare != 0 || self.look_for_room(words)?)
    }

    fn look_for_room(&mut self, words: &dyn Words) -> Result<bool, Corrupt> {
        let wanted = self.owed + 1;
        if self.answers.room(words)? < wanted && self.answers.arm(words, wanted)? {
            return Ok(false);
        }
        self.spare = self.answers.room(words)?.saturating_sub(self.owed);
        Ok(self.spare != 0)
    }
}

impl<H: Hardware> Driver<H> {
    /// A client has connected: its rings, if it has any, are empty.
    pub(crate) fn open_rings<D: Domain>(&mut self, domain: &D, client: ClientId) {
        let state = &mut self.clients[client];
        state.connections += 1;
        state.rings = domain.rings(client).and_then(|words| {
            let pair = Pair::in_region(words.len() * 8, RING_REQUEST_WORDS, RING_ANSWER_WORDS)?;
            let mut rings = Rings::new(pair, state.connections);
            rings.requests.reset(words);
            rings.answers.reset(words);
            // A client that is not connected cannot have appended anything: this is to be notified.
            rings.requests.arm(words, 1).ok()?;
            Some(rings)
        });
    }

    /// Serves what is in the clients' rings: one request of each by turns, until there is nothing more or
    /// everybody's budget is used up. Returns whether something is left, and the driver should come back
    /// soon without being notified.
    pub fn serve_rings<D: Domain>(&mut self, domain: &mut D) -> bool {
        let mut left = false;
        let mut active = true;
        let mut round = 0;
        while active {
            active = false;
            for client in 0..self.clients.len() {
                if self.clients[client].rings.is_none() || self.clients[client].ring_turn == Turn::Over {
                    continue;
                }
                if round >= self.clients[client].limits.ring_budget {
                    self.clients[client].ring_turn = Turn::Over;
                    left = true;
                    continue;
                }
                match self.serve_one(domain, client) {
                    Ok(Taken::One) => active = true,
                    Ok(Taken::Idle | Taken::Blocked) => self.clients[client].ring_turn = Turn::Over,
                    Err(Corrupt) => self.close_rings(client),
                }
            }
            round += 1;
        }
        for client in &mut self.clients {
            client.ring_turn = Turn::Open;
            client.run = None;
        }
        self.wake_clients(domain);
        left
    }

    /// Takes one request out of a client's ring and submits it.
    #[inline]
    fn serve_one<D: Domain>(&mut self, domain: &mut D, client: ClientId) -> Result<Taken, Corrupt> {
        let Some(words) = domain.rings(client) else { return Ok(Taken::Idle) };
        let Some(rings) = &mut self.clients[client].rings else { return Ok(Taken::Idle) };
        if !rings.requests.is_ready(words)? {
            // The client gets its slots back in one go, and before the driver goes to sleep.
            let room = rings.requests.release(words);
            let taken = if rings.requests.arm(words, 1)? { Taken::Idle } else { Taken::One };
            self.clients[client].wake |= room;
            self.untold |= room;
            return Ok(taken);
        }
        if !rings.has_room(words)? {
            return Ok(Taken::Blocked);
        }
        let Some(entry) = rings.requests.pop(words)? else { return Ok(Taken::Idle) };
        rings.owed += 1;
        rings.spare -= 1;
        self.untold = true;
        let request: RingRequest = zerocopy::transmute!(entry);
        let ticket = Ticket { user: request.user, connection: rings.connection };
        let more = rings.requests.has_more();
        self.serve_request(domain, client, &request, ticket, more);
        Ok(Taken::One)
    }

    #[inline]
    fn serve_request<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        request: &RingRequest,
        ticket: Ticket,
        more: bool,
    ) {
        let flags = RingFlags::from_bits(request.flags).filter(|_| request.rsvd == 0);
        let early = flags.is_some_and(|flags| flags.contains(RingFlags::ANSWER_EARLY));
        let late = (!early).then_some(ticket);
        let result = match flags {
            Some(_) => self.submit_next(domain, client, &request.submit, late, more),
            None => Err(Errno::Inval),
        };
        match result {
            // Answered when it is done.
            Ok(_) if !early => {}
            Ok((timeline, point)) => self.post(domain, client, ticket, Ok(()), (timeline, point)),
            Err(errno) => self.post(domain, client, ticket, Err(errno), (0, 0)),
        }
    }

    /// A request is done: answers it, if it came by a ring. Returns whether it did.
    #[inline]
    pub(crate) fn answer_job<D: Domain>(&mut self, domain: &D, job: &Job, status: Status) -> bool {
        let Some(ticket) = job.ticket else { return false };
        let result = match status {
            Status::Done => Ok(()),
            // i915 gives the fence of a request that was stopped -EIO (`i915_request_set_error_once`).
            Status::Hang | Status::Cancelled => Err(Errno::Io),
        };
        self.post(domain, job.client, ticket, result, (job.timeline, job.point));
        true
    }

    /// Appends an answer. The client sees it when [`Self::publish_answers`] shows it.
    #[inline]
    fn post<D: Domain>(
        &mut self,
        domain: &D,
        client: ClientId,
        ticket: Ticket,
        result: Result<(), Errno>,
        (timeline, point): (usize, u64),
    ) {
        let Some(words) = domain.rings(client) else { return };
        let Some(rings) = &mut self.clients[client].rings else { return };
        if rings.connection != ticket.connection {
            return;
        }
        rings.owed = rings.owed.saturating_sub(1);
        self.untold = true;
        let answer = RingAnswer {
            user: ticket.user,
            point,
            // CAST: an index of the page of completed points.
            #[allow(clippy::cast_possible_truncation)]
            timeline: timeline as u32,
            errno: result.map_or_else(|errno| u32::from(errno.number()), |()| 0),
            rsvd: 0,
        };
        if rings.answers.push(words, &zerocopy::transmute!(answer)).is_err() {
            // There was room for it when its request was taken: the client has changed its index.
            self.close_rings(client);
        }
    }

    /// Shows a client its answers, and gives it the slots of its requests. Returns whether it is to be
    /// notified.
    pub(crate) fn publish_answers<D: Domain>(&mut self, domain: &D, client: ClientId) -> bool {
        let Some(words) = domain.rings(client) else { return false };
        let Some(rings) = &mut self.clients[client].rings else { return false };
        let room = rings.requests.release(words);
        rings.answers.publish(words) || room
    }

    /// Stops serving a client's rings.
    fn close_rings(&mut self, client: ClientId) {
        self.clients[client].rings = None;
    }
}

/// Whether a client is served in this turn of the driver's loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is.
    #[default]
    Open,
    /// It has nothing more, or has had its share.
    Over,
}
