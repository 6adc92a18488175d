// SPDX-License-Identifier: BSD-2-Clause
//! The domain around the driver as plain values: message areas and pages of points are vectors,
//! notifications are counted, capabilities are entries of a table. What the kernel would refuse is
//! refused, and what the driver must not ask it for fails the test.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gpu_protocol::{Errno, PAGE_SIZE, TIMELINES_PER_CLIENT};
use gpu_ring::Words;
use intel_gpu::address::DeviceAddress;
use intel_gpu::uapi::{ClientId, FrameError, Source};

/// A frame as its capability describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// First byte.
    pub physical: u64,
    /// The capability gives the right to write.
    pub writable: bool,
}

/// What a slot of a CNode can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// A frame of 4 KiB.
    Frame(Frame),
    /// A frame of 2 MiB.
    Large(Frame),
    /// Anything that is not a frame: an endpoint, a page table.
    Other,
}

/// Capabilities of single frames are named from here on, CNodes from 0.
pub const SINGLE: u64 = 1 << 32;

/// The pages that the GPU can reach, and whether it can write them. Clones share the state.
#[derive(Clone, Debug, Default)]
pub struct Iommu {
    pages: Arc<Mutex<HashMap<u64, bool>>>,
}

impl Iommu {
    fn with<R>(&self, f: impl FnOnce(&mut HashMap<u64, bool>) -> R) -> R {
        f(&mut self.pages.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn insert(&self, physical: u64, pages: u64, writable: bool) {
        self.with(|map| map.extend((0..pages).map(|page| (physical + page * PAGE_SIZE, writable))));
    }

    fn remove(&self, physical: u64, pages: u64) {
        let range = physical..physical + pages * PAGE_SIZE;
        self.with(|map| map.retain(|page, _| !range.contains(page)));
    }

    /// Whether an access to the page of `address` goes through.
    #[must_use]
    pub fn allows(&self, address: u64, write: bool) -> bool {
        self.with(|pages| {
            pages.get(&(address & !(PAGE_SIZE - 1))).is_some_and(|writable| *writable || !write)
        })
    }

    /// Number of pages that are mapped.
    #[must_use]
    pub fn len(&self) -> usize {
        self.with(|pages| pages.len())
    }

    /// No page is mapped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Memory of a client's rings. Clones share it.
#[derive(Clone, Debug)]
pub struct RingMemory(Arc<[AtomicU64]>);

impl RingMemory {
    /// Its words, for those who do not come by [`Words`].
    #[must_use]
    pub fn words(&self) -> &[AtomicU64] {
        &self.0
    }
}

impl Words for RingMemory {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn load(&self, index: usize, order: Ordering) -> u64 {
        self.0.as_ref().load(index, order)
    }

    fn store(&self, index: usize, value: u64, order: Ordering) {
        self.0.as_ref().store(index, value, order);
    }
}

/// One client's side of the shared memories.
#[derive(Clone, Debug)]
pub(crate) struct ClientSide {
    pub(crate) area: Vec<u8>,
    pub(crate) points: Vec<u64>,
    pub(crate) notified: u64,
    /// Memory of its rings; empty if it has none.
    pub(crate) rings: RingMemory,
}

impl ClientSide {
    pub(crate) fn new(area: usize, rings: usize) -> Self {
        let rings = RingMemory((0..rings / 8).map(|_| AtomicU64::new(0)).collect());
        Self { area: vec![0; area], points: vec![0; TIMELINES_PER_CLIENT], notified: 0, rings }
    }
}

/// A CNode: a power of two of slots.
#[derive(Clone, Debug)]
pub(crate) struct CNode {
    pub(crate) bits: u32,
    pub(crate) slots: Vec<Option<Capability>>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    frame: Frame,
    /// Its size in pages of 4 KiB.
    pages: u64,
    mapped: bool,
    /// Its owner took the capability away.
    revoked: bool,
    /// It was mapped from the start, and has no capability.
    adopted: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Domain {
    pub(crate) clients: Vec<ClientSide>,
    pub(crate) cnodes: Vec<CNode>,
    /// Capabilities that can be sent alone, by their name from [`SINGLE`] on.
    pub(crate) singles: Vec<Capability>,
    /// The capability that came with the message that is being served.
    pub(crate) message: Option<u64>,
    held: HashMap<u32, Held>,
    iommu: Iommu,
    /// Pages that are mapped from the start.
    fixed: usize,
    /// `map_frame` succeeds this often, then it fails.
    pub(crate) maps_left: u32,
    /// Frames taken since the start.
    pub(crate) taken: u64,
    /// How often message areas were read.
    area_reads: Cell<u64>,
}

impl Domain {
    pub(crate) fn new(clients: usize, (area, rings): (usize, usize), iommu: Iommu) -> Self {
        Self {
            clients: (0..clients).map(|_| ClientSide::new(area, rings)).collect(),
            cnodes: Vec::new(),
            singles: Vec::new(),
            message: None,
            held: HashMap::new(),
            iommu,
            fixed: 0,
            maps_left: u32::MAX,
            taken: 0,
            area_reads: Cell::new(0),
        }
    }

    /// Capabilities that the driver holds.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.values().filter(|held| !held.revoked).count()
    }

    /// The driver holds a capability of a page.
    #[must_use]
    pub fn holds(&self, physical: u64) -> bool {
        self.held.values().any(|held| {
            let start = held.frame.physical;
            !held.revoked && (start..start + held.pages * PAGE_SIZE).contains(&physical)
        })
    }

    /// A client revokes a frame: the driver's copy of the capability vanishes, and with it the mapping.
    pub fn revoke(&mut self, physical: u64) {
        for held in self.held.values_mut().filter(|held| held.frame.physical == physical) {
            held.revoked = true;
            if core::mem::take(&mut held.mapped) {
                let pages = held.pages;
                self.iommu.remove(physical, pages);
            }
        }
    }

    /// Maps a range for the GPU from the start.
    pub(crate) fn map_from_the_start(&mut self, physical: u64, pages: u64) {
        self.iommu.insert(physical, pages, true);
        self.fixed += usize::try_from(pages).unwrap_or(usize::MAX);
    }

    /// Completed points: client, timeline, point; those that are 0 are left out.
    pub(crate) fn points(&self) -> Vec<(usize, usize, u64)> {
        let each = self.clients.iter().enumerate().flat_map(|(client, side)| {
            let points = side.points.iter().copied().enumerate();
            points.map(move |(timeline, point)| (client, timeline, point))
        });
        each.filter(|(.., point)| *point != 0).collect()
    }

    /// How often the driver has read message areas.
    #[must_use]
    pub fn area_reads(&self) -> u64 {
        self.area_reads.get()
    }

    /// Pages that the GPU can reach.
    #[must_use]
    pub fn mapped(&self) -> usize {
        self.iommu.len() - self.fixed
    }

    /// Pages of the frames that the driver holds.
    #[must_use]
    pub fn held_pages(&self) -> usize {
        let held = self.held.values().filter(|held| !held.revoked && !held.adopted);
        held.map(|held| usize::try_from(held.pages).unwrap_or(0)).sum()
    }
}

impl intel_gpu::uapi::Domain for Domain {
    fn area_len(&self, client: ClientId) -> usize {
        self.clients[client].area.len()
    }

    fn read_area(&self, client: ClientId, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        self.area_reads.set(self.area_reads.get() + 1);
        let start = usize::try_from(offset).map_err(|_| Errno::Fault)?;
        let end = start.checked_add(bytes.len()).ok_or(Errno::Fault)?;
        bytes.copy_from_slice(self.clients[client].area.get(start..end).ok_or(Errno::Fault)?);
        Ok(())
    }

    fn write_area(&mut self, client: ClientId, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let start = usize::try_from(offset).map_err(|_| Errno::Fault)?;
        let end = start.checked_add(bytes.len()).ok_or(Errno::Fault)?;
        self.clients[client].area.get_mut(start..end).ok_or(Errno::Fault)?.copy_from_slice(bytes);
        Ok(())
    }

    fn rings(&self, client: ClientId) -> Option<&dyn Words> {
        let rings = &self.clients[client].rings;
        (!rings.is_empty()).then_some(rings as &dyn Words)
    }

    fn publish_point(&mut self, client: ClientId, timeline: usize, point: u64) {
        let place = &mut self.clients[client].points[timeline];
        assert!(*place < point, "timeline {timeline} of client {client} goes from {place} to {point}");
        *place = point;
    }

    fn notify(&mut self, client: ClientId) {
        self.clients[client].notified += 1;
    }

    fn take_frame(
        &mut self,
        source: Source,
        slot: u32,
        write: bool,
    ) -> Result<intel_gpu::uapi::Frame, FrameError> {
        assert!(!self.held.contains_key(&slot), "slot {slot} is not free");
        let number = |name: u64| usize::try_from(name).ok();
        let capability = match source {
            Source::CNode { bits, index } => {
                let named = self.message.and_then(number).and_then(|name| self.cnodes.get(name));
                let cnode = named.filter(|cnode| cnode.bits == bits).ok_or(FrameError::NoCnode)?;
                cnode.slots.get(index as usize).copied().flatten()
            }
            Source::Message => {
                let name = self.message.ok_or(FrameError::NoCnode)?;
                let single = name.checked_sub(SINGLE).and_then(number);
                // A CNode is no frame.
                single.and_then(|name| self.singles.get(name)).copied()
            }
        };
        let (frame, pages) = match capability {
            Some(Capability::Frame(frame)) => (frame, 1),
            Some(Capability::Large(frame)) => (frame, 512),
            Some(Capability::Other) | None => return Err(FrameError::NotAFrame),
        };
        let frame = Frame { writable: frame.writable && write, ..frame };
        self.held.insert(slot, Held { frame, pages, mapped: false, revoked: false, adopted: false });
        self.taken += 1;
        Ok(intel_gpu::uapi::Frame { slot, physical: frame.physical })
    }

    fn adopt_frames(&mut self, slot: u32, device: DeviceAddress, pages: u32) {
        let pages = u64::from(pages);
        let mut each = (0..pages).map(|page| device.get() + page * PAGE_SIZE);
        assert!(each.all(|page| self.iommu.allows(page, false)), "mapped from the start");
        let frame = Frame { physical: device.get(), writable: true };
        let held = Held { frame, pages, mapped: false, revoked: false, adopted: true };
        assert!(self.held.insert(slot, held).is_none(), "slot {slot} is not free");
    }

    fn is_held(&mut self, slot: u32, device: DeviceAddress) -> bool {
        let held = self.held.get(&slot);
        held.is_some_and(|held| !held.revoked && held.frame.physical == device.get())
    }

    fn map_frame(
        &mut self,
        frame: intel_gpu::uapi::Frame,
        page_bits: u32,
        write: bool,
    ) -> Result<DeviceAddress, FrameError> {
        assert!(self.held.get(&frame.slot).is_some_and(|held| held.frame.physical == frame.physical));
        let Some(held) = self.held.get_mut(&frame.slot) else { return Err(FrameError::NotMappable) };
        assert!(!held.mapped, "slot {} is mapped already", frame.slot);
        // The kernel does not map over what is mapped (seL4: src/arch/x86/object/iospace.c).
        let writable = held.frame.writable && write;
        let physical = held.frame.physical;
        // The size that the kernel knows, not the one that the message says.
        let pages = held.pages;
        let taken = (0..pages).any(|page| self.iommu.allows(physical + page * PAGE_SIZE, false));
        if self.maps_left == 0 || taken || pages << 12 != 1 << page_bits {
            return Err(FrameError::NotMappable);
        }
        self.maps_left -= 1;
        held.mapped = true;
        self.iommu.insert(physical, pages, writable);
        Ok(DeviceAddress::new(physical))
    }

    fn release_frame(&mut self, slot: u32) {
        let held = self.held.remove(&slot);
        assert!(held.is_some(), "slot {slot} holds nothing");
        if let Some(held) = held.filter(|held| held.mapped) {
            self.iommu.remove(held.frame.physical, held.pages);
        }
    }
}
