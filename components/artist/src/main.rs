// SPDX-License-Identifier: BSD-2-Clause
//! A client that lets the GPU paint a tile into its own pages, and then shares the object with another client: it exports
//! it to that client's channel at the driver, and tells the client the name by which it is imported.
//!
//! The pages stay this domain's: it could take them back at any time, whoever uses them.
#![no_std]
#![no_main]

use gpu_client::blit::{Commands, Surface};
use gpu_client::microkit::Finished;
use gpu_client::symbols::Memory;
use gpu_client::{Access, Error, Gpu, UsedObject, memory, transport};
use pictures::share::{TILE_HEIGHT, TILE_WIDTH, tile};
use sel4_microkit::{Channel, MessageInfo, debug_println, protection_domain, set_mr, var};

/// Channels, in system.xml.
const DRIVER: Channel = Channel::new(0);
const COMPOSITOR: Channel = Channel::new(1);
/// The engine slot of the blitter in a context without a map of its own.
const BLITTER: u32 = 3;
/// Where the objects lie in the GPU's address space.
const TILE_ADDRESS: u64 = 0x1_0000_0000;
const BATCH_ADDRESS: u64 = 0x2_0000_0000;
/// Dwords for commands.
const BATCH_DWORDS: usize = 512;

/// Paints the tile and shares it. Returns the name of the object for the other client.
fn paint() -> Result<u64, Error> {
    let tile_memory = memory!(tile, tile_size, tile_bits, tile_row, slot = 1);
    let Memory { window: mut batch, lendable } = memory!(batch, batch_size, batch_bits, batch_row, slot = 2);
    let mut gpu = Gpu::connect(transport!(DRIVER))?;
    let vm = gpu.create_vm()?;
    let context = gpu.create_context(&vm)?;
    let picture = gpu.create_userptr(tile_memory.lendable)?;
    let code = gpu.create_userptr(lendable)?;

    let surface =
        Surface { address: TILE_ADDRESS, pitch: TILE_WIDTH * 4, width: TILE_WIDTH, height: TILE_HEIGHT };
    let mut dwords = [0; BATCH_DWORDS];
    let mut commands = Commands::new(&mut dwords);
    for step in tile() {
        step.emit(&mut commands, surface, surface).map_err(|_| Error::TooLarge)?;
    }
    let length = commands.finish().map_err(|_| Error::TooLarge)?;
    for (index, dword) in dwords.iter().take(length as usize / 4).enumerate() {
        batch.write(index * 4, *dword);
    }
    let code = UsedObject { object: &code, address: BATCH_ADDRESS, access: Access::Read };
    let used = UsedObject { object: &picture, address: TILE_ADDRESS, access: Access::Write };
    let fence = gpu.submit(&context, BLITTER, code, 0..length, &[used])?;
    gpu.wait(fence);
    // The other client, as the driver numbers its channels.
    let peer = u32::try_from(*var!(peer: u64 = 0)).map_err(|_| Error::Protocol)?;
    gpu.export(&picture, peer)
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> Finished {
    match paint() {
        Ok(name) => {
            debug_println!("artist: painted a tile of {TILE_WIDTH}x{TILE_HEIGHT}; exported it as {name:#x}");
            set_mr(0, name);
            let answer = COMPOSITOR.pp_call(MessageInfo::new(0, 1));
            if answer.label() != 0 {
                debug_println!("artist: error: the compositor has not taken it");
            }
        }
        Err(error) => debug_println!("artist: error: {error}"),
    }
    Finished
}
