// SPDX-License-Identifier: BSD-2-Clause
//! Measures the life of contexts: plain ones in an address space that is there, ones with a space of their own, and
//! clones of everything that another has; alone, and while as many others are alive as a client may have. The judge.
#![no_std]
#![no_main]

use boot_domains::counted::Counted;
use boot_domains::{figure, median, ratio, ticks};
use gpu_client::{
    Access, CLONE_ALL, Context, ContextBuilder, ContextParam, EngineClassInstance, Fence, Gpu, Object,
    UsedObject, Vm, memory, transport,
};
use sel4_microkit::{Channel, NullHandler, protection_domain};

/// The blitter's slot, in a context without an engine map and in the source's map.
const BLITTER: u32 = 3;
/// The map of the context that is cloned: as many slots as there are without one, and in another order.
const ENGINES: [EngineClassInstance; 5] = [
    EngineClassInstance::new(0, 0),
    EngineClassInstance::new(3, 0),
    EngineClassInstance::NONE,
    EngineClassInstance::new(1, 0),
    EngineClassInstance::new(2, 1),
];
const ADDRESS: u64 = 0x10_0000;
/// MI_BATCH_BUFFER_END, and a no-operation that fills the quadword.
const END: u64 = 0x0500_0000;
/// Contexts that a client may have beside its default one (`ClientLimits::DEFAULT`), without the source and the one
/// that is measured.
const OTHERS: usize = 64 - 2;
/// Rounds before the measurement, which fill the emulator's cache of translated code.
const WARM_UP: usize = 8;
/// Rounds that are measured.
const ROUNDS: usize = 33;

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// With all the defaults, in an address space that there is.
    Plain,
    /// With all the defaults.
    OwnSpace,
    /// A clone of everything that the source has.
    Clone,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Plain, Self::OwnSpace, Self::Clone];

    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::OwnSpace => "own-space",
            Self::Clone => "clone-all",
        }
    }
}

/// What one kind costs, the medians of the rounds in ticks.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    /// The call that creates one.
    create: u64,
    /// The call that destroys one that ran a batch.
    destroy: u64,
    /// Created, one batch, asleep until that is done, destroyed.
    life: u64,
    /// System calls of the creation and of the destruction, of all rounds together.
    calls: [u64; 2],
}

struct Bench {
    gpu: Gpu<Counted>,
    vm: Vm,
    source: Context,
    batch: Object,
}

impl Bench {
    fn create(&mut self, kind: Kind) -> Context {
        let builder = match kind {
            Kind::Plain => ContextBuilder::new().in_vm(&self.vm),
            Kind::OwnSpace => ContextBuilder::new(),
            Kind::Clone => ContextBuilder::new().clone_of(&self.source).flags(CLONE_ALL),
        };
        self.gpu.create_context_with(&builder).expect("there is room for a context")
    }

    fn run(&mut self, context: &Context) {
        let used = UsedObject { object: &self.batch, address: ADDRESS, access: Access::Read };
        let fence: Fence =
            self.gpu.submit(context, BLITTER, used, 0..8, &[]).expect("an empty batch is taken");
        self.gpu.wait(fence);
    }

    fn measure(&mut self, kind: Kind) -> Cost {
        let mut taken = [[0; ROUNDS]; 3];
        let mut calls = [0; 2];
        for round in 0..WARM_UP + ROUNDS {
            let before = self.gpu.transport().calls;
            let start = ticks();
            let context = self.create(kind);
            let created = ticks();
            let between = self.gpu.transport().calls;
            self.run(&context);
            let ran = self.gpu.transport().calls;
            let running = ticks();
            self.gpu.destroy_context(context).expect("it is there");
            let end = ticks();
            if let Some(place) = round.checked_sub(WARM_UP) {
                taken[0][place] = created - start;
                taken[1][place] = end - running;
                taken[2][place] = end - start;
                calls[0] += between - before;
                calls[1] += self.gpu.transport().calls - ran;
            }
        }
        let [create, destroy, life] = taken.each_mut().map(|values| median(values));
        Cost { create, destroy, life, calls }
    }
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> NullHandler {
    let mut gpu = Gpu::connect(Counted::new(transport!(Channel::new(0)))).expect("there is a GPU");
    let vm = gpu.create_vm().expect("an address space");
    let builder = ContextBuilder::new()
        .single_timeline()
        .in_vm(&vm)
        .engines(&ENGINES)
        .priority(-1)
        .param(ContextParam::WATCHDOG, 1_000_000)
        .param(ContextParam::RECOVERABLE, 0);
    let source = gpu.create_context_with(&builder).expect("a context");
    let mut code = memory!(batch, batch_size, batch_cnode_bits, batch_row, slot = 1);
    code.window.write(0, END);
    let batch = gpu.create_userptr(code.lendable).expect("an object");
    let mut bench = Bench { gpu, vm, source, batch };
    // What a context has on an engine is made with its first batch: a source that is in use is the one to clone.
    let fence = {
        let used = UsedObject { object: &bench.batch, address: ADDRESS, access: Access::Read };
        bench.gpu.submit(&bench.source, BLITTER, used, 0..8, &[]).expect("an empty batch is taken")
    };
    bench.gpu.wait(fence);

    let few = Kind::ALL.map(|kind| bench.measure(kind));
    let others: [Context; OTHERS] = core::array::from_fn(|index| {
        let other = bench.create(if index % 2 == 0 { Kind::Plain } else { Kind::Clone });
        bench.run(&other);
        other
    });
    let many = Kind::ALL.map(|kind| bench.measure(kind));

    let [plain, _, clone] = few;
    for (kind, (few, many)) in Kind::ALL.into_iter().zip(few.into_iter().zip(many)) {
        let name = kind.name();
        figure(format_args!("context-create-{name}"), few.create, "ticks");
        figure(format_args!("context-destroy-{name}"), few.destroy, "ticks");
        figure(format_args!("context-life-{name}"), few.life, "ticks");
        for (step, count) in ["create", "destroy"].into_iter().zip(few.calls) {
            let hundredths = count * 100 / ROUNDS as u64;
            let calls = format_args!("{}.{:02}", hundredths / 100, hundredths % 100);
            figure(format_args!("context-{step}-{name}-system-calls"), calls, "calls");
        }
        ratio(format_args!("context-create-{name}-among-{OTHERS}-more"), many.create, few.create);
        ratio(format_args!("context-destroy-{name}-among-{OTHERS}-more"), many.destroy, few.destroy);
        ratio(format_args!("context-life-{name}-among-{OTHERS}-more"), many.life, few.life);
    }
    ratio(format_args!("context-create-clone-all-to-plain"), clone.create, plain.create);
    ratio(format_args!("context-life-clone-all-to-plain"), clone.life, plain.life);
    for other in others {
        bench.gpu.destroy_context(other).expect("it is there");
    }
    boot_domains::pass()
}
