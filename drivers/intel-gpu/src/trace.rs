// SPDX-License-Identifier: BSD-2-Clause
//! What the driver says of what it does, while it does it: typed events, handed to
//! [`Clock::note`](crate::platform::Clock::note). A machine that does not override it takes none, and the
//! compiler then leaves nothing of them.

use gpu_protocol::{TraceKind, TraceRecord};

use crate::device::EngineId;
use crate::gpu::{ContextId, Status, TimelineId};
use crate::uapi::ClientId;

/// Something worth seeing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client's request was accepted; the context's further events are this client's.
    Accepted {
        /// Whose.
        client: ClientId,
        /// The context on its engine.
        context: ContextId,
        /// Index in the page of completed points.
        timeline: usize,
        /// The point that it will reach.
        point: u64,
    },
    /// A request was queued.
    Submitted {
        /// Where.
        engine: EngineId,
        /// The context.
        context: ContextId,
        /// Its timeline.
        timeline: TimelineId,
        /// Its number there.
        seqno: u64,
    },
    /// A context was given to an engine.
    Entered {
        /// Where.
        engine: EngineId,
        /// The context.
        context: ContextId,
    },
    /// A context left an engine.
    Left {
        /// Where.
        engine: EngineId,
        /// The context.
        context: ContextId,
        /// Somebody took its place. If it goes on right behind, it enters again at the same time.
        preempted: bool,
    },
    /// A request is over.
    Finished {
        /// Where.
        engine: EngineId,
        /// The context.
        context: ContextId,
        /// Its timeline.
        timeline: TimelineId,
        /// Its number there.
        seqno: u64,
        /// How it ended.
        status: Status,
    },
    /// What an engine executes does not end.
    Hang {
        /// Which.
        engine: EngineId,
    },
    /// A page fault has stopped an engine.
    Fault {
        /// Which.
        engine: EngineId,
        /// The page that it wanted.
        address: u64,
    },
    /// An engine is reset.
    EngineReset {
        /// Which.
        engine: EngineId,
    },
    /// The GPU is reset.
    GpuReset,
    /// An owner is asked for pages.
    PagesAsked {
        /// Whom they are for.
        client: ClientId,
        /// First byte.
        address: u64,
        /// Bytes.
        bytes: u64,
    },
    /// An owner granted pages.
    PagesGranted {
        /// Whom they are for.
        client: ClientId,
        /// First byte.
        address: u64,
        /// How many, of 4 KiB.
        pages: u32,
    },
    /// An owner takes pages back.
    Invalidated {
        /// Whose they are lent for.
        client: ClientId,
        /// First byte.
        address: u64,
        /// Bytes.
        bytes: u64,
    },
    /// Pages were given back.
    PagesReleased {
        /// Whose.
        client: ClientId,
        /// How many.
        pages: u32,
    },
    /// Translations were invalidated on the engines.
    TlbsInvalidated,
}

impl Event {
    /// As it is written down.
    #[must_use]
    pub fn record(self, time_ns: u64) -> TraceRecord {
        const NONE: u8 = TraceRecord::NONE;
        let record = |kind: TraceKind, engine: u8, client: u8, context: u32, a: u64, b: u64| TraceRecord {
            time_ns,
            kind: kind as u16,
            engine,
            client,
            context,
            a,
            b,
        };
        let whose = |client: ClientId| u8::try_from(client).unwrap_or(NONE);
        match self {
            Self::Accepted { client, context, timeline, point } => {
                record(TraceKind::Accepted, NONE, whose(client), context.index(), timeline as u64, point)
            }
            Self::Submitted { engine, context, timeline, seqno } => {
                let timeline = u64::from(timeline.index());
                record(TraceKind::Submitted, where_is(engine), NONE, context.index(), timeline, seqno)
            }
            Self::Entered { engine, context } => {
                record(TraceKind::Entered, where_is(engine), NONE, context.index(), 0, 0)
            }
            Self::Left { engine, context, preempted } => {
                record(TraceKind::Left, where_is(engine), NONE, context.index(), preempted.into(), 0)
            }
            Self::Finished { engine, context, timeline, seqno, status } => {
                let how: u64 = match status {
                    Status::Done => 0,
                    Status::Hang => 1,
                    Status::Cancelled => 2,
                };
                let (timeline, b) = (u64::from(timeline.index()), seqno & (u64::MAX >> 2) | how << 62);
                record(TraceKind::Finished, where_is(engine), NONE, context.index(), timeline, b)
            }
            Self::Hang { engine } => record(TraceKind::Hang, where_is(engine), NONE, 0, 0, 0),
            Self::Fault { engine, address } => {
                record(TraceKind::Fault, where_is(engine), NONE, 0, address, 0)
            }
            Self::EngineReset { engine } => record(TraceKind::EngineReset, where_is(engine), NONE, 0, 0, 0),
            Self::GpuReset => record(TraceKind::GpuReset, NONE, NONE, 0, 0, 0),
            Self::PagesAsked { client, address, bytes } => {
                record(TraceKind::PagesAsked, NONE, whose(client), 0, address, bytes)
            }
            Self::PagesGranted { client, address, pages } => {
                record(TraceKind::PagesGranted, NONE, whose(client), 0, address, pages.into())
            }
            Self::Invalidated { client, address, bytes } => {
                record(TraceKind::Invalidated, NONE, whose(client), 0, address, bytes)
            }
            Self::PagesReleased { client, pages } => {
                record(TraceKind::PagesReleased, NONE, whose(client), 0, 0, pages.into())
            }
            Self::TlbsInvalidated => record(TraceKind::TlbsInvalidated, NONE, NONE, 0, 0, 0),
        }
    }
}

/// An engine in one byte: i915's class and the physical instance.
pub(crate) fn where_is(engine: EngineId) -> u8 {
    let class = u8::try_from(engine.class.uapi()).unwrap_or(0xf);
    class << 4 | engine.instance & 0xf
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::EngineClass;
    use crate::handle::Id;

    #[test]
    fn a_record_names_engine_client_and_context() {
        let context = Id::from_raw(7 << 32 | 5);
        let accepted = Event::Accepted { client: 1, context, timeline: 3, point: 9 }.record(100);
        assert_eq!((accepted.time_ns, accepted.kind, accepted.client, accepted.context), (100, 1, 1, 5));
        assert_eq!((accepted.engine, accepted.a, accepted.b), (TraceRecord::NONE, 3, 9));
        let engine = EngineId { class: EngineClass::Copy, instance: 0 };
        let timeline = Id::from_raw(1 << 32 | 4);
        let finished = Event::Finished { engine, context, timeline, seqno: 8, status: Status::Hang };
        let finished = finished.record(1);
        assert_eq!((finished.engine, finished.a, finished.b), (0x10, 4, 1 << 62 | 8));
    }
}
