// SPDX-License-Identifier: BSD-2-Clause
//! Address spaces: of domains, and of devices.

use image_spec::{IoMap, IoRange, Map, Object, PagingLevel};
use sel4::cap::{Frame, IoPageTable, IoSpace, PageDirectory, PageTable, Pdpt, Pml4};
use sel4::{CPtr, Cacheability, CapRights, Error, initial};

use crate::failure::{During, Failure};
use crate::memory;
use crate::objects::{Objects, rights};

/// Builds the address spaces of the domains.
pub(crate) fn build(objects: &mut Objects<'_>) -> Result<(), Failure> {
    let spec = objects.spec;
    for (index, entry) in (0..).zip(spec.objects().iter()) {
        if let Object::VSpace = entry.object {
            let vspace = Pml4::from_cptr(objects.cptr(index));
            initial::ASID_POOL.assign(vspace).during("give it an identifier", objects.name(index))?;
        }
    }
    for table in spec.tables().iter() {
        let (cptr, vaddr) = (objects.cptr(table.table), table.vaddr);
        let vspace = Pml4::from_cptr(objects.cptr(table.vspace));
        let mapped = match spec.objects().get(table.table).map(|entry| entry.object) {
            Some(Object::Paging(PagingLevel::Pdpt)) => Pdpt::from_cptr(cptr).map(vspace, vaddr),
            Some(Object::Paging(PagingLevel::PageDirectory)) => {
                PageDirectory::from_cptr(cptr).map(vspace, vaddr)
            }
            _ => PageTable::from_cptr(cptr).map(vspace, vaddr),
        };
        mapped.during("map it", objects.name(table.table))?;
    }
    spec.maps().iter().try_for_each(|map| map_frames(objects, &map))
}

fn map_frames(objects: &mut Objects<'_>, map: &Map) -> Result<(), Failure> {
    let name = objects.name(map.frames);
    let (size, _) = objects.frames(map.frames);
    let vspace = Pml4::from_cptr(objects.cptr(map.vspace));
    // UC rather than UC-: no memory type range register can make device registers cached.
    let cacheability = if map.cached { Cacheability::WriteBack } else { Cacheability::Uncacheable };
    for number in 0..map.count {
        let own = objects.slot_of(map.frames, map.first + number);
        let slot = if map.original { own } else { copy(objects, own, name)? };
        let vaddr = map.vaddr + (u64::from(number) << size.bits());
        Frame::from_cptr(CPtr::new(slot))
            .map(vspace, vaddr, rights(map.rights), cacheability)
            .during("map it", name)?;
    }
    Ok(())
}

/// A further capability to a frame: each is mapped at most once.
fn copy(objects: &mut Objects<'_>, source: u64, name: &'static str) -> Result<u64, Failure> {
    let slot = objects.pool.slot()?;
    memory::slot(slot).copy_from(memory::slot(source), CapRights::ALL).during("copy its capability", name)?;
    Ok(slot)
}

/// Builds the address spaces of the devices.
pub(crate) fn build_io(objects: &mut Objects<'_>) -> Result<(), Failure> {
    let spec = objects.spec;
    spec.io_ranges().iter().try_for_each(|range| io_tables(objects, &range))?;
    spec.io_maps().iter().try_for_each(|map| map_io(objects, &map))
}

/// Entries of an I/O page table: the lowest covers so many small pages, the one above as many large ones.
const IO_TABLE_ENTRIES: u64 = 512;

/// Hangs in the tables that lead to a range.
fn io_tables(objects: &mut Objects<'_>, range: &IoRange) -> Result<(), Failure> {
    let name = objects.name(range.frames);
    let (size, _) = objects.frames(range.frames);
    let first = objects.slot_of(range.frames, 0);
    let slot = copy(objects, first, name)?;
    let table_bytes = size.bytes() * IO_TABLE_ENTRIES;
    let end = range.iova + range.size;
    let mut address = range.iova / table_bytes * table_bytes;
    while address < end {
        io_path(objects, range.io_space, address.max(range.iova), Frame::from_cptr(CPtr::new(slot)))?;
        address += table_bytes;
    }
    memory::slot(slot).delete().during("delete the trial's capability", name)
}

/// Hangs in the tables that lead to one address, as far as they are not there: from another range, or because
/// the firmware asked the kernel for them.
///
/// The kernel puts a table into the highest place that is empty on the way. It must not be given one too many: it
/// would take that for a page and map it for the device. So a page of the size that will be mapped is mapped on trial
/// before each.
fn io_path(objects: &mut Objects<'_>, io_space: u32, address: u64, probe: Frame) -> Result<(), Failure> {
    let name = objects.name(io_space);
    let space = IoSpace::from_cptr(objects.cptr(io_space));
    // From the root to the lowest level.
    let mut missing = objects.io_levels;
    loop {
        match probe.map_io(space, address, CapRights::READ) {
            Ok(()) => return probe.unmap().during("take the trial page out of it", name),
            // The way is complete, and there is a page already.
            Err(Error::DeleteFirst) => return Ok(()),
            Err(Error::FailedLookup { .. }) if missing > 0 => missing -= 1,
            Err(error) => return Err(error).during("map a page in it on trial", name),
        }
        let slot = objects.pool.slot()?;
        objects.pool.make(sel4::Object::IoPageTable, slot, 1, name)?;
        IoPageTable::from_cptr(CPtr::new(slot)).map(space, address).during("map its page tables", name)?;
    }
}

fn map_io(objects: &mut Objects<'_>, map: &IoMap) -> Result<(), Failure> {
    let name = objects.name(map.frames);
    let space = IoSpace::from_cptr(objects.cptr(map.io_space));
    let (size, count) = objects.frames(map.frames);
    for number in 0..count {
        let own = objects.slot_of(map.frames, number);
        let slot = copy(objects, own, name)?;
        let iova = map.iova + u64::from(number) * size.bytes();
        Frame::from_cptr(CPtr::new(slot))
            .map_io(space, iova, rights(map.rights))
            .during("map it for a device", name)?;
    }
    Ok(())
}
