// SPDX-License-Identifier: BSD-2-Clause
//! A client of the driver whose lives end in the middle of things: in the first one with a batch on the GPU that never ends
//! by itself, in the next ones with contexts, objects and lent pages that nobody gives back. Each begins with the
//! same objects at the same addresses, of the same pages, which the driver refuses as long as it has those of the
//! life before. The judge.
#![no_std]
#![no_main]

use boot_domains::{region, restarting::*};
use gpu_client::symbols::Memory;
use gpu_client::{Access, Gpu, Transport, UsedObject, Vm, memory, transport};
use sel4_microkit::{Channel, NullHandler, debug_println, protection_domain, var};
use window::Window;

const DRIVER: Channel = Channel::new(0);
const PARENT: Channel = Channel::new(1);
/// The blitter's slot of a context without an engine map.
const BLITTER: u32 = 3;
const BATCH_ADDRESS: u64 = 0x10_0000;
const DATA: u32 = 0x20_0000;
/// The word that the first life's batch waits for, and the one that it would write then.
const GATE: u32 = 0xff0;
const LATE: u32 = 0xff8;
/// More than a client's quota of anything would allow if one life's were left to the next: so many lives, each with so
/// many address spaces.
const LIVES: u64 = 24;
const SPACES: usize = 8;

/// MI_SEMAPHORE_WAIT, polling, until the gate's dword is 1, in the form of Gen12; MI_STORE_DATA_IMM of 1 to the late word
/// (PRM Tiger Lake, Volume 2a).
const ENDLESS: [u32; 11] = [
    0x1c << 23 | 1 << 15 | 4 << 12 | 3,
    1,
    DATA + GATE,
    0,
    0,
    0x1000_0002,
    DATA + LATE,
    0,
    1,
    0x0500_0000,
    0,
];

/// MI_STORE_DATA_IMM of a number to the first word.
const fn store(number: u32) -> [u32; 6] {
    [0x1000_0002, DATA, 0, number, 0x0500_0000, 0]
}

/// Writes a batch; its bytes, up to a whole quadword.
fn write(window: &mut Window, dwords: &[u32]) -> u32 {
    for (index, dword) in dwords.iter().enumerate() {
        window.write(index * 4, *dword);
    }
    u32::try_from(dwords.len().next_multiple_of(2) * 4).expect("a small number")
}

/// Address spaces that this life never gives back.
fn hoard<T: Transport>(gpu: &mut Gpu<T>) -> [Vm; SPACES] {
    [(); SPACES].map(|()| {
        let vm = gpu.create_vm().expect("an address space");
        gpu.create_context(&vm).expect("a context");
        vm
    })
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> NullHandler {
    let mut stage = region(*var!(stage: usize = 0), STAGE_BYTES);
    let life = stage.read::<u64>(LIFE);
    stage.write(ENTRY, entry());
    let Memory { window: mut code, lendable: batch } =
        memory!(batch, batch_size, batch_bits, batch_row, slot = 1);
    let Memory { window: mut data, lendable: page } = memory!(data, data_size, data_bits, data_row, slot = 2);

    let mut gpu = Gpu::connect_afresh(transport!(DRIVER)).expect("there is a GPU");
    // From here on the batch of the first life would go on if it were still there.
    data.write(GATE as usize, u32::from(life > 0));
    let vms = hoard(&mut gpu);
    let context = gpu.create_context(&vms[0]).expect("a context");
    let batch = gpu.create_userptr(batch).expect("an object of this range is no other life's");
    let page = gpu.create_userptr(page).expect("an object of this range is no other life's");
    let number = u32::try_from(life).expect("a small number") + 100;
    let length = if life == 0 { write(&mut code, &ENDLESS) } else { write(&mut code, &store(number)) };
    let code = UsedObject { object: &batch, address: BATCH_ADDRESS, access: Access::Read };
    let target = UsedObject { object: &page, address: DATA.into(), access: Access::Write };
    let fence =
        gpu.submit(&context, BLITTER, code, 0..length, &[target]).expect("the driver takes the pages");
    if life == 0 {
        assert!(!gpu.is_complete(fence), "the batch waits for the gate");
    } else {
        gpu.wait(fence);
        assert_eq!(data.read::<u32>(0), number, "life {life}");
        assert_eq!(data.read::<u32>(LATE as usize), 0, "the first life's batch has gone on");
    }
    if life + 1 < LIVES {
        // Its parent has the higher priority: this is the last that it does.
        PARENT.notify();
        unreachable!("life {life} goes on");
    }
    debug_println!("restarted: {LIVES} lives");
    boot_domains::pass()
}
