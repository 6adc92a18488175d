// SPDX-License-Identifier: BSD-2-Clause
//! Objects of a client's own pages, with flags.

use core::iter;

use gpu_protocol::{Errno, Operation, UserptrCreate, UserptrFlags};

use crate::connection::to_handle;
use crate::{Access, Error, Gpu, Lendable, Object, Transport, UsedObject};

/// Tries of a creation with a probe. The first asks for the pages, the second finds them, unless they are taken back
/// between the two.
const PROBE_TRIES: usize = 4;

impl<T: Transport> Gpu<T> {
    /// Makes an object out of the client's own memory:
    ///
    /// - [`UserptrFlags::READ_ONLY`]: the GPU cannot write it, and frames that may only be read can be lent for it;
    /// - [`UserptrFlags::UNSYNCHRONIZED`]: its pages are not taken back by invalidations, until it is exported;
    /// - [`UserptrFlags::PROBE`]: its pages are lent before there is an object;
    /// - [`UserptrFlags::UNCACHED`], [`UserptrFlags::WRITE_THROUGH`]: how the GPU caches its accesses.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// # let memory: gpu_client::Lendable = shared.rig().region(0, 4).into();
    /// use gpu_client::{Errno, Error, UserptrFlags};
    ///
    /// let both = UserptrFlags::UNCACHED | UserptrFlags::WRITE_THROUGH;
    /// assert_eq!(gpu.create_userptr_with(memory, both), Err(Error::Refused(Errno::Inval)));
    /// // Its pages are lent now, and not at its first use.
    /// let object = gpu.create_userptr_with(memory, UserptrFlags::UNCACHED | UserptrFlags::PROBE)?;
    /// assert_eq!(shared.rig().domain.held(), 4);
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Gpu::create_userptr`]; `EINVAL` for two cache policies; `ENODEV` for a read-only one on a part that cannot enforce it, `EPERM` for an
    /// unsynchronised one of a client that is not privileged. With a probe `EFAULT` where there are no pages, and
    /// `EAGAIN` while somebody else, who owns the address space, has not answered: the same again, after the driver's next
    /// notification, tells.
    pub fn create_userptr_with(&mut self, lendable: Lendable, flags: UserptrFlags) -> Result<Object, Error> {
        let create = UserptrCreate {
            user_ptr: lendable.address,
            user_size: lendable.size,
            flags: flags.bits(),
            handle: 0,
        };
        for _ in 1..PROBE_TRIES {
            match self.ask(Operation::UserptrCreate, &create) {
                Ok(handle) => return Ok(Object { handle: to_handle(handle)?, lendable }),
                Err(Error::Refused(Errno::Again)) if flags.contains(UserptrFlags::PROBE) => {
                    // What is asked for is of an object that has no handle yet.
                    let wanted = Object { handle: 0, lendable };
                    let wanted = UsedObject { object: &wanted, address: 0, access: Access::Write };
                    if !self.lend_what_is_asked(iter::once(&wanted))? {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(Errno::Again.into())
    }
}
