// SPDX-License-Identifier: BSD-2-Clause
//! Measures what a client pays for the GPU's service, always until the client, asleep until the driver's
//! notification, sees the completed point: batches with nothing in them, one at a time and 32 in a row, on one context
//! and on two in turns, and the life of a context. The judge.
#![no_std]
#![no_main]

use boot_domains::{figure, median, region, ticks};
use gpu_client::microkit::ChannelTransport;
use gpu_client::{
    Access, Context, ContextParam, Fence, Frames, Gpu, Lendable, Object, Param, UsedObject, Vm,
};
use microkit_ext::cap;
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, memory_region_symbol, protection_domain, var};
use window::Window;

const DRIVER: Channel = Channel::new(0);
/// Root slot of the batch's frames in the system description.
const BATCH_SLOT: usize = 1;
/// The blitter's slot of a context without an engine map.
const BLITTER: u32 = 3;
const BATCH_ADDRESS: u64 = 0x10_0000;
/// MI_BATCH_BUFFER_END, and a no-operation that fills the quadword.
const END: u64 = 0x0500_0000;
/// Where the batch that waits at the gate begins in the object, and where the gate is.
const GATED: u32 = 64;
const GATE: u32 = 0x800;
/// MI_SEMAPHORE_WAIT of Gen12: five dwords, polling, memory >= value (PRM vol 2a).
const WAIT: u32 = 0x1c << 23 | 1 << 15 | 1 << 12 | 3;
/// Batches in a row.
const ROW: usize = 32;
/// Rounds before the measurement, which fill the emulator's cache of translated code.
const WARM_UP: usize = 8;
/// Rounds that are measured.
const ROUNDS: usize = 33;
/// Calls that ask for a parameter.
const CALLS: u64 = 64;

/// What a round does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// One batch.
    Alone,
    /// The call alone that submits a batch, to a GPU that does not come to its end yet.
    Held,
    /// An urgent batch, while one that is not urgent runs and would not end by itself.
    Preempting,
    /// A row of them, while the first holds the GPU up.
    RowSilent,
    /// A row of them, each of which the GPU may have done before the next one comes.
    RowInstant,
    /// One batch after the other on two contexts: the first's end is awaited before the second.
    TurnsAlone,
    /// A row of batches of two contexts in turns.
    TurnsQueued,
    /// A context with an address space of its own: made, used once, destroyed.
    LifeOwn,
    /// The same in an address space that there is already.
    LifeShared,
}

impl Subject {
    const ALL: [Self; 9] = [
        Self::Alone,
        Self::Held,
        Self::Preempting,
        Self::RowSilent,
        Self::RowInstant,
        Self::TurnsAlone,
        Self::TurnsQueued,
        Self::LifeOwn,
        Self::LifeShared,
    ];

    /// The figure's name, and by how many a round is divided.
    const fn figure(self) -> (&'static str, u64) {
        match self {
            Self::Alone => ("submit-and-sleep-until-done", 1),
            Self::Held => ("submit-call-gpu-held-up", 1),
            Self::Preempting => ("preempt-and-run-until-done", 1),
            Self::RowSilent => ("queued-batch-of-32-gpu-silent", ROW as u64),
            Self::RowInstant => ("queued-batch-of-32-gpu-instant", ROW as u64),
            Self::TurnsAlone => ("context-switch-alone", 1),
            Self::TurnsQueued => ("context-switch-queued", ROW as u64),
            Self::LifeOwn => ("context-life-own-space", 1),
            Self::LifeShared => ("context-life-shared-space", 1),
        }
    }
}

struct Bench {
    gpu: Gpu<ChannelTransport>,
    memory: Window,
    vm: Vm,
    contexts: [Context; 2],
    batch: Object,
    /// The batch that holds an engine up.
    held: Option<Fence>,
    /// What the measured part of a round took, if that is not all of it.
    taken: u64,
    /// What this round has made.
    made: Option<(Option<Vm>, Context)>,
    /// Index in [`Subject::ALL`].
    subject: usize,
    round: usize,
    first: bool,
    started: u64,
    /// When the last call of the round had returned.
    called: u64,
    fence: Fence,
    /// A context that is less urgent than the others.
    patient: Context,
    /// The median for a batch alone.
    alone: u64,
    completed: [u64; ROUNDS],
    submitted: [u64; ROUNDS],
}

fn submit(
    gpu: &mut Gpu<ChannelTransport>,
    context: &Context,
    batch: &Object,
    range: core::ops::Range<u32>,
) -> Fence {
    let used = UsedObject { object: batch, address: BATCH_ADDRESS, access: Access::Read };
    gpu.submit(context, BLITTER, used, range, &[]).expect("the driver takes an empty batch")
}

impl Bench {
    /// A row of batches on these contexts in turns.
    fn row(&mut self, contexts: usize, gated: bool) {
        if gated {
            self.memory.write(GATE as usize, 0_u32);
        }
        for index in 0..ROW {
            let range = if gated && index == 0 { GATED..GATED + 32 } else { 0..8 };
            if gated && index + 1 == ROW {
                // The last submission is what makes the GPU look again.
                self.memory.write(GATE as usize, 1_u32);
            }
            self.fence = submit(&mut self.gpu, &self.contexts[index % contexts], &self.batch, range);
        }
    }

    /// Lets a batch of the patient context run that holds its engine up until [`Bench::let_go`].
    fn hold(&mut self) {
        self.memory.write(GATE as usize, 0_u32);
        self.held = Some(submit(&mut self.gpu, &self.patient, &self.batch, GATED..GATED + 32));
    }

    /// Ends what [`Bench::hold`] began: the next submission is what makes the GPU look again.
    fn let_go(&mut self) {
        if self.held.take().is_some() {
            self.memory.write(GATE as usize, 1_u32);
            let fence = submit(&mut self.gpu, &self.patient, &self.batch, 0..8);
            while !self.gpu.is_complete(fence) {
                core::hint::spin_loop();
            }
        }
    }

    fn start(&mut self) {
        self.let_go();
        if Subject::ALL[self.subject] == Subject::Preempting {
            self.hold();
        }
        self.started = ticks();
        match Subject::ALL[self.subject] {
            Subject::Alone | Subject::Preempting => {
                self.fence = submit(&mut self.gpu, &self.contexts[0], &self.batch, 0..8);
            }
            Subject::Held => {
                self.hold();
                self.taken = ticks() - self.started;
                self.let_go();
                // Its end is the round's: the completion that this one notifies of is waited for.
                self.fence = submit(&mut self.gpu, &self.contexts[0], &self.batch, 0..8);
            }
            Subject::RowSilent => self.row(1, true),
            Subject::RowInstant => self.row(1, false),
            Subject::TurnsAlone => {
                let context = &self.contexts[self.round % 2];
                self.fence = submit(&mut self.gpu, context, &self.batch, 0..8);
            }
            Subject::TurnsQueued => self.row(2, false),
            Subject::LifeOwn => {
                let vm = self.gpu.create_vm().expect("an address space");
                let context = self.gpu.create_context(&vm).expect("a context");
                self.fence = submit(&mut self.gpu, &context, &self.batch, 0..8);
                self.made = Some((Some(vm), context));
            }
            Subject::LifeShared => {
                let context = self.gpu.create_context(&self.vm).expect("a context");
                self.fence = submit(&mut self.gpu, &context, &self.batch, 0..8);
                self.made = Some((None, context));
            }
        }
        self.called = ticks();
    }

    fn end(&mut self) {
        if let Some((vm, context)) = self.made.take() {
            self.gpu.destroy_context(context).expect("it is there");
            if let Some(vm) = vm {
                self.gpu.destroy_vm(vm).expect("it is there");
            }
        }
        let whole = ticks() - self.started;
        let taken = if Subject::ALL[self.subject] == Subject::Held { self.taken } else { whole };
        if core::mem::take(&mut self.first) {
            figure("first-submission-lending-one-page", taken, "ticks");
        }
        if let Some(place) = self.round.checked_sub(WARM_UP) {
            self.completed[place] = taken;
            self.submitted[place] = self.called - self.started;
        }
        self.round += 1;
        if self.round < WARM_UP + ROUNDS {
            return;
        }
        let (name, share) = Subject::ALL[self.subject].figure();
        let completed = median(&mut self.completed);
        figure(name, completed / share, "ticks");
        match Subject::ALL[self.subject] {
            Subject::Alone => {
                figure("submit-call", median(&mut self.submitted), "ticks");
                self.alone = completed;
            }
            // What a batch alone takes, without the call that submits it to a GPU that does nothing yet.
            Subject::Held => figure("completion-path", self.alone.saturating_sub(completed), "ticks"),
            _ => {}
        }
        (self.round, self.subject) = (0, self.subject + 1);
        if self.subject == Subject::ALL.len() {
            boot_domains::pass()
        }
    }
}

impl Handler for Bench {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Self::Error> {
        if self.gpu.is_complete(self.fence) {
            self.end();
            self.start();
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
    memory.write(0, END);
    let gate = BATCH_ADDRESS + u64::from(GATE);
    // CAST: the two halves of the address.
    #[allow(clippy::cast_possible_truncation)]
    let gated = [WAIT, 1, gate as u32, (gate >> 32) as u32, 0, 0, 0x0500_0000, 0];
    for (index, dword) in gated.into_iter().enumerate() {
        memory.write(GATED as usize + 4 * index, dword);
    }

    let mut gpu = Gpu::connect(ChannelTransport::new(DRIVER, area, points)).expect("there is a GPU");
    gpu.param(Param::ChipsetId).expect("every GPU has an id");
    let start = ticks();
    for _ in 0..CALLS {
        gpu.param(Param::ChipsetId).expect("every GPU has an id");
    }
    figure("parameter-call-to-driver", (ticks() - start) / CALLS, "ticks");

    let vm = gpu.create_vm().expect("an address space");
    let contexts = [(); 2].map(|()| gpu.create_context(&vm).expect("a context"));
    let patient = gpu.create_context(&vm).expect("a context");
    let priority = i64::from(-1_i32).cast_unsigned();
    gpu.set_context_param(&patient, ContextParam::PRIORITY, priority).expect("below the default one");
    let batch = gpu
        .create_userptr(Lendable {
            address: memory.address() as u64,
            size: memory.len() as u64,
            frames: Frames::Capabilities {
                cnode: cap::cnode(BATCH_SLOT).cptr().bits(),
                bits: u32::try_from(*var!(batch_cnode_bits: u64 = 0)).expect("a small number"),
                page_bits: 12,
            },
        })
        .expect("an object");
    let started = ticks();
    let fence = submit(&mut gpu, &contexts[0], &batch, 0..8);
    let none = [0; ROUNDS];
    Bench {
        gpu,
        memory,
        vm,
        contexts,
        batch,
        held: None,
        taken: 0,
        patient,
        alone: 0,
        made: None,
        subject: 0,
        round: 0,
        first: true,
        started,
        called: started,
        fence,
        completed: none,
        submitted: none,
    }
}
