// SPDX-License-Identifier: BSD-2-Clause
//! How a client reaches the driver.

use gpu_protocol::{Operation, Reply};
use gpu_ring::Words;

/// A range of the client's memory that it can lend, and the capabilities to its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lendable {
    /// First byte in the client's address space.
    pub address: u64,
    /// Bytes.
    pub size: u64,
    /// Capability of a CNode whose slot `n` holds the frame of page `n` of the range.
    pub frames: u64,
    /// Radix of that CNode.
    pub frames_bits: u32,
    /// Base-two logarithm of the size of one frame, bytes.
    pub page_bits: u32,
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
