// SPDX-License-Identifier: BSD-2-Clause
//! The objects of the specification.

use image_spec::{IrqTrigger, NamedObject, Object, PagingLevel, Polarity, Rights, SMALL_PAGE_BITS, Spec};
use image_untyped::Block;
use sel4::cap::{self, IoApicPin, MsiSource};
use sel4::{BootInfo, CPtr, CapData, CapRights, FrameSize, IoAddressSpace, initial};

use crate::failure::{During, Failure};
use crate::memory::{self, Pool};

/// The objects and their capabilities. Capability i of the specification stands in slot `first_slot` + i.
pub(crate) struct Objects<'s> {
    /// The specification.
    pub(crate) spec: &'s Spec<'static>,
    /// What is left to make more of.
    pub(crate) pool: Pool<'s>,
    /// Levels of I/O page tables; 0 without an I/O memory management unit.
    pub(crate) io_levels: u64,
    first_slot: u64,
}

impl<'s> Objects<'s> {
    pub(crate) fn new(
        boot_info: BootInfo<'_>,
        spec: &'s Spec<'static>,
        room: &'s mut [Block],
    ) -> Result<Self, Failure> {
        let pool = Pool::new(boot_info, spec.cap_count().into(), room)?;
        let io_levels = boot_info.io_page_table_levels();
        Ok(Self { spec, pool, io_levels, first_slot: boot_info.empty_slots().start })
    }

    /// Makes them all.
    pub(crate) fn create(&mut self) -> Result<(), Failure> {
        let spec = self.spec;
        for (index, entry) in (0..).zip(spec.objects().iter()) {
            self.create_one(entry, self.slot_of(index, 0), self.name(index))?;
        }
        Ok(())
    }

    fn create_one(&mut self, entry: NamedObject, slot: u64, name: &'static str) -> Result<(), Failure> {
        let kernel_object = match entry.object {
            Object::Endpoint => sel4::Object::Endpoint,
            Object::Notification => sel4::Object::Notification,
            Object::Tcb => sel4::Object::Tcb,
            Object::CNode { radix } => sel4::Object::CNode { radix },
            Object::VSpace => sel4::Object::Pml4,
            Object::Paging(PagingLevel::Pdpt) => sel4::Object::Pdpt,
            Object::Paging(PagingLevel::PageDirectory) => sel4::Object::PageDirectory,
            Object::Paging(PagingLevel::PageTable) => sel4::Object::PageTable,
            Object::Frames { size_bits, count, at } => {
                let frame = sel4::Object::Frame(frame_size(size_bits));
                return match at {
                    Some(place) => self.pool.make_at(frame, place, slot, count.into(), name),
                    None => self.pool.make(frame, slot, count.into(), name),
                };
            }
            Object::IoSpace { .. } if self.io_levels == 0 => return Err(Failure::NoIommu { name }),
            Object::IoSpace { .. }
            | Object::IoPorts { .. }
            | Object::IoApicIrq { .. }
            | Object::MsiIrq { .. } => {
                return derive(entry.object, slot, name);
            }
        };
        self.pool.make(kernel_object, slot, 1, name)
    }

    /// The slot of a capability of an object.
    pub(crate) fn slot_of(&self, index: u32, number: u32) -> u64 {
        // The specification has been checked: the object exists.
        let first_cap = self.spec.objects().get(index).map_or(0, |entry| entry.first_cap);
        self.first_slot + u64::from(first_cap) + u64::from(number)
    }

    /// The address of the first capability of an object.
    pub(crate) fn cptr(&self, index: u32) -> CPtr {
        CPtr::new(self.slot_of(index, 0))
    }

    /// The name of an object.
    pub(crate) fn name(&self, index: u32) -> &'static str {
        self.spec.object_name(index)
    }

    /// Size and number of frames of an object.
    pub(crate) fn frames(&self, index: u32) -> (FrameSize, u32) {
        match self.spec.objects().get(index).map(|entry| entry.object) {
            Some(Object::Frames { size_bits, count, .. }) => (frame_size(size_bits), count),
            _ => (FrameSize::Small, 0),
        }
    }
}

fn frame_size(bits: u8) -> FrameSize {
    if bits == SMALL_PAGE_BITS { FrameSize::Small } else { FrameSize::Large }
}

/// The kernel's form of rights.
pub(crate) fn rights(rights: Rights) -> CapRights {
    CapRights::new(rights.read, rights.write, rights.grant)
}

/// Makes a capability that comes from another one instead of memory.
fn derive(object: Object, slot: u64, name: &'static str) -> Result<(), Failure> {
    let slot = memory::slot(slot);
    let from = |source: CPtr| memory::slot(source.bits());
    match object {
        Object::IoSpace { requester, domain } => {
            let [bus, device, function] = pci(requester);
            let data = CapData::io_space(IoAddressSpace { domain, bus, device, function });
            let source = from(initial::IO_SPACE.cptr());
            slot.mint_from(source, CapRights::ALL, data).during("derive it from all I/O spaces", name)
        }
        Object::IoPorts { first, last } => {
            let source = from(initial::IO_PORT.cptr());
            let data = CapData::io_ports(first, last);
            slot.mint_from(source, CapRights::ALL, data).during("derive it from all I/O ports", name)
        }
        Object::IoApicIrq { ioapic, pin, trigger, polarity, vector } => {
            let pin = IoApicPin {
                io_apic: ioapic.into(),
                pin: pin.into(),
                trigger: match trigger {
                    IrqTrigger::Edge => cap::Trigger::Edge,
                    IrqTrigger::Level => cap::Trigger::Level,
                },
                polarity: match polarity {
                    Polarity::High => cap::Polarity::High,
                    Polarity::Low => cap::Polarity::Low,
                },
            };
            initial::IRQ_CONTROL.get_io_apic(slot, pin, vector.into()).during("get its handler", name)
        }
        Object::MsiIrq { requester, handle, vector } => {
            let [bus, device, function] = pci(requester);
            let source = MsiSource { bus, device, function, handle: handle.into() };
            initial::IRQ_CONTROL.get_msi(slot, source, vector.into()).during("get its handler", name)
        }
        _ => Ok(()),
    }
}

/// Bus, device and function of a requester id.
fn pci(requester: u16) -> [u8; 3] {
    let [low, bus] = requester.to_le_bytes();
    [bus, low >> 3, low & 7]
}
