// SPDX-License-Identifier: BSD-2-Clause
//! How a client reaches the driver.

use gpu_protocol::{Operation, Reply};
use gpu_ring::Words;

/// A range of the client's memory that it can lend, and what names its frames to the driver.
///
/// ```
/// # let (shared, mut gpu) = conformance::client("tgl");
/// use gpu_client::{Frames, Lendable};
///
/// // 16 pages, whose frames are in slots 0 to 15 of a CNode of 16 slots.
/// let frames = Frames::Capabilities { cnode: 514, bits: 4, page_bits: 12 };
/// let object = gpu.create_userptr(Lendable { address: 0x4000_0000, size: 0x1_0000, frames })?;
/// # Ok::<(), gpu_client::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lendable {
    /// First byte in the client's address space.
    pub address: u64,
    /// Bytes.
    pub size: u64,
    /// The frames behind it.
    pub frames: Frames,
}

/// What names the frames of a [`Lendable`] to the driver.
///
/// ```
/// # let (shared, mut gpu) = conformance::client("tgl");
/// use gpu_client::{Frames, Lendable};
///
/// // The client's first row of the driver's grant table, which system.xml wrote.
/// let frames = Frames::Region { row: 0 };
/// let object = gpu.create_userptr(Lendable { address: 0x4000_0000, size: 0x1000, frames })?;
/// # Ok::<(), gpu_client::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// Their capabilities, sent with the grant.
    Capabilities {
        /// Capability of a CNode whose slot `n` holds the frame of page `n` of the range.
        cnode: u64,
        /// Radix of that CNode.
        bits: u32,
        /// Base-two logarithm of the size of one frame, bytes.
        page_bits: u32,
    },
    /// A region of the system description, where no capability can be sent; the range starts with its first byte.
    Region {
        /// Which of the client's rows of the driver's grant table, counted from 0.
        row: u32,
    },
    /// None: the memory is not the client's to lend.
    Foreign,
}

/// One connection to the driver domain.
///
/// ```
/// use gpu_client::{Error, Gpu, Operation, Reply, Transport};
///
/// /// A driver that is not there.
/// struct Nobody([u8; 4096]);
///
/// impl Transport for Nobody {
///     fn call(&mut self, _: Operation, _: [u64; 2], _: Option<u64>) -> Reply {
///         Reply::error(gpu_client::Errno::NoDev)
///     }
///
///     fn area_len(&self) -> usize {
///         self.0.len()
///     }
///
///     fn write_area(&mut self, offset: usize, bytes: &[u8]) {
///         self.0[offset..offset + bytes.len()].copy_from_slice(bytes);
///     }
///
///     fn read_area(&self, offset: usize, bytes: &mut [u8]) {
///         bytes.copy_from_slice(&self.0[offset..offset + bytes.len()]);
///     }
///
///     fn completed_point(&self, _timeline: u32) -> u64 {
///         0
///     }
///
///     fn sleep(&mut self) {}
/// }
///
/// let refused = Gpu::connect(Nobody([0; 4096])).err();
/// assert_eq!(refused, Some(Error::Refused(gpu_client::Errno::NoDev)));
/// ```
pub trait Transport {
    /// Makes a protected call. `arguments` are message registers 0 and 1; `capability`, if any, is
    /// transferred with the message.
    fn call(&mut self, operation: Operation, arguments: [u64; 2], capability: Option<u64>) -> Reply;

    /// Length of the message area in bytes.
    fn area_len(&self) -> usize;

    /// Writes into the message area. The caller keeps inside [`Transport::area_len`].
    fn write_area(&mut self, offset: usize, bytes: &[u8]);

    /// Reads out of the message area. The caller keeps inside [`Transport::area_len`].
    fn read_area(&self, offset: usize, bytes: &mut [u8]);

    /// Last completed point of a timeline, from the page that the driver writes; 0 for an index
    /// outside it.
    fn completed_point(&self, timeline: u32) -> u64;

    /// The memory of the rings that are shared with the driver, if there is one.
    fn rings(&self) -> Option<&dyn Words> {
        None
    }

    /// Notifies the driver.
    fn notify(&mut self) {}

    /// Sleeps until somebody notifies this client, or returns at once if somebody has since the last time.
    fn sleep(&mut self);
}
