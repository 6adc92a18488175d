// SPDX-License-Identifier: BSD-2-Clause
//! Rights of a capability, and how a page is cached.

use crate::abi::rights;

/// What a capability allows, where its kind distinguishes: endpoints (write = send, read = receive,
/// grant = transfer capabilities and be answered), notifications (write = signal, read = wait), pages.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CapRights {
    read: bool,
    write: bool,
    grant: bool,
}

impl CapRights {
    /// Everything.
    pub const ALL: Self = Self::new(true, true, true);
    /// Read and write.
    pub const READ_WRITE: Self = Self::new(true, true, false);
    /// Read only.
    pub const READ: Self = Self::new(true, false, false);
    /// Write only: signalling a notification.
    pub const WRITE: Self = Self::new(false, true, false);
    /// What a caller needs on an endpoint: without grant the kernel keeps no way to answer a call.
    pub const CALL: Self = Self::new(false, true, true);
    /// Nothing.
    pub const NONE: Self = Self::new(false, false, false);

    /// The given rights.
    pub const fn new(read: bool, write: bool, grant: bool) -> Self {
        Self { read, write, grant }
    }

    /// Whether reading (receiving, waiting) is allowed.
    pub const fn read(self) -> bool {
        self.read
    }

    /// Whether writing (sending, signalling) is allowed.
    pub const fn write(self) -> bool {
        self.write
    }

    /// Whether granting is allowed.
    pub const fn grant(self) -> bool {
        self.grant
    }

    /// The word as the kernel takes it.
    pub const fn bits(self) -> u64 {
        (self.read as u64 * rights::READ)
            | (self.write as u64 * rights::WRITE)
            | (self.grant as u64 * rights::GRANT)
    }
}

/// How the processor caches a mapped page (the "VM attributes" of a mapping).
// seL4: libsel4/arch_include/x86/sel4/arch/types.h
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u64)]
pub enum Cacheability {
    /// Ordinary memory.
    #[default]
    WriteBack = 0,
    /// Writes go through to memory.
    WriteThrough = 1,
    /// Not cached, unless the memory-type range registers say otherwise.
    CacheDisabled = 2,
    /// Not cached, in order: device registers.
    Uncacheable = 3,
    /// Not cached, writes are gathered: apertures and frame buffers.
    WriteCombining = 4,
}

impl Cacheability {
    /// The word as the kernel takes it.
    pub const fn bits(self) -> u64 {
        self as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_encoded_as_the_kernel_names_them() {
        // seL4: shared_types bitfields: write bit 0, read bit 1, grant bit 2, grant reply (since MCS) bit 3
        let grant = if cfg!(feature = "mcs") { 0b1100 } else { 0b100 };
        assert_eq!(CapRights::WRITE.bits(), 0b001);
        assert_eq!(CapRights::READ.bits(), 0b010);
        assert_eq!(CapRights::READ_WRITE.bits(), 0b011);
        assert_eq!(CapRights::CALL.bits(), 0b001 | grant);
        assert_eq!(CapRights::ALL.bits(), 0b011 | grant);
        assert_eq!(CapRights::NONE.bits(), 0);
    }
}
