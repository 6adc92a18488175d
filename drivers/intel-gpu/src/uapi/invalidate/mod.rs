// SPDX-License-Identifier: BSD-2-Clause
//! The protocol of lent pages as a state machine: no I/O, no page tables, no capabilities. The driver does
//! what it says ([`Step`]); so does the explicit model of `tests/lending`, with sets in their place, which is
//! how the invariant is checked for every order of events:
//!
//! > When an invalidation is *done*, no engine reaches the pages through any page table, TLB or queued work,
//! > until they are granted anew.
//!
//! # One object: [`Pages`]
//!
//! ```text
//!             want                 granted, all of it
//!   Absent ─────────► Requested ─────────────────────────► Present
//!     ▲ ▲                │   │                                │
//!     │ │ want: reported │   │ refused                        │ withdraw
//!     │ └───── Failed ◄──────┘                                ▼
//!     │                  │ withdraw                   Leaving(Bound)
//!     │                  │                                    │ Step::Unbind, once no request uses it
//!     │                  │                                    ▼
//!     │                  │                           Leaving(Remembered)
//!     │                  │                                    │ Step::Flush
//!     │                  │ (what of it was granted            ▼
//!     │                  └──── was never bound) ──► Leaving(Unreachable)
//!     │                                                       │
//!     └───────────────────── Step::Drop ──────────────────────┘
//! ```
//!
//! A *use* (`want`) goes through in `Present` alone; everywhere else it is refused with `EAGAIN`, or once with
//! the owner's error.
//!
//! Every request has a number of its address space that no other ever has. An answer names it; a withdrawn
//! request is *superseded*, and its answer is dropped when it comes. So neither an invalidation nor a new
//! object of the same range can be overtaken by a grant that was composed before. Of an object, at most
//! [`MAX_OUTSTANDING`] requests are with the owner at a time, superseded ones included, and it is not gone
//! before they are answered: until then a new object of the range is refused with `EAGAIN`.
//!
//! # One address space: [`Ledger`]
//!
//! Numbers everything that happens in order. An invalidation takes a number and waits for the objects of
//! its range that began to leave no later than it did: those that it withdrew, and those that were on
//! their way already. What the owner grants afterwards has a later number, so it neither delays the
//! invalidation nor is mistaken for what the invalidation was about.
#![forbid(unsafe_code)]

mod ledger;
mod pages;

pub use ledger::{Ledger, MAX_TICKETS, Outcome};
pub use pages::{Answer, MAX_OUTSTANDING, Pages, Step, Want};

/// What the protocol insists on. A driver uses [`Sound`]; other rules exist only so that tests can show that
/// the exploration notices what each of them is for.
pub trait Rules {
    /// An answer counts only if it names the open request.
    const SEQUENCES_MUST_MATCH: bool = true;
    /// Pages leave the page tables before they are given back.
    const UNBIND_BEFORE_DROP: bool = true;
    /// TLBs are invalidated before pages are given back.
    const FLUSH_BEFORE_DROP: bool = true;
    /// An invalidation is done when everything has left that it waits for.
    const DONE_WHEN_LEFT: bool = true;
    /// Pages that running requests use are not taken out under them.
    const WAIT_FOR_USES: bool = true;
}

/// All of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sound;

impl Rules for Sound {}

#[cfg(test)]
mod tests;
