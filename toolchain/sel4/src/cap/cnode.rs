// SPDX-License-Identifier: BSD-2-Clause
//! Moving capabilities between slots.

use super::CNode;
use crate::abi::{CapData, invoke, label};
use crate::error::Result;
use crate::{CapRights, Slot};

impl CNode {
    /// The slot at `index`, `depth` bits deep (guards included) in the space that this opens.
    pub const fn slot(self, index: u64, depth: u8) -> Slot {
        Slot::new(self, index, depth)
    }
}

/// Operations on capabilities where they lie. The source and destination may be in different spaces:
/// each slot names its own root.
impl Slot {
    #[inline]
    fn place(self) -> [u64; 2] {
        [self.index, u64::from(self.depth)]
    }

    /// Copies the capability in `source` to here, with at most `rights`. A copy of a page's capability is
    /// not mapped anywhere.
    pub fn copy_from(self, source: Slot, rights: CapRights) -> Result<()> {
        let ([index, depth], [from, from_depth]) = (self.place(), source.place());
        let arguments = [index, depth, from, from_depth, rights.bits()];
        invoke(self.root.cptr(), label::CNodeCopy, [source.root.cptr()], arguments)?;
        Ok(())
    }

    /// Copies the capability in `source` to here, with at most `rights`, specialised by `data`.
    pub fn mint_from(self, source: Slot, rights: CapRights, data: CapData) -> Result<()> {
        let ([index, depth], [from, from_depth]) = (self.place(), source.place());
        let arguments = [index, depth, from, from_depth, rights.bits(), data.bits()];
        invoke(self.root.cptr(), label::CNodeMint, [source.root.cptr()], arguments)?;
        Ok(())
    }

    /// Moves the capability in `source` to here.
    pub fn move_from(self, source: Slot) -> Result<()> {
        let ([index, depth], [from, from_depth]) = (self.place(), source.place());
        invoke(self.root.cptr(), label::CNodeMove, [source.root.cptr()], [index, depth, from, from_depth])?;
        Ok(())
    }

    /// Moves the capability in `source` to here, specialised by `data`. Badges cannot be given this way.
    pub fn mutate_from(self, source: Slot, data: CapData) -> Result<()> {
        let ([index, depth], [from, from_depth]) = (self.place(), source.place());
        let arguments = [index, depth, from, from_depth, data.bits()];
        invoke(self.root.cptr(), label::CNodeMutate, [source.root.cptr()], arguments)?;
        Ok(())
    }

    /// Empties the slot; the object goes with its last capability. No error when it is empty already.
    pub fn delete(self) -> Result<()> {
        invoke(self.root.cptr(), label::CNodeDelete, [], self.place())?;
        Ok(())
    }

    /// Deletes every capability that was derived from the one here.
    pub fn revoke(self) -> Result<()> {
        invoke(self.root.cptr(), label::CNodeRevoke, [], self.place())?;
        Ok(())
    }

    /// Puts the authority to answer the call that was received last into the slot, for later.
    #[cfg(not(feature = "mcs"))]
    pub fn save_caller(self) -> Result<()> {
        invoke(self.root.cptr(), label::CNodeSaveCaller, [], self.place())?;
        Ok(())
    }

    /// Makes everyone who waits to send with the badge of the endpoint capability here try again.
    pub fn cancel_badged_sends(self) -> Result<()> {
        invoke(self.root.cptr(), label::CNodeCancelBadgedSends, [], self.place())?;
        Ok(())
    }
}
