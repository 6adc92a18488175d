// SPDX-License-Identifier: BSD-2-Clause
//! One of four clients of the driver, each with rings, a budget and a priority ceiling of its own out of the system's
//! description. Every one fills its ring again and again, all of its batches are run, and it tells the judge.
#![no_std]
#![no_main]

use gpu_client::microkit::ChannelTransport;
use gpu_client::{Access, ContextBuilder, Errno, Error, Gpu, Queued, UsedObject, transport};
use sel4_microkit::{Channel, NullHandler, debug_println, protection_domain, var};

const DRIVER: Channel = Channel::new(0);
const JUDGE: Channel = Channel::new(1);
/// The blitter's slot of a context without an engine map.
const BLITTER: u32 = 3;
const BATCH_ADDRESS: u64 = 0x10_0000;
const DATA_ADDRESS: u64 = 0x20_0000;
/// How often each fills its ring.
const ROUNDS: u32 = 4;

/// MI_STORE_DATA_IMM, MI_BATCH_BUFFER_END, and a no-operation that fills the quadword.
const fn store(to: u64, value: u32) -> [u32; 6] {
    // CAST: the two halves of the address.
    #[expect(clippy::cast_possible_truncation)]
    let [low, high] = [to as u32, (to >> 32) as u32];
    [0x1000_0002, low, high, value, 0x0500_0000, 0]
}

/// The highest priority of its contexts is what the description says: one more is refused.
fn keeps_to_its_ceiling(gpu: &mut Gpu<ChannelTransport>, ceiling: i16) {
    assert!(gpu.create_context_with(&ContextBuilder::new().priority(ceiling)).is_ok());
    let more = gpu.create_context_with(&ContextBuilder::new().priority(ceiling + 1));
    assert_eq!(more, Err(Error::Refused(Errno::Perm)), "the ceiling is {ceiling}");
}

/// Every batch that fits into the ring stores its number; how many they are.
fn fills_its_ring(gpu: &mut Gpu<ChannelTransport>, round: u32) -> u32 {
    let capacity = u32::try_from(gpu.queue_capacity()).expect("a small number");
    let context = gpu.create_context_with(&ContextBuilder::new()).expect("a context");
    let code = gpu.create_buffer(u64::from(capacity) * 32).expect("a buffer");
    let data = gpu.create_buffer(u64::from(capacity) * 4).expect("a buffer");
    for number in 0..capacity {
        for (word, dword) in (0..).zip(store(DATA_ADDRESS + u64::from(number) * 4, number + round * 1000 + 1))
        {
            let at = u64::from(number) * 32 + word * 4;
            gpu.write(&code, at, &dword.to_le_bytes()).expect("it is inside");
        }
    }
    let used = |object, address, access| UsedObject { object, address, access };
    let objects = [used(&data, DATA_ADDRESS, Access::Write)];
    for number in 0..capacity {
        let queued = Queued {
            context: &context,
            engine: BLITTER,
            batch: used(&code, BATCH_ADDRESS, Access::Read),
            start: number * 32,
            length: 24,
            objects: &objects,
            after: &[],
            tag: number.into(),
        };
        gpu.enqueue(&queued).expect("there is room in the ring");
    }
    gpu.wait_answers(capacity.into()).expect("the rings are in order");
    for number in 0..capacity {
        let answer = gpu.next_answer().expect("the rings are in order").expect("an answer");
        assert!(answer.tag == u64::from(number) && answer.result.is_ok(), "{answer:?}");
        let mut word = [0; 4];
        gpu.read(&data, u64::from(number) * 4, &mut word).expect("it is inside");
        assert_eq!(u32::from_le_bytes(word), number + round * 1000 + 1);
    }
    gpu.destroy_context(context).expect("it is there");
    gpu.close(code).expect("it is there");
    gpu.close(data).expect("it is there");
    capacity
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> NullHandler {
    let (number, ceiling) = (*var!(number: u64 = 0), *var!(ceiling: u64 = 0));
    let mut gpu = Gpu::connect(transport!(DRIVER)).expect("there is a GPU");
    keeps_to_its_ceiling(&mut gpu, i16::try_from(ceiling).expect("a small number"));
    let mut batches = 0;
    for round in 0..ROUNDS {
        batches += fills_its_ring(&mut gpu, round);
    }
    debug_println!("ring_crowd: client {number} is done with {batches} batches, priorities up to {ceiling}");
    JUDGE.notify();
    NullHandler::new()
}
