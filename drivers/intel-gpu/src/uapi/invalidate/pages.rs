// SPDX-License-Identifier: BSD-2-Clause
//! Where the pages of one object are.

use gpu_protocol::Errno;

use super::{Rules, Sound};

/// Most requests of one object that may be with its owner (i915: `I915_GEM_USERPTR_MAX_WORKERS`).
pub const MAX_OUTSTANDING: usize = 15;

/// How far pages that leave have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Left {
    /// In page tables, perhaps used by requests in flight.
    Bound,
    /// Out of the page tables; TLBs may remember them.
    Remembered,
    /// No engine reaches them.
    Unreachable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Absent,
    /// Asked for; `delivered` once the owner has fetched the request.
    Requested {
        sequence: u64,
        delivered: bool,
    },
    Present,
    /// Withdrawn at number `since`.
    Leaving {
        since: u64,
        left: Left,
    },
    /// The owner's error, which the next use reports.
    Failed(Errno),
}

/// What a use of the object gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// The pages are here.
    Ready,
    /// `EAGAIN`, and the owner is to be asked.
    Ask,
    /// `EAGAIN`.
    Wait,
    /// The owner's error, once.
    Error(Errno),
}

/// What an answer of the owner is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The open request.
    Current,
    /// A request that was superseded meanwhile: it is over, and its answer counts for nothing.
    Superseded,
    /// No request that this object ever sent, or one that is answered.
    Unknown,
}

/// What is to be done next about pages that leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Nothing, or nothing yet.
    Nothing,
    /// Take them out of every page table; then [`Pages::unbound`].
    Unbind,
    /// Invalidate the TLBs that may remember them; then [`Pages::flushed`].
    Flush,
    /// Give them back; then [`Pages::dropped`].
    Drop,
}

/// The pages of one object: see the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pages {
    state: State,
    /// Numbers of superseded requests that the owner has not answered, oldest first; 0 is none.
    superseded: [u64; MAX_OUTSTANDING],
}

impl Default for Pages {
    fn default() -> Self {
        Self::new()
    }
}

impl Pages {
    /// Nobody has asked for them.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Absent, superseded: [0; MAX_OUTSTANDING] }
    }

    /// They are here from the start, and nobody can take them back: memory of the driver's own. They leave when the
    /// object goes.
    #[must_use]
    pub const fn own() -> Self {
        Self { state: State::Present, superseded: [0; MAX_OUTSTANDING] }
    }

    /// Requests that are with the owner.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        let open = matches!(self.state, State::Requested { delivered: true, .. });
        self.superseded.iter().filter(|sequence| **sequence != 0).count() + usize::from(open)
    }

    /// The object can be used.
    #[must_use]
    pub const fn is_present(&self) -> bool {
        matches!(self.state, State::Present)
    }

    /// The owner has been asked, or is to be.
    #[must_use]
    pub const fn is_requested(&self) -> bool {
        matches!(self.state, State::Requested { .. })
    }

    /// None are here, and none are on the way.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        matches!(self.state, State::Absent | State::Failed(_))
    }

    /// The number at which they began to leave, while they leave.
    #[must_use]
    pub const fn leaving_since(&self) -> Option<u64> {
        match self.state {
            State::Leaving { since, .. } => Some(since),
            _ => None,
        }
    }

    /// A use of the object. With [`Want::Ask`], `sequence` is the request's number.
    pub fn want(&mut self, sequence: u64) -> Want {
        match self.state {
            State::Present => Want::Ready,
            State::Requested { .. } | State::Leaving { .. } => Want::Wait,
            State::Failed(errno) => {
                self.state = State::Absent;
                Want::Error(errno)
            }
            State::Absent if self.outstanding() >= MAX_OUTSTANDING => Want::Wait,
            State::Absent => {
                self.state = State::Requested { sequence, delivered: false };
                Want::Ask
            }
        }
    }

    /// The owner fetches the request: its number, or `None` if there is none to fetch.
    pub fn deliver(&mut self) -> Option<u64> {
        match &mut self.state {
            State::Requested { sequence, delivered: delivered @ false } => {
                *delivered = true;
                Some(*sequence)
            }
            _ => None,
        }
    }

    /// What an answer with this number is about. Changes nothing.
    #[must_use]
    pub fn about(&self, sequence: u64) -> Answer {
        self.about_by::<Sound>(sequence)
    }

    /// [`Pages::about`] by other rules.
    #[must_use]
    pub fn about_by<R: Rules>(&self, sequence: u64) -> Answer {
        match self.state {
            State::Requested { sequence: open, delivered: true }
                if open == sequence || !R::SEQUENCES_MUST_MATCH =>
            {
                Answer::Current
            }
            _ if sequence != 0 && self.superseded.contains(&sequence) => Answer::Superseded,
            _ => Answer::Unknown,
        }
    }

    /// A superseded request has been answered.
    pub fn answered(&mut self, sequence: u64) {
        if let Some(place) = self.superseded.iter().position(|other| *other == sequence) {
            self.superseded.copy_within(place + 1.., place);
            self.superseded[MAX_OUTSTANDING - 1] = 0;
        }
    }

    /// The owner has lost what it fetched, and answers none of it: what was superseded is over. A request that is still
    /// open has to be withdrawn before.
    pub fn forget_outstanding(&mut self) {
        self.superseded = [0; MAX_OUTSTANDING];
    }

    /// The open request has been answered with all pages.
    pub fn granted(&mut self) {
        if self.is_requested() {
            self.state = State::Present;
        }
    }

    /// The open request has been answered with an error. The caller gives back what came before it.
    pub fn refused(&mut self, errno: Errno) {
        if self.is_requested() {
            self.state = State::Failed(errno);
        }
    }

    /// The pages are to go, at number `since`: an invalidation, or the object has been closed. `held`: some
    /// are here already. Whether they leave now, or have been leaving.
    pub fn withdraw(&mut self, since: u64, held: bool) -> bool {
        match self.state {
            State::Absent => {}
            State::Failed(_) => self.state = State::Absent,
            State::Requested { sequence, delivered } => {
                if delivered && let Some(place) = self.superseded.iter_mut().find(|place| **place == 0) {
                    *place = sequence;
                }
                // What of it was granted has never been bound.
                self.state =
                    if held { State::Leaving { since, left: Left::Unreachable } } else { State::Absent };
            }
            State::Present => self.state = State::Leaving { since, left: Left::Bound },
            State::Leaving { .. } => {}
        }
        self.leaving_since().is_some()
    }

    /// What is to be done next. `idle`: no request in flight uses the object.
    #[must_use]
    pub fn step(&self, idle: bool) -> Step {
        self.step_by::<Sound>(idle)
    }

    /// [`Pages::step`] by other rules.
    #[must_use]
    pub fn step_by<R: Rules>(&self, idle: bool) -> Step {
        let State::Leaving { left, .. } = self.state else {
            return Step::Nothing;
        };
        match left {
            Left::Bound if !idle && R::WAIT_FOR_USES => Step::Nothing,
            Left::Bound if R::UNBIND_BEFORE_DROP => Step::Unbind,
            Left::Remembered if R::FLUSH_BEFORE_DROP => Step::Flush,
            _ => Step::Drop,
        }
    }

    /// They are in no page table any more.
    pub fn unbound(&mut self) {
        self.go(Left::Bound, Left::Remembered);
    }

    /// No TLB remembers them.
    pub fn flushed(&mut self) {
        self.go(Left::Remembered, Left::Unreachable);
    }

    fn go(&mut self, from: Left, to: Left) {
        if let State::Leaving { left, .. } = &mut self.state
            && *left == from
        {
            *left = to;
        }
    }

    /// They have been given back. The number at which they began to leave, for [`super::Ledger::left`].
    pub fn dropped(&mut self) -> Option<u64> {
        let since = self.leaving_since()?;
        self.state = State::Absent;
        Some(since)
    }
}
