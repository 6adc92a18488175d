// SPDX-License-Identifier: BSD-2-Clause
//! Every interleaving of two sides, and every order in which the memory model lets them see each other's
//! writes. A wake-up that is lost is a thread that waits for ever, which the explorer reports.

#![allow(clippy::unwrap_used, reason = "a test may stop where the ring is not as it says")]

use std::sync::atomic::Ordering;

use gpu_ring::{Consumer, Layout, Producer, Words};
use loom::sync::atomic::{AtomicU64, fence};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// Words of the ring in the explorer's memory.
struct Memory {
    words: Vec<AtomicU64>,
    /// Without it, the ring's fences do nothing.
    fences: bool,
}

impl Memory {
    fn new(layout: Layout, fences: bool) -> Self {
        Self { words: (0..layout.words()).map(|_| AtomicU64::new(0)).collect(), fences }
    }
}

impl Words for Memory {
    fn len(&self) -> usize {
        self.words.len()
    }

    fn load(&self, index: usize, order: Ordering) -> u64 {
        self.words[index].load(order)
    }

    fn store(&self, index: usize, value: u64, order: Ordering) {
        self.words[index].store(value, order);
    }

    fn fence(&self) {
        if self.fences {
            fence(Ordering::SeqCst);
        }
    }
}

/// A notification object of the kernel: a signal is kept until somebody waits.
#[derive(Default)]
struct Notification {
    signalled: Mutex<bool>,
    changed: Condvar,
}

impl Notification {
    fn notify(&self) {
        *self.signalled.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let mut signalled = self.signalled.lock().unwrap();
        while !*signalled {
            signalled = self.changed.wait(signalled).unwrap();
        }
        *signalled = false;
    }
}

struct Shared {
    memory: Memory,
    to_consumer: Notification,
    to_producer: Notification,
}

/// One side appends `count` entries, `batch` at a time; the other takes them out, asking to be woken at
/// `wanted` of them. Both sleep whenever they can.
fn exchange(capacity: u64, count: u64, batch: u64, wanted: u64, fences: bool) {
    let mut builder = loom::model::Builder::new();
    // Enough for two threads that meet this often; the explorer is exhaustive below it.
    builder.preemption_bound = Some(3);
    builder.check(move || {
        let layout = Layout::new(0, capacity, 1).unwrap();
        let shared = Arc::new(Shared {
            memory: Memory::new(layout, fences),
            to_consumer: Notification::default(),
            to_producer: Notification::default(),
        });
        let producer = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let mut ring = Producer::<1>::new(layout);
                let mut next = 0;
                while next < count {
                    let last = (next + batch).min(count);
                    while next < last && ring.push(&shared.memory, &[next + 1]).is_ok() {
                        next += 1;
                    }
                    if ring.publish(&shared.memory) {
                        shared.to_consumer.notify();
                    }
                    if next < last && ring.arm(&shared.memory, 1).unwrap() {
                        shared.to_producer.wait();
                    }
                }
            })
        };
        let mut ring = Consumer::<1>::new(layout);
        let mut taken = 0;
        while taken < count {
            while let Some([entry]) = ring.pop(&shared.memory).unwrap() {
                taken += 1;
                assert_eq!(entry, taken, "entries come whole and in order");
            }
            if ring.release(&shared.memory) {
                shared.to_producer.notify();
            }
            if taken < count && ring.arm(&shared.memory, wanted.min(count - taken)).unwrap() {
                shared.to_consumer.wait();
            }
        }
        producer.join().unwrap();
    });
}

#[test]
fn a_consumer_that_sleeps_is_woken_whenever_an_entry_comes() {
    exchange(2, 2, 1, 1, true);
}

#[test]
fn a_producer_that_sleeps_is_woken_when_there_is_room() {
    exchange(1, 3, 1, 1, true);
}

#[test]
fn a_consumer_that_waits_for_several_entries_is_woken_by_the_last() {
    exchange(2, 4, 2, 2, true);
}

#[test]
#[should_panic(expected = "deadlock")]
fn without_its_fences_the_ring_loses_a_wake_up_and_the_explorer_finds_it() {
    exchange(2, 2, 1, 1, false);
}
