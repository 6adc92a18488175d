// SPDX-License-Identifier: BSD-2-Clause
//! What the pools take of the driver's own memory is known before the first of them is made: it is counted here by the
//! allocator. The only test of this program, so that nobody else allocates meanwhile.
#![allow(unsafe_code, reason = "an allocator that counts")]

mod machine;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use intel_gpu::Gpu;
use intel_gpu::platform::DmaMemory as _;
use intel_gpu::uapi::{ClientConfig, ClientLimits, Driver, Sizes};
use machine::Machine;

/// Bytes that are allocated.
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: the system's allocator does what is to be done.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn client(channel: u64, limits: ClientLimits) -> ClientConfig {
    ClientConfig { channel, limits, privileged: false }
}

/// What is said of the pools for these clients, and what making them takes: the pools, and whatever the model allocates as
/// it runs.
fn made(clients: &[ClientConfig]) -> (usize, usize) {
    let mut machine = Machine::new("tgl", gpu_model::Options::default());
    let identity = machine.identity();
    let sizes = Sizes::of(clients);
    let told = sizes.bytes(machine.page_count(), clients, &[]);
    let before = ALLOCATED.load(Ordering::Relaxed);
    let gpu = Gpu::init(machine, identity, sizes.gpu).expect("the GPU comes up");
    let driver = Driver::new(gpu, sizes.driver, clients, &[]).expect("all fit");
    let taken = ALLOCATED.load(Ordering::Relaxed) - before;
    drop(driver);
    println!("{} clients: {} KiB are told of, {} KiB are taken", clients.len(), told >> 10, taken >> 10);
    (told, taken)
}

#[test]
fn the_memory_of_all_pools_is_known_before_they_are_made() {
    let usual = ClientLimits::DEFAULT;
    let many = ClientLimits { contexts: 1024, spaces: 16, objects: 2048, driver_pages: 8000, ..usual };
    let few = ClientLimits { contexts: 1, objects: 1, driver_pages: 64, ..usual };
    // Without clients, so that what the model takes, which is the same each time, is known.
    let (told_of_none, taken_by_none) = made(&[]);
    let four = |limits| (1..=4).map(|channel| client(channel, limits)).collect::<Vec<_>>();
    for clients in [vec![client(1, usual)], four(usual), four(many), vec![client(1, many), client(2, few)]] {
        let (told, taken) = made(&clients);
        let (told, taken) = (told - told_of_none, taken - taken_by_none);
        assert!(taken <= told + 4096, "{taken} of {told}");
        assert!(told <= taken + taken / 50 + (32 << 10), "{taken} of {told}");
    }
    let (told, _) = made(&four(usual));
    assert!(told <= 7 << 19, "they fit twice into the 8 MiB that the driver domain has of its own: {told}");
}
