// SPDX-License-Identifier: BSD-2-Clause
//! Error numbers on the wire: Linux's, so that a client ported from there keeps its handling.

/// Why an operation was refused. The numbers are Linux's (`asm-generic/errno-base.h`, `errno.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Errno {
    /// The client may not do this (a right that the system description did not give).
    Perm = 1,
    /// No context, address space, object or engine of that name.
    NoEnt = 2,
    /// The device is wedged, or the client or its context is banned.
    Io = 5,
    /// A chain of extensions is too long, or an object is larger than the GPU's address space.
    TooBig = 7,
    /// Pages are missing and have been asked for, or a resource is in use for the moment: try again.
    Again = 11,
    /// A pool or the client's quota is exhausted.
    NoMem = 12,
    /// An offset points outside the message area, or no page can be had for an address.
    Fault = 14,
    /// The thing is in use and cannot be changed now.
    Busy = 16,
    /// The place is taken.
    Exist = 17,
    /// The part or the system cannot do this, or there is no GPU.
    NoDev = 19,
    /// A malformed argument.
    Inval = 22,
    /// No free range in the address space.
    NoSpc = 28,
    /// A wait ended without its condition.
    Time = 62,
}

impl Errno {
    /// Every error that can stand in a reply.
    pub const ALL: [Self; 13] = [
        Self::Perm,
        Self::NoEnt,
        Self::Io,
        Self::TooBig,
        Self::Again,
        Self::NoMem,
        Self::Fault,
        Self::Busy,
        Self::Exist,
        Self::NoDev,
        Self::Inval,
        Self::NoSpc,
        Self::Time,
    ];

    /// The number in a reply's label.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The error of a number, if the interface knows it.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|errno| errno.number() == number)
    }

    /// What an answer says with a number: 0 is success, and a number that the interface does not know an error all the
    /// same, [`Errno::Io`].
    ///
    /// # Errors
    /// The error that the number names.
    pub fn status(number: u64) -> Result<(), Self> {
        match number {
            0 => Ok(()),
            number => Err(u16::try_from(number).ok().and_then(Self::from_number).unwrap_or(Self::Io)),
        }
    }

    /// The conventional name, `EINVAL` for [`Errno::Inval`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Perm => "EPERM",
            Self::NoEnt => "ENOENT",
            Self::Io => "EIO",
            Self::TooBig => "E2BIG",
            Self::Again => "EAGAIN",
            Self::NoMem => "ENOMEM",
            Self::Fault => "EFAULT",
            Self::Busy => "EBUSY",
            Self::Exist => "EEXIST",
            Self::NoDev => "ENODEV",
            Self::Inval => "EINVAL",
            Self::NoSpc => "ENOSPC",
            Self::Time => "ETIME",
        }
    }
}

impl core::fmt::Display for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

impl core::error::Error for Errno {}

#[cfg(test)]
mod tests {
    use super::Errno;

    #[test]
    fn every_error_has_the_number_that_linux_gives_it() {
        let numbers: Vec<u16> = Errno::ALL.iter().map(|errno| errno.number()).collect();
        assert_eq!(numbers, [1, 2, 5, 7, 11, 12, 14, 16, 17, 19, 22, 28, 62]);
    }

    #[test]
    fn a_number_names_its_error_and_an_unknown_number_none() {
        for errno in Errno::ALL {
            assert_eq!(Errno::from_number(errno.number()), Some(errno));
        }
        assert_eq!(Errno::from_number(0), None);
        assert_eq!(Errno::from_number(3), None);
    }

    #[test]
    fn an_answer_is_success_its_error_or_for_an_unknown_number_eio() {
        assert_eq!(Errno::status(0), Ok(()));
        for errno in Errno::ALL {
            assert_eq!(Errno::status(errno.number().into()), Err(errno));
        }
        for unknown in [3, 0xffff, 0x1_0000, u64::from(Errno::Inval.number()) | 1 << 16, u64::MAX] {
            assert_eq!(Errno::status(unknown), Err(Errno::Io));
        }
    }
}
