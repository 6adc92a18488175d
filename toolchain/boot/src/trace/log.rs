// SPDX-License-Identifier: BSD-2-Clause
//! The driver's records where a run has left them: in the log of the domain that drains the trace, and behind these in the
//! ring, what that domain had not taken out yet. It sleeps while there is little in the ring, and never comes to it where the
//! driver, which is more urgent, does not let go of the processor.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicU64;

use anyhow::{Context as _, Result, ensure};
use gpu_protocol::{TRACE_RECORD_WORDS, TraceLog, TraceRecord};
use gpu_ring::{Consumer, Layout};
use zerocopy::{FromBytes, IntoBytes as _};

use super::EVENTS;
use crate::ram::GuestRam;
use crate::system::Image;

/// The region that the draining domain writes.
const LOG: &str = "gpu_trace_log";
/// The region that the driver writes for it.
const RING: &str = "gpu_trace_ring";

/// How many records are lost, and those that are there, the oldest first. `None` if the system has no trace, or nobody has
/// begun with one.
///
/// # Errors
/// When what is there is no log.
pub(super) fn found(image: &Image, ram: &GuestRam) -> Result<Option<(u64, Vec<TraceRecord>)>> {
    let Ok(region) = image.region(LOG) else { return Ok(None) };
    let bytes = ram.read(region.paddr, region.size).context("the trace's memory")?;
    let begun = bytes.iter().take(size_of::<u64>()).any(|byte| *byte != 0);
    let (lost, mut records) = if begun { in_order(&bytes)? } else { (0, vec![]) };
    if let Ok(region) = image.region(RING) {
        let bytes = ram.read(region.paddr, region.size).context("the trace's ring")?;
        let left = pending(&bytes);
        // Those that have been taken out and not been given back yet are in both.
        let both = left.iter().rposition(|record| Some(record) == records.last()).map_or(0, |last| last + 1);
        records.extend_from_slice(&left[both..]);
    }
    Ok((begun || !records.is_empty()).then_some((lost, records)))
}

/// Keeps them in the folder of a run, if there are any.
pub(crate) fn save(image: &Image, ram: &GuestRam, folder: &Path) -> io::Result<()> {
    let Ok(Some((lost, records))) = found(image, ram) else { return Ok(()) };
    let header = TraceLog { records: records.len() as u64, lost, ..TraceLog::EMPTY };
    let mut file = header.as_bytes().to_vec();
    file.extend_from_slice(records.as_bytes());
    fs::write(folder.join(EVENTS), file)
}

/// How many records a log has lost, and those that it has, the oldest first.
///
/// # Errors
/// When it is none.
pub(super) fn in_order(bytes: &[u8]) -> Result<(u64, Vec<TraceRecord>)> {
    let (header, rest) =
        TraceLog::read_from_prefix(bytes).ok().context("there is no trace: it is too short")?;
    ensure!(header.magic == TraceLog::MAGIC, "there is no trace: it begins otherwise");
    let places = rest.chunks_exact(size_of::<TraceRecord>());
    let mut records: Vec<_> = places.map_while(|record| TraceRecord::read_from_bytes(record).ok()).collect();
    let (count, room) = (usize::try_from(header.records)?, records.len());
    ensure!(count <= room, "the trace says {count} records and has room for {room}");
    let first = usize::try_from(header.first)?;
    ensure!(first == 0 || first < room, "the oldest record is said to be number {first} of {room}");
    records.rotate_left(first);
    records.truncate(count);
    Ok((header.lost, records))
}

/// The word of the ring that counts what was put in.
const TAIL: usize = 0;
/// The word that counts what was given back; on a cache line of its own.
const HEAD: usize = 8;

/// The records that are in a ring. One that contradicts itself has none.
fn pending(bytes: &[u8]) -> Vec<TraceRecord> {
    let Some(layout) = Layout::in_region(bytes.len(), TRACE_RECORD_WORDS) else { return vec![] };
    let mut words: Vec<u64> =
        bytes.chunks_exact(8).map_while(|word| u64::read_from_bytes(word).ok()).collect();
    let (head, capacity) = (words[HEAD], layout.capacity());
    // As a ring in which nothing was taken out: its first entry is in the first place.
    let place = usize::try_from(head % capacity).unwrap_or(0);
    words[Layout::HEADER..layout.words()].rotate_left(place * TRACE_RECORD_WORDS);
    words[TAIL] = words[TAIL].wrapping_sub(head);
    let words: Vec<AtomicU64> = words.into_iter().map(AtomicU64::new).collect();
    let mut ring = Consumer::<TRACE_RECORD_WORDS>::new(layout);
    let mut records = vec![];
    while let Ok(Some(entry)) = ring.pop(&words[..]) {
        records.push(zerocopy::transmute!(entry));
    }
    records
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use gpu_protocol::TraceKind;
    use gpu_ring::Producer;

    use super::super::tests::record;
    use super::*;

    fn at(time: u64) -> TraceRecord {
        record(time, TraceKind::GpuReset, TraceRecord::NONE, 0, 0)
    }

    #[test]
    fn a_log_that_went_round_is_read_from_its_oldest_record_on() {
        let records = [4, 5, 1, 2, 3].map(at);
        let header = TraceLog { records: 5, lost: 9, first: 2, ..TraceLog::EMPTY };
        let bytes = [header.as_bytes(), records.as_bytes()].concat();
        let (lost, found) = in_order(&bytes).unwrap();
        let times: Vec<_> = found.iter().map(|record| record.time_ns).collect();
        assert_eq!((lost, times), (9, vec![1, 2, 3, 4, 5]));
    }

    #[test]
    fn what_nobody_has_taken_out_of_the_ring_is_found_there_however_far_it_is() {
        let layout = Layout::new(0, 4, TRACE_RECORD_WORDS).unwrap();
        let words: Vec<AtomicU64> = (0..layout.words()).map(|_| AtomicU64::new(0)).collect();
        let bytes = || {
            let words: Vec<u64> = words.iter().map(|word| word.load(Ordering::Relaxed)).collect();
            words.as_bytes().to_vec()
        };
        let mut driver = Producer::<TRACE_RECORD_WORDS>::new(layout);
        let mut drain = Consumer::<TRACE_RECORD_WORDS>::new(layout);
        assert_eq!(pending(&bytes()), []);
        let mut expected = vec![];
        for time in 0..23 {
            driver.push(&words[..], &zerocopy::transmute!(at(time))).unwrap();
            let _ = driver.publish(&words[..]);
            expected.push(at(time));
            assert_eq!(pending(&bytes()), expected);
            if time % 3 == 2 {
                while drain.pop(&words[..]).unwrap().is_some() {}
                let _ = drain.release(&words[..]);
                expected.clear();
                assert_eq!(pending(&bytes()), expected);
            }
        }
    }

    #[test]
    fn a_ring_that_is_none_has_no_records() {
        assert_eq!(pending(&[]), []);
        assert_eq!(pending(&[0xff; 1000]), []);
        assert_eq!(pending(&[0; 1000]), []);
    }
}
