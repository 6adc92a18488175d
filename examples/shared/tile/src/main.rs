// SPDX-License-Identifier: BSD-2-Clause
//! A client that owns no memory: its pages are the bank's, which lends them when the driver asks. It lets the GPU paint a
//! tile in its colour, looks at every pixel, and says that it is done.
#![no_std]
#![no_main]

use gpu_client::blit::{Commands, Rectangle, Surface};
use gpu_client::microkit::Finished;
use gpu_client::{Access, Error, Frames, Gpu, Lendable, UsedObject, transport};
use sel4_microkit::{Channel, debug_println, pd_name, protection_domain, var};
use window::Window;

/// Channels, in system.xml.
const DRIVER: Channel = Channel::new(0);
const BANK: Channel = Channel::new(1);
/// The engine slot of the blitter in a context without a map of its own.
const BLITTER: u32 = 3;
/// Pixels of a side, and the bytes of the picture; the page of commands follows.
const SIDE: u32 = 64;
const PICTURE: u64 = (SIDE * SIDE * 4) as u64;
const COMMANDS: u64 = 4096;
/// Where both lie in the GPU's address space.
const PICTURE_ADDRESS: u64 = 0x10_0000;
const COMMANDS_ADDRESS: u64 = 0x20_0000;

fn paint(pages: &mut Window, colour: u32) -> Result<usize, Error> {
    let mut gpu = Gpu::connect_afresh(transport!(DRIVER))?;
    let vm = gpu.create_vm()?;
    let context = gpu.create_context(&vm)?;

    let start = pages.address() as u64;
    let foreign = |address, size| Lendable { address, size, frames: Frames::Foreign };
    let picture = gpu.create_userptr(foreign(start, PICTURE))?;
    let commands = gpu.create_userptr(foreign(start + PICTURE, COMMANDS))?;

    let mut dwords = [0; 64];
    let mut batch = Commands::new(&mut dwords);
    let target = Surface { address: PICTURE_ADDRESS, pitch: SIDE * 4, width: SIDE, height: SIDE };
    let whole = Rectangle { x0: 0, y0: 0, x1: SIDE, y1: SIDE };
    batch.fill(target, whole, colour).map_err(|_| Error::TooLarge)?;
    let length = batch.finish().map_err(|_| Error::TooLarge)?;
    for (index, dword) in dwords.iter().enumerate() {
        pages.write(PICTURE as usize + index * 4, *dword);
    }

    // Sleeps until the bank has lent the pages, runs, and sleeps until it is done.
    let commands = UsedObject { object: &commands, address: COMMANDS_ADDRESS, access: Access::Read };
    let picture = UsedObject { object: &picture, address: PICTURE_ADDRESS, access: Access::Write };
    let fence = gpu.submit(&context, BLITTER, commands, 0..length, &[picture])?;
    gpu.wait(fence);
    let right = |pixel: &usize| pages.read::<u32>(pixel * 4) == colour;
    Ok((0..(SIDE * SIDE) as usize).filter(right).count())
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> Finished {
    let name = pd_name().unwrap_or("tile");
    let base =
        core::ptr::NonNull::new(*var!(pages: usize = 0) as *mut u8).expect("system.xml maps the pages");
    // SAFETY: system.xml maps the region there with that size for good, and this is its only window.
    let mut pages = unsafe { Window::new(base, *var!(pages_size: usize = 0)) };
    let colour = u32::try_from(*var!(colour: u64 = 0)).expect("a colour has 32 bits");
    match paint(&mut pages, colour) {
        Ok(right) => debug_println!("{name}: {right} pixels are {colour:#x}"),
        Err(error) => debug_println!("{name}: error: {error}"),
    }
    BANK.notify();
    Finished
}
