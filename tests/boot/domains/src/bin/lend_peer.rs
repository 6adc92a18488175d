// SPDX-License-Identifier: BSD-2-Clause
//! Imports an object of `lend_client`, uses it in a batch that never ends, and learns that the batch was stopped. Before
//! that it reaches the limits that the system description sets it.
#![no_std]
#![no_main]

use boot_domains::region;
use gpu_client::microkit::Finished;
use gpu_client::symbols::Memory;
use gpu_client::{Access, Errno, Error, Gpu, Lendable, UsedObject, memory, transport};
use microkit_ext::wait;
use sel4_microkit::{Channel, protection_domain, var};

const DRIVER: Channel = Channel::new(0);
const OTHER: Channel = Channel::new(1);
const BLITTER: u32 = 3;
const BATCH_ADDRESS: u32 = 0x10_0000;
const DATA_ADDRESS: u64 = 0x20_0000;

#[protection_domain(stack_size = 0x10000)]
fn init() -> Finished {
    let Memory { window: mut code, lendable } = memory!(batch, batch_size, batch_bits, batch_row, slot = 1);
    let mut note = region(*var!(note: usize = 0), 4096);
    let mut gpu = Gpu::connect(transport!(DRIVER)).expect("there is a GPU");
    let vm = gpu.create_vm().expect("an address space");
    let context = gpu.create_context(&vm).expect("a context");
    let second = gpu.create_context(&vm).expect("its second context");
    assert_eq!(gpu.create_context(&vm).err(), Some(Error::Refused(Errno::NoMem)), "its limit is two");
    gpu.destroy_context(second).expect("it is there");
    // More pages than it may lend.
    let large =
        gpu.create_userptr(Lendable { address: 0x5000_0000, size: 0x5000, ..lendable }).expect("an object");
    let used = UsedObject { object: &large, address: 0x100_0000, access: Access::Read };
    let refused = gpu.submit(&context, BLITTER, used, 0..24, &[]);
    assert_eq!(refused, Err(Error::Refused(Errno::NoMem)));
    gpu.close(large).expect("it is there");

    while note.read::<u64>(0) == 0 {
        let _ = wait::notified();
    }
    let shared = gpu.import(note.read(0)).expect("it was exported to this client");
    let batch = gpu.create_userptr(lendable).expect("an object");
    // MI_BATCH_BUFFER_START in the PPGTT, to itself (PRM vol 2a).
    for (index, dword) in [0x31 << 23 | 1 << 8 | 1, BATCH_ADDRESS, 0, 0].into_iter().enumerate() {
        code.write(4 * index, dword);
    }
    let used = |object, address, access| UsedObject { object, address, access };
    let own = used(&batch, u64::from(BATCH_ADDRESS), Access::Read);
    let fence = gpu
        .submit(&context, BLITTER, own, 0..16, &[used(&shared, DATA_ADDRESS, Access::Write)])
        .expect("the batch runs");
    note.write(8, 1_u64);
    OTHER.notify();
    gpu.wait(fence);
    let counts = gpu.reset_counts(&context).expect("the context is there");
    assert_eq!(counts.guilty, 1, "it was stopped");
    note.write(8, 2_u64);
    OTHER.notify();
    Finished
}
