// SPDX-License-Identifier: BSD-2-Clause
//! Making objects.

use super::{AsidControl, AsidPool, Pml4, Untyped};
use crate::abi::{invoke, label};
use crate::error::Result;
use crate::{NodePath, Object, Slot};

impl Untyped {
    /// Makes `count` objects (at most [`RETYPE_FAN_OUT_LIMIT`](crate::RETYPE_FAN_OUT_LIMIT)) out of the
    /// memory that is free, and puts their capabilities into the slots from `offset` on of the CNode at
    /// `node`, which must be empty.
    ///
    /// Memory is taken from the lowest address up, aligned to the object's size; it is free again only
    /// when everything made of this untyped is deleted.
    pub fn retype(self, object: Object, node: NodePath, offset: u64, count: u64) -> Result<()> {
        invoke(
            self.cptr(),
            label::UntypedRetype,
            [node.root.cptr()],
            [object.type_number(), object.size_argument(), node.index, u64::from(node.depth), offset, count],
        )?;
        Ok(())
    }
}

impl AsidControl {
    /// Turns a whole untyped of 4 KiB into an ASID pool, whose capability goes into `slot`.
    pub fn make_pool(self, untyped: Untyped, slot: Slot) -> Result<()> {
        invoke(
            self.cptr(),
            label::X86ASIDControlMakePool,
            [untyped.cptr(), slot.root().cptr()],
            [slot.index(), u64::from(slot.depth())],
        )?;
        Ok(())
    }
}

impl AsidPool {
    /// Gives an address space its identifier: needed before anything can be mapped in it.
    pub fn assign(self, vspace: Pml4) -> Result<()> {
        invoke(self.cptr(), label::X86ASIDPoolAssign, [vspace.cptr()], [])?;
        Ok(())
    }
}
