// SPDX-License-Identifier: BSD-2-Clause
//! The numbers behind handles, for bindings to other languages. A number that is none of the client's names nothing:
//! the driver answers `ENOENT`, so that a mistake here is no danger to anybody else.

use crate::{Context, Fence, Lendable, Object, Ticket, Vm};

impl Vm {
    /// The number that the driver knows it by.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// let vm = gpu.create_vm()?;
    /// assert_eq!(gpu_client::Vm::from_handle(vm.handle()), vm);
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    #[must_use]
    pub const fn handle(&self) -> u32 {
        self.handle
    }

    /// The address space of a number.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{Errno, Error, Vm};
    ///
    /// assert_eq!(gpu.destroy_vm(Vm::from_handle(99)), Err(Error::Refused(Errno::NoEnt)));
    /// ```
    #[must_use]
    pub const fn from_handle(handle: u32) -> Self {
        Self { handle }
    }
}

impl Context {
    /// The number that the driver knows it by.
    ///
    /// ```
    /// assert_eq!(gpu_client::Context::DEFAULT.handle(), 0);
    /// ```
    #[must_use]
    pub const fn handle(&self) -> u32 {
        self.handle
    }

    /// The context of a number.
    ///
    /// ```
    /// use gpu_client::Context;
    ///
    /// assert_eq!(Context::from_handle(0), Context::DEFAULT);
    /// ```
    #[must_use]
    pub const fn from_handle(handle: u32) -> Self {
        Self { handle }
    }
}

impl Object {
    /// The number that the driver knows it by, and the memory that is lent for it.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// # let region = shared.rig().region(0, 1);
    /// use gpu_client::Object;
    ///
    /// let object = gpu.create_userptr(region.into())?;
    /// let (handle, lendable) = object.parts();
    /// assert_eq!(lendable.size, 4096);
    /// gpu.close(Object::from_parts(handle, lendable))?;
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    #[must_use]
    pub const fn parts(&self) -> (u32, Lendable) {
        (self.handle, self.lendable)
    }

    /// The object of a number, for which that memory is lent when the driver asks.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{Errno, Error, Frames, Lendable, Object};
    ///
    /// let nothing = Lendable { address: 0, size: 0, frames: Frames::Foreign };
    /// assert_eq!(gpu.close(Object::from_parts(99, nothing)), Err(Error::Refused(Errno::NoEnt)));
    /// ```
    #[must_use]
    pub const fn from_parts(handle: u32, lendable: Lendable) -> Self {
        Self { handle, lendable }
    }
}

impl Fence {
    /// Which quadword of the page of completed points shows it, and the number that it shows then.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// # let code = gpu.create_buffer(4096)?;
    /// # gpu.write(&code, 0, &0x0500_0000_u32.to_le_bytes())?;
    /// use gpu_client::{Access, Context, Fence, UsedObject};
    ///
    /// let batch = UsedObject { object: &code, address: 0x10_0000, access: Access::Read };
    /// let fence = gpu.submit(&Context::DEFAULT, 3, batch, 0..8, &[])?;
    /// let (timeline, point) = fence.parts();
    /// assert_eq!((Fence::from_parts(timeline, point), point), (fence, 1));
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    #[must_use]
    pub const fn parts(&self) -> (u32, u64) {
        (self.timeline, self.point)
    }

    /// The fence of a place of the page of completed points, and a number.
    ///
    /// ```
    /// # let (shared, gpu) = conformance::client("tgl");
    /// use gpu_client::Fence;
    ///
    /// assert!(gpu.is_complete(Fence::from_parts(0, 0)), "every timeline has come so far");
    /// assert!(!gpu.is_complete(Fence::from_parts(0, 1)));
    /// ```
    #[must_use]
    pub const fn from_parts(timeline: u32, point: u64) -> Self {
        Self { timeline, point }
    }
}

impl Ticket {
    /// The number that the driver knows the invalidation by.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{Errno, Error, Ticket};
    ///
    /// assert_eq!(Ticket::from_number(99).number(), 99);
    /// assert_eq!(gpu.look_at(Ticket::from_number(99)), Err(Error::Refused(Errno::NoEnt)), "there was none");
    /// ```
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.0
    }

    /// The invalidation of a number.
    ///
    /// ```
    /// let ticket = gpu_client::Ticket::from_number(3);
    /// assert_eq!(ticket.number(), 3);
    /// ```
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }
}
