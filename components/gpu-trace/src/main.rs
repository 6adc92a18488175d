// SPDX-License-Identifier: BSD-2-Clause
//! Drains the driver's trace: takes the records out of the ring that the driver fills and appends them to
//! a log in memory of its own, which whoever has the memory reads ([`gpu_protocol::TraceLog`]). It runs
//! between the driver and the clients, so that the ring is empty again before they go on.
//!
//! A log that is full keeps the latest records and counts the others: what went wrong is most often what happened last. From
//! then on it is woken only when half the ring is full; who reads the log finds the rest there.
#![no_std]
#![no_main]

use core::mem::offset_of;
use core::ptr::NonNull;

use gpu_protocol::{TRACE_RECORD_WORDS, TraceLog, TraceRecord};
use gpu_ring::{Consumer, Layout};
use sel4_microkit::{
    Channel, ChannelSet, Handler, Infallible, debug_println, memory_region_symbol, protection_domain, var,
};
use window::Window;

/// The channel to the driver, in system.xml.
const DRIVER: Channel = Channel::new(0);

struct Drain {
    ring: Consumer<TRACE_RECORD_WORDS>,
    shared: Window,
    log: Window,
    header: TraceLog,
    /// Places for records in the log.
    places: u64,
    /// Half of the records that the ring has room for.
    half: u64,
}

#[allow(unsafe_code)]
fn region(base: NonNull<u8>, bytes: usize) -> Window {
    // SAFETY: system.xml maps the region there with that size for the life of the domain, and this is
    // the only place that makes a window of it.
    unsafe { Window::new(base, bytes) }
}

impl Drain {
    /// Empties the ring and asks to be woken by the next record that there is room for.
    fn drain(&mut self) {
        loop {
            while let Ok(Some(record)) = self.ring.pop(&self.shared) {
                self.append(&record);
            }
            if self.ring.release(&self.shared) {
                DRIVER.notify();
            }
            let enough = if self.header.lost > 0 { self.half } else { 1 };
            match self.ring.arm(&self.shared, enough) {
                Ok(false) => {}
                Ok(true) => return,
                Err(error) => {
                    debug_println!("gpu_trace: {error}: nothing is written down any more");
                    return;
                }
            }
        }
    }

    /// The log is in order after each step, as whoever reads it may stop this domain anywhere.
    fn append(&mut self, record: &[u64; TRACE_RECORD_WORDS]) {
        let Some(place) = self.header.make_room(self.places) else { return };
        self.write_header();
        // CAST: below the length of the log.
        #[allow(clippy::cast_possible_truncation)]
        let at = size_of::<TraceLog>() + place as usize * size_of::<TraceRecord>();
        for (word, value) in record.iter().enumerate() {
            self.log.write(at + word * 8, *value);
        }
        self.header.records += 1;
        self.write_header();
    }

    fn write_header(&mut self) {
        let TraceLog { magic, records, lost, first } = self.header;
        self.log.write(offset_of!(TraceLog, magic), magic);
        self.log.write(offset_of!(TraceLog, records), records);
        self.log.write(offset_of!(TraceLog, lost), lost);
        self.log.write(offset_of!(TraceLog, first), first);
    }
}

impl Handler for Drain {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Self::Error> {
        self.drain();
        Ok(())
    }
}

#[protection_domain]
fn init() -> Drain {
    let bytes = *var!(gpu_trace_ring_size: usize = 0);
    let shared = region(memory_region_symbol!(gpu_trace_ring: *mut u8), bytes);
    let log = region(memory_region_symbol!(gpu_trace_log: *mut u8), *var!(gpu_trace_log_size: usize = 0));
    let layout =
        Layout::in_region(bytes, TRACE_RECORD_WORDS).expect("system.xml: gpu_trace_ring is too small");
    let places = log.len().saturating_sub(size_of::<TraceLog>()) / size_of::<TraceRecord>();
    let half = (layout.capacity() / 2).max(1);
    let (ring, header) = (Consumer::new(layout), TraceLog::EMPTY);
    let mut drain = Drain { ring, shared, log, header, places: places as u64, half };
    drain.write_header();
    // The driver has higher priority and may have begun.
    drain.drain();
    drain
}
