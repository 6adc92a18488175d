// SPDX-License-Identifier: BSD-2-Clause
//! A client whose pages are those of `restarted_server`. It does not know that its memory server starts over again and again,
//! but that its data is gone then. The judge.
#![no_std]
#![no_main]

use boot_domains::{region, restarting::*};
use gpu_client::{Access, Context, Frames, Gpu, Lendable, UsedObject, transport};
use sel4_microkit::{Channel, NullHandler, debug_println, protection_domain, var};

const DRIVER: Channel = Channel::new(0);
const SERVER: Channel = Channel::new(1);
/// The blitter's slot of a context without an engine map.
const BLITTER: u32 = 3;
/// Where its two pages, of commands and of data, are in the GPU's address space.
const BATCH_ADDRESS: u64 = 0x10_0000;
const DATA: u32 = 0x20_0000;
const PAGE: usize = 4096;
const ROUNDS: u32 = 12;

#[protection_domain(stack_size = 0x10000)]
fn init() -> NullHandler {
    let mut pages = region(*var!(pages: usize = 0), *var!(pages_size: usize = 0));
    let mut gpu = Gpu::connect(transport!(DRIVER)).expect("there is a GPU");
    let foreign = |address| Lendable { address, size: PAGE as u64, frames: Frames::Foreign };
    let batch = gpu.create_userptr(foreign(CLIENT_PAGES)).expect("an object");
    let data = gpu.create_userptr(foreign(CLIENT_PAGES + PAGE as u64)).expect("an object");
    for round in 0..ROUNDS {
        // MI_STORE_DATA_IMM of the round's number to the first word (PRM Tiger Lake, Volume 2a).
        let number = round + 100;
        for (index, dword) in [0x1000_0002, DATA, 0, number, 0x0500_0000, 0].into_iter().enumerate() {
            pages.write(index * 4, dword);
        }
        let code = UsedObject { object: &batch, address: BATCH_ADDRESS, access: Access::Read };
        let target = UsedObject { object: &data, address: DATA.into(), access: Access::Write };
        let fence = gpu.submit(&Context::DEFAULT, BLITTER, code, 0..24, &[target]).expect("the pages come");
        gpu.wait(fence);
        assert_eq!(pages.read::<u32>(PAGE), number, "round {round}");
        // Its server has the higher priority, and the server's parent a higher one still: when this returns, there is a new
        // one.
        SERVER.notify();
        assert_ne!(pages.read::<u32>(PAGE), number, "the server's new life has written its page");
    }
    debug_println!("served_client: {ROUNDS} rounds");
    boot_domains::pass()
}
