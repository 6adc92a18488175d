// SPDX-License-Identifier: BSD-2-Clause
//! A driver that answers whatever it likes, and writes what it likes into the rings: the library answers with an error, and
//! neither panics nor goes on for ever.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gpu_client::{
    Access, Context, Errno, Error, Frames, Gpu, Lendable, Object, Operation, Param, Queued, Reply, Transport,
    UsedObject, Words,
};
use proptest::collection::vec;
use proptest::prelude::*;

const WORDS: usize = 512;

/// One thing that the driver does.
#[derive(Clone, Debug)]
struct Lie {
    status: Result<(), Errno>,
    words: [u64; 4],
    count: usize,
    /// A word of the rings that it writes, and what.
    at: usize,
    value: u64,
}

#[derive(Debug)]
struct Driver {
    lies: Vec<Lie>,
    next: Cell<usize>,
    area: Vec<u8>,
    rings: Rings,
    sleeps: u32,
}

#[derive(Clone, Debug)]
struct Rings(Arc<[AtomicU64]>);

impl Words for Rings {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn load(&self, index: usize, order: Ordering) -> u64 {
        self.0.get(index).map_or(0, |word| word.load(order))
    }

    fn store(&self, index: usize, value: u64, order: Ordering) {
        if let Some(word) = self.0.get(index) {
            word.store(value, order);
        }
    }
}

impl Driver {
    fn new(lies: Vec<Lie>) -> Self {
        let rings = Rings((0..WORDS).map(|_| AtomicU64::new(0)).collect());
        Self { lies, next: Cell::new(0), area: vec![0; 16 << 10], rings, sleeps: 0 }
    }

    /// The next lie; when there is none left, the driver gives up and breaks everything.
    fn lie(&self) -> Option<Lie> {
        let lie = self.lies.get(self.next.get()).cloned();
        self.next.set(self.next.get() + 1);
        match &lie {
            Some(lie) => self.rings.store(lie.at % WORDS, lie.value, Ordering::SeqCst),
            None => (0..WORDS).for_each(|word| self.rings.store(word, u64::MAX, Ordering::SeqCst)),
        }
        lie
    }
}

impl Transport for Driver {
    fn call(&mut self, operation: Operation, _: [u64; 2], _: Option<u64>) -> Reply {
        if operation == Operation::Connect {
            return Reply::ok(&[1, self.area.len() as u64, 5]);
        }
        self.lie().map_or(Reply::error(Errno::Io), |lie| Reply {
            status: lie.status,
            words: lie.words,
            count: lie.count,
        })
    }

    fn area_len(&self) -> usize {
        self.area.len()
    }

    fn write_area(&mut self, offset: usize, bytes: &[u8]) {
        self.area[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn read_area(&self, offset: usize, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.area[offset..offset + bytes.len()]);
    }

    fn completed_point(&self, _timeline: u32) -> u64 {
        u64::MAX
    }

    fn rings(&self) -> Option<&dyn Words> {
        Some(&self.rings)
    }

    fn sleep(&mut self) {
        self.sleeps += 1;
        assert!(self.sleeps < 1000, "the library sleeps for ever");
        let _ = self.lie();
    }
}

fn lie() -> impl Strategy<Value = Lie> {
    let number = prop_oneof![3 => 0..4_u64, 1 => any::<u64>(), 1 => Just(1 << 32), 1 => 0x1000..0x9000_u64];
    let words = [number.clone(), number.clone(), number.clone(), number.clone()];
    let errno = prop::sample::select(Errno::ALL.to_vec());
    let status = prop_oneof![4 => Just(Ok(())), 2 => Just(Err(Errno::Again)), 1 => errno.prop_map(Err)];
    // The words in which the sides of a ring keep their places come first in each of the two.
    let at =
        prop_oneof![3 => prop::sample::select(vec![0_usize, 8, 16, 24, 288, 296, 304, 312]), 1 => 0..WORDS];
    (status, words, 0..=4_usize, at, number).prop_map(|(status, words, count, at, value)| Lie {
        status,
        words,
        count,
        at,
        value,
    })
}

fn everything(gpu: &mut Gpu<Driver>) -> Vec<Result<(), Error>> {
    let frames = Frames::Capabilities { cnode: 1, bits: 4, page_bits: 12 };
    let memory = Lendable { address: 0x1000, size: 0x8000, frames };
    let object = gpu.create_userptr(memory).unwrap_or(Object::from_parts(1, memory));
    let buffer = gpu.create_buffer(4096).unwrap_or(Object::from_parts(2, memory));
    let used = |object, address| UsedObject { object, address, access: Access::Read };
    let mut bytes = [0; 5000];
    let batch = used(&object, 0x1000);
    let queued = |tag| Queued {
        context: &Context::DEFAULT,
        engine: 0,
        batch,
        start: 0,
        length: 8,
        objects: &[],
        after: &[],
        tag,
    };
    let mut results = vec![
        gpu.param(Param::Revision).map(drop),
        gpu.create_vm().map(drop),
        gpu.write(&buffer, 0, &bytes),
        gpu.read(&buffer, 0, &mut bytes),
        gpu.usage(&buffer).map(drop),
        gpu.wait_idle(&buffer),
        gpu.error_state(0, &mut bytes).map(drop),
        gpu.submit(&Context::DEFAULT, 0, batch, 0..8, &[used(&buffer, 0x9000)]).map(drop),
        gpu.take_back(0x1000..0x2000).map(drop),
        gpu.import(5).map(drop),
    ];
    for round in 0..3 {
        for tag in 0..10 {
            results.push(gpu.enqueue(&queued(tag)));
        }
        results.push(gpu.wait_answers(4 + round));
        for _ in 0..12 {
            results.push(gpu.next_answer().map(drop));
        }
    }
    results
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_driver_answers_the_library_neither_panics_nor_sleeps_for_ever(lies in vec(lie(), 0..120)) {
        let mut gpu = Gpu::connect(Driver::new(lies)).unwrap();
        everything(&mut gpu);
    }
}

#[test]
fn a_driver_that_breaks_the_rings_is_told_by_a_protocol_error() {
    let mut gpu = Gpu::connect(Driver::new(vec![])).unwrap();
    let results = everything(&mut gpu);
    assert!(results.contains(&Err(Error::Protocol)), "{results:?}");
    assert!(results.contains(&Err(Error::Refused(Errno::Io))));
}
