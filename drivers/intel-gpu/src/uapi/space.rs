// SPDX-License-Identifier: BSD-2-Clause
//! Address spaces as clients see them: shared by handle, alive as long as a handle, a context or a
//! request uses them.

use super::domain::ClientId;
use super::object::Object;
use crate::VmId;
use crate::address::VaRange;
use crate::handle::Id;
use crate::memory::Unbinding;

/// An address space.
#[derive(Debug)]
pub(crate) struct AddressSpace {
    /// Whose it is.
    pub(crate) client: ClientId,
    /// The page tables.
    pub(crate) vm: VmId,
    /// Handles, contexts and bindings in it.
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
    /// Out of the page tables, but the GPU has not confirmed that it forgot the pages.
    pub(crate) leaving: Option<Unbinding>,
    /// While a submission is being placed: the next one that made room for its objects.
    pub(crate) next_displaced: Option<Id<Binding>>,
    /// The object's next binding.
    pub(crate) next_of_object: Option<Id<Binding>>,
    /// The address space's next binding.
    pub(crate) next_of_space: Option<Id<Binding>>,
}
