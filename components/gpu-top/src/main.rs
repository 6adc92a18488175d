// SPDX-License-Identifier: BSD-2-Clause
//! Prints who has the GPU: each engine with its load and what it has to do, each client with the time that it had of each
//! engine, its requests, lent pages, faults and page tables.
//!
//! It sleeps until the driver tells that there is something to see, which it does from time to time while the GPU works, or
//! until another domain calls, which wants it now. Then it calls the driver, which fills the page that both have and that
//! this domain only reads; nothing else writes there until it calls again.
#![no_std]
#![no_main]

use core::fmt::{self, Display, Formatter};

use gpu_protocol::{ClientStatistics, EngineStatistics, Statistics};
use sel4_microkit::{
    Channel, ChannelSet, Handler, Infallible, MessageInfo, debug_println, memory_region_symbol,
    protection_domain, var,
};
use window::Window;
use zerocopy::{FromZeros as _, IntoBytes as _};

/// The channel to the driver, in system.xml.
const DRIVER: Channel = Channel::new(0);

struct Top {
    page: Window,
    /// What was printed last, for loads.
    last: Statistics,
}

/// A part of a time in tenths of a percent.
struct Load {
    busy_ns: u64,
    of_ns: u64,
}

impl Display for Load {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let tenths = self.busy_ns.saturating_mul(1000) / self.of_ns.max(1);
        write!(f, "{}.{} %", tenths / 10, tenths % 10)
    }
}

/// An engine's name, as i915 has it.
struct Name(u32);

impl Display for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let class = ["rcs", "bcs", "vcs", "vecs"].get(self.0 as usize >> 4).unwrap_or(&"ccs");
        write!(f, "{class}{}", self.0 & 0xf)
    }
}

impl Top {
    /// Asks the driver and prints.
    fn print(&mut self) -> bool {
        let answer = DRIVER.pp_call(MessageInfo::new(0, 0));
        let mut now = Statistics::new_zeroed();
        if answer.label() != 0
            || !self.page.read_bytes(0, now.as_mut_bytes())
            || now.magic != Statistics::MAGIC
        {
            debug_println!("gpu-top: the driver tells nothing");
            return false;
        }
        let of_ns = now.time_ns.saturating_sub(self.last.time_ns);
        let engines = now.engines.iter().zip(&self.last.engines).take(now.engine_count as usize);
        debug_println!(
            "gpu-top: {} ms: {} engine resets, {} GPU resets, {} lost interrupts",
            now.time_ns / 1_000_000,
            now.engine_resets,
            now.gpu_resets,
            now.lost_interrupts
        );
        for (number, (engine, before)) in engines.enumerate() {
            // Those that nobody has used since the start say nothing.
            if engine.busy_ns == 0 && engine.queued == 0 {
                continue;
            }
            Self::print_engine(engine, before, of_ns);
            let clients = now.clients.iter().zip(&self.last.clients).take(now.client_count as usize);
            for (client, (its, before)) in clients.enumerate() {
                let (busy_ns, queued) = (its.busy_ns[number], its.queued[number]);
                if busy_ns > 0 || queued > 0 {
                    let load = Load { busy_ns: busy_ns - before.busy_ns[number].min(busy_ns), of_ns };
                    debug_println!(
                        "gpu-top:   client {client}: busy {load} ({} us in all), {queued} queued",
                        busy_ns / 1000
                    );
                }
            }
        }
        for (client, its) in now.clients.iter().enumerate().take(now.client_count as usize) {
            if its.connected != 0 {
                Self::print_client(client, its);
            }
        }
        self.last = now;
        true
    }

    fn print_engine(engine: &EngineStatistics, before: &EngineStatistics, of_ns: u64) {
        let load = Load { busy_ns: engine.busy_ns.saturating_sub(before.busy_ns), of_ns };
        debug_println!(
            "gpu-top: {}: busy {load} ({} us in all), {} queued",
            Name(engine.engine),
            engine.busy_ns / 1000,
            engine.queued
        );
    }

    fn print_client(client: usize, its: &ClientStatistics) {
        debug_println!(
            "gpu-top: client {client}: {} done, {} hangs, {} faults, {} page requests, {} pages lent, {} KiB of page tables, \
             {} KiB of the driver's memory, {} contexts, {} objects",
            its.completed,
            its.hangs,
            its.faults,
            its.page_requests,
            its.lent_pages,
            its.table_pages * 4,
            its.driver_pages * 4,
            its.contexts,
            its.objects
        );
    }
}

impl Handler for Top {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Self::Error> {
        self.print();
        Ok(())
    }

    fn protected(&mut self, _: Channel, _: MessageInfo) -> Result<MessageInfo, Self::Error> {
        let printed = self.print();
        Ok(MessageInfo::new(u64::from(!printed), 0))
    }
}

#[protection_domain]
fn init() -> Top {
    let base = memory_region_symbol!(gpu_statistics: *mut u8);
    let size = *var!(gpu_statistics_size: usize = 0);
    #[allow(unsafe_code, reason = "the address that the image tool wrote becomes memory here")]
    // SAFETY: system.xml maps the region there with that size for the life of the domain, and this runs once.
    let page = unsafe { Window::new(base, size) };
    Top { page, last: Statistics::new_zeroed() }
}
