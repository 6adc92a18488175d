// SPDX-License-Identifier: BSD-2-Clause
//! What the driver writes down of what it does: records of 32 bytes in a ring (the crate `gpu-ring`'s),
//! which a domain of its own drains into a log that the host reads after the run.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Words of a [`TraceRecord`].
pub const TRACE_RECORD_WORDS: usize = size_of::<TraceRecord>() / 8;

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TraceRecord {
    /// When, in nanoseconds of the driver's clock.
    pub time_ns: u64,
    /// What: a number of [`TraceKind`].
    pub kind: u16,
    /// i915's class of the engine that it is about, times 16, plus its instance; [`Self::NONE`]: none.
    pub engine: u8,
    /// The client, as the driver counts them; [`Self::NONE`]: none.
    pub client: u8,
    /// The context on its engine: the driver's number for it.
    pub context: u32,
    /// See [`TraceKind`].
    pub a: u64,
    /// See [`TraceKind`].
    pub b: u64,
}

impl TraceRecord {
    /// No engine, no client.
    pub const NONE: u8 = 0xff;
}

/// The kinds of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum TraceKind {
    /// So many records before this one were lost for want of room: `a`.
    Lost = 0,
    /// A client's request was accepted for a context: timeline `a` of its page of completed points will
    /// reach point `b`.
    Accepted = 1,
    /// A request was queued on an engine: timeline `a`, sequence number `b`.
    Submitted = 2,
    /// A context was given to an engine.
    Entered = 3,
    /// A context left an engine, having nothing more to do (`a` = 0) or preempted (`a` = 1). One that is preempted and goes on
    /// right behind enters again at the same time.
    Left = 4,
    /// A request is over: timeline `a`, sequence number `b` (low 62 bits), in the two highest bits 0 executed, 1 hung,
    /// 2 cancelled.
    Finished = 5,
    /// What an engine executes does not end.
    Hang = 6,
    /// An engine is reset.
    EngineReset = 7,
    /// The GPU is reset.
    GpuReset = 8,
    /// A client's memory manager is asked for pages: address `a`, bytes `b`.
    PagesAsked = 9,
    /// It granted pages: address `a`, pages `b`.
    PagesGranted = 10,
    /// Pages were given back: `b` pages.
    PagesReleased = 11,
    /// Translations were invalidated on the engines.
    TlbsInvalidated = 12,
    /// A page fault has stopped an engine: it wanted the page at `a`.
    Fault = 13,
    /// An owner takes pages back: address `a`, bytes `b`.
    Invalidated = 14,
}

impl TraceKind {
    /// Every kind, by its number.
    pub const ALL: [Self; 15] = [
        Self::Lost,
        Self::Accepted,
        Self::Submitted,
        Self::Entered,
        Self::Left,
        Self::Finished,
        Self::Hang,
        Self::EngineReset,
        Self::GpuReset,
        Self::PagesAsked,
        Self::PagesGranted,
        Self::PagesReleased,
        Self::TlbsInvalidated,
        Self::Fault,
        Self::Invalidated,
    ];

    /// The kind of a number.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// How the log of the draining domain begins; places for records follow, as many as the memory has room for. The log keeps the
/// latest ones: when it is full, each takes the place of the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TraceLog {
    /// [`Self::MAGIC`].
    pub magic: u64,
    /// Records in the log.
    pub records: u64,
    /// Records whose places later ones have taken.
    pub lost: u64,
    /// The place of the oldest record; the others follow it, behind the last place from the first one on.
    pub first: u64,
}

impl TraceLog {
    /// `gpu-log2`, as bytes.
    pub const MAGIC: u64 = u64::from_le_bytes(*b"gpu-log2");

    /// An empty one.
    pub const EMPTY: Self = Self { magic: Self::MAGIC, records: 0, lost: 0, first: 0 };

    /// Makes room for one more record among `places`, and returns its place. Whoever has written it there counts it in
    /// `records`. `None` where there is no place at all.
    pub const fn make_room(&mut self, places: u64) -> Option<u64> {
        if places == 0 {
            return None;
        }
        if self.records >= places {
            self.records = places - 1;
            self.first = (self.first + 1) % places;
            self.lost += 1;
        }
        Some((self.first + self.records) % places)
    }
}

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;

    #[test]
    fn records_and_the_log_have_a_fixed_layout() {
        assert_eq!((size_of::<TraceRecord>(), TRACE_RECORD_WORDS, size_of::<TraceLog>()), (32, 4, 32));
        assert_eq!(offset_of!(TraceRecord, kind), 8);
        assert_eq!((offset_of!(TraceRecord, engine), offset_of!(TraceRecord, client)), (10, 11));
        assert_eq!((offset_of!(TraceRecord, context), offset_of!(TraceRecord, a)), (12, 16));
    }

    #[test]
    fn a_log_that_is_full_keeps_the_latest_records() {
        let mut log = TraceLog::EMPTY;
        assert_eq!(log.make_room(0), None);
        let mut places = [0; 3];
        for number in 1..=7 {
            let place = log.make_room(3).unwrap();
            places[usize::try_from(place).unwrap()] = number;
            log.records += 1;
        }
        assert_eq!((log.records, log.lost, log.first), (3, 4, 1));
        assert_eq!(places, [7, 5, 6]);
    }

    #[test]
    fn every_kind_is_found_by_its_number() {
        for (number, kind) in (0..).zip(TraceKind::ALL) {
            assert_eq!(kind as u16, number);
            assert_eq!(TraceKind::from_number(number), Some(kind));
        }
        assert_eq!(TraceKind::from_number(15), None);
    }
}
