// SPDX-License-Identifier: BSD-2-Clause
//! What the core needs from the domain around it, towards clients: their shared memories, a way to wake
//! them, and the capabilities that they lend. In the driver domain this is seL4; in a host test it is a
//! few vectors.

use gpu_protocol::Errno;
use gpu_ring::Words;

use crate::address::DeviceAddress;

/// Number of a client: its position in the configuration.
pub type ClientId = usize;

/// A frame that the driver holds a capability of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Names the capability towards the [`Domain`]: the number that [`Domain::take_frame`] was given.
    pub slot: u32,
    /// Physical address of its first byte, read from the capability.
    pub physical: u64,
}

/// Where a frame's capability is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the CNode that came with the message that is being served.
    CNode {
        /// Its radix, as the message says.
        bits: u32,
        /// Which slot.
        index: u32,
    },
    /// It came with the message itself.
    Message,
}

/// Why a capability was not taken or not mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// No capability came with the message, or it is not a CNode of the stated radix.
    NoCnode,
    /// The slot is empty or holds something that is not a frame of the stated size.
    NotAFrame,
    /// The frame cannot be mapped for the device.
    NotMappable,
}

impl From<FrameError> for Errno {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::NoCnode => Self::Inval,
            FrameError::NotAFrame | FrameError::NotMappable => Self::Fault,
        }
    }
}

/// The domain around the core, as seen towards clients.
pub trait Domain {
    /// Length of a client's message area in bytes.
    fn area_len(&self, client: ClientId) -> usize;

    /// Copies bytes out of a client's message area. The client may be writing meanwhile; whatever is
    /// read is what counts from then on.
    ///
    /// # Errors
    /// `EFAULT` if the range is not inside the area; `bytes` is then unspecified.
    fn read_area(&self, client: ClientId, offset: u64, bytes: &mut [u8]) -> Result<(), Errno>;

    /// Copies bytes into a client's message area.
    ///
    /// # Errors
    /// `EFAULT` if the range is not inside the area; nothing is written then.
    fn write_area(&mut self, client: ClientId, offset: u64, bytes: &[u8]) -> Result<(), Errno>;

    /// The memory of a client's rings, if it has one.
    fn rings(&self, _client: ClientId) -> Option<&dyn Words> {
        None
    }

    /// Writes the last completed point of one of a client's timelines where the client can read it.
    fn publish_point(&mut self, client: ClientId, timeline: usize, point: u64);

    /// Wakes a client.
    fn notify(&mut self, client: ClientId);

    /// Takes a copy of a frame capability, keeps it as number `slot` (free until now), and reads the frame's
    /// physical address.
    ///
    /// # Errors
    /// [`FrameError`]; nothing is kept.
    fn take_frame(&mut self, source: Source, slot: u32, write: bool) -> Result<Frame, FrameError>;

    /// Counts pages of 4 KiB, side by side, as number `slot` (free until now) that are mapped for the device from the
    /// start, without capabilities.
    fn adopt_frames(&mut self, slot: u32, device: DeviceAddress, pages: u32);

    /// Whether the capability of number `slot` is still there; its owner may have revoked it. Always true for
    /// a frame without a capability.
    fn is_held(&mut self, slot: u32, device: DeviceAddress) -> bool;

    /// Makes a held frame reachable for the device.
    ///
    /// # Errors
    /// [`FrameError::NotMappable`]; the capability stays held.
    fn map_frame(&mut self, frame: Frame, page_bits: u32, write: bool) -> Result<DeviceAddress, FrameError>;

    /// Makes a frame unreachable for the device and gives up its capability.
    fn release_frame(&mut self, slot: u32);
}
