// SPDX-License-Identifier: BSD-2-Clause
//! Writes the core's events into the ring that the domain `gpu-trace` drains. A ring that is full costs
//! records and never time: how many were lost is the first thing that is written when there is room again.

use gpu_protocol::{TRACE_RECORD_WORDS, TraceKind, TraceRecord};
use gpu_ring::{Layout, Producer};
use intel_gpu::trace::Event;
use sel4_microkit::Channel;
use window::Window;

/// The channel of the draining domain, at the driver's end in system.xml.
const DRAIN: Channel = Channel::new(25);

/// The driver's end of the ring.
#[derive(Debug)]
pub(crate) struct Tracer {
    ring: Producer<TRACE_RECORD_WORDS>,
    memory: Window,
    lost: u64,
}

impl Tracer {
    /// Into this memory, which nobody has used yet. `None` if it is too small for one record.
    pub(crate) fn new(memory: Window) -> Option<Self> {
        let layout = Layout::in_region(memory.len(), TRACE_RECORD_WORDS)?;
        Some(Self { ring: Producer::new(layout), memory, lost: 0 })
    }

    /// Writes an event down.
    #[cold]
    #[inline(never)]
    pub(crate) fn note(&mut self, event: Event, now_ns: u64) {
        let record = event.record(now_ns);
        let lost = TraceRecord {
            kind: TraceKind::Lost as u16,
            engine: TraceRecord::NONE,
            client: TraceRecord::NONE,
            context: 0,
            a: self.lost,
            b: 0,
            ..record
        };
        if self.lost > 0 && self.push(lost) {
            self.lost = 0;
        }
        if self.lost > 0 || !self.push(record) {
            self.lost += 1;
        }
        if self.ring.publish(&self.memory) {
            DRAIN.notify();
        }
    }

    /// A ring that contradicts itself is as good as a full one.
    fn push(&mut self, record: TraceRecord) -> bool {
        self.ring.push(&self.memory, &zerocopy::transmute!(record)).is_ok()
    }
}
