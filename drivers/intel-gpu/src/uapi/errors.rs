// SPDX-License-Identifier: BSD-2-Clause
//! The hardware half's errors as a client sees them.

use gpu_protocol::Errno;

use crate::Error;

impl From<Error> for Errno {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::NoEnt,
            Error::Invalid | Error::Overlap => Self::Inval,
            Error::NoSpace => Self::NoSpc,
            Error::NoMemory | Error::Quota => Self::NoMem,
            Error::RingFull => Self::Again,
            Error::Busy => Self::Busy,
            Error::Unsupported => Self::NoDev,
            Error::Banned | Error::Wedged | Error::Timeout => Self::Io,
        }
    }
}
