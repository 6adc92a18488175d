// SPDX-License-Identifier: BSD-2-Clause
//! Address spaces as clients see them: shared by handle, alive as long as a handle, a context or a
//! request uses them.

use super::domain::ClientId;
use super::object::Object;
use crate::VmId;
use crate::address::VaRange;
use crate::handle::Id;
use crate::index::{self, Indexed};
use crate::memory::Unbinding;

/// An address space.
#[derive(Debug)]
pub(crate) struct AddressSpace {
    /// Whose it is.
    pub(crate) client: ClientId,
    /// The page tables.
    pub(crate) vm: VmId,
    /// Handles, contexts, and requests of contexts that are gone.
    pub(crate) references: u32,
    /// What is bound in it: the first of a chain.
    pub(crate) bindings: Option<Id<Binding>>,
}

/// An object in an address space.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) space: Id<AddressSpace>,
    pub(crate) object: Id<Object>,
    pub(crate) range: VaRange,
    /// The last submission that used it said where it has to be: nothing moves it but its client.
    pub(crate) fixed: bool,
    /// Chains of requests in flight that use it: requests that repeat a list share one (`run`).
    pub(crate) active: u32,
    /// Out of the page tables, but the GPU has not confirmed that it forgot the pages.
    pub(crate) leaving: Option<Unbinding>,
    /// While a submission is being placed: the next one that made room for its objects.
    pub(crate) next_displaced: Option<Id<Binding>>,
    /// The object's next and previous bindings.
    pub(crate) of_object: Neighbours,
    /// The address space's.
    pub(crate) of_space: Neighbours,
    /// Next in its bucket of the table of bindings.
    pub(crate) same_bucket: Option<Id<Binding>>,
}

/// Neighbours in a chain.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Neighbours {
    pub(crate) next: Option<Id<Binding>>,
    pub(crate) previous: Option<Id<Binding>>,
}

/// A binding is found by where it is, and what of.
impl Indexed for Binding {
    type Key = (Id<AddressSpace>, Id<Object>);

    fn key(&self) -> Self::Key {
        (self.space, self.object)
    }

    fn spread((space, object): Self::Key) -> u32 {
        index::scatter(space.index()).wrapping_add(object.index())
    }

    fn chain(&mut self) -> &mut Option<Id<Self>> {
        &mut self.same_bucket
    }

    fn next_in_chain(&self) -> Option<Id<Self>> {
        self.same_bucket
    }
}
