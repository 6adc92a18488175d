// SPDX-License-Identifier: BSD-2-Clause
//! Errors as C has them: negative numbers of Linux's errno.
#![allow(unsafe_code, reason = "a function that C calls")]

use core::ffi::{CStr, c_char, c_int};

use gpu_client::blit::BlitError;
use gpu_client::{Errno, Error, FreeError};

/// Why a function did nothing: a number of errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure(u16);

impl Failure {
    /// A null pointer, or a number that means nothing.
    pub(crate) const INVALID: Self = Self(Errno::Inval.number());
    /// `ENOMEM`.
    pub(crate) const NO_MEMORY: Self = Self(Errno::NoMem.number());
    /// `E2BIG`.
    pub(crate) const TOO_BIG: Self = Self(Errno::TooBig.number());
}

/// `ERANGE`: a rectangle leaves its surface.
const RANGE: u16 = 34;
/// `EPROTO`: the driver speaks another version, or answers what the interface does not know.
const PROTOCOL: u16 = 71;
/// `EOPNOTSUPP`: there is no queue.
const NOT_SUPPORTED: u16 = 95;
/// `ENOBUFS`: the queue is full.
const NO_BUFFERS: u16 = 105;

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self(errno.number())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(errno) => errno.into(),
            Error::Version { .. } | Error::Protocol => Self(PROTOCOL),
            Error::TooLarge => Self::TOO_BIG,
            Error::QueueFull => Self(NO_BUFFERS),
            Error::NoQueue => Self(NOT_SUPPORTED),
        }
    }
}

impl From<BlitError> for Failure {
    fn from(error: BlitError) -> Self {
        match error {
            BlitError::BatchFull => Errno::NoSpc.into(),
            BlitError::Rectangle => Self(RANGE),
            BlitError::Surface => Self::INVALID,
        }
    }
}

impl From<FreeError> for Failure {
    fn from(error: FreeError) -> Self {
        match error {
            FreeError::NotAllocated => Self::INVALID,
            FreeError::Fragmented => Self::NO_MEMORY,
        }
    }
}

/// What a driver of another version has said that it speaks, after it was connected to; 0 if it is no other.
pub(crate) const fn driver_version<T>(tried: &Result<T, Error>) -> u64 {
    match tried {
        Err(Error::Version { driver }) => *driver,
        _ => 0,
    }
}

const fn name(error: Errno) -> &'static CStr {
    match error {
        Errno::Perm => c"EPERM",
        Errno::NoEnt => c"ENOENT",
        Errno::Io => c"EIO",
        Errno::TooBig => c"E2BIG",
        Errno::Again => c"EAGAIN",
        Errno::NoMem => c"ENOMEM",
        Errno::Fault => c"EFAULT",
        Errno::Busy => c"EBUSY",
        Errno::Exist => c"EEXIST",
        Errno::NoDev => c"ENODEV",
        Errno::Inval => c"EINVAL",
        Errno::NoSpc => c"ENOSPC",
        Errno::Time => c"ETIME",
    }
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub extern "C" fn gpu_error_name(error: c_int) -> *const c_char {
    let name = match u16::try_from(error.unsigned_abs()) {
        _ if error >= 0 => c"success",
        Ok(RANGE) => c"ERANGE",
        Ok(PROTOCOL) => c"EPROTO",
        Ok(NOT_SUPPORTED) => c"EOPNOTSUPP",
        Ok(NO_BUFFERS) => c"ENOBUFS",
        Ok(number) => Errno::from_number(number).map_or(c"unknown", name),
        Err(_) => c"unknown",
    };
    name.as_ptr()
}

/// Runs a function's body: what it returns, or the negative errno.
pub(crate) fn answer(body: impl FnOnce() -> Result<c_int, Failure>) -> c_int {
    body().unwrap_or_else(|Failure(number)| -c_int::from(number))
}
