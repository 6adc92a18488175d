// SPDX-License-Identifier: BSD-2-Clause
//! The domain that watches the driver, if system.xml names a channel for it (`statistics_channel`) and a page
//! (`gpu_statistics`): it calls, and the driver fills the page. While the GPU works it is told from time to time that there
//! is something to see; whether it looks is its own business.

use core::ptr::NonNull;

use gpu_protocol::{Errno, Reply, Statistics};
use intel_gpu::uapi::Driver;
use sel4_microkit::{Channel, var};
use window::Window;
use zerocopy::IntoBytes as _;

use crate::hardware::Machine;

/// How often it is told, in nanoseconds: a quarter of a second.
const INTERVAL_NS: u64 = 250_000_000;

/// The watching domain.
#[derive(Debug)]
pub(crate) struct Top {
    channel: Channel,
    page: Window,
    told_ns: u64,
}

impl Top {
    /// What system.xml gives.
    pub(crate) fn given() -> Option<Self> {
        let channel = usize::try_from(*var!(statistics_channel: u64 = 0)).ok().filter(|id| *id > 0)?;
        let page = NonNull::new(*var!(gpu_statistics: usize = 0) as *mut u8)?;
        let page = crate::region(page, *var!(gpu_statistics_size: usize = 0));
        (page.len() >= size_of::<Statistics>()).then(|| Self {
            channel: Channel::new(channel),
            page,
            told_ns: 0,
        })
    }

    pub(crate) fn is(&self, channel: Channel) -> bool {
        self.channel.index() == channel.index()
    }

    /// Fills the page. The answer is the time.
    pub(crate) fn answer(&mut self, driver: Option<&mut Driver<Machine>>) -> Reply {
        let Some(driver) = driver else { return Reply::error(Errno::NoDev) };
        let statistics = driver.statistics();
        if !self.page.write_bytes(0, statistics.as_bytes()) {
            return Reply::error(Errno::Fault);
        }
        Reply::ok(&[statistics.time_ns])
    }

    /// The alarm has come: tells the domain if it is time.
    pub(crate) fn tick(&mut self, now_ns: u64) {
        if now_ns.saturating_sub(self.told_ns) >= INTERVAL_NS {
            self.told_ns = now_ns;
            self.channel.notify();
        }
    }
}
