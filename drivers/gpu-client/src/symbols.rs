// SPDX-License-Identifier: BSD-2-Clause
//! What system.xml gives a client domain, by the names of its symbols.
#![allow(unsafe_code, reason = "addresses that the image tool wrote become memory here")]

use core::ptr::NonNull;

use microkit_ext::cap;
use sel4_microkit::Channel;
use window::Window;

use crate::microkit::ChannelTransport;
use crate::{Frames, Lendable};

/// Memory of a client and the capabilities to its frames: the CPU's way to it, and what makes a GPU object
/// of it.
///
/// ```ignore
/// let mut picture = gpu_client::memory!(picture, picture_size, picture_bits, picture_row, slot = 1);
/// picture.window.write(0, 0xff33_6699_u32);
/// let object = gpu.create_userptr(picture.lendable)?;
/// ```
#[derive(Debug)]
pub struct Memory {
    /// The CPU's access.
    pub window: Window,
    /// For [`Gpu::create_userptr`](crate::Gpu::create_userptr).
    pub lendable: Lendable,
}

/// For the macros: a region that the image tool mapped at `address`.
fn region(address: usize, size: usize) -> Window {
    let base = NonNull::new(address as *mut u8).unwrap_or(NonNull::dangling());
    let size = if address == 0 { 0 } else { size };
    // SAFETY: the image tool wrote both values, and maps the region there for the life of the domain; each
    // use of a macro makes one window of its own symbols. A region that was not given has no byte.
    unsafe { Window::new(base, size) }
}

/// For [`transport!`](crate::transport).
#[doc(hidden)]
#[must_use]
pub fn transport(channel: Channel, area: [usize; 2], points: usize, rings: [usize; 2]) -> ChannelTransport {
    let transport = ChannelTransport::new(channel, region(area[0], area[1]), region(points, 4096));
    if rings[0] == 0 { transport } else { transport.with_rings(region(rings[0], rings[1])) }
}

/// For [`memory!`](crate::memory).
#[doc(hidden)]
#[must_use]
pub fn memory(address: usize, size: usize, bits: u64, slot: usize, row: u64) -> Memory {
    let frames = match u32::try_from(row) {
        Ok(row) => Frames::Region { row },
        Err(_) => Frames::Capabilities {
            cnode: cap::cnode(slot).cptr().bits(),
            // A radix that cannot be is refused by the driver.
            bits: u32::try_from(bits).unwrap_or(u32::MAX),
            // As many frames as the CNode has room for are all of it; if pages of 4 KiB would be more, they are larger.
            page_bits: if (size as u64) >> 12 > 1 << bits.min(63) { 21 } else { 12 },
        },
    };
    let lendable = Lendable { address: address as u64, size: size as u64, frames };
    Memory { window: region(address, size), lendable }
}

/// The connection to the driver over a channel, with the memories that system.xml names `gpu_message` (and
/// `gpu_message_size`), `gpu_points`, and, if there are rings, `gpu_rings` (and `gpu_rings_size`). To be used
/// once in a domain.
///
/// ```ignore
/// let gpu = Gpu::connect(gpu_client::transport!(Channel::new(0)))?;
/// ```
#[macro_export]
macro_rules! transport {
    ($channel:expr) => {
        $crate::symbols::transport(
            $channel,
            [
                *$crate::symbols::var!(gpu_message: usize = 0),
                *$crate::symbols::var!(gpu_message_size: usize = 0),
            ],
            *$crate::symbols::var!(gpu_points: usize = 0),
            [
                *$crate::symbols::var!(gpu_rings: usize = 0),
                *$crate::symbols::var!(gpu_rings_size: usize = 0),
            ],
        )
    };
}

/// A region of the domain, by the symbols that system.xml sets to its address (`setvar_vaddr`), its size
/// (`setvar_size`), and, on the `cap_frame_range` in that slot, the radix of the CNode with its frames
/// (`setvar_size_bits`) and its row of the driver's grant table (`setvar_row`), which takes the capabilities' place
/// where there are none. To be used once for each region.
///
/// ```ignore
/// let mut picture = gpu_client::memory!(picture, picture_size, picture_bits, picture_row, slot = 1);
/// ```
#[macro_export]
macro_rules! memory {
    ($address:ident, $size:ident, $bits:ident, $row:ident, slot = $slot:expr) => {
        $crate::symbols::memory(
            *$crate::symbols::var!($address: usize = 0),
            *$crate::symbols::var!($size: usize = 0),
            *$crate::symbols::var!($bits: u64 = 0),
            $slot,
            *$crate::symbols::var!($row: u64 = u64::MAX),
        )
    };
}

#[doc(hidden)]
pub use sel4_microkit::var;
