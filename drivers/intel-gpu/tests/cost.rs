// SPDX-License-Identifier: BSD-2-Clause
//! What a submission costs in register accesses, each of which traps or takes a microsecond, and in writes to memory that
//! the GPU reads: the numbers must not creep up. Lines `bench: NAME VALUE UNIT` are for `make bench`.

mod machine;

use gpu_model::Timing;
use intel_gpu::device::EngineClass;
use intel_gpu::platform::{Access, Traced, Tracer};
use intel_gpu::uapi::{ClientConfig, ClientLimits, Sizes};
use intel_gpu::{Config, Gpu, Submission};
use machine::{BATCH_END, Machine, PAGES, range, va};

#[derive(Debug, Default)]
struct Count {
    reads: u32,
    writes: u32,
}

impl Tracer for Count {
    fn access(&mut self, access: Access) {
        *(if access.write { &mut self.writes } else { &mut self.reads }) += 1;
    }
}

type Counted = Gpu<Traced<Machine, Count>>;

fn counted(platform: &str, timing: Timing) -> Counted {
    let mut machine = Machine::new(platform, gpu_model::Options::default());
    let identity = machine.identity();
    let hardware = Traced { hardware: machine, tracer: Count::default() };
    let mut gpu = Gpu::init(hardware, identity, Config::default()).expect("the GPU comes up");
    gpu.hardware_mut().hardware.model.set_timing(timing);
    gpu
}

fn take(gpu: &mut Counted) -> (u32, u32) {
    let count = std::mem::take(&mut gpu.hardware_mut().tracer);
    (count.writes, count.reads)
}

/// Tells a figure.
fn figure(name: &str, value: impl std::fmt::Display, unit: &str) {
    println!("\nbench: {name} {value} {unit}");
}

/// Dwords written to DMA memory since the last time.
fn take_dma_writes(gpu: &mut Counted) -> u64 {
    std::mem::take(&mut gpu.hardware_mut().hardware.dma_writes)
}

/// Register writes and reads of `requests` empty batches, all submitted before the GPU does anything,
/// until all are complete, and the number of interrupts.
fn cost(gpu: &mut Counted, requests: u32) -> (u32, u32, u32) {
    let account = gpu.account_create(1000).expect("room");
    let vm = gpu.vm_create(account).expect("memory");
    let timeline = gpu.timeline_create().expect("memory");
    let engine = gpu.engine(EngineClass::Copy, 0).expect("every part has one");
    let context = gpu.context_create(account, engine, vm, timeline, 0).expect("memory");
    let object = gpu.object_allocate(account, 1).expect("memory");
    gpu.object_write(&object, 0, &BATCH_END.to_le_bytes()).expect("inside");
    gpu.bind_object(vm, range(0x1000, 1), &object, Default::default(), false).expect("free");
    let mut interrupts = 0;
    // The first time warms nothing up, but the second is what is counted.
    for _ in 0..2 {
        take(gpu);
        take_dma_writes(gpu);
        interrupts = 0;
        for cookie in 0..requests {
            let submission = Submission { context, batch: va(0x1000), waits: &[], cookie: cookie.into() };
            gpu.submit(submission).expect("accepted");
        }
        let mut done = 0;
        while done < requests {
            let model = &mut gpu.hardware_mut().hardware.model;
            model.run_until_idle(1_000_000);
            assert!(model.take_msi().is_some(), "no interrupt, {done} done");
            interrupts += 1;
            gpu.interrupt();
            while gpu.take_completion().is_some() {
                done += 1;
            }
        }
        while gpu.hardware_mut().hardware.model.take_msi().is_some() {
            gpu.interrupt();
        }
    }
    let (writes, reads) = take(gpu);
    (writes, reads, interrupts)
}

#[test]
fn one_submission_on_tiger_lake_costs_no_more_than_linux_pays() {
    // Linux 6.1: 10 writes, 4 reads, 1 interrupt.
    let mut gpu = counted("tgl", Timing::Instant);
    let (writes, reads, interrupts) = cost(&mut gpu, 1);
    let dma = take_dma_writes(&mut gpu);
    for (name, value, unit) in [
        ("submission-alone-register-writes", writes.into(), "writes"),
        ("submission-alone-register-reads", reads.into(), "reads"),
        ("submission-alone-dma-writes", dma, "dwords"),
        ("submission-alone-interrupts", u64::from(interrupts), "interrupts"),
    ] {
        figure(name, value, unit);
    }
    assert!(writes <= 10 && reads <= 4 && interrupts == 1, "{writes} writes, {reads} reads, {interrupts}");
    assert!(dma <= 64, "{dma}");
}

#[test]
fn requests_that_are_queued_share_submissions_and_interrupts() {
    let mut gpu = counted("tgl", Timing::Deferred);
    let (writes, reads, interrupts) = cost(&mut gpu, 32);
    let dma = take_dma_writes(&mut gpu);
    for (name, value, unit) in [
        ("submission-of-32-register-writes", u64::from(writes), "writes"),
        ("submission-of-32-register-reads", reads.into(), "reads"),
        ("submission-of-32-dma-writes", dma, "dwords"),
        ("submission-of-32-interrupts", interrupts.into(), "interrupts"),
    ] {
        let hundredths = value * 100 / 32;
        figure(name, format_args!("{}.{:02}", hundredths / 100, hundredths % 100), unit);
    }
    assert!(writes <= 32 && reads <= 16, "{writes} writes, {reads} reads, {interrupts} interrupts");
    assert!(dma <= 64 * 32, "{dma}");
}

#[test]
fn start_costs_fewer_accesses_than_linux_makes() {
    // Linux 6.1 on Tiger Lake: 1,002 writes, 421 reads.
    let mut gpu = counted("tgl", Timing::Instant);
    let (writes, reads) = take(&mut gpu);
    figure("start-register-writes", writes, "writes");
    figure("start-register-reads", reads, "reads");
    assert!(writes < 1_002 && reads < 421, "{writes} writes, {reads} reads");
}

#[test]
fn a_context_costs_its_image_and_its_ring_in_memory() {
    for (platform, class, pages) in [
        // Images of 2 pages and a ring of 4; on the render engine what the pipelines save comes on top.
        ("tgl", EngineClass::Copy, 2 + 4),
        ("tgl", EngineClass::Video, 2 + 4),
        ("tgl", EngineClass::Render, 14 + 4),
        ("skl", EngineClass::Copy, 2 + 4),
        ("skl", EngineClass::Render, 22 + 4),
    ] {
        let mut gpu = counted(platform, Timing::Instant);
        let account = gpu.account_create(1000).expect("room");
        let vm = gpu.vm_create(account).expect("memory");
        let timeline = gpu.timeline_create().expect("memory");
        let engine = gpu.engine(class, 0).expect("every part has one");
        let before = gpu.account_usage(account).expect("exists").used;
        let context = gpu.context_create(account, engine, vm, timeline, 0).expect("memory");
        let used = gpu.account_usage(account).expect("exists").used - before;
        let context_name = format!("memory-of-a-context-on-{platform}-{class:?}").to_lowercase();
        figure(&context_name, used * 4, "KiB that the GPU reaches");
        if class == EngineClass::Copy {
            let space_name = format!("memory-of-an-address-space-on-{platform}");
            figure(&space_name, before * 4, "KiB that the GPU reaches");
        }
        assert_eq!(used, pages, "{platform} {class:?}");
        gpu.context_destroy(context).expect("exists");
        assert_eq!(gpu.account_usage(account).expect("exists").used, before, "and all of it comes back");
    }
}

/// What the pools in the driver domain's own memory take for each context that a client may have.
#[test]
fn a_context_costs_a_known_part_of_the_pools() {
    let pools = |limits| {
        let clients = [ClientConfig { channel: 1, limits, privileged: false }];
        Sizes::of(&clients).bytes(PAGES, &clients, &[])
    };
    let usual = ClientLimits::DEFAULT;
    let more = ClientLimits { contexts: usual.contexts + 64, ..usual };
    let each = (pools(more) - pools(usual)) / 64;
    figure("driver-heap-of-a-context", each, "bytes");
    // A logical state takes two pages of an image and the ring of what the client may have of the driver's memory.
    let ring = Config::default().ring_pages;
    let larger = ClientLimits { driver_pages: usual.driver_pages + 64 * (2 + ring), ..usual };
    let each = (pools(larger) - pools(usual)) / 64;
    figure("driver-heap-of-a-context-on-an-engine", each, "bytes");
    assert!((200..4_000).contains(&each), "{each}");
}

#[test]
fn a_context_costs_its_ggtt_entries_and_two_flushes() {
    let mut gpu = counted("tgl", Timing::Instant);
    let account = gpu.account_create(1000).expect("room");
    let vm = gpu.vm_create(account).expect("memory");
    let timeline = gpu.timeline_create().expect("memory");
    let engine = gpu.engine(EngineClass::Copy, 0).expect("every part has one");
    take(&mut gpu);
    let context = gpu.context_create(account, engine, vm, timeline, 0).expect("memory");
    let (writes, reads) = take(&mut gpu);
    println!("create: {writes} writes, {reads} reads");
    assert!(writes <= 7 && reads == 0);
    gpu.context_destroy(context).expect("exists");
    let (writes, reads) = take(&mut gpu);
    println!("destroy: {writes} writes, {reads} reads");
    assert!(writes <= 7 && reads <= 1);
}

/// With all contexts that there may be alive, each with its own logical state, and all of them in one address space or
/// each in its own, a submission makes the same accesses as with one.
#[test]
fn a_submission_costs_the_same_with_4096_contexts_alive_as_with_one() {
    const CONTEXTS: u32 = 4096;
    let accesses = |contexts: u32| {
        // Six pages for a context, and one each for what 64 of them share.
        let mut machine = Machine::with_pages("tgl", gpu_model::Options::default(), 28_000);
        let identity = machine.identity();
        let hardware = Traced { hardware: machine, tracer: Count::default() };
        let config = Config { contexts: CONTEXTS, timelines: CONTEXTS, ..Config::default() };
        let mut gpu = Gpu::init(hardware, identity, config).expect("the GPU comes up");
        let account = gpu.account_create(28_000).expect("room");
        let vm = gpu.vm_create(account).expect("memory");
        let engine = gpu.engine(EngineClass::Copy, 0).expect("every part has one");
        let object = gpu.object_allocate(account, 1).expect("memory");
        gpu.object_write(&object, 0, &BATCH_END.to_le_bytes()).expect("inside");
        gpu.bind_object(vm, range(0x1000, 1), &object, Default::default(), false).expect("free");
        let mut all = vec![];
        for _ in 0..contexts {
            let timeline = gpu.timeline_create().expect("memory");
            all.push(gpu.context_create(account, engine, vm, timeline, 0).expect("memory"));
        }
        // All have run once; what is counted is a submission of the first one, after the second time.
        let mut counted = (0, 0, 0);
        for context in all.iter().chain([&all[0], &all[0]]) {
            take(&mut gpu);
            take_dma_writes(&mut gpu);
            let submission = Submission { context: *context, batch: va(0x1000), waits: &[], cookie: 0 };
            gpu.submit(submission).expect("accepted");
            gpu.hardware_mut().hardware.model.run_until_idle(1_000_000);
            while gpu.hardware_mut().hardware.model.take_msi().is_some() {
                gpu.interrupt();
            }
            assert!(gpu.take_completion().is_some(), "{contexts}");
            let (writes, reads) = take(&mut gpu);
            counted = (writes, reads, take_dma_writes(&mut gpu));
        }
        counted
    };
    let (one, many) = (accesses(1), accesses(CONTEXTS));
    figure("submission-among-4096-contexts-dma-writes", many.2, "dwords");
    assert_eq!(one, many, "register writes, reads, and dwords of memory");
}
