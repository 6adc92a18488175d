// SPDX-License-Identifier: BSD-2-Clause
//! Domains that drive devices.

use std::fs;

use anyhow::{Context, Result, ensure};
use boot_tests::System;

#[test]
fn io_ports_are_read_and_written_in_all_widths() -> Result<()> {
    System::new("io_ports")?.passes().map(drop)
}

#[test]
fn an_interrupt_of_the_io_apic_arrives_each_time_it_is_raised() -> Result<()> {
    let system = System::new("interrupt")?.on(|machine| {
        let sent = format!("file:{}", machine.folder().join("com2.txt").display());
        machine.argument("-serial").argument(sent)
    });
    system.passes()?;
    let sent =
        fs::read_to_string(system.folder().join("com2.txt")).context("what came out of the serial port")?;
    ensure!(sent == "one interrupt for each of these bytes\n", "sent was {sent:?}");
    Ok(())
}

#[test]
fn a_message_signalled_interrupt_arrives_each_time_it_is_raised() -> Result<()> {
    System::new("msi")?.on(|machine| machine.device("edu,addr=3.0")).passes().map(drop)
}

#[test]
fn a_device_reaches_what_the_iommu_maps_for_it_and_nothing_else() -> Result<()> {
    // The device's own limit on addresses is lifted, so that only the IOMMU stands in its way.
    System::new("iommu")?.on(|machine| machine.device("edu,addr=3.0,dma_mask=0xffffffff")).passes().map(drop)
}

#[test]
fn pages_lent_by_capability_are_the_borrowers_until_they_are_taken_back() -> Result<()> {
    let device = "edu,addr=3.0,dma_mask=0xffffffff";
    System::new("capability_transfer")?.on(|machine| machine.device(device)).passes().map(drop)
}
