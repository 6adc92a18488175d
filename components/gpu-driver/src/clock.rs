// SPDX-License-Identifier: BSD-2-Clause
//! The driver's clock: the CPU's timestamp counter, whose frequency is found once at start.
//!
//! `CPUID` leaf 0x15 gives it exactly on Skylake and later when the crystal is listed (Intel SDM
//! volume 3, "Time-Stamp Counter"); where it does not (QEMU, older parts), channel 2 of the 8254 timer
//! measures it: 1,193,182 Hz, counted down once with the gate in port 0x61.
//!
//! `unsafe` here is the counter itself: an instruction that touches no memory.
#![allow(unsafe_code)]

use core::arch::x86_64::{__cpuid, _mm_pause, _rdtsc};

/// Frequency of the 8254, Hz.
const PIT_HZ: u64 = 1_193_182;
/// What channel 2 counts down: 10 ms.
const PIT_TICKS: u16 = 11_932;
/// Assumed where nothing tells, Hz: above any part's, so that a wait is never shorter than it says.
const FALLBACK_HZ: u64 = 5_000_000_000;
/// Polls of port 0x61 before the timer counts as absent. One access to an I/O port takes a microsecond
/// on hardware and more in an emulator, so this is a hundred times the 10 ms it waits for, at least.
const PIT_POLLS: u32 = 1_000_000;

/// Access to the timer's ports.
pub(crate) trait TimerPorts {
    /// Reads port 0x61 (gate, speaker, output).
    fn read_gate(&mut self) -> u8;
    /// Writes port 0x61.
    fn write_gate(&mut self, value: u8);
    /// Writes port 0x42 (count of channel 2).
    fn write_count(&mut self, value: u8);
    /// Writes port 0x43 (mode).
    fn write_mode(&mut self, value: u8);
}

/// How the frequency was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// `CPUID` leaf 0x15.
    Cpuid,
    /// The 8254.
    Timer,
    /// Neither answered; waits are longer than stated.
    Assumed,
}

/// The timestamp counter and its frequency.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tsc {
    hz: u64,
    /// Nanoseconds per tick, 32 fractional bits.
    ns_per_tick: u64,
    source: Source,
}

/// The counter.
pub(crate) fn counter() -> u64 {
    // SAFETY: RDTSC touches no memory; seL4 does not forbid it to user mode (CR4.TSD stays clear).
    unsafe { _rdtsc() }
}

/// A hint to the CPU that this is a waiting loop.
pub(crate) fn pause() {
    _mm_pause();
}

impl Tsc {
    /// Finds the frequency.
    pub(crate) fn new(ports: &mut impl TimerPorts) -> Self {
        let (hz, source) = from_cpuid()
            .map(|hz| (hz, Source::Cpuid))
            .or_else(|| from_timer(ports).map(|hz| (hz, Source::Timer)))
            .unwrap_or((FALLBACK_HZ, Source::Assumed));
        Self { hz, ns_per_tick: (1_000_000_000 << 32) / hz, source }
    }

    /// Frequency, Hz.
    pub(crate) const fn hz(&self) -> u64 {
        self.hz
    }

    /// Where the frequency is from.
    pub(crate) const fn source(&self) -> Source {
        self.source
    }

    /// Nanoseconds since the counter was 0.
    pub(crate) fn now_ns(&self) -> u64 {
        let ns = (u128::from(counter()) * u128::from(self.ns_per_tick)) >> 32;
        // CAST: 584 years of nanoseconds fit.
        #[allow(clippy::cast_possible_truncation)]
        let ns = ns as u64;
        ns
    }
}

fn from_cpuid() -> Option<u64> {
    if __cpuid(0).eax < 0x15 {
        return None;
    }
    let leaf = __cpuid(0x15);
    let (denominator, numerator, crystal) = (u64::from(leaf.eax), u64::from(leaf.ebx), u64::from(leaf.ecx));
    if denominator == 0 || numerator == 0 || crystal == 0 {
        return None;
    }
    Some(crystal * numerator / denominator)
}

/// Counts channel 2 down once, mode 0: its output (port 0x61 bit 5) rises at the end.
fn from_timer(ports: &mut impl TimerPorts) -> Option<u64> {
    let [low, high] = PIT_TICKS.to_le_bytes();
    let before = ports.read_gate();
    // Gate on (bit 0), speaker off (bit 1).
    ports.write_gate((before & !0b10) | 0b01);
    // Channel 2, low then high byte, mode 0, binary.
    ports.write_mode(0b1011_0000);
    ports.write_count(low);
    ports.write_count(high);
    let start = counter();
    let mut elapsed = None;
    for _ in 0..PIT_POLLS {
        if ports.read_gate() & 0b10_0000 != 0 {
            elapsed = Some(counter() - start);
            break;
        }
    }
    ports.write_gate(before);
    elapsed.map(|ticks| ticks * PIT_HZ / u64::from(PIT_TICKS)).filter(|hz| *hz > 1_000_000)
}
