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

#[test]
fn the_memory_of_all_pools_is_known_before_they_are_made() {
    let usual = ClientLimits::DEFAULT;
    let many = ClientLimits {
        contexts: 1024,
        spaces: 16,
        objects: 2048,
        driver_pages: 8000,
        ..ClientLimits::DEFAULT
    };
    for clients in [
        vec![],
        vec![client(1, usual)],
        (1..=4).map(|channel| client(channel, usual)).collect(),
        (1..=4).map(|channel| client(channel, many)).collect(),
        vec![client(1, many), client(2, ClientLimits { contexts: 1, objects: 1, driver_pages: 64, ..usual })],
    ] {
        let mut machine = Machine::new("tgl", gpu_model::Options::default());
        let identity = machine.identity();
        let sizes = Sizes::of(&clients);
        let told = sizes.bytes(machine.page_count(), &clients, &[]);
        // What the model allocates as it runs is counted too; it is little.
        let before = ALLOCATED.load(Ordering::Relaxed);
        let gpu = Gpu::init(machine, identity, sizes.gpu).expect("the GPU comes up");
        let driver = Driver::new(gpu, sizes.driver, &clients, &[]).expect("all fit");
        let taken = ALLOCATED.load(Ordering::Relaxed) - before;
        drop(driver);
        println!("{} clients: {} KiB are told of, {} KiB are taken", clients.len(), told >> 10, taken >> 10);
        assert!(taken <= told, "{taken} of {told}");
        assert!(told - taken <= told / 50 + (64 << 10), "{taken} of {told}");
        if clients.len() == 4 && clients[3].limits.contexts == usual.contexts {
            assert!(told <= 7 << 19, "the driver domain has 4 MiB of its own: {told}");
        }
    }
}
