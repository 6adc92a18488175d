// SPDX-License-Identifier: BSD-2-Clause
//! The clients as the core wants them: [`intel_gpu::uapi::Domain`] over shared memory, channels and
//! capabilities.

use alloc::vec::Vec;

use gpu_protocol::Errno;
use gpu_ring::Words;
use intel_gpu::address::DeviceAddress;
use intel_gpu::uapi::{ClientId, Domain, Frame, FrameError, Source};
use sel4_microkit::Channel;
use window::Window;

use crate::frames::Frames;

/// One client: its channel and the memories shared with it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) channel: Channel,
    pub(crate) area: Window,
    /// The page of completed points, unless it submits nothing.
    pub(crate) points: Option<Window>,
    /// The rings, if system.xml gives the client any.
    pub(crate) rings: Option<Window>,
}

/// All clients.
#[derive(Debug)]
pub(crate) struct Clients {
    links: Vec<Link>,
    pub(crate) frames: Frames,
}

impl Clients {
    pub(crate) const fn new(links: Vec<Link>, frames: Frames) -> Self {
        Self { links, frames }
    }

    /// The client of a channel.
    pub(crate) fn of_channel(&self, channel: Channel) -> Option<ClientId> {
        self.links.iter().position(|link| link.channel == channel)
    }
}

impl Domain for Clients {
    fn area_len(&self, client: ClientId) -> usize {
        self.links.get(client).map_or(0, |link| link.area.len())
    }

    #[inline]
    fn read_area(&self, client: ClientId, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        let link = self.links.get(client).ok_or(Errno::Fault)?;
        let offset = usize::try_from(offset).map_err(|_| Errno::Fault)?;
        if link.area.read_bytes(offset, bytes) { Ok(()) } else { Err(Errno::Fault) }
    }

    fn write_area(&mut self, client: ClientId, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let link = self.links.get_mut(client).ok_or(Errno::Fault)?;
        let offset = usize::try_from(offset).map_err(|_| Errno::Fault)?;
        if link.area.write_bytes(offset, bytes) { Ok(()) } else { Err(Errno::Fault) }
    }

    fn rings(&self, client: ClientId) -> Option<&dyn Words> {
        let rings = self.links.get(client)?.rings.as_ref()?;
        Some(rings)
    }

    fn publish_point(&mut self, client: ClientId, timeline: usize, point: u64) {
        if let Some(points) = self.links.get_mut(client).and_then(|link| link.points.as_mut()) {
            points.write(timeline * size_of::<u64>(), point);
        }
    }

    fn notify(&mut self, client: ClientId) {
        if let Some(link) = self.links.get(client) {
            link.channel.notify();
        }
    }

    fn take_frame(&mut self, source: Source, slot: u32, write: bool) -> Result<Frame, FrameError> {
        self.frames.take(source, slot, write)
    }

    fn adopt_frames(&mut self, slot: u32, _device: DeviceAddress, _pages: u32) {
        self.frames.adopt(slot);
    }

    fn is_held(&mut self, slot: u32, device: DeviceAddress) -> bool {
        self.frames.is_held(slot, device)
    }

    fn map_frame(&mut self, frame: Frame, _page_bits: u32, write: bool) -> Result<DeviceAddress, FrameError> {
        self.frames.map(frame, write)
    }

    fn release_frame(&mut self, slot: u32) {
        self.frames.release(slot);
    }
}
