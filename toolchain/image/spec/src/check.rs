// SPDX-License-Identifier: BSD-2-Clause
//! The cross references of a specification.

use crate::reader::{Spec, SpecError};
use crate::records::{CapTransform, Location, Object};
use crate::{LARGE_PAGE_BITS, SMALL_PAGE_BITS};

/// More slots than any CNode here has; keeps every shift defined.
const MAX_RADIX: u8 = 24;
/// User addresses end here (canonical lower half).
const USER_TOP: u64 = 1 << 47;
/// I/O addresses end here: four levels of tables.
const IO_TOP: u64 = 1 << 48;

type Check = Result<(), &'static str>;

pub(crate) fn check(spec: &Spec<'_>) -> Result<(), SpecError> {
    let all = Checker { spec };
    each("objects", spec.objects().len(), |index| all.object(index))?;
    each("fills", spec.fills().len(), |index| all.fill(index))?;
    each("paging tables", spec.tables().len(), |index| all.table(index))?;
    each("maps", spec.maps().len(), |index| all.map(index))?;
    each("capabilities", spec.caps().len(), |index| all.cap(index))?;
    each("interrupts", spec.irqs().len(), |index| all.irq(index))?;
    each("I/O ranges", spec.io_ranges().len(), |index| all.io_range(index))?;
    each("I/O maps", spec.io_maps().len(), |index| all.io_map(index))?;
    each("threads", spec.threads().len(), |index| all.thread(index))?;
    each("header", 1, |_| all.is(spec.monitor_endpoint(), |o| matches!(o, Object::Endpoint)))
}

fn each(section: &'static str, count: u32, check: impl Fn(u32) -> Check) -> Result<(), SpecError> {
    for index in 0..count {
        check(index).map_err(|problem| SpecError::Record { section, index, problem })?;
    }
    Ok(())
}

fn ensure(truth: bool, problem: &'static str) -> Check {
    if truth { Ok(()) } else { Err(problem) }
}

struct Checker<'s, 'a> {
    spec: &'s Spec<'a>,
}

impl Checker<'_, '_> {
    fn find(&self, index: u32) -> Result<Object, &'static str> {
        self.spec
            .objects()
            .get(index)
            .map(|entry| entry.object)
            .ok_or("refers to an object that does not exist")
    }

    fn is(&self, index: u32, kind: impl Fn(Object) -> bool) -> Check {
        ensure(kind(self.find(index)?), "refers to an object of another kind")
    }

    fn frames(&self, index: u32) -> Result<(u8, u32), &'static str> {
        match self.find(index)? {
            Object::Frames { size_bits, count, .. } => Ok((size_bits, count)),
            _ => Err("refers to an object that is no frame"),
        }
    }

    fn object(&self, index: u32) -> Check {
        let objects = self.spec.objects();
        let entry = objects.get(index).ok_or("missing")?;
        ensure(self.spec.lookup(entry.name).is_some(), "its name is not in the string pool")?;
        let previous = index.checked_sub(1).and_then(|previous| objects.get(previous));
        let expected = match previous {
            None => Some(0),
            Some(previous) => previous.first_cap.checked_add(previous.object.cap_count()),
        };
        ensure(expected == Some(entry.first_cap), "its first capability does not follow the one before")?;
        match entry.object {
            Object::CNode { radix } => ensure((1..=MAX_RADIX).contains(&radix), "its radix is out of range"),
            Object::IoPorts { first, last } => ensure(first <= last, "its last port is before its first"),
            Object::IoSpace { domain, .. } => ensure(domain != 0, "its domain id is 0"),
            Object::Frames { size_bits, count, at } => {
                ensure(count > 0, "it has no frames")?;
                ensure(
                    matches!(size_bits, SMALL_PAGE_BITS | LARGE_PAGE_BITS),
                    "its frame size does not exist",
                )?;
                ensure(
                    entry.first_cap.checked_add(count).is_some(),
                    "it has more capabilities than can be counted",
                )?;
                match at {
                    None => Ok(()),
                    Some(Location { paddr, .. }) => {
                        ensure(paddr.trailing_zeros() >= u32::from(size_bits), "its address is not aligned")?;
                        ensure(
                            paddr.checked_add(entry.object.frame_bytes()).is_some(),
                            "its addresses wrap around",
                        )?;
                        match previous.map(|previous| previous.object) {
                            None => Ok(()),
                            Some(before @ Object::Frames { at: Some(start), .. }) => ensure(
                                start.paddr.checked_add(before.frame_bytes()).is_some_and(|end| end <= paddr),
                                "its physical addresses do not follow the ones before",
                            ),
                            Some(_) => Err("it has a physical address but stands after objects without"),
                        }
                    }
                }
            }
            _ => Ok(()),
        }
    }

    fn fill(&self, index: u32) -> Check {
        let fill = self.spec.fills().get(index).ok_or("missing")?;
        self.frames(fill.frames)?;
        let frames = self.find(fill.frames)?;
        let device = matches!(frames, Object::Frames { at: Some(Location { device: true, .. }), .. });
        ensure(!device, "it writes to device memory")?;
        let bytes = frames.frame_bytes();
        ensure(
            fill.offset.checked_add(u64::from(fill.len)).is_some_and(|end| end <= bytes),
            "it reaches beyond the frames",
        )?;
        ensure(self.spec.data_range(&fill).is_some(), "its bytes are not in the pool")
    }

    fn table(&self, index: u32) -> Check {
        let table = self.spec.tables().get(index).ok_or("missing")?;
        self.is(table.table, |object| matches!(object, Object::Paging(_)))?;
        self.is(table.vspace, |object| matches!(object, Object::VSpace))?;
        ensure(table.vaddr < USER_TOP, "its address is not a user address")
    }

    fn map(&self, index: u32) -> Check {
        let map = self.spec.maps().get(index).ok_or("missing")?;
        self.is(map.vspace, |object| matches!(object, Object::VSpace))?;
        let (size_bits, count) = self.frames(map.frames)?;
        ensure(
            map.first.checked_add(map.count).is_some_and(|end| end <= count),
            "it names frames that do not exist",
        )?;
        ensure(map.vaddr.trailing_zeros() >= u32::from(size_bits), "its address is not aligned")?;
        let end = map.vaddr.checked_add(u64::from(map.count) << size_bits);
        ensure(end.is_some_and(|end| end <= USER_TOP), "its address is not a user address")?;
        ensure(map.rights.read && !map.rights.grant, "its rights are not those of a mapping")
    }

    fn cap(&self, index: u32) -> Check {
        let cap = self.spec.caps().get(index).ok_or("missing")?;
        let Object::CNode { radix } = self.find(cap.cnode)? else {
            return Err("its destination is no CNode");
        };
        ensure(
            cap.slot.checked_add(cap.count).is_some_and(|end| end <= 1 << radix),
            "it names slots that do not exist",
        )?;
        let object = self.find(cap.object)?;
        ensure(
            cap.first.checked_add(cap.count).is_some_and(|end| end <= object.cap_count()),
            "it names capabilities that do not exist",
        )?;
        match (cap.transform, object) {
            (CapTransform::Copy, _) => Ok(()),
            (CapTransform::Badge(_), Object::Endpoint | Object::Notification) => Ok(()),
            (CapTransform::Move, Object::Frames { .. }) => Ok(()),
            (CapTransform::Guard(bits), Object::CNode { radix }) => ensure(
                u32::from(bits) + u32::from(radix) <= u64::BITS,
                "its guard leaves no room for the slots",
            ),
            _ => Err("an object of this kind takes no such capability"),
        }
    }

    fn irq(&self, index: u32) -> Check {
        let irq = self.spec.irqs().get(index).ok_or("missing")?;
        self.is(irq.irq, |object| matches!(object, Object::IoApicIrq { .. } | Object::MsiIrq { .. }))?;
        self.is(irq.notification, |object| matches!(object, Object::Notification))?;
        ensure(irq.badge != 0, "its badge is 0")
    }

    fn io_range(&self, index: u32) -> Check {
        let range = self.spec.io_ranges().get(index).ok_or("missing")?;
        self.is(range.io_space, |object| matches!(object, Object::IoSpace { .. }))?;
        ensure(
            (range.iova | range.size).trailing_zeros() >= u32::from(SMALL_PAGE_BITS),
            "its address or size is not aligned",
        )?;
        let end = range.iova.checked_add(range.size);
        ensure(end.is_some_and(|end| end <= IO_TOP), "its addresses are too high")
    }

    fn io_map(&self, index: u32) -> Check {
        let map = self.spec.io_maps().get(index).ok_or("missing")?;
        self.is(map.io_space, |object| matches!(object, Object::IoSpace { .. }))?;
        let (size_bits, _) = self.frames(map.frames)?;
        ensure(size_bits == SMALL_PAGE_BITS, "it maps frames that are not small pages")?;
        ensure(map.iova.trailing_zeros() >= u32::from(SMALL_PAGE_BITS), "its address is not aligned")?;
        let end = map.iova.checked_add(self.find(map.frames)?.frame_bytes());
        ensure(end.is_some_and(|end| end <= IO_TOP), "its addresses are too high")?;
        ensure(
            (map.rights.read || map.rights.write) && !map.rights.grant,
            "its rights are not those of a mapping",
        )
    }

    fn thread(&self, index: u32) -> Check {
        let thread = self.spec.threads().get(index).ok_or("missing")?;
        ensure(self.spec.lookup(thread.name).is_some(), "its name is not in the string pool")?;
        self.is(thread.tcb, |object| matches!(object, Object::Tcb))?;
        self.is(thread.cspace, |object| matches!(object, Object::CNode { .. }))?;
        self.is(thread.vspace, |object| matches!(object, Object::VSpace))?;
        self.is(thread.notification, |object| matches!(object, Object::Notification))?;
        ensure(
            self.frames(thread.ipc_buffer)? == (SMALL_PAGE_BITS, 1),
            "its IPC buffer is not one small page",
        )?;
        let addresses = [thread.ipc_buffer_vaddr, thread.entry, thread.stack_bottom, thread.stack_top];
        ensure(addresses.iter().all(|&address| address < USER_TOP), "an address is not a user address")
    }
}
