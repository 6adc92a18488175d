// SPDX-License-Identifier: BSD-2-Clause
//! Measures what lending costs its client: objects of 64 KiB made and closed while there are many others, used once, taken
//! back while they are bound (the loops of IGT's gem_userptr_benchmark), and pages lent and taken back by the hundred: by
//! capability, side by side and scattered, and by region. The judge.
#![no_std]
#![no_main]

use boot_domains::counted::Counted;
use boot_domains::{figure, ticks};
use gpu_client::symbols::Memory;
use gpu_client::{
    Access, Context, Fence, Frames, Gpu, Lendable, Object, TakenBack, Transport, UsedObject, memory,
    transport,
};
use microkit_ext::cap::{self, CapRights};
use sel4_microkit::{Channel, MessageInfo, NullHandler, get_mr, protection_domain};

const DRIVER: Channel = Channel::new(0);
/// Answers how many invocations of frame capabilities the driver has made.
const AUDITOR: Channel = Channel::new(5);
/// `<cspace>` slots.
const DATA: usize = 2;
const SCATTERED: usize = 3;
/// Radix of the CNode with the scattered frames, and of that with the region's.
const FRAME_BITS: u8 = 9;
const BLITTER: u32 = 3;
const BATCH_ADDRESS: u64 = 0x10_0000;
/// Where the data goes in the GPU's address space: where it can become a large entry, and where it cannot.
const ALIGNED: u64 = 0x1000_0000;
const UNALIGNED: u64 = 0x2000_1000;
/// MI_BATCH_BUFFER_END, and a no-operation that fills the quadword.
const END: u64 = 0x0500_0000;
/// Where the batch that never ends begins in its object, and what it waits for.
const ENDLESS: u32 = 64;
const GATE: u64 = 0x800;
/// MI_ARB_ON_OFF, off: no preemption from here on; MI_SEMAPHORE_WAIT of Gen12: five dwords, polling, memory >= value (PRM
/// vol 2a).
const ARBITRATION_OFF: u32 = 0x08 << 23;
const WAIT: u32 = 0x1c << 23 | 1 << 15 | 1 << 12 | 3;
const SIZE: u64 = 64 << 10;
const PAGE: u64 = 4096;
/// Pages of 4 KiB in 2 MiB.
const SMALL_PAGES: u64 = 512;
/// Where objects lie that nobody uses, next to each other.
const OTHERS: u64 = 0x10_0000_0000;
/// Rounds before the measurement, which fill the emulator's cache of translated code, and rounds that are measured.
const WARM_UP: usize = 4;
const ROUNDS: usize = 17;

/// What something took.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    ticks: u64,
    /// The client's system calls.
    calls: u64,
}

struct Bench {
    gpu: Gpu<Counted>,
    context: Context,
    batch: Object,
    data: Lendable,
    /// Where it goes in the GPU's address space.
    address: u64,
}

/// How often the driver has invoked a frame capability or a place for one.
fn invocations() -> u64 {
    let answer = AUDITOR.pp_call(MessageInfo::new(1, 0));
    assert_eq!((answer.label(), answer.count()), (0, 1));
    get_mr(0)
}

impl Bench {
    /// What `act` takes.
    fn cost(&mut self, act: impl FnOnce(&mut Self)) -> Cost {
        let calls = self.gpu.transport().calls;
        let start = ticks();
        act(self);
        let ticks = ticks() - start;
        Cost { ticks, calls: self.gpu.transport().calls - calls }
    }

    /// The median of what several rounds took.
    fn median(&mut self, mut round: impl FnMut(&mut Self) -> Cost) -> Cost {
        let mut values = [Cost::default(); ROUNDS];
        for _ in 0..WARM_UP {
            round(self);
        }
        for value in &mut values {
            *value = round(self);
        }
        values.sort_unstable_by_key(|value| value.ticks);
        values[ROUNDS / 2]
    }

    /// Tells it, and the client's system calls in it.
    fn figures(&mut self, name: &str, round: impl FnMut(&mut Self) -> Cost) {
        let Cost { ticks, calls } = self.median(round);
        figure(name, ticks, "ticks");
        figure(format_args!("{name}-system-calls"), calls, "calls");
    }

    fn object(&mut self, pages: u64) -> Object {
        self.gpu.create_userptr_in(self.data, 0..pages * PAGE).expect("an object")
    }

    fn submit(&mut self, object: &Object, commands: core::ops::Range<u32>) -> Fence {
        let used = |object, address, access| UsedObject { object, address, access };
        let batch = used(&self.batch, BATCH_ADDRESS, Access::Read);
        let objects = [used(object, self.address, Access::Write)];
        self.gpu.submit(&self.context, BLITTER, batch, commands, &objects).expect("the batch is taken")
    }

    fn run(&mut self, object: &Object) {
        let fence = self.submit(object, 0..8);
        self.gpu.wait(fence);
    }

    fn close(&mut self, object: Object) {
        self.gpu.close(object).expect("it is there");
    }

    fn take_back(&mut self, pages: u64) {
        let range = self.data.address..self.data.address + pages * PAGE;
        let taken = self.gpu.take_back(range).expect("a range");
        assert!(matches!(taken, TakenBack::Done { .. }), "nothing uses it");
    }

    fn create_and_close(&mut self) -> Cost {
        self.cost(|bench| {
            let object = bench.object(SIZE / PAGE);
            bench.close(object);
        })
    }

    /// Of a range that is no object's: what every change of an address space pays.
    fn invalidate_nothing(&mut self) -> Cost {
        self.cost(|bench| bench.take_back(SIZE / PAGE))
    }

    /// With more and more objects that nobody uses.
    fn among_others(&mut self) {
        let mut others = 0;
        for (count, create, invalidate) in [
            (0, "userptr-create-close-64k", "userptr-invalidate-nothing"),
            (1, "userptr-create-close-64k-1-alive", "userptr-invalidate-nothing-1-alive"),
            (10, "userptr-create-close-64k-10-alive", "userptr-invalidate-nothing-10-alive"),
            (100, "userptr-create-close-64k-100-alive", "userptr-invalidate-nothing-100-alive"),
            (1000, "userptr-create-close-64k-1000-alive", "userptr-invalidate-nothing-1000-alive"),
            (10_000, "userptr-create-close-64k-10000-alive", "userptr-invalidate-nothing-10000-alive"),
        ] {
            while others < count {
                let address = OTHERS + others * SIZE;
                let other = Lendable { address, size: SIZE, frames: Frames::Foreign };
                // It stays to the end.
                let _ = self.gpu.create_userptr(other).expect("room for all of them");
                others += 1;
            }
            figure(create, self.median(Self::create_and_close).ticks, "ticks");
            figure(invalidate, self.median(Self::invalidate_nothing).ticks, "ticks");
        }
    }

    fn life(&mut self) -> Cost {
        self.cost(|bench| {
            let object = bench.object(SIZE / PAGE);
            bench.run(&object);
            bench.close(object);
        })
    }

    fn invalidate_and_close(&mut self) -> Cost {
        let object = self.object(SIZE / PAGE);
        self.run(&object);
        self.cost(|bench| {
            bench.take_back(SIZE / PAGE);
            bench.close(object);
        })
    }

    /// What pages cost, beside a batch that has nothing to wait for.
    fn first_use(&mut self, pages: u64) -> Cost {
        let object = self.object(pages);
        let first = self.cost(|bench| bench.run(&object));
        let second = self.cost(|bench| bench.run(&object));
        self.close(object);
        // Where the clock is the machine's, the second round may happen to be the longer one.
        Cost {
            ticks: first.ticks.saturating_sub(second.ticks),
            calls: first.calls.saturating_sub(second.calls),
        }
    }

    /// From a batch that does not end and cannot be preempted: the longest that an owner waits.
    fn take_back_from_the_endless(&mut self) -> Cost {
        let object = self.object(SIZE / PAGE);
        let range = self.data.address..self.data.address + SIZE;
        let fence = self.submit(&object, ENDLESS..ENDLESS + 32);
        let cost = self.cost(|bench| {
            let mut taken = bench.gpu.take_back(range).expect("a range");
            assert!(matches!(taken, TakenBack::Pending(_)), "it is in use");
            while let TakenBack::Pending(ticket) = taken {
                bench.gpu.transport().sleep();
                taken = bench.gpu.look_at(ticket).expect("a ticket");
            }
        });
        self.gpu.wait(fence);
        self.close(object);
        cost
    }

    fn invalidate_pages(&mut self, pages: u64) -> Cost {
        let object = self.object(pages);
        self.run(&object);
        let cost = self.cost(|bench| bench.take_back(pages));
        self.close(object);
        cost
    }

    /// First uses and invalidations of a whole memory, told for each `unit` of its pages.
    fn pages(&mut self, how: &str, data: Lendable, address: u64, unit: u64) {
        let old = core::mem::replace(&mut self.data, data);
        self.address = address;
        let pages = data.size / PAGE;
        let units = pages / unit;
        let share = |name: &str, Cost { ticks, calls }: Cost| {
            figure(format_args!("userptr-{name}-a-page-{how}"), ticks / units, "ticks");
            figure(format_args!("userptr-{name}-{units}-pages-{how}-system-calls"), calls, "calls");
        };
        let first = self.median(|bench| bench.first_use(pages));
        share("first-use-of", first);
        let invalidate = self.median(|bench| bench.invalidate_pages(pages));
        share("invalidate", invalidate);
        // Now and then the driver looks for a page that was revoked: those rounds have one more.
        let made = (0..ROUNDS).map(|_| {
            let before = invocations();
            self.invalidate_pages(pages);
            invocations() - before
        });
        let made = made.min().unwrap_or(0);
        let hundredths = made * 100 / units;
        let value = format_args!("{}.{:02}", hundredths / 100, hundredths % 100);
        figure(format_args!("userptr-invocations-by-the-driver-a-page-{how}"), value, "calls");
        self.data = old;
    }
}

/// The frames of a memory in an order in which no two that are next to each other are neighbours.
fn scattered(data: Lendable) -> Lendable {
    let bits = u32::from(FRAME_BITS);
    for page in 0..1_usize << FRAME_BITS {
        let from = page.reverse_bits() >> (usize::BITS - bits);
        let place = cap::place(SCATTERED, FRAME_BITS, page);
        place.copy_from(cap::place(DATA, FRAME_BITS, from), CapRights::READ_WRITE).expect("a copy");
    }
    let cnode = cap::cnode(SCATTERED).cptr().bits();
    Lendable { frames: Frames::Capabilities { cnode, bits, page_bits: 12 }, ..data }
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> NullHandler {
    let Memory { window: mut code, lendable } = memory!(batch, batch_size, batch_bits, batch_row, slot = 1);
    let data = memory!(data, data_size, data_bits, data_row, slot = DATA).lendable;
    let large = memory!(large, large_size, large_bits, large_row, slot = 5).lendable;
    let named = memory!(named, named_size, named_bits, named_row, slot = 4).lendable;
    code.write(0, END);
    // CAST: below 4 GiB.
    #[allow(clippy::cast_possible_truncation)]
    let endless = [ARBITRATION_OFF, WAIT, 1, (BATCH_ADDRESS + GATE) as u32, 0, 0, 0x0500_0000, 0];
    for (index, dword) in endless.into_iter().enumerate() {
        code.write(ENDLESS as usize + 4 * index, dword);
    }
    let mut gpu = Gpu::connect(Counted::new(transport!(DRIVER))).expect("there is a GPU");
    let vm = gpu.create_vm().expect("an address space");
    let context = gpu.create_context(&vm).expect("a context");
    let batch = gpu.create_userptr(lendable).expect("an object");
    let mut bench = Bench { gpu, context, batch, data, address: ALIGNED };
    bench.figures("userptr-create-use-wait-close-64k", Bench::life);
    bench.figures("userptr-invalidate-close-64k", Bench::invalidate_and_close);
    bench.pages("by-capability", data, ALIGNED, 1);
    bench.pages("by-capability-scattered", scattered(data), ALIGNED, 1);
    bench.pages("by-region", named, UNALIGNED, 1);
    bench.pages("of-2m-by-capability", large, ALIGNED, SMALL_PAGES);
    bench.pages("of-2m-by-region", named, ALIGNED, SMALL_PAGES);
    bench.among_others();
    let endless = bench.take_back_from_the_endless();
    figure("userptr-take-back-from-a-batch-that-never-ends", endless.ticks, "ticks");
    boot_domains::pass()
}
