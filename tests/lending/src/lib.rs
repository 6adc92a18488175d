// SPDX-License-Identifier: BSD-2-Clause
//! Client, owner, driver and GPU as one explicit model. The driver's part is its own state machine
//! ([`intel_gpu::uapi::invalidate`]): what it decides happens to sets here instead of page tables, TLBs and
//! capabilities, and everything else happens in between, in every order.
//!
//! ```text
//!   client ── Submit ──► driver ── Deliver ──► owner ── Compose ──► (one grant in flight) ── Arrive ──► driver
//!                          │  ▲                  │
//!                          │  └── Invalidate ────┘   Read: done?
//!                  Work, a step at a time: Unbind, Flush, Drop
//!                          ▼
//!                 tables, TLB ◄── Touch ── GPU ── End, Hang; Deadline: the driver stops it
//! ```
//!
//! The owner gives every grant a frame of its own. When it is told that an invalidation is done, all frames that
//! it had given for the range before it asked are its own again: nothing may reach them.

use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;

use intel_gpu::uapi::interval::Interval;
use intel_gpu::uapi::invalidate::{Answer, Ledger, Pages, Rules, Sound, Step, Want};
use stateright::{Model, Property};

/// Objects, each with its range of the address space.
pub const OBJECTS: usize = 2;
/// Submissions.
pub const JOBS: usize = 2;
/// Invalidations.
pub const INVALIDATIONS: usize = 2;

/// How much may happen, so that there is an end.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Grants that the owner composes.
    pub grants: u8,
    /// Batches that never end.
    pub hangs: u8,
}

impl Bounds {
    /// Enough for every object to be granted, or for one to be granted, taken back and granted again.
    pub const DEFAULT: Self = Self { grants: 2, hangs: 1 };
}

/// The model, by rules.
#[derive(Clone, Copy, Debug)]
pub struct Lending<R = Sound> {
    bounds: Bounds,
    rules: PhantomData<R>,
}

impl<R> Lending<R> {
    /// A model within these bounds.
    #[must_use]
    pub const fn new(bounds: Bounds) -> Self {
        Self { bounds, rules: PhantomData }
    }
}

/// Number of a frame of an object, in the order in which the owner gave them; 0 is none.
type Frame = u8;

/// An object and what there is of its pages everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Object {
    pages: Pages,
    /// The frame that the driver holds.
    held: Frame,
    /// The frame in the page tables.
    bound: Frame,
    /// The frames that the TLB remembers, one bit each.
    remembered: u32,
    /// Requests that the owner has fetched and not answered.
    inbox: Vec<u64>,
    /// The last frame that the owner gave.
    given: Frame,
    /// Frames up to this one are the owner's again.
    returned: Frame,
}

/// Where a submission is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Job {
    /// Not made.
    #[default]
    None,
    /// On the GPU; its objects, one bit each.
    Runs(u8),
    /// It will never end.
    Hangs(u8),
    /// Over.
    Over,
}

impl Job {
    const fn uses(self, object: usize) -> bool {
        match self {
            Self::Runs(mask) | Self::Hangs(mask) => mask >> object & 1 != 0,
            Self::None | Self::Over => false,
        }
    }
}

/// An invalidation as its owner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    ticket: u64,
    /// The last frame of each object that had been given when it was asked; 0 for those not in the range.
    upto: [Frame; OBJECTS],
    /// The owner was told that it is done.
    done: bool,
}

/// A grant on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    object: usize,
    sequence: u64,
    frame: Frame,
}

/// Everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    objects: [Object; OBJECTS],
    ledger: Ledger,
    jobs: [Job; JOBS],
    asked: Vec<Asked>,
    grant: Option<Grant>,
    grants: u8,
    hangs: u8,
    /// A running batch found no translation for pages that nobody has waited too long for.
    faulted: bool,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The client submits a batch with these objects.
    Submit(usize, u8),
    /// The owner fetches the request for an object.
    Deliver(usize),
    /// The owner composes the answer to the oldest request for an object that it has.
    Compose(usize),
    /// The grant arrives.
    Arrive,
    /// The owner takes the ranges of these objects back.
    Invalidate(u8),
    /// The owner asks how an invalidation stands.
    Read(usize),
    /// The driver does the next step for an object.
    Work(usize),
    /// A batch accesses its objects.
    Touch(usize),
    /// A batch ends.
    End(usize),
    /// A batch turns out never to end.
    Hang(usize),
    /// Patience with everything that is waited for is over.
    Deadline,
}

fn range(mask: u8) -> Interval {
    let first = u64::from(mask.trailing_zeros());
    let last = u64::from(7 - mask.leading_zeros());
    // Objects are ten bytes each.
    Interval::new(first * 10, last * 10 + 9).unwrap_or(Interval::ALL)
}

const fn bit(object: usize) -> u8 {
    1 << object
}

impl State {
    fn idle(&self, object: usize) -> bool {
        !self.jobs.iter().any(|job| job.uses(object))
    }

    fn submit(&mut self, job: usize, mask: u8) {
        let mut ready = true;
        for (index, object) in self.objects.iter_mut().enumerate().filter(|(index, _)| mask >> index & 1 != 0)
        {
            if object.pages.is_present() {
                continue;
            }
            ready = false;
            // As the driver does: only a request takes a number.
            let number = if object.pages.is_absent() { self.ledger.advance() } else { 0 };
            if object.pages.want(number << 20 | index as u64) == Want::Ready {
                self.faulted = true;
            }
        }
        if ready {
            for object in self
                .objects
                .iter_mut()
                .enumerate()
                .filter(|(index, _)| mask >> index & 1 != 0)
                .map(|(_, o)| o)
            {
                object.bound = object.held;
            }
            self.jobs[job] = Job::Runs(mask);
        }
    }

    fn arrive<R: Rules>(&mut self, grant: Grant) {
        let object = &mut self.objects[grant.object];
        match object.pages.about_by::<R>(grant.sequence) {
            Answer::Current => {
                object.held = grant.frame;
                object.pages.granted();
            }
            Answer::Superseded => object.pages.answered(grant.sequence),
            Answer::Unknown => {}
        }
    }

    fn invalidate(&mut self, mask: u8) -> Option<()> {
        let ticket = self.ledger.begin(range(mask), 1)?;
        let mut upto = [0; OBJECTS];
        for index in (0..OBJECTS).filter(|index| mask >> index & 1 != 0) {
            let object = &mut self.objects[index];
            // A frame that is on its way was given, too.
            upto[index] = object.given;
            if object.pages.withdraw(ticket, object.held != 0) {
                self.ledger.wait_for(ticket);
            }
        }
        self.asked.push(Asked { ticket, upto, done: false });
        Some(())
    }

    fn read<R: Rules>(&mut self, index: usize) {
        let asked = &mut self.asked[index];
        if self.ledger.outcome_by::<R>(asked.ticket).is_some_and(|outcome| outcome.done) {
            asked.done = true;
            self.ledger.forget(asked.ticket);
            for (object, upto) in self.objects.iter_mut().zip(asked.upto) {
                object.returned = object.returned.max(upto);
            }
        }
    }

    /// One step of the driver, between any two of which anything can happen.
    fn work<R: Rules>(&mut self, index: usize) -> Option<()> {
        let idle = self.idle(index);
        let object = &mut self.objects[index];
        match object.pages.step_by::<R>(idle) {
            Step::Nothing => return None,
            Step::Unbind => {
                object.bound = 0;
                object.pages.unbound();
            }
            Step::Flush => {
                object.remembered = 0;
                object.pages.flushed();
            }
            Step::Drop => {
                object.held = 0;
                if let Some(since) = object.pages.dropped() {
                    self.ledger.left(range(bit(index)), since, 0);
                }
            }
        }
        Some(())
    }

    fn touch(&mut self, job: usize) {
        for (index, object) in self.objects.iter_mut().enumerate() {
            if !self.jobs[job].uses(index) {
                continue;
            }
            if object.bound != 0 {
                object.remembered |= 1 << object.bound;
            } else if object.remembered == 0 {
                self.faulted = true;
            }
        }
    }

    /// Every batch that uses what an invalidation has waited too long for is stopped: its engine is reset.
    fn deadline(&mut self) -> Option<()> {
        let mut any = false;
        while self.ledger.expire(1).is_some() {
            any = true;
        }
        let overdue: Vec<bool> = (0..OBJECTS)
            .map(|index| {
                let since = self.objects[index].pages.leaving_since();
                since.is_some_and(|since| self.ledger.is_overdue(range(bit(index)), since))
            })
            .collect();
        for job in &mut self.jobs {
            if (0..OBJECTS).any(|index| overdue[index] && job.uses(index)) {
                *job = Job::Over;
                any = true;
            }
        }
        any.then_some(())
    }

    /// Frames of an object that are reached, or held, somewhere.
    fn reached(object: &Object) -> impl Iterator<Item = Frame> + '_ {
        let remembered = (1..32).filter(|frame| object.remembered >> frame & 1 != 0);
        remembered.chain([object.bound, object.held]).filter(|frame| *frame != 0)
    }
}

/// The invariant: no frame that the owner got back is reached.
pub const INVARIANT: &str = "nothing reaches pages that were taken back";
/// What a client may count on: pages do not go under a batch that runs.
pub const NO_FAULT: &str = "no batch loses its pages while it runs";

impl<R: Rules + Clone + Debug + 'static> Model for Lending<R> {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (index, job) in state.jobs.iter().enumerate() {
            match job {
                // Which of two jobs is which makes no difference: the first comes first.
                Job::None if index > 0 && state.jobs[index - 1] == Job::None => {}
                Job::None => actions.extend((1..1 << OBJECTS).map(|mask| Action::Submit(index, mask))),
                Job::Runs(_) => {
                    actions.extend([Action::Touch(index), Action::End(index)]);
                    if state.hangs < self.bounds.hangs {
                        actions.push(Action::Hang(index));
                    }
                }
                Job::Hangs(_) => actions.push(Action::Touch(index)),
                Job::Over => {}
            }
        }
        for (index, object) in state.objects.iter().enumerate() {
            if object.pages.is_requested() {
                actions.push(Action::Deliver(index));
            }
            if !object.inbox.is_empty() && state.grant.is_none() && state.grants < self.bounds.grants {
                actions.push(Action::Compose(index));
            }
            if object.pages.leaving_since().is_some() {
                actions.push(Action::Work(index));
            }
        }
        if state.grant.is_some() {
            actions.push(Action::Arrive);
        }
        if state.asked.len() < INVALIDATIONS {
            actions.extend((1..1 << OBJECTS).map(Action::Invalidate));
        }
        let unread = state.asked.iter().enumerate().filter(|(_, asked)| !asked.done);
        actions.extend(unread.map(|(index, _)| Action::Read(index)));
        if state.ledger.is_waiting() {
            actions.push(Action::Deadline);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Submit(job, mask) => state.submit(job, mask),
            Action::Deliver(index) => {
                let object = &mut state.objects[index];
                let sequence = object.pages.deliver()?;
                object.inbox.push(sequence);
            }
            Action::Compose(index) => {
                let object = &mut state.objects[index];
                let sequence = object.inbox.remove(0);
                object.given += 1;
                state.grants += 1;
                state.grant = Some(Grant { object: index, sequence, frame: object.given });
            }
            Action::Arrive => {
                let grant = state.grant.take()?;
                state.arrive::<R>(grant);
            }
            Action::Invalidate(mask) => state.invalidate(mask)?,
            Action::Read(index) => state.read::<R>(index),
            Action::Work(index) => state.work::<R>(index)?,
            Action::Touch(job) => state.touch(job),
            Action::End(job) => state.jobs[job] = Job::Over,
            Action::Hang(job) => {
                let Job::Runs(mask) = state.jobs[job] else { return None };
                state.jobs[job] = Job::Hangs(mask);
                state.hangs += 1;
            }
            Action::Deadline => state.deadline()?,
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(INVARIANT, |_, state: &State| {
                state.objects.iter().all(|object| State::reached(object).all(|frame| frame > object.returned))
            }),
            Property::always(NO_FAULT, |_, state: &State| !state.faulted),
            Property::sometimes("two invalidations are pending at once", |_, state: &State| {
                let pending = |asked: &Asked| state.ledger.outcome(asked.ticket).is_some_and(|now| !now.done);
                state.asked.len() == 2 && state.asked.iter().all(pending)
            }),
            Property::sometimes("a grant comes too late and is to be dropped", |_, state: &State| {
                state.grant.is_some_and(|grant| {
                    state.objects[grant.object].pages.about(grant.sequence) == Answer::Superseded
                })
            }),
            Property::sometimes("a hang is stopped and its invalidation done", |_, state: &State| {
                let hangs = |job: &Job| matches!(job, Job::Hangs(_));
                state.hangs > 0 && !state.jobs.iter().any(hangs) && state.asked.iter().any(|asked| asked.done)
            }),
            Property::sometimes("an object is granted anew after it was taken back", |_, state: &State| {
                state.objects.iter().any(|object| object.returned != 0 && object.bound > object.returned)
            }),
        ]
    }
}
