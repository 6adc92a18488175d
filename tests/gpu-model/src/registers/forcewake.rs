// SPDX-License-Identifier: BSD-2-Clause
//! Forcewake: which power domain a register lives in, and the handshake that keeps the domain awake.
//!
//! ```text
//!   CPU: write request (masked, bit per agent) ──► domain wakes ──► ack register shows the granted bits
//!   access outside an awake domain: reads 0, writes are dropped (and reported)
//! ```
//!
//! Ranges and shadowed registers (writes to which need no forcewake) are those of i915: intel_uncore.c.

use crate::commands::Generation;
use crate::platform::Platform;

/// A power domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Domain {
    /// Common ("GT", once "blitter"); on Gen8 the only one.
    Gt,
    /// Render.
    Render,
    /// Media (Gen9).
    Media,
    /// Video decode box n.
    Vdbox(u8),
    /// Video enhance box n.
    Vebox(u8),
}

impl Domain {
    const fn bit(self) -> u32 {
        match self {
            Self::Gt => 1 << 0,
            Self::Render => 1 << 1,
            Self::Media => 1 << 2,
            Self::Vdbox(n) => 1 << (8 + n as u32 % 8),
            Self::Vebox(n) => 1 << (16 + n as u32 % 4),
        }
    }

    /// Request register.
    #[must_use]
    pub const fn request(self) -> u32 {
        match self {
            Self::Gt => 0xa188,
            Self::Render => 0xa278,
            Self::Media => 0xa270,
            Self::Vdbox(n) => 0xa540 + 4 * n as u32,
            Self::Vebox(n) => 0xa560 + 4 * n as u32,
        }
    }

    /// Acknowledge register.
    #[must_use]
    pub const fn ack(self) -> u32 {
        match self {
            Self::Gt => 0x13_0044,
            Self::Render => 0x0d84,
            Self::Media => 0x0d88,
            Self::Vdbox(n) => 0x0d50 + 4 * n as u32,
            Self::Vebox(n) => 0x0d70 + 4 * n as u32,
        }
    }
}

/// Set of domains as bits of [`Domain::bit`].
type Set = u32;

const NONE: Set = 0;
const GT: Set = Domain::Gt.bit();
const RENDER: Set = Domain::Render.bit();
const MEDIA: Set = Domain::Media.bit();
const VDBOX0: Set = Domain::Vdbox(0).bit();
const VDBOX2: Set = Domain::Vdbox(2).bit();
const VEBOX0: Set = Domain::Vebox(0).bit();

/// (first offset, last offset, domains that must all be awake). Gaps need none.
type Ranges = &'static [(u32, u32, Set)];

const GEN8_RANGES: Ranges = &[(0x0, 0x3_ffff, GT)];

const GEN9_RANGES: Ranges = &[
    (0x0000, 0x0aff, GT),
    (0x0b00, 0x1fff, NONE),
    (0x2000, 0x26ff, RENDER),
    (0x2700, 0x2fff, GT),
    (0x3000, 0x3fff, RENDER),
    (0x4000, 0x51ff, GT),
    (0x5200, 0x7fff, RENDER),
    (0x8000, 0x812f, GT),
    (0x8130, 0x813f, MEDIA),
    (0x8140, 0x815f, RENDER),
    (0x8160, 0x82ff, GT),
    (0x8300, 0x84ff, RENDER),
    (0x8500, 0x87ff, GT),
    (0x8800, 0x89ff, MEDIA),
    (0x8a00, 0x8bff, GT),
    (0x8c00, 0x8cff, RENDER),
    (0x8d00, 0x93ff, GT),
    (0x9400, 0x97ff, RENDER | MEDIA),
    (0x9800, 0xafff, GT),
    (0xb000, 0xb47f, RENDER),
    (0xb480, 0xcfff, GT),
    (0xd000, 0xd7ff, MEDIA),
    (0xd800, 0xdfff, GT),
    (0xe000, 0xe8ff, RENDER),
    (0xe900, 0x1_1fff, GT),
    (0x1_2000, 0x1_3fff, MEDIA),
    (0x1_4000, 0x1_9fff, GT),
    (0x1_a000, 0x1_e9ff, MEDIA),
    (0x1_ea00, 0x2_43ff, GT),
    (0x2_4400, 0x2_47ff, RENDER),
    (0x2_4800, 0x2_ffff, GT),
    (0x3_0000, 0x3_ffff, MEDIA),
];

const GEN11_RANGES: Ranges = &[
    (0x0000, 0x1fff, NONE),
    (0x2000, 0x26ff, RENDER),
    (0x2700, 0x2fff, GT),
    (0x3000, 0x3fff, RENDER),
    (0x4000, 0x51ff, GT),
    (0x5200, 0x7fff, RENDER),
    (0x8000, 0x813f, GT),
    (0x8140, 0x815f, RENDER),
    (0x8160, 0x82ff, GT),
    (0x8300, 0x84ff, RENDER),
    (0x8500, 0x87ff, GT),
    (0x8800, 0x8bff, NONE),
    (0x8c00, 0x8cff, RENDER),
    (0x8d00, 0x94cf, GT),
    (0x94d0, 0x955f, RENDER),
    (0x9560, 0x95ff, NONE),
    (0x9600, 0xafff, GT),
    (0xb000, 0xb47f, RENDER),
    (0xb480, 0xdeff, GT),
    (0xdf00, 0xe8ff, RENDER),
    (0xe900, 0x1_6dff, GT),
    (0x1_6e00, 0x1_9fff, RENDER),
    (0x1_a000, 0x2_3fff, GT),
    (0x2_4000, 0x2_407f, NONE),
    (0x2_4080, 0x2_417f, GT),
    (0x2_4180, 0x2_42ff, RENDER),
    (0x2_4300, 0x2_43ff, GT),
    (0x2_4400, 0x2_4fff, RENDER),
    (0x2_5000, 0x3_ffff, GT),
    (0x1c_0000, 0x1c_3fff, VDBOX0),
    (0x1c_8000, 0x1c_ffff, VEBOX0),
    (0x1d_0000, 0x1d_3fff, VDBOX2),
];

const GEN12_RANGES: Ranges = &[
    (0x0000, 0x1fff, NONE),
    (0x2000, 0x26ff, RENDER),
    (0x2700, 0x27ff, GT),
    (0x2800, 0x2aff, RENDER),
    (0x2b00, 0x2fff, GT),
    (0x3000, 0x3fff, RENDER),
    (0x4000, 0x51ff, GT),
    (0x5200, 0x7fff, RENDER),
    (0x8000, 0x813f, GT),
    (0x8140, 0x815f, RENDER),
    (0x8160, 0x81ff, NONE),
    (0x8200, 0x82ff, GT),
    (0x8300, 0x84ff, RENDER),
    (0x8500, 0x94cf, GT),
    (0x94d0, 0x955f, RENDER),
    (0x9560, 0x97ff, NONE),
    (0x9800, 0xafff, GT),
    (0xb000, 0xb3ff, RENDER),
    (0xb400, 0xcfff, GT),
    (0xd000, 0xd7ff, NONE),
    (0xd800, 0xd8ff, RENDER),
    (0xd900, 0xdbff, GT),
    (0xdc00, 0xefff, RENDER),
    (0xf000, 0x1_47ff, GT),
    (0x1_4800, 0x1_ffff, RENDER),
    (0x2_0000, 0x2_0fff, VDBOX0),
    (0x2_1000, 0x2_1fff, VDBOX2),
    (0x2_2000, 0x2_3fff, GT),
    (0x2_4000, 0x2_417f, NONE),
    (0x2_4180, 0x2_49ff, GT),
    (0x2_4a00, 0x2_51ff, RENDER),
    (0x2_5200, 0x2_55ff, GT),
    (0x2_5600, 0x2_567f, VDBOX0),
    (0x2_5680, 0x2_56ff, VDBOX2),
    (0x2_5700, 0x2_59ff, GT),
    (0x2_5a00, 0x2_5a7f, VDBOX0),
    (0x2_5a80, 0x2_5aff, VDBOX2),
    (0x2_5b00, 0x2_ffff, GT),
    (0x3_0000, 0x3_ffff, GT),
    (0x1c_0000, 0x1c_3fff, VDBOX0),
    (0x1c_8000, 0x1c_bfff, VEBOX0),
    (0x1c_c000, 0x1c_ffff, VDBOX0),
    (0x1d_0000, 0x1d_3fff, VDBOX2),
];

/// GDRST, which lies in a GT range but works without forcewake (i915: intel_reset.c).
const GDRST: u32 = 0x941c;

/// Bits that a request register has: kernel, user, fallback.
const REQUEST_BITS: u32 = 0x8003;

/// Delay of acknowledgements, for fault injection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AckDelay {
    /// At once.
    #[default]
    None,
    /// After this many reads of the acknowledge register.
    Reads(u32),
    /// Never.
    Never,
}

/// One domain of the part.
#[derive(Clone, Copy, Debug)]
struct State {
    domain: Domain,
    /// Agents' request bits.
    requested: u32,
    /// Granted bits: what the ack register reads.
    granted: u32,
    /// Reads of the ack register until `requested` is granted.
    remaining: u32,
    stuck: bool,
}

/// The forcewake logic of one part.
#[derive(Clone, Debug)]
pub struct Forcewake {
    generation: Generation,
    ranges: Ranges,
    states: Vec<State>,
    awake: Set,
    present: Set,
    /// Delay of future grants.
    pub delay: AckDelay,
}

impl Forcewake {
    /// Everything asleep.
    #[must_use]
    pub fn new(platform: &Platform) -> Self {
        let generation = platform.generation;
        let (ranges, mut domains) = match generation {
            Generation::Gen8 => (GEN8_RANGES, vec![Domain::Gt]),
            Generation::Gen9 => (GEN9_RANGES, vec![Domain::Gt, Domain::Render, Domain::Media]),
            Generation::Gen11 => (GEN11_RANGES, vec![Domain::Gt, Domain::Render]),
            Generation::Gen12 => (GEN12_RANGES, vec![Domain::Gt, Domain::Render]),
        };
        if generation >= Generation::Gen11 {
            for facts in platform.engines {
                match facts.hw_class {
                    1 => domains.push(Domain::Vdbox(facts.engine.instance)),
                    2 => domains.push(Domain::Vebox(facts.engine.instance)),
                    _ => {}
                }
            }
        }
        let present = domains.iter().fold(0, |set, domain| set | domain.bit());
        let states = domains
            .into_iter()
            .map(|domain| State { domain, requested: 0, granted: 0, remaining: 0, stuck: false })
            .collect();
        Self { generation, ranges, states, awake: 0, present, delay: AckDelay::None }
    }

    /// Domains of the part.
    pub fn domains(&self) -> impl Iterator<Item = Domain> + '_ {
        self.states.iter().map(|state| state.domain)
    }

    /// The first sleeping domain that an access to `offset` needs awake; `None` if it may go ahead. Domains that
    /// the part does not have count as asleep.
    #[must_use]
    pub fn missing(&self, offset: u32, write: bool) -> Option<Domain> {
        let position = self.ranges.partition_point(|(first, _, _)| *first <= offset);
        let (_, last, needed) = *self.ranges.get(position.checked_sub(1)?)?;
        let asleep = if offset <= last { needed & !self.awake } else { 0 };
        if asleep == 0
            || (write && (is_shadowed(self.generation, offset) || is_power_management(offset)))
            || offset == GDRST
            || self.is_own(offset)
        {
            return None;
        }
        Some(match asleep & asleep.wrapping_neg() {
            GT => Domain::Gt,
            RENDER => Domain::Render,
            MEDIA => Domain::Media,
            VDBOX0 => Domain::Vdbox(0),
            VDBOX2 => Domain::Vdbox(2),
            _ => Domain::Vebox(0),
        })
    }

    /// Request and acknowledge registers sit in the always-on domain.
    fn is_own(&self, offset: u32) -> bool {
        self.states.iter().any(|state| state.domain.request() == offset || state.domain.ack() == offset)
    }

    /// Reads a forcewake register; `None` if `offset` is none.
    pub fn read(&mut self, offset: u32) -> Option<u32> {
        let index =
            self.states.iter().position(|s| s.domain.ack() == offset || s.domain.request() == offset)?;
        let state = self.states.get_mut(index)?;
        if state.domain.request() == offset {
            return Some(state.requested);
        }
        let value = state.granted;
        if state.granted != state.requested && !state.stuck {
            state.remaining = state.remaining.saturating_sub(1);
            if state.remaining == 0 {
                state.granted = state.requested;
                self.refresh();
            }
        }
        Some(value)
    }

    /// Writes a forcewake register; `None` if `offset` is none, else whether the value was a legal request.
    pub fn write(&mut self, offset: u32, value: u32) -> Option<bool> {
        let delay = self.delay;
        let state = self.states.iter_mut().find(|state| state.domain.request() == offset)?;
        let mask = value >> 16;
        state.requested = (state.requested & !mask) | (value & mask & REQUEST_BITS);
        match delay {
            AckDelay::None => state.granted = state.requested,
            AckDelay::Reads(reads) => state.remaining = reads.max(1),
            AckDelay::Never => {}
        }
        state.stuck = delay == AckDelay::Never;
        self.refresh();
        Some(value & 0xffff & !REQUEST_BITS == 0)
    }

    /// The full GT reset drops the requests of every agent.
    pub fn reset(&mut self) {
        for state in &mut self.states {
            state.requested = 0;
            state.granted = 0;
        }
        self.refresh();
    }

    fn refresh(&mut self) {
        self.awake = self
            .states
            .iter()
            .filter(|state| state.granted != 0)
            .fold(0, |set, state| set | state.domain.bit())
            & self.present;
    }

    /// Is the domain awake?
    #[must_use]
    pub const fn is_awake(&self, domain: Domain) -> bool {
        self.awake & domain.bit() != 0
    }
}

/// Is a write to `offset` buffered so that it needs no forcewake?
fn is_shadowed(generation: Generation, offset: u32) -> bool {
    const MEDIA_BASES: [u32; 6] = [0x1c_0000, 0x1c_4000, 0x1c_8000, 0x1d_0000, 0x1d_4000, 0x1d_8000];
    let media = || MEDIA_BASES.iter().filter_map(|base| offset.checked_sub(*base));
    match generation {
        Generation::Gen8 | Generation::Gen9 => {
            // The tails, and the submit ports: those are not in i915's list, whose comment says that it is not
            // complete, but i915 has submitted without forcewake since 4.17 (intel_execlists_submission.c, write_desc).
            matches!(offset, 0x2030 | 0x1_2030 | 0x1_a030 | 0x2_2030 | 0xa008..=0xa00c)
                || matches!(offset, 0x2230 | 0x1_2230 | 0x1_a230 | 0x2_2230)
        }
        Generation::Gen11 => {
            // i915's list has of the render engine's submit queue the control register only, and says that it is not
            // complete; i915 writes the whole queue without forcewake (intel_execlists_submission.c, fw_domain).
            matches!(offset, 0x2030 | 0x2510..=0x2550 | 0xa008..=0xa00c | 0x2_2030 | 0x2_2230 | 0x2_2510..=0x2_2550)
                || media().any(|relative| matches!(relative, 0x30 | 0x230 | 0x510..=0x550))
        }
        Generation::Gen12 => {
            matches!(
                offset,
                0x2030
                    | 0x2510..=0x2550
                    | 0xa008..=0xa00c
                    | 0xa188
                    | 0xa278
                    | 0xa540..=0xa56c
                    | 0xc4c8
                    | 0xc4d4
                    | 0xc600
                    | 0x2_2030
                    | 0x2_2510..=0x2_2550
            ) || media().any(|relative| matches!(relative, 0x30 | 0x510..=0x550))
        }
    }
}

/// Is `offset` one of the registers of the power-management unit that Linux writes without forcewake whenever the GPU
/// falls idle or wakes (i915: intel_rc6.c, park and unpark; intel_rps.c, rps_set_power), and that must therefore take
/// writes in a sleeping part?
fn is_power_management(offset: u32) -> bool {
    // RP_CONTROL, RP_UP_THRESHOLD, RP_DOWN_THRESHOLD, RP_UP_EI, RP_DOWN_EI, RC_CONTROL, RC_STATE.
    matches!(offset, 0xa024 | 0xa02c | 0xa030 | 0xa068 | 0xa06c | 0xa090 | 0xa094)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::{PLATFORMS, by_name};

    fn forcewake(name: &str) -> Forcewake {
        Forcewake::new(by_name(name).unwrap())
    }

    #[test]
    fn a_submission_needs_no_forcewake_on_any_engine() {
        for platform in PLATFORMS {
            let asleep = forcewake(platform.name);
            for engine in platform.engines {
                let legacy = matches!(platform.generation, Generation::Gen8 | Generation::Gen9);
                let ports: &[u32] = if legacy { &[0x230] } else { &[0x510, 0x514, 0x518, 0x51c, 0x550] };
                for port in ports {
                    assert_eq!(
                        asleep.missing(engine.engine.base + port, true),
                        None,
                        "{} {port:#x}",
                        platform.name
                    );
                }
            }
        }
    }

    #[test]
    fn range_tables_are_sorted_and_do_not_overlap() {
        for ranges in [GEN8_RANGES, GEN9_RANGES, GEN11_RANGES, GEN12_RANGES] {
            for pair in ranges.windows(2) {
                assert!(pair[0].0 <= pair[0].1 && pair[0].1 < pair[1].0, "{pair:x?}");
            }
        }
    }

    #[test]
    fn a_domain_sleeps_until_its_request_is_granted() {
        let mut forcewake = forcewake("tgl");
        assert_eq!(forcewake.missing(0x22050, false), Some(Domain::Gt));
        assert_eq!(forcewake.write(0xa188, 0x0001_0001), Some(true));
        assert_eq!(forcewake.read(0x13_0044), Some(1));
        assert_eq!(forcewake.missing(0x22050, false), None);
        assert_eq!(forcewake.missing(0x2050, false), Some(Domain::Render));
        assert_eq!(forcewake.write(0xa188, 0x0001_0000), Some(true));
        assert_eq!(forcewake.missing(0x22050, false), Some(Domain::Gt));
    }

    #[test]
    fn rc6_and_rps_take_writes_and_no_reads_while_the_part_sleeps() {
        for name in ["skl", "icl", "tgl"] {
            let forcewake = forcewake(name);
            for offset in [0xa024, 0xa02c, 0xa030, 0xa068, 0xa06c, 0xa090, 0xa094] {
                assert_eq!(forcewake.missing(offset, true), None, "{name} {offset:#x}");
                assert!(forcewake.missing(offset, false).is_some(), "{name} {offset:#x}");
            }
            assert!(forcewake.missing(0xa0b0, true).is_some(), "{name}");
        }
    }

    #[test]
    fn submit_ports_and_tails_take_writes_while_the_part_sleeps() {
        assert_eq!(forcewake("tgl").missing(0x22510, true), None);
        assert_eq!(forcewake("tgl").missing(0x22510, false), Some(Domain::Gt));
        for offset in [0x2_2230, 0x2_2030, 0x1_2230] {
            assert_eq!(forcewake("skl").missing(offset, true), None, "{offset:#x}");
            assert!(forcewake("skl").missing(offset, false).is_some(), "{offset:#x}");
        }
    }

    #[test]
    fn some_gen9_registers_need_two_domains() {
        let mut forcewake = forcewake("skl");
        forcewake.write(0xa278, 0x0001_0001);
        assert_eq!(forcewake.missing(0x9430, false), Some(Domain::Media));
        forcewake.write(0xa270, 0x0001_0001);
        assert_eq!(forcewake.missing(0x9430, false), None);
    }

    #[test]
    fn display_and_interrupt_registers_need_none() {
        for platform in PLATFORMS {
            let forcewake = Forcewake::new(platform);
            for offset in [0x4_4200, 0x10_1008, 0x13_8124, 0x19_0010, GDRST] {
                assert_eq!(forcewake.missing(offset, true), None, "{} {offset:#x}", platform.name);
            }
        }
    }

    #[test]
    fn a_slow_acknowledgement_arrives_after_its_reads() {
        let mut forcewake = forcewake("skl");
        forcewake.delay = AckDelay::Reads(3);
        forcewake.write(0xa278, 0x0001_0001);
        let acks: Vec<_> = (0..5).map(|_| forcewake.read(0xd84).unwrap()).collect();
        assert_eq!(acks, [0, 0, 0, 1, 1]);
    }

    #[test]
    fn an_acknowledgement_can_stay_out() {
        let mut forcewake = forcewake("skl");
        forcewake.delay = AckDelay::Never;
        forcewake.write(0xa278, 0x0001_0001);
        assert!((0..1000).all(|_| forcewake.read(0xd84) == Some(0)));
    }

    #[test]
    fn reserved_request_bits_are_told() {
        assert_eq!(forcewake("icl").write(0xa188, 0x0004_0004), Some(false));
    }
}
