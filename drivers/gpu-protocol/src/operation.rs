// SPDX-License-Identifier: BSD-2-Clause
//! The operations and the shape of a reply.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Errno;

/// What a protected call asks for: the label of its message.
///
/// Each variant names its argument structure and the message registers of its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Operation {
    /// [`Connect`]; reply: the driver's version, the message area's length in bytes as the driver
    /// sees it, the number of engines. `EINVAL`: another version; `EAGAIN`: see [`Connect::AFRESH`]; `ENODEV`: there is no GPU to use.
    Connect = 1,
    /// [`crate::GetParam`]; reply: the value.
    GetParam = 2,
    /// [`crate::VmCreate`]; reply: the address space's handle.
    VmCreate = 0x10,
    /// [`crate::VmDestroy`]; reply: nothing.
    VmDestroy = 0x11,
    /// [`crate::ContextCreate`]; reply: the context's handle.
    ContextCreate = 0x20,
    /// [`crate::ContextDestroy`]; reply: nothing.
    ContextDestroy = 0x21,
    /// [`crate::ContextParam`]; reply: the size of the structure that was read, or 0.
    ContextSetParam = 0x22,
    /// [`crate::ContextParam`]; reply: the value, and the size of a parameter that is a structure.
    ContextGetParam = 0x23,
    /// [`crate::ResetStats`]; reply: its three counts.
    ContextResetStats = 0x24,
    /// [`crate::UserptrCreate`]; reply: the object's handle.
    UserptrCreate = 0x30,
    /// [`crate::GemClose`]; reply: nothing.
    GemClose = 0x31,
    /// [`crate::GemExport`]; reply: a name that the peer imports the object by.
    GemExport = 0x32,
    /// [`crate::GemImport`]; reply: the object's handle. `ENOENT`: no object of that name was exported to
    /// this client, or it is gone.
    GemImport = 0x33,
    /// [`crate::GemCreate`]; reply: the object's handle, and its size in bytes.
    GemCreate = 0x34,
    /// [`crate::GemTransfer`], out of the object; reply: nothing. With `EAGAIN`, 1: the caller is notified.
    GemRead = 0x35,
    /// [`crate::GemTransfer`], into the object; reply: as for [`Self::GemRead`].
    GemWrite = 0x36,
    /// [`crate::GemBusy`]; reply: [`crate::GemBusy::answer`].
    GemBusy = 0x37,
    /// [`crate::GemWait`]; reply: as for [`Self::GemRead`].
    GemWait = 0x38,
    /// [`crate::Submit`]; reply: the timeline's index in [`crate::CompletedPoints`] and the point that
    /// it will reach. `EAGAIN`: pages are missing and their owner has been asked for them; the reply is then 1 if
    /// somebody else than the caller is about to lend them or the GPU to let them go, and the caller is notified of it.
    Submit = 0x40,
    /// [`crate::ReadErrorState`]; reply: the number of bytes copied, and the length of the whole text, 0 if no
    /// request has hung. `EPERM`: it was another client's request.
    ErrorState = 0x41,
    /// No argument; reply: the words of a [`crate::PageRequest`], or 0.
    NextPageRequest = 0x50,
    /// [`crate::Grant`] and one CNode capability; reply: the number of frames taken.
    GrantCnode = 0x51,
    /// [`crate::Grant`] of one frame, and its capability; reply: 1.
    GrantFrame = 0x52,
    /// [`crate::Refuse`]; reply: nothing.
    Refuse = 0x53,
    /// [`crate::GrantRegion`]; reply: the number of pages taken.
    GrantRegion = 0x54,
    /// [`crate::Invalidate`]; reply: an [`crate::InvalidateReply`]'s words. `EAGAIN`: the caller has too many
    /// invalidations whose end it has not read.
    Invalidate = 0x55,
    /// [`crate::InvalidateStatus`]; reply: an [`crate::InvalidateReply`]'s words.
    InvalidateStatus = 0x56,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 27] = [
        Self::Connect,
        Self::GetParam,
        Self::VmCreate,
        Self::VmDestroy,
        Self::ContextCreate,
        Self::ContextDestroy,
        Self::ContextSetParam,
        Self::ContextGetParam,
        Self::ContextResetStats,
        Self::UserptrCreate,
        Self::GemClose,
        Self::GemExport,
        Self::GemImport,
        Self::GemCreate,
        Self::GemRead,
        Self::GemWrite,
        Self::GemBusy,
        Self::GemWait,
        Self::Submit,
        Self::ErrorState,
        Self::NextPageRequest,
        Self::GrantCnode,
        Self::GrantFrame,
        Self::Refuse,
        Self::GrantRegion,
        Self::Invalidate,
        Self::InvalidateStatus,
    ];

    /// The label of a request.
    #[must_use]
    pub const fn label(self) -> u64 {
        self as u64
    }

    /// The operation that a label names.
    #[must_use]
    pub fn from_label(label: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.label() == label)
    }
}

/// The first call of a client: which interface it was built against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Connect {
    /// [`crate::VERSION`].
    pub version: u32,
    /// [`Connect::AFRESH`] or 0.
    pub flags: u32,
}

impl Connect {
    /// Flag: the client has lost what it knew, so all that it has goes first: requests are cancelled, contexts, objects
    /// and address spaces destroyed, pages given back, also those that it lends for others. Page requests that it has
    /// fetched and not answered are over; who waits asks anew. `EAGAIN` until the GPU has let go of everything.
    pub const AFRESH: u32 = 1 << 0;
}

/// What a call returns: at most four result words, which fit into machine registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Success, or why not.
    pub status: Result<(), Errno>,
    /// Results; those past `count` are 0.
    pub words: [u64; 4],
    /// How many words are meant.
    pub count: usize,
}

impl Reply {
    /// Success with these results (at most four are kept).
    #[must_use]
    pub fn ok(results: &[u64]) -> Self {
        let mut words = [0; 4];
        let count = results.len().min(words.len());
        words[..count].copy_from_slice(&results[..count]);
        Self { status: Ok(()), words, count }
    }

    /// Refusal.
    #[must_use]
    pub const fn error(errno: Errno) -> Self {
        Self { status: Err(errno), words: [0; 4], count: 0 }
    }

    /// The label of the reply's message.
    #[must_use]
    pub fn label(&self) -> u64 {
        self.status.map_or_else(|errno| u64::from(errno.number()), |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Operation, Reply};
    use crate::Errno;

    #[test]
    fn labels_are_fixed_and_name_one_operation_each() {
        let labels: Vec<u64> = Operation::ALL.iter().map(|operation| operation.label()).collect();
        let expected = [
            1, 2, 0x10, 0x11, 0x20, 0x21, 0x22, 0x23, 0x24, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37,
            0x38, 0x40, 0x41, 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56,
        ];
        assert_eq!(labels, expected);
        for operation in Operation::ALL {
            assert_eq!(Operation::from_label(operation.label()), Some(operation));
        }
        assert_eq!(Operation::from_label(0), None);
    }

    #[test]
    fn a_reply_carries_its_error_as_the_label() {
        assert_eq!(Reply::ok(&[7, 8]).label(), 0);
        assert_eq!(Reply::error(Errno::Inval).label(), 22);
    }
}
