// SPDX-License-Identifier: BSD-2-Clause
//! Address spaces as clients see them: shared by handle, alive as long as a handle, a context or a
//! request uses them.

use super::object::Object;
use crate::VmId;
use crate::address::VaRange;
use crate::handle::Id;

/// An address space.
#[derive(Debug)]
pub(crate) struct AddressSpace {
    /// The page tables.
    pub(crate) vm: VmId,
    /// Handles, contexts and bindings in it.
    pub(crate) references: u32,
    /// What is bound in it: the first of a chain.
    pub(crate) bindings: Option<Id<Binding>>,
}

/// An object in an address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) space: Id<AddressSpace>,
    pub(crate) object: Id<Object>,
    pub(crate) range: VaRange,
    /// The object's next binding.
    pub(crate) next_of_object: Option<Id<Binding>>,
    /// The address space's next binding.
    pub(crate) next_of_space: Option<Id<Binding>>,
}
