// SPDX-License-Identifier: BSD-2-Clause
//! Memory for the pools that the core sizes at start. After the start nothing is allocated any more.
#![allow(unsafe_code)]

use core::cell::UnsafeCell;

use linked_list_allocator::LockedHeap;

/// Bytes. The sum of the pools of [`intel_gpu::Config`] and [`intel_gpu::uapi::DriverConfig`] with room
/// for more clients; exhaustion at start is a panic that says so.
const BYTES: usize = 8 << 20;

#[repr(align(4096))]
struct Arena(UnsafeCell<[u8; BYTES]>);

// SAFETY: only the allocator touches it, behind its lock.
unsafe impl Sync for Arena {}

static ARENA: Arena = Arena(UnsafeCell::new([0; BYTES]));

#[global_allocator]
static HEAP: LockedHeap = LockedHeap::empty();

/// Gives the arena to the allocator. Called once, before anything is allocated.
pub(crate) fn init() {
    // SAFETY: the arena is a static of that size that nothing else uses, and this runs once: `init` of
    // the domain is the only caller.
    unsafe { HEAP.lock().init(ARENA.0.get().cast(), BYTES) }
}

/// Bytes in use, and bytes there are.
pub(crate) fn usage() -> (usize, usize) {
    let heap = HEAP.lock();
    (heap.used(), heap.size())
}
