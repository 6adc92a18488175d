// SPDX-License-Identifier: BSD-2-Clause
//! Interrupts, I/O ports and I/O address spaces: what there is only one of.

use std::collections::HashMap;

use crate::diagnostic::Sink;
use crate::model::{IrqSource, System};

pub(super) fn check(system: &System, sink: &Sink<'_>) {
    irqs(system, sink);
    ioports(system, sink);
    io_spaces(system, sink);
}

fn irqs(system: &System, sink: &Sink<'_>) {
    let mut vectors = HashMap::new();
    let mut pins = HashMap::new();
    for domain in &system.domains {
        for irq in &domain.irqs {
            if let Some(other) = vectors.insert(irq.vector, &domain.name) {
                sink.error(
                    &irq.place,
                    format!("the vector {} belongs to an <irq> of \"{other}\"", irq.vector),
                );
            }
            if let IrqSource::IoApic { ioapic, pin, .. } = irq.source
                && let Some(other) = pins.insert((ioapic, pin), &domain.name)
            {
                sink.error(&irq.place, format!("the pin {pin} belongs to an <irq> of \"{other}\""));
            }
        }
    }
}

fn ioports(system: &System, sink: &Sink<'_>) {
    let mut ranges: Vec<(u16, u16, &str)> = Vec::new();
    for domain in &system.domains {
        let mut ids = HashMap::new();
        for port in &domain.ioports {
            if ids.insert(port.id, ()).is_some() {
                let name = &domain.name;
                sink.error(&port.place, format!("\"{name}\" has another <ioport> with the id {}", port.id));
            }
            let overlap = ranges.iter().find(|(first, last, _)| *first <= port.last && port.first <= *last);
            if let Some((first, last, name)) = overlap {
                sink.error(
                    &port.place,
                    format!(
                        "the ports {:#x} to {:#x} overlap with {first:#x} to {last:#x} of \"{name}\"",
                        port.first, port.last
                    ),
                );
            }
            ranges.push((port.first, port.last, &domain.name));
        }
    }
}

/// Devices with one domain id would have to share their tables, so each has its own.
fn io_spaces(system: &System, sink: &Sink<'_>) {
    let mut devices = HashMap::new();
    let mut domain_ids = HashMap::new();
    for io_space in &system.io_spaces {
        if let Some(other) = devices.insert(io_space.requester, &io_space.name) {
            sink.error(
                &io_space.place,
                format!("the device {} has the I/O address space \"{other}\"", io_space.requester),
            );
        }
        if let Some(other) = domain_ids.insert(io_space.domain_id, &io_space.name) {
            sink.error(
                &io_space.place,
                format!("the domain_id {} belongs to \"{other}\"", io_space.domain_id),
            );
        }
    }
}
