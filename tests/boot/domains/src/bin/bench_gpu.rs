// SPDX-License-Identifier: BSD-2-Clause
//! Measures a submission: a batch with nothing in it, from the call to the moment at which the client, asleep until
//! the driver's notification, sees the completed point. Also the first one, for which the client lends the page.
//! The judge.
#![no_std]
#![no_main]

use boot_domains::{region, ticks};
use gpu_client::microkit::ChannelTransport;
use gpu_client::{Access, Context, Fence, Gpu, Lendable, Object, Param, UsedObject};
use sel4_microkit::{
    Channel, ChannelSet, Handler, Infallible, cap, debug_println, memory_region_symbol, protection_domain,
    var,
};

const DRIVER: Channel = Channel::new(0);
/// Root slot of the batch's frames in the system description.
const BATCH_SLOT: usize = 1;
/// The blitter's slot of a context without an engine map.
const BLITTER: u32 = 3;
const BATCH_ADDRESS: u64 = 0x10_0000;
/// MI_BATCH_BUFFER_END, and a no-operation that fills the quadword.
const BATCH: u64 = 0x0500_0000;
/// Submissions before the measurement, which fill the emulator's cache of translated code.
const WARM_UP: usize = 16;
/// Submissions that are measured.
const ROUNDS: usize = 64;
/// Calls that ask for a parameter.
const CALLS: u64 = 64;

struct Bench {
    gpu: Gpu<ChannelTransport>,
    context: Context,
    batch: Object,
    started: u64,
    fence: Fence,
    round: usize,
    /// Ticks of the call, and until the completion was seen.
    submitted: [u64; ROUNDS],
    completed: [u64; ROUNDS],
}

fn submit(gpu: &mut Gpu<ChannelTransport>, context: &Context, batch: &Object) -> (u64, Fence) {
    let started = ticks();
    let used = UsedObject { object: batch, address: BATCH_ADDRESS, access: Access::Read };
    let fence = gpu.submit(context, BLITTER, used, 0..8, &[]).expect("the driver takes an empty batch");
    (started, fence)
}

fn median(values: &mut [u64]) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

impl Handler for Bench {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Self::Error> {
        if !self.gpu.is_complete(self.fence) {
            return Ok(());
        }
        let taken = ticks() - self.started;
        if self.round == 0 {
            debug_println!("bench: first-submission-lending-one-page {taken} ticks");
        } else if let Some(place) = self.round.checked_sub(WARM_UP) {
            self.completed[place] = taken;
        }
        self.round += 1;
        if self.round == WARM_UP + ROUNDS {
            debug_println!("bench: submit-call {} ticks", median(&mut self.submitted));
            debug_println!("bench: submit-to-completion-seen {} ticks", median(&mut self.completed));
            boot_domains::pass()
        }
        (self.started, self.fence) = submit(&mut self.gpu, &self.context, &self.batch);
        if let Some(place) = self.round.checked_sub(WARM_UP) {
            self.submitted[place] = ticks() - self.started;
        }
        Ok(())
    }
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> Bench {
    let window = |base: core::ptr::NonNull<u8>, size| region(base.addr().get(), size);
    let area = window(memory_region_symbol!(gpu_message: *mut u8), *var!(gpu_message_size: usize = 0));
    let points = window(memory_region_symbol!(gpu_points: *mut u8), 4096);
    let mut memory = window(memory_region_symbol!(batch: *mut u8), *var!(batch_size: usize = 0));
    memory.write(0, BATCH);

    let mut gpu = Gpu::connect(ChannelTransport::new(DRIVER, area, points)).expect("there is a GPU");
    gpu.param(Param::ChipsetId).expect("every GPU has an id");
    let start = ticks();
    for _ in 0..CALLS {
        gpu.param(Param::ChipsetId).expect("every GPU has an id");
    }
    debug_println!("bench: parameter-call-to-driver {} ticks", (ticks() - start) / CALLS);

    let vm = gpu.create_vm().expect("an address space");
    let context = gpu.create_context(&vm).expect("a context");
    let batch = gpu
        .create_userptr(Lendable {
            address: memory.address() as u64,
            size: memory.len() as u64,
            frames: cap::cnode(BATCH_SLOT).cptr().bits(),
            frames_bits: u32::try_from(*var!(batch_cnode_bits: u64 = 0)).expect("a small number"),
            page_bits: 12,
        })
        .expect("an object");
    let (started, fence) = submit(&mut gpu, &context, &batch);
    Bench { gpu, context, batch, started, fence, round: 0, submitted: [0; ROUNDS], completed: [0; ROUNDS] }
}
