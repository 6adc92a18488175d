// SPDX-License-Identifier: BSD-2-Clause
//! Requests in flight: what each of them keeps alive.

use super::context::Context;
use super::domain::ClientId;
use super::object::Object;
use super::rings::Ticket;
use super::space::{AddressSpace, Binding};
use crate::gpu::RequestId;
use crate::handle::Id;

/// An object that a request uses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    pub(crate) object: Id<Object>,
    /// Where it is bound for the request.
    pub(crate) binding: Id<Binding>,
    /// The request writes the object.
    pub(crate) writes: bool,
    pub(crate) next: Option<Id<Use>>,
    /// Requests that the chain is kept for beside the one that it was made for (`run`); only the first of a chain says so.
    pub(crate) sharers: u32,
}

/// A request that the hardware half has, until its completion is seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) client: ClientId,
    /// Whose request it is; it may have been destroyed meanwhile.
    pub(crate) context: Id<Context>,
    /// The context keeps the address space alive; when it is gone the request does.
    pub(crate) space: Id<AddressSpace>,
    /// Index of its timeline in the client's page of completed points.
    pub(crate) timeline: usize,
    /// The point that its completion publishes.
    pub(crate) point: u64,
    /// The hardware half's request.
    pub(crate) request: RequestId,
    /// Keeps the objects, and so their pages, alive.
    pub(crate) uses: Option<Id<Use>>,
    /// The answer that is owed for it, if it came by a ring.
    pub(crate) ticket: Option<Ticket>,
}
