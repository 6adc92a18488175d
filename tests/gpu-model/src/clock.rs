// SPDX-License-Identifier: BSD-2-Clause
//! The model's time, in nanoseconds since power-on.

use std::time::{Duration, Instant};

use crate::options::ClockSource;

/// Cost of one trapped access on the stepped clock.
pub const ACCESS_NS: u64 = 100;
/// Cost of one unit of streamer work on the stepped clock.
pub const COMMAND_NS: u64 = 10;

/// A clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    host: Option<Instant>,
    stepped: u64,
}

impl Clock {
    /// At zero.
    #[must_use]
    pub fn new(source: ClockSource) -> Self {
        let host = match source {
            ClockSource::Stepped => None,
            ClockSource::Host => Some(Instant::now()),
        };
        Self { host, stepped: 0 }
    }

    /// Nanoseconds since power-on.
    #[must_use]
    pub fn now(&self) -> u64 {
        let host = self.host.map_or(Duration::ZERO, |start| start.elapsed());
        u64::try_from(host.as_nanos()).unwrap_or(u64::MAX).saturating_add(self.stepped)
    }

    /// Work passed some time; only the stepped clock follows.
    pub const fn spend(&mut self, ns: u64) {
        if self.host.is_none() {
            self.stepped = self.stepped.saturating_add(ns);
        }
    }

    /// Moves the clock ahead, whatever it follows.
    pub const fn advance(&mut self, ns: u64) {
        self.stepped = self.stepped.saturating_add(ns);
    }
}

/// Ticks of a counter of `hz` after `ns` nanoseconds.
#[must_use]
pub fn ticks(ns: u64, hz: u64) -> u64 {
    let ticks = u128::from(ns) * u128::from(hz) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_follow_the_frequency() {
        assert_eq!(ticks(1_000_000_000, 19_200_000), 19_200_000);
        assert_eq!(ticks(80, 12_500_000), 1);
    }

    #[test]
    fn the_stepped_clock_moves_by_work_only() {
        let mut clock = Clock::new(ClockSource::Stepped);
        assert_eq!(clock.now(), 0);
        clock.spend(5);
        clock.advance(10);
        assert_eq!(clock.now(), 15);
    }
}
