// SPDX-License-Identifier: BSD-2-Clause
//! Measures the data path: empty batches through the rings and by call, alone and 32 at a time, always until the client,
//! asleep meanwhile, has seen the end of the last; and how many system calls of its own the client makes. The judge.
#![no_std]
#![no_main]

use boot_domains::counted::Counted;
use boot_domains::{figure, ratio, ticks};
use gpu_client::{Access, Context, Gpu, Object, Queued, UsedObject, memory, transport};
use sel4_microkit::{Channel, NullHandler, protection_domain};

/// The blitter's slot of a context without an engine map.
const BLITTER: u32 = 3;
const ADDRESS: u64 = 0x10_0000;
/// MI_BATCH_BUFFER_END, and a no-operation that fills the quadword.
const END: u64 = 0x0500_0000;
/// Batches with an object of their own.
const MANY: usize = 32;
/// Rounds before the measurement, which fill the emulator's cache of translated code.
const WARM_UP: usize = 8;
/// Rounds that are measured.
const ROUNDS: usize = 33;

/// A batch and where it is.
type Batch = (Object, u64);

fn used((object, address): &Batch) -> UsedObject<'_> {
    UsedObject { object, address: *address, access: Access::Read }
}

/// Runs so many batches, by turns these, and waits for the last.
type Run = fn(&mut Gpu<Counted>, &Context, &[Batch], u64);

/// `count` batches by call; the last one's end is awaited.
fn by_call(gpu: &mut Gpu<Counted>, context: &Context, batches: &[Batch], count: u64) {
    let mut last = None;
    for (_, batch) in (0..count).zip(batches.iter().cycle()) {
        last = Some(gpu.submit(context, BLITTER, used(batch), 0..8, &[]).expect("an empty batch is taken"));
    }
    gpu.wait(last.expect("at least one batch"));
}

/// `count` batches through the ring.
fn by_ring(gpu: &mut Gpu<Counted>, context: &Context, batches: &[Batch], count: u64) {
    let mut by_turns = batches.iter().cycle();
    for tag in 0..count {
        let batch = by_turns.next().expect("at least one batch");
        let queued = Queued {
            context,
            engine: BLITTER,
            batch: used(batch),
            start: 0,
            length: 8,
            objects: &[],
            after: &[],
            tag,
        };
        gpu.enqueue(&queued).expect("there is room");
    }
    gpu.wait_answers(count).expect("the rings are in order");
    for tag in 0..count {
        let answer = gpu.next_answer().expect("the rings are in order").expect("an answer for each");
        assert!(answer.tag == tag && answer.result.is_ok(), "{answer:?}");
    }
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> NullHandler {
    let mut gpu = Gpu::connect(Counted::new(transport!(Channel::new(0)))).expect("there is a GPU");
    let vm = gpu.create_vm().expect("an address space");
    let context = gpu.create_context(&vm).expect("a context");
    let mut code = memory!(batch, batch_size, batch_cnode_bits, batch_row, slot = 1);
    code.window.write(0, END);
    let lent = gpu.create_userptr(code.lendable).expect("an object");
    let lent = [(lent, ADDRESS)];
    let own: [Batch; MANY] = core::array::from_fn(|number| {
        let batch = gpu.create_buffer(0x1000).expect("an object");
        gpu.write(&batch, 0, &END.to_le_bytes()).expect("inside");
        (batch, ADDRESS + 0x1000 * (1 + number as u64))
    });
    by_call(&mut gpu, &context, &lent, 1);
    by_call(&mut gpu, &context, &own, MANY as u64);

    // What the requests of a turn have in common is looked up once: so some have less of it.
    let (one, two, all) = (&lent[..], &own[..2], &own[..]);
    let subjects: [(&str, Run, &[Batch], u64); 6] = [
        ("request-by-call-alone", by_call, one, 1),
        ("request-by-call-of-32", by_call, one, 32),
        ("request-by-ring-alone", by_ring, one, 1),
        ("request-by-ring-of-32", by_ring, one, 32),
        ("request-by-ring-of-32-by-turns", by_ring, two, 32),
        ("request-by-ring-of-32-objects", by_ring, all, 32),
    ];
    let mut alone = 1;
    for (name, run, batches, count) in subjects {
        let mut taken = [0; ROUNDS];
        let mut calls = 0;
        for round in 0..WARM_UP + ROUNDS {
            let (started, before) = (ticks(), gpu.transport().calls);
            run(&mut gpu, &context, batches, count);
            if let Some(place) = round.checked_sub(WARM_UP) {
                taken[place] = ticks() - started;
                calls += gpu.transport().calls - before;
            }
        }
        taken.sort_unstable();
        let each = taken[ROUNDS / 2] / count;
        figure(name, each, "ticks");
        // Two decimals without floating point.
        let hundredths = calls * 100 / (ROUNDS as u64 * count);
        let calls = format_args!("{}.{:02}", hundredths / 100, hundredths % 100);
        figure(format_args!("{name}-system-calls"), calls, "calls");
        if count == 1 {
            alone = each;
        } else {
            ratio(format_args!("{name}-to-alone"), each, alone);
        }
    }
    boot_domains::pass()
}
