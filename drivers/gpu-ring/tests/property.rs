// SPDX-License-Identifier: BSD-2-Clause
//! The ring against a queue that is plainly right, and against a peer that writes whatever it likes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use gpu_ring::{Consumer, Layout, Producer, PushError, Words};
use proptest::prelude::*;

fn memory(layout: Layout) -> Vec<AtomicU64> {
    (0..layout.words()).map(|_| AtomicU64::new(0)).collect()
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Push,
    Publish,
    Pop,
    Release,
    ConsumerSleeps(u64),
    ProducerSleeps(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Push),
        2 => Just(Step::Publish),
        4 => Just(Step::Pop),
        2 => Just(Step::Release),
        1 => (0_u64..12).prop_map(Step::ConsumerSleeps),
        1 => (0_u64..12).prop_map(Step::ProducerSleeps),
    ]
}

proptest! {
    #[test]
    fn a_ring_is_a_bounded_queue_and_wakes_whoever_sleeps(
        bits in 0_u32..4,
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let layout = Layout::new(3, 1 << bits, 2).unwrap();
        let mut words = memory(layout);
        words.extend((0..3).map(|_| AtomicU64::new(u64::MAX)));
        let words = words.as_slice();
        for index in 0..3 {
            words.store(index, u64::MAX, Ordering::Relaxed);
        }
        let (mut producer, mut consumer) = (Producer::<2>::new(layout), Consumer::<2>::new(layout));
        // What the producer has appended and not shown, what the consumer can see, and slots not given back.
        let (mut hidden, mut visible, mut kept) = (VecDeque::new(), VecDeque::new(), 0);
        let (mut next, mut asleep, mut blocked) = (0_u64, None, None);
        for step in steps {
            match step {
                // A producer that appends has woken up by itself, and what it asked for holds no more.
                Step::Push if blocked.is_none() => {
                    next += 1;
                    let full = hidden.len() + visible.len() + kept == 1 << bits;
                    let expected = if full { Err(PushError::Full) } else { Ok(()) };
                    prop_assert_eq!(producer.push(words, &[next, !next]), expected);
                    if !full {
                        hidden.push_back(next);
                    }
                }
                Step::Publish => {
                    visible.append(&mut hidden);
                    let enough = asleep.is_some_and(|wanted| visible.len() >= wanted);
                    prop_assert_eq!(producer.publish(words), enough, "who sleeps is notified, and only then");
                    if enough {
                        asleep = None;
                    }
                }
                Step::Pop if asleep.is_none() => {
                    let expected = visible.pop_front();
                    kept += usize::from(expected.is_some());
                    prop_assert_eq!(consumer.pop(words), Ok(expected.map(|entry| [entry, !entry])));
                }
                Step::Release if asleep.is_none() => {
                    kept = 0;
                    let room = (1 << bits) - hidden.len() - visible.len();
                    let enough = blocked.is_some_and(|wanted| room >= wanted);
                    prop_assert_eq!(consumer.release(words), enough);
                    if enough {
                        blocked = None;
                    }
                }
                Step::ConsumerSleeps(count) if asleep.is_none() => {
                    let most = ((1_u64 << bits) - kept as u64).max(1);
                    let wanted = usize::try_from(count.clamp(1, most)).unwrap();
                    let sleeps = visible.len() < wanted;
                    prop_assert_eq!(consumer.arm(words, count), Ok(sleeps));
                    asleep = sleeps.then_some(wanted);
                }
                Step::ProducerSleeps(count) if blocked.is_none() => {
                    let wanted = usize::try_from(count.max(1)).unwrap();
                    let sleeps = (1 << bits) - hidden.len() - visible.len() - kept < wanted;
                    prop_assert_eq!(producer.arm(words, count), Ok(sleeps));
                    blocked = sleeps.then_some(wanted);
                }
                Step::Push | Step::ProducerSleeps(_) | Step::Pop | Step::Release | Step::ConsumerSleeps(_) => {}
            }
        }
        for index in (0..3).chain(3 + layout.words()..words.len()) {
            prop_assert_eq!(words.load(index, Ordering::Relaxed), u64::MAX, "outside the ring");
        }
    }

    #[test]
    fn a_consumer_survives_a_producer_that_writes_anything(
        scribbles in prop::collection::vec((0_usize..40, prop_oneof![any::<u64>(), 0_u64..20]), 1..200),
    ) {
        let layout = Layout::new(0, 4, 2).unwrap();
        let words = memory(layout);
        let words = words.as_slice();
        let mut consumer = Consumer::<2>::new(layout);
        for (index, value) in scribbles {
            words.store(index, value, Ordering::Relaxed);
            // However the indices lie, one look finds at most a ring's worth of entries.
            let found = (0..9).take_while(|_| consumer.pop(words).is_ok_and(|entry| entry.is_some())).count();
            prop_assert!(found <= 4, "{} entries in a ring of four", found);
            let _ = consumer.release(words);
            let _ = consumer.arm(words, value);
        }
    }

    #[test]
    fn a_producer_survives_a_consumer_that_writes_anything(
        scribbles in prop::collection::vec((0_usize..40, prop_oneof![any::<u64>(), 0_u64..20]), 1..200),
    ) {
        let layout = Layout::new(0, 4, 2).unwrap();
        let words = memory(layout);
        let words = words.as_slice();
        let mut producer = Producer::<2>::new(layout);
        for (index, value) in scribbles {
            words.store(index, value, Ordering::Relaxed);
            let pushed = (0..9).take_while(|_| producer.push(words, &[7, 7]).is_ok()).count();
            prop_assert!(pushed <= 4, "{} entries into a ring of four", pushed);
            let _ = producer.publish(words);
            let _ = producer.arm(words, value);
        }
    }
}

#[test]
fn a_full_ring_costs_one_notification() {
    let layout = Layout::new(0, 32, 1).unwrap();
    let words = memory(layout);
    let words = words.as_slice();
    let (mut producer, mut consumer) = (Producer::<1>::new(layout), Consumer::<1>::new(layout));
    assert_eq!(consumer.arm(words, 1), Ok(true));
    let mut notifications = 0;
    for entry in 0..32 {
        producer.push(words, &[entry]).unwrap();
        notifications += u32::from(producer.publish(words));
    }
    assert_eq!(notifications, 1);
    assert_eq!(producer.push(words, &[32]), Err(PushError::Full));
}

#[test]
fn an_index_that_cannot_be_is_told_from_one_that_can() {
    let layout = Layout::new(0, 4, 1).unwrap();
    let words = memory(layout);
    let words = words.as_slice();
    let mut consumer = Consumer::<1>::new(layout);
    for tail in [5, u64::MAX, 1 << 63] {
        words.store(0, tail, Ordering::Relaxed);
        assert!(consumer.pop(words).is_err(), "tail {tail}");
    }
    words.store(0, 4, Ordering::Relaxed);
    assert_eq!(consumer.available(words), Ok(4));
    words.store(0, 3, Ordering::Relaxed);
    assert!(consumer.available(words).is_err(), "what was published is taken back");
    let mut producer = Producer::<1>::new(Layout::new(0, 4, 1).unwrap());
    words.store(8, 1, Ordering::Relaxed);
    assert!(producer.room(words).is_err(), "more was taken out than put in");
}

#[test]
fn a_ring_that_both_sides_reset_is_empty() {
    let layout = Layout::new(0, 2, 1).unwrap();
    let words = memory(layout);
    let words = words.as_slice();
    let (mut producer, mut consumer) = (Producer::<1>::new(layout), Consumer::<1>::new(layout));
    for round in 0..5 {
        producer.push(words, &[round]).unwrap();
        let _ = producer.publish(words);
        producer.reset(words);
        consumer.reset(words);
        assert_eq!(consumer.pop(words), Ok(None));
        assert_eq!(producer.room(words), Ok(2));
        producer.push(words, &[round]).unwrap();
        let _ = producer.publish(words);
        assert_eq!(consumer.pop(words), Ok(Some([round])));
        assert!(!consumer.release(words), "nobody waits for room");
    }
}
