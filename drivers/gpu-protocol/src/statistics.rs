// SPDX-License-Identifier: BSD-2-Clause
//! What the driver has counted: a page that it fills when the domain that watches it asks, and that this domain only reads.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Places for engines in [`Statistics`].
pub const STATISTICS_ENGINES: usize = 8;
/// Places for clients in [`Statistics`].
pub const STATISTICS_CLIENTS: usize = 8;

/// Everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Statistics {
    /// [`Self::MAGIC`].
    pub magic: u64,
    /// When, in nanoseconds of the driver's clock.
    pub time_ns: u64,
    /// Engines that the part has.
    pub engine_count: u32,
    /// Clients that the driver serves.
    pub client_count: u32,
    /// Resets of single engines since the start.
    pub engine_resets: u64,
    /// Resets of the whole GPU.
    pub gpu_resets: u64,
    /// Times that no interrupt told of completions within 100 ms.
    pub lost_interrupts: u64,
    /// The engines.
    pub engines: [EngineStatistics; STATISTICS_ENGINES],
    /// The clients, as the driver numbers them: client `N` calls on channel `N + 1`.
    pub clients: [ClientStatistics; STATISTICS_CLIENTS],
}

impl Statistics {
    /// `gpu-sta1`, as bytes.
    pub const MAGIC: u64 = u64::from_le_bytes(*b"gpu-sta1");
}

/// An engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct EngineStatistics {
    /// Time that it has executed something since the start, the driver's own requests included.
    pub busy_ns: u64,
    /// Clients' requests that it has to do: accepted and not complete.
    pub queued: u32,
    /// Which: i915's class times 16, plus the physical instance.
    pub engine: u32,
}

/// A client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ClientStatistics {
    /// Time that each engine has executed its contexts since the start.
    pub busy_ns: [u64; STATISTICS_ENGINES],
    /// Its requests that each engine has to do.
    pub queued: [u32; STATISTICS_ENGINES],
    /// Its requests that are complete.
    pub completed: u64,
    /// Batches of it that were stopped because they did not end, or faulted.
    pub hangs: u64,
    /// Page faults that stopped an engine. Addresses that are not bound are none: a scratch page is behind them.
    pub faults: u64,
    /// How often pages were asked for that it used and that were not there.
    pub page_requests: u64,
    /// Pages of 4 KiB that are lent for it now.
    pub lent_pages: u32,
    /// Pages of the driver's memory that it has: page tables, contexts, rings.
    pub driver_pages: u32,
    /// Those of them that are page tables.
    pub table_pages: u32,
    /// Contexts that it has.
    pub contexts: u32,
    /// Objects that it has.
    pub objects: u32,
    /// 1 if it has connected.
    pub connected: u32,
}

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;

    #[test]
    fn statistics_have_a_fixed_layout_that_fits_into_a_page() {
        assert_eq!((size_of::<EngineStatistics>(), size_of::<ClientStatistics>()), (16, 152));
        assert_eq!(size_of::<Statistics>(), 48 + 8 * 16 + 8 * 152);
        assert_eq!((offset_of!(Statistics, engines), offset_of!(Statistics, clients)), (48, 176));
        assert_eq!((offset_of!(ClientStatistics, queued), offset_of!(ClientStatistics, completed)), (64, 96));
        assert_eq!(
            (offset_of!(ClientStatistics, lent_pages), offset_of!(ClientStatistics, connected)),
            (128, 148)
        );
        assert!(size_of::<Statistics>() <= 4096);
    }
}
