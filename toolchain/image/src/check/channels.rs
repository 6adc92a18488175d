// SPDX-License-Identifier: BSD-2-Clause
//! Channels: ids, protected calls, and the grants that are bound to a channel.

use std::collections::HashMap;

use crate::diagnostic::Sink;
use crate::model::{Owner, Placed, System};

pub(super) fn check(system: &System, sink: &Sink<'_>) {
    ids(system, sink);
    ends(system, sink);
    protected_calls(system, sink);
    grants(system, sink);
}

/// Channels and interrupts of a domain share one set of ids.
fn ids(system: &System, sink: &Sink<'_>) {
    let mut seen = HashMap::new();
    let of_irqs = system
        .domains
        .iter()
        .enumerate()
        .flat_map(|(id, domain)| domain.irqs.iter().map(move |irq| (id, irq.id, &irq.place)));
    let of_ends = system
        .channels
        .iter()
        .flat_map(|channel| channel.ends.iter().map(|end| (end.domain, end.id, &end.place)));
    for (domain, id, place) in of_irqs.chain(of_ends) {
        if let Some(other) = seen.insert((domain, id), place) {
            let name = &system.domains[domain].name;
            sink.error(
                place,
                format!(
                    "the id {id} of \"{name}\" is taken by the <{}> in line {}",
                    other.element, other.line
                ),
            );
        }
    }
}

fn ends(system: &System, sink: &Sink<'_>) {
    for channel in &system.channels {
        let [a, b] = &channel.ends;
        if a.domain == b.domain {
            let name = &system.domains[a.domain].name;
            sink.error(
                &channel.place,
                format!("a channel connects two protection domains; both ends are \"{name}\""),
            );
        }
    }
}

/// A caller waits for its callee, so calls only go upwards in priority; then no circle of callers can exist.
fn protected_calls(system: &System, sink: &Sink<'_>) {
    for channel in &system.channels {
        if channel.ends.iter().all(|end| end.pp) {
            sink.error(
                &channel.place,
                "only one end of a channel makes protected calls; both have pp=\"true\"",
            );
            continue;
        }
        for (caller, callee) in channel.directions() {
            let (from, to) = (&system.domains[caller.domain], &system.domains[callee.domain]);
            if caller.pp && from.priority >= to.priority {
                sink.error(
                    &caller.place,
                    format!(
                        "a protected call goes to a domain of higher priority: \"{}\" has {}, \"{}\" has {}",
                        from.name, from.priority, to.name, to.priority
                    ),
                );
            }
        }
    }
}

/// A grant names a channel over which somebody can lend, a client its own channel and its owner's. A client is
/// described once.
fn grants(system: &System, sink: &Sink<'_>) {
    for (id, domain) in system.domains.iter().enumerate() {
        let exists = |channel: &Placed<u8>| {
            let mut ends = system.channels.iter().flat_map(|channel| &channel.ends);
            if !ends.any(|end| end.domain == id && end.id == channel.value) {
                sink.error(
                    &channel.place,
                    format!("\"{}\" has no channel with the id {}", domain.name, channel.value),
                );
            }
        };
        for table in &domain.grant_tables {
            table.grants.iter().for_each(|grant| exists(&grant.channel));
            let mut seen = HashMap::new();
            for client in &table.clients {
                exists(&client.channel);
                if let Owner::Channel(owner) = &client.owner {
                    exists(owner);
                }
                if let Some(line) = seen.insert(client.channel.value, client.channel.place.line) {
                    sink.error(
                        &client.channel.place,
                        format!("the client of channel {} is described in line {line}", client.channel.value),
                    );
                }
            }
        }
    }
}
