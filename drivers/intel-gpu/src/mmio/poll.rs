// SPDX-License-Identifier: BSD-2-Clause
//! Bounded waiting. There is no other loop in this crate that waits for the hardware.

use crate::platform::Clock;

/// The condition did not hold within its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Timeout;

/// Looks until `condition` holds or `ns` nanoseconds have passed. The condition is tried once more after
/// the deadline, so that a driver that did not run in between does not mistake its own pause for the
/// hardware's.
pub(crate) fn until<H: Clock>(
    hw: &mut H,
    ns: u64,
    mut condition: impl FnMut(&mut H) -> bool,
) -> Result<(), Timeout> {
    if condition(hw) {
        return Ok(());
    }
    let start = hw.now_ns();
    loop {
        hw.relax();
        let late = hw.now_ns().saturating_sub(start) >= ns;
        if condition(hw) {
            return Ok(());
        }
        if late {
            return Err(Timeout);
        }
    }
}

/// Lets `ns` nanoseconds pass.
pub(crate) fn delay<H: Clock>(hw: &mut H, ns: u64) {
    let _ = until(hw, ns, |_| false);
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ticks(u64);
    impl Clock for Ticks {
        fn now_ns(&mut self) -> u64 {
            self.0
        }
        fn relax(&mut self) {
            self.0 += 10;
        }
    }

    #[test]
    fn a_condition_that_holds_costs_no_time() {
        let mut clock = Ticks(5);
        assert_eq!(until(&mut clock, 100, |_| true), Ok(()));
        assert_eq!(clock.0, 5);
    }

    #[test]
    fn a_condition_that_never_holds_ends_at_the_bound() {
        let mut clock = Ticks(0);
        assert_eq!(until(&mut clock, 100, |_| false), Err(Timeout));
        assert_eq!(clock.0, 100);
    }

    #[test]
    fn the_condition_is_tried_once_more_after_a_long_pause() {
        struct Pause(u64);
        impl Clock for Pause {
            fn now_ns(&mut self) -> u64 {
                self.0
            }
            fn relax(&mut self) {
                self.0 += 1_000_000;
            }
        }
        let mut tries = 0;
        let result = until(&mut Pause(0), 100, |_| {
            tries += 1;
            tries == 2
        });
        assert_eq!(result, Ok(()));
    }
}
