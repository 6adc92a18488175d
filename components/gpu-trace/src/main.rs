// SPDX-License-Identifier: BSD-2-Clause
//! Drains the driver's trace: takes the records out of the ring that the driver fills and appends them to
//! a log in memory of its own, which whoever has the memory reads ([`gpu_protocol::TraceLog`]). It runs
//! between the driver and the clients, so that the ring is empty again before they go on.
//!
//! A log that is full keeps its beginning and counts what it lost; then it is woken only when half the ring is full.
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
    records: u64,
    lost: u64,
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
            self.log.write(offset_of!(TraceLog, records), self.records);
            self.log.write(offset_of!(TraceLog, lost), self.lost);
            if self.ring.release(&self.shared) {
                DRIVER.notify();
            }
            let enough = if self.lost > 0 { self.half } else { 1 };
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

    fn append(&mut self, record: &[u64; TRACE_RECORD_WORDS]) {
        // CAST: bounded by the length of the log.
        #[allow(clippy::cast_possible_truncation)]
        let at = size_of::<TraceLog>() + self.records as usize * size_of::<TraceRecord>();
        if at + size_of::<TraceRecord>() > self.log.len() {
            self.lost += 1;
            return;
        }
        for (word, value) in record.iter().enumerate() {
            self.log.write(at + word * 8, *value);
        }
        self.records += 1;
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
    let mut log = region(memory_region_symbol!(gpu_trace_log: *mut u8), *var!(gpu_trace_log_size: usize = 0));
    let layout =
        Layout::in_region(bytes, TRACE_RECORD_WORDS).expect("system.xml: gpu_trace_ring is too small");
    log.write(0, TraceLog::MAGIC);
    let half = (layout.capacity() / 2).max(1);
    let mut drain = Drain { ring: Consumer::new(layout), shared, log, records: 0, lost: 0, half };
    // The driver has higher priority and may have begun.
    drain.drain();
    drain
}
