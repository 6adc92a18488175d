// SPDX-License-Identifier: BSD-2-Clause
//! Measures whether a submission costs more the more contexts there are: a batch of the same context, first with the one
//! beside it that every client has, then with 4,096 alive that have all run. The judge.
#![no_std]
#![no_main]

use boot_domains::counted::Counted;
use boot_domains::{figure, median, ratio, ticks};
use gpu_client::{Access, CLONE_ALL, Context, ContextBuilder, Gpu, Object, UsedObject, memory, transport};
use sel4_microkit::{Channel, NullHandler, protection_domain};

/// The blitter's slot of a context without an engine map.
const BLITTER: u32 = 3;
const ADDRESS: u64 = 0x10_0000;
/// MI_BATCH_BUFFER_END, and a no-operation that fills the quadword.
const END: u64 = 0x0500_0000;
/// All contexts.
const CONTEXTS: usize = 4096;
/// Those beside the default one, the one that is measured, and the one that the others are clones of.
const OTHERS: usize = CONTEXTS - 3;
/// Rounds before the measurement, which fill the emulator's cache of translated code.
const WARM_UP: usize = 8;
/// Rounds that are measured.
const ROUNDS: usize = 33;

/// One batch, until it is done.
fn run(gpu: &mut Gpu<Counted>, context: &Context, batch: &Object) {
    let used = UsedObject { object: batch, address: ADDRESS, access: Access::Read };
    let fence = gpu.submit(context, BLITTER, used, 0..8, &[]).expect("an empty batch is taken");
    gpu.wait(fence);
}

/// The median of what a batch takes.
fn measure(gpu: &mut Gpu<Counted>, context: &Context, batch: &Object) -> u64 {
    let mut taken = [0; ROUNDS];
    for round in 0..WARM_UP + ROUNDS {
        let start = ticks();
        run(gpu, context, batch);
        if let Some(place) = round.checked_sub(WARM_UP) {
            taken[place] = ticks() - start;
        }
    }
    median(&mut taken)
}

#[protection_domain(stack_size = 0x20000)]
fn init() -> NullHandler {
    let mut gpu = Gpu::connect(Counted::new(transport!(Channel::new(0)))).expect("there is a GPU");
    let vm = gpu.create_vm().expect("an address space");
    let context = gpu.create_context(&vm).expect("a context");
    let mut code = memory!(batch, batch_size, batch_cnode_bits, batch_row, slot = 1);
    code.window.write(0, END);
    let batch = gpu.create_userptr(code.lendable).expect("an object");
    let few = measure(&mut gpu, &context, &batch);

    // A client has fewer places for timelines than contexts here, so the others share one.
    let builder = ContextBuilder::new().single_timeline().in_vm(&vm);
    let source = gpu.create_context_with(&builder).expect("a context");
    run(&mut gpu, &source, &batch);
    let builder = ContextBuilder::new().clone_of(&source).flags(CLONE_ALL);
    for _ in 0..OTHERS {
        let other = gpu.create_context_with(&builder).expect("there is room for all of them");
        run(&mut gpu, &other, &batch);
    }
    let many = measure(&mut gpu, &context, &batch);
    figure("submission-with-one-context", few, "ticks");
    figure(format_args!("submission-among-{CONTEXTS}-contexts"), many, "ticks");
    ratio(format_args!("submission-among-{CONTEXTS}-contexts-to-one"), many, few);
    boot_domains::pass()
}
