// SPDX-License-Identifier: BSD-2-Clause
//! A client of the driver that works through the rings. Its first batch waits for a gate that only a domain of lower
//! priority opens: as long as this one is awake, the gate stays shut, so that the batch completes only for a client
//! that really sleeps. The judge.
#![no_std]
#![no_main]

use boot_domains::region;
use gpu_client::microkit::ChannelTransport;
use gpu_client::{Access, Context, Frames, Gpu, Lendable, Object, Queued, UsedObject};
use microkit_ext::cap;
use sel4_microkit::{Channel, NullHandler, debug_println, memory_region_symbol, protection_domain, var};
use window::Window;

const DRIVER: Channel = Channel::new(0);
/// Root slots of the frames in the system description.
const BATCH_SLOT: usize = 1;
const DATA_SLOT: usize = 2;
/// The blitter's slot of a context without an engine map.
const BLITTER: u32 = 3;
const BATCH_ADDRESS: u64 = 0x10_0000;
const DATA: u32 = 0x20_0000;
const DATA_ADDRESS: u64 = DATA as u64;
/// Bytes from one batch to the next.
const STRIDE: u32 = 64;
/// The gate, and the word in which its keeper says that it has run, in the page of data.
const GATE: u32 = 0xff0;
const KEEPER: usize = 0xff8;
/// Looks at the ring of answers by a client that does not sleep: far more than the batch would take.
const POLLS: u32 = 100_000;

/// MI_SEMAPHORE_WAIT, polling, until the dword equals the one given; the form with a wait token, of Gen12 (PRM Tiger
/// Lake, Volume 2a).
const fn wait_for_gate(value: u32) -> [u32; 5] {
    [0x1c << 23 | 1 << 15 | 4 << 12 | 3, value, DATA + GATE, 0, 0]
}

/// MI_STORE_DATA_IMM, MI_BATCH_BUFFER_END, and a no-operation that fills the quadword.
const fn store(index: u32, value: u32) -> [u32; 6] {
    [0x1000_0002, DATA + 4 * index, 0, value, 0x0500_0000, 0]
}

struct Client {
    gpu: Gpu<ChannelTransport>,
    context: Context,
    batch: Object,
    data: Object,
}

impl Client {
    fn uses(&self) -> (UsedObject<'_>, [UsedObject<'_>; 1]) {
        let used = |object, address, access| UsedObject { object, address, access };
        (used(&self.batch, BATCH_ADDRESS, Access::Read), [used(&self.data, DATA_ADDRESS, Access::Write)])
    }

    fn enqueue(&mut self, number: u32) {
        let used = |object, address, access| UsedObject { object, address, access };
        let objects = [used(&self.data, DATA_ADDRESS, Access::Write)];
        let queued = Queued {
            context: &self.context,
            engine: BLITTER,
            batch: used(&self.batch, BATCH_ADDRESS, Access::Read),
            start: number * STRIDE,
            length: STRIDE,
            objects: &objects,
            after: &[],
            tag: u64::from(number),
        };
        self.gpu.enqueue(&queued).expect("there is room in the ring");
    }

    fn answer(&mut self) -> (u64, bool) {
        let answer = self.gpu.next_answer().expect("the rings are in order").expect("an answer");
        (answer.tag, answer.result.is_ok())
    }

    fn lend(&mut self) {
        self.enqueue(1);
        self.gpu.wait_answers(1).expect("an answer");
        assert_eq!(self.answer(), (1, false), "nobody has lent the pages yet");
        let (batch, [data]) = self.uses();
        let (batch, data) = (batch.address, data.address);
        let Self { gpu, batch: code, data: memory, .. } = self;
        let used = |object, address| UsedObject { object, address, access: Access::Write };
        gpu.lend_for(&[used(code, batch), used(memory, data)]).expect("the driver takes the pages");
    }
}

fn lendable(memory: &Window, slot: usize, bits: u64) -> Lendable {
    Lendable {
        address: memory.address() as u64,
        size: memory.len() as u64,
        frames: Frames::Capabilities {
            cnode: cap::cnode(slot).cptr().bits(),
            bits: u32::try_from(bits).expect("a small number"),
            page_bits: 12,
        },
    }
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> NullHandler {
    let window = |base: core::ptr::NonNull<u8>, size| region(base.addr().get(), size);
    let area = window(memory_region_symbol!(gpu_message: *mut u8), *var!(gpu_message_size: usize = 0));
    let points = window(memory_region_symbol!(gpu_points: *mut u8), 4096);
    let rings = window(memory_region_symbol!(gpu_rings: *mut u8), *var!(gpu_rings_size: usize = 0));
    let mut code = window(memory_region_symbol!(batch: *mut u8), *var!(batch_size: usize = 0));
    let data = window(memory_region_symbol!(data: *mut u8), *var!(data_size: usize = 0));

    let transport = ChannelTransport::new(DRIVER, area, points).with_rings(rings);
    let mut gpu = Gpu::connect(transport).expect("there is a GPU");
    let capacity = u32::try_from(gpu.queue_capacity()).expect("a small number");
    for number in 0..capacity {
        let at = (number * STRIDE) as usize;
        let gate = if number == 0 { wait_for_gate(1) } else { [0; 5] };
        for (word, dword) in (0..).zip(gate.into_iter().chain(store(number, number + 100))) {
            code.write(at + word * 4, dword);
        }
    }
    let vm = gpu.create_vm().expect("an address space");
    let context = gpu.create_context(&vm).expect("a context");
    let batch =
        gpu.create_userptr(lendable(&code, BATCH_SLOT, *var!(batch_cnode_bits: u64 = 0))).expect("an object");
    let memory =
        gpu.create_userptr(lendable(&data, DATA_SLOT, *var!(data_cnode_bits: u64 = 0))).expect("an object");
    let mut client = Client { gpu, context, batch, data: memory };
    client.lend();

    for number in 0..capacity {
        client.enqueue(number);
    }
    client.gpu.flush().expect("the rings are in order");
    for _ in 0..POLLS {
        assert_eq!(client.gpu.next_answer(), Ok(None), "the gate is shut while this client is awake");
    }
    assert_eq!(data.read::<u64>(KEEPER), 0, "the gate's keeper runs only while this client sleeps");
    debug_println!("ring_client: asleep with {capacity} batches in the ring");
    client.gpu.wait_answers(capacity.into()).expect("the rings are in order");
    assert_eq!(data.read::<u64>(KEEPER), 1);
    for number in 0..capacity {
        assert_eq!(client.answer(), (u64::from(number), true));
        assert_eq!(data.read::<u32>(number as usize * 4), number + 100);
    }
    boot_domains::pass()
}
