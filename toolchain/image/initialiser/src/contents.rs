// SPDX-License-Identifier: BSD-2-Clause
//! The bytes that frames start with.
//!
//! Each frame is mapped into a window of our own address space, written and unmapped again. The kernel has
//! cleared all memory frames, so only what differs from zero is written.
#![allow(unsafe_code, reason = "the window is memory that is found through its address")]

use image_spec::Fill;
use sel4::cap::{Frame, PageDirectory, PageTable, Pdpt};
use sel4::{CPtr, Cacheability, CapRights, FrameSize, Object, initial};

use crate::failure::{During, Failure};
use crate::objects::Objects;

/// Where frames are mapped for writing: far from our image, at the start of what a top-level entry covers. Small ones
/// here; large ones right behind what the page table there covers.
const WINDOW: u64 = 1 << 40;
const LARGE_WINDOW: u64 = WINDOW + (1 << 21);

/// Writes everything.
pub(crate) fn write(objects: &mut Objects<'_>) -> Result<(), Failure> {
    let spec = objects.spec;
    if spec.fills().is_empty() {
        return Ok(());
    }
    open_window(objects)?;
    for fill in spec.fills().iter() {
        write_one(objects, &fill)?;
    }
    Ok(())
}

/// Hangs in the tables that lead to the window.
fn open_window(objects: &mut Objects<'_>) -> Result<(), Failure> {
    const NAME: &str = "initialiser: window";
    let mut table = |object| -> Result<CPtr, Failure> {
        let slot = objects.pool.slot()?;
        objects.pool.make(object, slot, 1, NAME)?;
        Ok(CPtr::new(slot))
    };
    let step = "map its tables";
    Pdpt::from_cptr(table(Object::Pdpt)?).map(initial::VSPACE, WINDOW).during(step, NAME)?;
    PageDirectory::from_cptr(table(Object::PageDirectory)?)
        .map(initial::VSPACE, WINDOW)
        .during(step, NAME)?;
    PageTable::from_cptr(table(Object::PageTable)?).map(initial::VSPACE, WINDOW).during(step, NAME)
}

/// Writes the frames that a fill touches, one by one.
fn write_one(objects: &Objects<'_>, fill: &Fill) -> Result<(), Failure> {
    let name = objects.name(fill.frames);
    let (size, _) = objects.frames(fill.frames);
    let mut offset = fill.offset;
    let mut bytes = objects.spec.contents(fill);
    while !bytes.is_empty() {
        let number = u32::try_from(offset >> size.bits()).unwrap_or(u32::MAX);
        let within = offset & (size.bytes() - 1);
        let room = usize::try_from(size.bytes() - within).unwrap_or(usize::MAX);
        let (now, later) = bytes.split_at(bytes.len().min(room));
        let frame = Frame::from_cptr(CPtr::new(objects.slot_of(fill.frames, number)));
        write_frame(frame, size, within, now, name)?;
        offset += now.len() as u64;
        bytes = later;
    }
    Ok(())
}

fn write_frame(
    frame: Frame,
    size: FrameSize,
    offset: u64,
    bytes: &[u8],
    name: &'static str,
) -> Result<(), Failure> {
    let window = match size {
        FrameSize::Small => WINDOW,
        FrameSize::Large => LARGE_WINDOW,
    };
    frame
        .map(initial::VSPACE, window, CapRights::READ_WRITE, Cacheability::WriteBack)
        .during("map it for writing", name)?;
    // SAFETY: a frame of `size` bytes is mapped at `window`, `offset` and the bytes lie within it (the caller
    // splits at its end), and nothing else refers to it.
    unsafe {
        core::ptr::copy_nonoverlapping(bytes.as_ptr(), (window + offset) as *mut u8, bytes.len());
    }
    frame.unmap().during("unmap it after writing", name)
}
