// SPDX-License-Identifier: BSD-2-Clause
//! How a client reaches the driver.

use gpu_protocol::{Operation, Reply};
use gpu_ring::Words;

/// A range of the client's memory that it can lend, and what names its frames to the driver.
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
