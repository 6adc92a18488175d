// SPDX-License-Identifier: BSD-2-Clause
//! What the kernel answers to an invocation that it refuses.

use core::fmt;

/// The result of an invocation.
pub type Result<T> = core::result::Result<T, Error>;

/// Why the kernel refused an invocation, with what it says about it.
// seL4: libsel4/include/sel4/errors.h; the details: src/object/tcb.c, setMRs_syscall_error
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Error {
    /// The argument of this number (from 0) is not acceptable.
    InvalidArgument(u64),
    /// The capability of this number (0: the one invoked) is not of the right kind or state.
    InvalidCapability(u64),
    /// The operation does not exist here, or is not allowed to the caller.
    IllegalOperation,
    /// An argument is outside these bounds, which are inclusive.
    Range {
        /// Smallest acceptable value.
        min: u64,
        /// Largest acceptable value.
        max: u64,
    },
    /// An address is not aligned as the operation demands.
    Alignment,
    /// An address in a capability space, or the tables of an address space, lead nowhere.
    FailedLookup {
        /// Whether it was the source of the operation (else its destination).
        source: bool,
    },
    /// The message was too short, or a capability that belongs to it is missing.
    TruncatedMessage,
    /// Something is in the way: the destination has to be emptied first.
    DeleteFirst,
    /// Something derived from it is in the way: it has to be revoked first.
    RevokeFirst,
    /// The untyped memory has only this many bytes left.
    NotEnoughMemory {
        /// Bytes left, before any alignment.
        left: u64,
    },
    /// A number that this kernel's interface does not define.
    Unknown(u64),
}

impl Error {
    /// Reads the answer to an invocation: `None` when it succeeded.
    pub(crate) const fn from_answer(label: u64, words: &[u64; 4]) -> Option<Self> {
        Some(match label {
            0 => return None,
            1 => Self::InvalidArgument(words[0]),
            2 => Self::InvalidCapability(words[0]),
            3 => Self::IllegalOperation,
            4 => Self::Range { min: words[0], max: words[1] },
            5 => Self::Alignment,
            6 => Self::FailedLookup { source: words[0] != 0 },
            7 => Self::TruncatedMessage,
            8 => Self::DeleteFirst,
            9 => Self::RevokeFirst,
            10 => Self::NotEnoughMemory { left: words[0] },
            other => Self::Unknown(other),
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidArgument(number) => write!(f, "argument {number} is invalid"),
            Self::InvalidCapability(number) => write!(f, "capability {number} is invalid"),
            Self::IllegalOperation => f.write_str("illegal operation"),
            Self::Range { min, max } => write!(f, "out of range {min:#x}..={max:#x}"),
            Self::Alignment => f.write_str("not aligned"),
            Self::FailedLookup { source: true } => f.write_str("the source leads nowhere"),
            Self::FailedLookup { source: false } => f.write_str("the destination leads nowhere"),
            Self::TruncatedMessage => f.write_str("truncated message"),
            Self::DeleteFirst => f.write_str("the destination is not empty"),
            Self::RevokeFirst => f.write_str("derived capabilities are in the way"),
            Self::NotEnoughMemory { left } => write!(f, "not enough memory: {left:#x} bytes left"),
            Self::Unknown(number) => write!(f, "unknown kernel error {number}"),
        }
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_number_of_the_kernel_has_its_own_value() {
        let words = [7, 9, 0, 0];
        let all: Vec<_> = (0..=11).map(|label| Error::from_answer(label, &words)).collect();
        assert_eq!(all[0], None);
        assert_eq!(all[1], Some(Error::InvalidArgument(7)));
        assert_eq!(all[4], Some(Error::Range { min: 7, max: 9 }));
        assert_eq!(all[10], Some(Error::NotEnoughMemory { left: 7 }));
        assert_eq!(all[11], Some(Error::Unknown(11)));
        for (i, error) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|other| other != error), "{error:?} twice");
        }
    }
}
