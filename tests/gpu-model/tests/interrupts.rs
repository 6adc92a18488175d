// SPDX-License-Identifier: BSD-2-Clause
//! From an engine's event to the message, in both schemes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

mod rig;

use rig::{Context, MSI, Rig, mi};

fn interrupter(rig: &mut Rig) -> Context {
    let mut context = rig.context("bcs0");
    rig.emit(&mut context, &[mi::USER_INTERRUPT, mi::NOOP]);
    context
}

#[test]
fn while_a_cause_is_pending_no_second_message_is_sent() {
    for name in ["skl", "tgl"] {
        let mut rig = Rig::new(name);
        let mut context = interrupter(&mut rig);
        rig.submit(&mut context);
        assert_eq!(rig.gpu.take_msi(), Some(MSI));
        rig.emit(&mut context, &[mi::USER_INTERRUPT, mi::NOOP]);
        rig.submit(&mut context);
        assert_eq!(rig.gpu.take_msi(), None, "{name}: the line is still high");
        rig.service_all();
        assert_eq!(rig.gpu.msi_count(), 1);
    }
}

#[test]
fn enabling_the_master_with_a_pending_cause_sends_a_fresh_message() {
    for (name, master) in [("skl", 0x4_4200), ("tgl", 0x19_0010)] {
        let mut rig = Rig::new(name);
        let mut context = interrupter(&mut rig);
        rig.submit(&mut context);
        assert!(rig.gpu.take_msi().is_some());
        rig.write(master, 0);
        rig.write(master, 0x8000_0000);
        assert_eq!(rig.gpu.take_msi(), Some(MSI), "{name}");
    }
}

#[test]
fn clearing_causes_with_the_master_left_on_loses_what_came_in_between() {
    let mut rig = Rig::new("tgl");
    let mut context = interrupter(&mut rig);
    rig.submit(&mut context);
    assert!(rig.gpu.take_msi().is_some());
    // The driver reads its dword, a new event arrives, the driver clears: no falling edge, no message.
    let pending = rig.read(0x19_0018);
    rig.write(0x19_0070, pending);
    rig.write(0x19_0060, 0x8000_0000);
    rig.emit(&mut context, &[mi::USER_INTERRUPT, mi::NOOP]);
    rig.submit(&mut context);
    rig.write(0x19_0018, pending);
    assert_eq!(rig.read(0x19_0018), pending, "the event is there");
    assert_eq!(rig.gpu.take_msi(), None, "but nobody is told");
}

#[test]
fn a_masked_engine_event_raises_nothing() {
    for name in ["skl", "tgl"] {
        let mut rig = Rig::new(name);
        rig.write(0x220a8, u32::MAX);
        let mut context = interrupter(&mut rig);
        rig.submit(&mut context);
        assert_eq!(rig.gpu.take_msi(), None, "{name}");
        assert_eq!(rig.service(), []);
    }
}

#[test]
fn a_lost_interrupt_is_lost_once() {
    let mut rig = Rig::new("tgl");
    // The user interrupt; the context switch events before and after it too.
    rig.gpu.injection().lose_interrupts = 3;
    let mut context = interrupter(&mut rig);
    rig.submit(&mut context);
    assert_eq!(rig.gpu.take_msi(), None);
    rig.emit(&mut context, &[mi::USER_INTERRUPT, mi::NOOP]);
    rig.submit(&mut context);
    assert_eq!(rig.service_all(), [(3, 0, 0x101)]);
}

#[test]
fn without_msi_the_line_follows_the_causes() {
    for name in ["skl", "tgl"] {
        let mut rig = Rig::new(name);
        rig.gpu.config_write(0xae, 2, 0);
        let mut context = interrupter(&mut rig);
        rig.submit(&mut context);
        assert!(rig.gpu.intx(), "{name}");
        assert_eq!(rig.gpu.config_read(6, 2) & 8, 8, "interrupt status");
        assert_eq!(rig.gpu.take_msi(), None);
        while rig.gpu.intx() {
            rig.service();
        }
        assert_eq!(rig.gpu.config_read(6, 2) & 8, 0);
        // Switched off in the command register.
        rig.gpu.config_write(4, 2, 0x406);
        rig.emit(&mut context, &[mi::USER_INTERRUPT, mi::NOOP]);
        rig.submit(&mut context);
        assert!(!rig.gpu.intx());
    }
}

#[test]
fn enabling_msi_with_a_pending_cause_sends_it() {
    let mut rig = Rig::new("tgl");
    rig.gpu.config_write(0xae, 2, 0);
    let mut context = interrupter(&mut rig);
    rig.submit(&mut context);
    rig.gpu.config_write(0xae, 2, 1);
    assert_eq!(rig.gpu.take_msi(), Some(MSI));
}

#[test]
fn a_message_waits_for_bus_mastering_and_is_sent_once() {
    for (name, master) in [("skl", 0x4_4200), ("tgl", 0x19_0010)] {
        let mut rig = Rig::new(name);
        rig.write(master, 0);
        let mut context = interrupter(&mut rig);
        rig.submit(&mut context);
        // The command register: memory decoding without bus mastering, and with it.
        rig.gpu.config_write(4, 2, 2);
        rig.write(master, 0x8000_0000);
        assert_eq!(rig.gpu.take_msi(), None, "{name}: a message is a write to memory");
        rig.gpu.config_write(4, 2, 6);
        assert_eq!(rig.gpu.take_msi(), Some(MSI), "{name}");
        rig.gpu.config_write(4, 2, 2);
        rig.gpu.config_write(4, 2, 6);
        assert_eq!(rig.gpu.take_msi(), None, "{name}: it was sent already");
        rig.assert_clean();
    }
}

#[test]
fn a_masked_message_waits_with_its_pending_bit() {
    let mut rig = Rig::new("rkl");
    rig.gpu.config_write(0xac + 0xc, 4, 1);
    let mut context = interrupter(&mut rig);
    rig.submit(&mut context);
    assert_eq!(rig.gpu.take_msi(), None);
    assert_eq!(rig.gpu.config_read(0xac + 0x10, 4), 1);
    rig.gpu.config_write(0xac + 0xc, 4, 0);
    assert_eq!(rig.gpu.take_msi(), Some(MSI));
    assert_eq!(rig.gpu.config_read(0xac + 0x10, 4), 0);
}

#[test]
fn the_second_of_two_equal_events_comes_after_the_first_is_cleared() {
    let mut rig = Rig::new("skl");
    let mut context = interrupter(&mut rig);
    rig.submit(&mut context);
    // Two context switch events: idle to active, and back.
    rig.write(0x4_4200, 0);
    assert_eq!(rig.read(0x4_4308), 0x0101_0000);
    rig.write(0x4_4308, 0x0101_0000);
    assert_eq!(rig.read(0x4_4308), 0x0100_0000);
    rig.write(0x4_4308, 0x0101_0000);
    assert_eq!(rig.read(0x4_4308), 0);
}

#[test]
fn a_flush_with_notify_raises_its_bit() {
    let mut rig = Rig::new("tgl");
    rig.write(0x19_0030, 0x0010_0010);
    rig.write(0x19_00a0, !0x0010_0000);
    let mut context = rig.context("bcs0");
    rig.write(0x220a8, 0);
    rig.emit(&mut context, &[0x1300_0002 | 1 << 8, 0, 0, 0]);
    rig.submit(&mut context);
    assert_eq!(rig.service_all(), [(3, 0, 0x10)]);
}
