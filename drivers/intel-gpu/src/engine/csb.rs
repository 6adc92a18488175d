// SPDX-License-Identifier: BSD-2-Clause
//! The context status buffer: what the hardware says of context switches.
//!
//! The hardware writes events into a ring in the engine's status page and then its write pointer. On
//! some steppings of Ice Lake and Tiger Lake the pointer becomes visible before the entry (i915:
//! intel_execlists_submission.c, `wa_csb_read`): so every entry that has been read is set to all ones,
//! an entry that still reads all ones is read again for a moment, and then taken from the register.
//!
//! The read pointer is kept by software alone; the register's read field is written at reset only
//! (i915 6.1 the same, as its recorded probe shows: no write to 0x3a0 besides resets).
//!
//! Sources: PRM vol 2d, "Context Status"; i915: intel_execlists_submission.c (`gen8_csb_parse`,
//! `gen12_csb_parse`).

use crate::address::DmaPage;
use crate::device::Generation;
use crate::mmio::regs::ContextStatusPointer;
use crate::mmio::{Bus, EngineBase, poll};
use crate::platform::Hardware;

/// Dword of the first entry in the status page.
const FIRST_DWORD: u32 = 0x10;
/// Entry that has not been written.
const UNWRITTEN: u64 = u64::MAX;

/// What an event says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// The queue that was submitted last now runs; whatever ran before has left the hardware.
    Acknowledged,
    /// The context at the head of the running queue has left the hardware, its ring at its end.
    Completed,
    /// Nothing that changes who runs.
    Other,
}

/// Reads the event in an entry.
pub(crate) const fn decode(generation: Generation, entry: u64) -> Event {
    match generation {
        Generation::Gen12 => {
            const NO_CONTEXT: u64 = 0x7ff;
            let new_queue = entry & 1 != 0;
            let away = entry >> 47 & NO_CONTEXT;
            // Idle before, or a new queue: an acknowledgement. Detail 5 (preempted) is not reliable.
            if new_queue || away == NO_CONTEXT { Event::Acknowledged } else { Event::Completed }
        }
        _ => {
            const IDLE_TO_ACTIVE: u64 = 1 << 0;
            const PREEMPTED: u64 = 1 << 1;
            const ELEMENT_SWITCH: u64 = 1 << 2;
            const ACTIVE_TO_IDLE: u64 = 1 << 3;
            const COMPLETE: u64 = 1 << 4;
            if entry & (IDLE_TO_ACTIVE | PREEMPTED) != 0 {
                Event::Acknowledged
            } else if entry & (ELEMENT_SWITCH | ACTIVE_TO_IDLE | COMPLETE) != 0 {
                Event::Completed
            } else {
                Event::Other
            }
        }
    }
}

/// The buffer of one engine.
#[derive(Debug)]
pub(crate) struct StatusBuffer {
    /// The engine's status page.
    page: DmaPage,
    base: EngineBase,
    generation: Generation,
    /// Entry that was read last.
    last: u32,
}

impl StatusBuffer {
    pub(crate) const fn new(page: DmaPage, base: EngineBase, generation: Generation) -> Self {
        Self { page, base, generation, last: entries(generation) - 1 }
    }

    /// The engine's status page.
    pub(crate) const fn page(&self) -> DmaPage {
        self.page
    }

    /// After an engine reset or at start: both pointers to the last entry, so that the first event comes
    /// into entry 0, and no entry looks written.
    pub(crate) fn reset<H: Hardware>(&mut self, bus: &mut Bus<H>) {
        let last = entries(self.generation) - 1;
        let value = 0xffff_0000 | last << 8 | last;
        // Twice: the first write after a reset may be lost (i915: `reset_csb_pointers`).
        for _ in 0..2 {
            bus.write_on(self.base, ContextStatusPointer(value));
        }
        for entry in 0..entries(self.generation) {
            bus.hw.write_u64(self.page.at(offset(entry)), UNWRITTEN);
        }
        bus.hw.write_u32(self.page.at(write_pointer_offset(self.generation)), last);
        bus.publish(self.page.at(0), 4096);
        bus.hw.write_barrier();
        let _posted: ContextStatusPointer = bus.read_on(self.base);
        self.last = last;
    }

    /// The next event, if there is one.
    pub(crate) fn next<H: Hardware>(&mut self, bus: &mut Bus<H>) -> Option<Event> {
        let count = entries(self.generation);
        let pointer = bus.hw.read_u32(self.page.at(write_pointer_offset(self.generation))) & 0xf;
        if pointer == self.last || pointer >= count {
            return None;
        }
        // The entry is read after the pointer.
        bus.hw.read_barrier();
        let index = if self.last + 1 == count { 0 } else { self.last + 1 };
        let at = self.page.at(offset(index));
        let mut entry = bus.hw.read_u64(at);
        if half_written(entry) {
            // TIMEOUT: 10 us; then the register has it (i915: `wa_csb_read`).
            let _ = poll::until(bus, 10_000, |bus| !half_written(bus.hw.read_u64(at)));
            entry = bus.hw.read_u64(at);
            if half_written(entry) {
                let register = self.base.0 + register_offset(index);
                entry = u64::from(bus.read_raw(register)) | u64::from(bus.read_raw(register + 4)) << 32;
            }
        }
        bus.hw.write_u64(at, UNWRITTEN);
        self.last = index;
        Some(decode(self.generation, entry))
    }
}

/// A valid entry never has a half of all ones.
const fn half_written(entry: u64) -> bool {
    entry >> 32 == 0xffff_ffff || entry & 0xffff_ffff == 0xffff_ffff
}

const fn entries(generation: Generation) -> u32 {
    if generation.is_gen11_or_12() { 12 } else { 6 }
}

const fn offset(entry: u32) -> u32 {
    (FIRST_DWORD + 2 * entry) * 4
}

const fn write_pointer_offset(generation: Generation) -> u32 {
    if generation.is_gen11_or_12() { 0x2f * 4 } else { 0x1f * 4 }
}

/// CSB registers: entries 0 to 5 at 0x370, from 6 on at 0x3c0.
const fn register_offset(entry: u32) -> u32 {
    if entry < 6 { 0x370 + 8 * entry } else { 0x3c0 + 8 * (entry - 6) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::DmaMemory;
    use crate::testing::FakeHardware;

    const BASE: EngineBase = EngineBase(0x22000);

    #[test]
    fn gen8_to_gen11_events() {
        for (bits, event) in [
            (0x0001, Event::Acknowledged), // idle to active
            (0x0002, Event::Acknowledged), // preempted
            (0x8002, Event::Acknowledged), // lite restore
            (0x0014, Event::Completed),    // element switch
            (0x0018, Event::Completed),    // active to idle
            (0x0080, Event::Other),        // waits on a semaphore
        ] {
            for generation in [Generation::Gen8, Generation::Gen9, Generation::Gen11] {
                assert_eq!(decode(generation, 0x42_0000_0000 | bits), event, "{generation:?} {bits:#x}");
            }
        }
    }

    #[test]
    fn gen12_events() {
        let entry = |to: u64, away: u64, new_queue: u64, detail: u64| {
            to << 15 | new_queue | away << 47 | detail << 32
        };
        for (to, away, new_queue, detail, event) in [
            (1, 0x7ff, 1, 0, Event::Acknowledged), // idle, queue loaded
            (2, 1, 1, 5, Event::Acknowledged),     // preempted
            (1, 1, 1, 0, Event::Acknowledged),     // lite restore
            (2, 1, 0, 0, Event::Completed),        // next element
            (0x7ff, 1, 0, 0, Event::Completed),    // idle
        ] {
            assert_eq!(decode(Generation::Gen12, entry(to, away, new_queue, detail)), event);
        }
    }

    fn buffer(generation: Generation) -> (Bus<FakeHardware>, StatusBuffer) {
        let mut bus = Bus::new(FakeHardware::new(1), generation, true);
        let mut buffer = StatusBuffer::new(DmaPage(0), BASE, generation);
        buffer.reset(&mut bus);
        (bus, buffer)
    }

    fn post(bus: &mut Bus<FakeHardware>, generation: Generation, index: u32, entry: u64) {
        bus.hw.write_u64(DmaPage(0).at(offset(index)), entry);
        bus.hw.write_u32(DmaPage(0).at(write_pointer_offset(generation)), index);
    }

    #[test]
    fn reset_sets_both_pointers_twice() {
        let (bus, _) = buffer(Generation::Gen12);
        assert_eq!(bus.hw.writes, [(0x223a0, 0xffff_0b0b); 2]);
        let (bus, _) = buffer(Generation::Gen9);
        assert_eq!(bus.hw.writes, [(0x223a0, 0xffff_0505); 2]);
    }

    #[test]
    fn events_are_read_once_and_in_order_around_the_end_of_the_buffer() {
        for (generation, count) in [(Generation::Gen9, 6), (Generation::Gen12, 12)] {
            let (mut bus, mut buffer) = buffer(generation);
            assert_eq!(buffer.next(&mut bus), None);
            for round in 0..3 * count {
                let entry = if generation == Generation::Gen12 { 0x7ff << 47 | 1 } else { 1 };
                post(&mut bus, generation, round % count, entry);
                assert_eq!(buffer.next(&mut bus), Some(Event::Acknowledged), "{generation:?} {round}");
                assert_eq!(buffer.next(&mut bus), None);
            }
        }
    }

    #[test]
    fn an_entry_that_is_late_is_taken_from_the_register() {
        let (mut bus, mut buffer) = buffer(Generation::Gen12);
        bus.hw.write_u32(DmaPage(0).at(0x2f * 4), 0);
        bus.hw.set(0x22370, 0x7ff << 15);
        bus.hw.set(0x22374, 1 << 15);
        assert_eq!(buffer.next(&mut bus), Some(Event::Completed));
    }

    #[test]
    fn a_write_pointer_beyond_the_buffer_is_no_event() {
        let (mut bus, mut buffer) = buffer(Generation::Gen9);
        bus.hw.write_u32(DmaPage(0).at(0x1f * 4), 0xffff_ffff);
        assert_eq!(buffer.next(&mut bus), None);
    }
}
