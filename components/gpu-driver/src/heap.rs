// SPDX-License-Identifier: BSD-2-Clause
//! Memory for the pools that the core sizes at start, after what system.xml lets the clients have. After the start
//! nothing is allocated any more.
//!
//! Pools for four clients with the usual limits fit into what the domain has of its own, twice. For more, system.xml gives it a
//! region, mapped as `gpu_heap`, which then is used instead.
#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::ptr;

use linked_list_allocator::LockedHeap;
use sel4_microkit::var;

/// Bytes of the domain's own; a host test of [`intel_gpu::uapi::Sizes`] holds four usual clients to less.
const BYTES: usize = 8 << 20;

#[repr(align(4096))]
struct Arena(UnsafeCell<[u8; BYTES]>);

// SAFETY: only the allocator touches it, behind its lock.
unsafe impl Sync for Arena {}

static ARENA: Arena = Arena(UnsafeCell::new([0; BYTES]));

#[global_allocator]
static HEAP: LockedHeap = LockedHeap::empty();

/// Gives the allocator its memory. Called once, before anything is allocated.
pub(crate) fn init() {
    let (region, bytes) = (*var!(gpu_heap: usize = 0), *var!(gpu_heap_size: usize = 0));
    let (start, bytes) = if region == 0 {
        (ARENA.0.get().cast(), BYTES)
    } else {
        (ptr::with_exposed_provenance_mut(region), bytes)
    };
    // SAFETY: the arena is a static of that size that nothing else uses; the region is mapped by system.xml, for the
    // life of the domain and with that size, and nothing else uses that. This runs once: `init` of the domain is the only
    // caller.
    unsafe { HEAP.lock().init(start, bytes) }
}

/// Bytes that are free, in one piece while nothing has been freed yet.
pub(crate) fn free() -> usize {
    HEAP.lock().free()
}

/// Bytes in use, and bytes there are.
pub(crate) fn usage() -> (usize, usize) {
    let heap = HEAP.lock();
    (heap.used(), heap.size())
}
