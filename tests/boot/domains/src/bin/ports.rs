// SPDX-License-Identifier: BSD-2-Clause
//! Uses the I/O ports that it was given, in all three widths, and is refused those beside them. The judge.
#![no_std]
#![no_main]

use microkit_ext::ioport::IoPort;
use sel4_microkit::{NullHandler, protection_domain};

/// The judge's exit port is 0.
const CLOCK: IoPort = IoPort::new(1);
const PCI: IoPort = IoPort::new(61);

#[protection_domain]
fn init() -> NullHandler {
    use_ports().expect("the kernel makes every access");
    boot_domains::pass()
}

fn use_ports() -> sel4::Result<()> {
    // Two bytes of the real-time clock's memory that firmware leaves alone (index 0x70, data 0x71).
    for (index, value) in [(0x60, 0xa5), (0x61, 0x3c)] {
        CLOCK.out8(0x70, index)?;
        CLOCK.out8(0x71, value)?;
    }
    for (index, value) in [(0x60, 0xa5), (0x61, 0x3c)] {
        CLOCK.out8(0x70, index)?;
        assert_eq!(CLOCK.in8(0x71)?, value);
    }

    // The vendor and device number of q35's host bridge, through all widths.
    PCI.out32(0xcf8, 0x8000_0000)?;
    assert_eq!(PCI.in32(0xcf8)?, 0x8000_0000);
    assert_eq!(PCI.in32(0xcfc)?, 0x29c0_8086);
    assert_eq!(PCI.in16(0xcfc)?, 0x8086);
    assert_eq!(PCI.in16(0xcfe)?, 0x29c0);
    assert_eq!(PCI.in8(0xcff)?, 0x29);

    // Behind the end of the range, before its start, and across its end.
    assert!(CLOCK.in8(0x72).is_err() && CLOCK.out8(0x72, 0).is_err());
    assert!(CLOCK.in8(0x6f).is_err());
    assert!(CLOCK.in16(0x71).is_err());
    assert!(CLOCK.in32(0x70).is_err());
    Ok(())
}
