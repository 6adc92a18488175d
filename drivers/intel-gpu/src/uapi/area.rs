// SPDX-License-Identifier: BSD-2-Clause
//! Reading argument structures: copied once, then looked at.

use gpu_protocol::Errno;
use zerocopy::{FromBytes, IntoBytes};

use super::domain::{ClientId, Domain};

/// Where a request's argument structure is: message registers 0 and 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Argument {
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// Reads a structure at an offset of the client's message area.
///
/// # Errors
/// `EFAULT` if it does not lie inside.
pub(crate) fn read_at<A: FromBytes + IntoBytes, D: Domain>(
    domain: &D,
    client: ClientId,
    offset: u64,
) -> Result<A, Errno> {
    let mut value = A::new_zeroed();
    domain.read_area(client, offset, value.as_mut_bytes())?;
    Ok(value)
}

/// Reads the argument structure of a request.
///
/// # Errors
/// `EINVAL` for a length that is not the structure's, `EFAULT` if it does not lie inside the area.
pub(crate) fn read<A: FromBytes + IntoBytes, D: Domain>(
    domain: &D,
    client: ClientId,
    argument: Argument,
) -> Result<A, Errno> {
    if argument.len != size_of::<A>() as u64 {
        return Err(Errno::Inval);
    }
    read_at(domain, client, argument.offset)
}
