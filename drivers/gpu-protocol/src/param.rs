// SPDX-License-Identifier: BSD-2-Clause
//! What the driver tells about the device.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Asks for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GetParam {
    /// Number of a [`Param`].
    pub param: u64,
}

/// Values that can be asked for; the numbers are i915's (`I915_PARAM_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Param {
    /// PCI device id.
    ChipsetId = 4,
    /// 1 if the CPU and the GPU share the last-level cache.
    HasLlc = 17,
    /// 2: every address space is complete and private.
    HasPpgtt = 18,
    /// PCI revision.
    Revision = 32,
    /// Bit 0 scheduler, bit 1 priorities, bit 2 batches can be preempted.
    HasScheduler = 41,
    /// Frequency of the command streamer's timestamp, Hz.
    CsTimestampFrequency = 51,
}

impl Param {
    /// Every parameter.
    pub const ALL: [Self; 6] = [
        Self::ChipsetId,
        Self::HasLlc,
        Self::HasPpgtt,
        Self::Revision,
        Self::HasScheduler,
        Self::CsTimestampFrequency,
    ];

    /// The parameter of a number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|param| *param as u64 == number)
    }
}

#[cfg(test)]
mod tests {
    use super::Param;

    #[test]
    fn parameters_have_i915s_numbers() {
        let numbers: Vec<u64> = Param::ALL.iter().map(|param| *param as u64).collect();
        assert_eq!(numbers, [4, 17, 18, 32, 41, 51]);
        assert_eq!(Param::from_number(4), Some(Param::ChipsetId));
        assert_eq!(Param::from_number(5), None);
    }
}
