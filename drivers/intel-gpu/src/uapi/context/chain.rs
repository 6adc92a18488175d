// SPDX-License-Identifier: BSD-2-Clause
//! Chains of extensions in a client's message area.

use gpu_protocol::{Errno, ExtensionHeader, MAX_EXTENSIONS};

use super::super::area;
use super::super::domain::{ClientId, Domain};

/// How many extensions a call may still have. i915 allows so many in each chain; here a chain of maps of engines that
/// have chains of their own shares one number, so that no call keeps the driver from others for long.
pub(super) struct Budget(usize);

impl Budget {
    /// What every call has.
    pub(super) const fn new() -> Self {
        Self(MAX_EXTENSIONS)
    }
}

/// What is left of a chain. One that is longer than the budget, or that loops, is cut off.
pub(super) struct Chain {
    next: u64,
}

impl Chain {
    /// The chain that begins at an offset of the message area; 0 is an empty one.
    pub(super) const fn at(offset: u64) -> Self {
        Self { next: offset }
    }

    /// The next extension's name, and where it begins. What it is followed by is read here, once: a client that
    /// changes the chain meanwhile changes nothing.
    ///
    /// # Errors
    /// `E2BIG`, `EFAULT`; `EINVAL` for flags or reserved words that are not 0.
    pub(super) fn next<D: Domain>(
        &mut self,
        domain: &D,
        budget: &mut Budget,
        client: ClientId,
    ) -> Result<Option<(u32, u64)>, Errno> {
        let offset = self.next;
        if offset == 0 {
            return Ok(None);
        }
        budget.0 = budget.0.checked_sub(1).ok_or(Errno::TooBig)?;
        let header: ExtensionHeader = area::read_at(domain, client, offset)?;
        if header.flags != 0 || header.rsvd != [0; 4] {
            return Err(Errno::Inval);
        }
        self.next = header.next;
        Ok(Some((header.name, offset)))
    }
}
