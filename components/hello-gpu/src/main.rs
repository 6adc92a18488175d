// SPDX-License-Identifier: BSD-2-Clause
//! The smallest client of the GPU driver: lets the GPU write one word into the client's own page.
#![no_std]
#![no_main]

use gpu_client::blit::Commands;
use gpu_client::microkit::Finished;
use gpu_client::{Access, Error, Gpu, UsedObject, memory, transport};
use microkit_ext::ioport::IoPort;
use sel4_microkit::{Channel, debug_println, protection_domain, var};

/// The engine slot of the blitter in a context without a map of its own.
const BLITTER: u32 = 3;
const GREETING: u32 = 0x6f6c_6c65;

fn hello() -> Result<u32, Error> {
    let mut gpu = Gpu::connect_afresh(transport!(Channel::new(0)))?;
    let vm = gpu.create_vm()?;
    let context = gpu.create_context(&vm)?;

    // Two regions of the domain's own memory, and a GPU object of each. No page is lent yet.
    let mut code = memory!(code, code_size, code_bits, code_row, slot = 1);
    let data = memory!(data, data_size, data_bits, data_row, slot = 2);
    let batch = gpu.create_userptr(code.lendable)?;
    let page = gpu.create_userptr(data.lendable)?;

    // The batch: one command and the end.
    let mut dwords = [0; 16];
    let mut commands = Commands::new(&mut dwords);
    commands.store_dword(0x20_0000, GREETING).map_err(|_| Error::TooLarge)?;
    let length = commands.finish().map_err(|_| Error::TooLarge)?;
    for (index, dword) in dwords.iter().enumerate() {
        code.window.write(index * 4, *dword);
    }

    // Runs it, lending the pages that the driver asks for, and sleeps until it is done.
    let batch = UsedObject { object: &batch, address: 0x10_0000, access: Access::Read };
    let page = UsedObject { object: &page, address: 0x20_0000, access: Access::Write };
    let fence = gpu.submit(&context, BLITTER, batch, 0..length, &[page])?;
    gpu.wait(fence);
    Ok(data.window.read(0))
}

#[protection_domain]
fn init() -> Finished {
    let result = hello();
    match result {
        Ok(word) => debug_println!("hello: the GPU wrote {word:#x}"),
        Err(error) => debug_println!("hello: error: {error}"),
    }
    // Ends the emulator; on a board the port goes nowhere.
    let code = u32::from(result != Ok(GREETING));
    let _ = IoPort::new(*var!(exit_port_id: usize = 0)).out32(0xf4, code);
    Finished
}
