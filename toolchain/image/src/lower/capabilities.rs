// SPDX-License-Identifier: BSD-2-Clause
//! Which capability stands in which slot, and where interrupts go.

use image_spec::{Builder, CapEntry, CapTransform, IrqBinding, Object, Rights};

use super::FAULT_RIGHTS;
use super::objects::{DomainObjects, Objects};
use crate::layout::{self, badge, slot};
use crate::model::{ExtraCap, ProtectionDomain, System};

pub(super) fn lower(spec: &mut Builder, system: &System, objects: &Objects) {
    for (id, (domain, its)) in system.domains.iter().zip(&objects.domains).enumerate() {
        own(spec, id, domain, objects);
        devices(spec, domain, its);
        extra(spec, domain, its, objects);
    }
    channels(spec, system, objects);
    frame_ranges(spec, system, objects);
}

/// One capability in one slot.
fn put(spec: &mut Builder, cnode: u32, slot: u32, object: u32, rights: Rights, transform: CapTransform) {
    spec.caps.push(CapEntry { cnode, slot, object, first: 0, count: 1, rights, transform });
}

/// What every domain has.
fn own(spec: &mut Builder, id: usize, domain: &ProtectionDomain, objects: &Objects) {
    let its = &objects.domains[id];
    put(
        spec,
        its.root_cnode,
        0,
        its.system_cnode,
        Rights::ALL,
        CapTransform::Guard(layout::SYSTEM_CNODE_GUARD),
    );
    put(spec, its.system_cnode, slot::INPUT, its.endpoint, Rights::ALL, CapTransform::Copy);
    put(spec, its.system_cnode, slot::VSPACE, its.vspace, Rights::ALL, CapTransform::Copy);
    match domain.parent {
        Some((parent, child)) => {
            let parent = &objects.domains[parent];
            let fault = CapTransform::Badge(badge::CHILD_FAULT | u64::from(child));
            put(spec, its.system_cnode, slot::FAULT, parent.endpoint, FAULT_RIGHTS, fault);
            let child = slot::CHILD_TCB + u32::from(child);
            put(spec, parent.system_cnode, child, its.tcb, Rights::ALL, CapTransform::Copy);
        }
        None => {
            let fault = CapTransform::Badge(id as u64 + 1);
            put(spec, its.system_cnode, slot::FAULT, objects.monitor_endpoint, FAULT_RIGHTS, fault);
        }
    }
}

fn devices(spec: &mut Builder, domain: &ProtectionDomain, its: &DomainObjects) {
    for (irq, &object) in domain.irqs.iter().zip(&its.irqs) {
        let slot = slot::IRQ + u32::from(irq.id);
        put(spec, its.system_cnode, slot, object, Rights::ALL, CapTransform::Copy);
        spec.irqs.push(IrqBinding { irq: object, notification: its.notification, badge: 1 << irq.id });
    }
    for (port, &object) in domain.ioports.iter().zip(&its.ioports) {
        let slot = slot::IOPORT + u32::from(port.id);
        put(spec, its.system_cnode, slot, object, Rights::ALL, CapTransform::Copy);
    }
}

/// The slots of `<cspace>`.
fn extra(spec: &mut Builder, domain: &ProtectionDomain, its: &DomainObjects, objects: &Objects) {
    for (entry, &cnode) in domain.caps.iter().zip(&its.extra_cnodes) {
        let object = match (&entry.cap, cnode) {
            (_, Some(cnode)) => cnode,
            (ExtraCap::IoSpace(id), None) => objects.io_spaces[*id],
            (ExtraCap::Tcb(id), None) => objects.domains[*id].tcb,
            (ExtraCap::VSpace(id), None) => objects.domains[*id].vspace,
            (ExtraCap::CspaceRoot | ExtraCap::FrameRange { .. } | ExtraCap::CNode { .. }, None) => {
                its.root_cnode
            }
        };
        // An address that leads to a CNode goes on into it while it has bits left. So a CNode in the root CNode makes
        // its contents addressable, and a second capability at the end of an address makes the CNode itself so.
        // The root CNode's own contents are addressable anyway.
        let is_cnode = cnode.is_some() || matches!(entry.cap, ExtraCap::CspaceRoot);
        if is_cnode {
            let slot = slot::CNODE + u32::from(entry.slot);
            put(spec, its.system_cnode, slot, object, Rights::ALL, CapTransform::Copy);
        }
        if !matches!(entry.cap, ExtraCap::CspaceRoot) {
            put(spec, its.root_cnode, entry.slot.into(), object, Rights::ALL, CapTransform::Copy);
        }
    }
}

/// The contents of the CNodes with frames. Original capabilities move, so they come after all copies.
fn frame_ranges(spec: &mut Builder, system: &System, objects: &Objects) {
    let mut moved = vec![false; system.regions.len()];
    let mut moves = Vec::new();
    for (id, (domain, its)) in system.domains.iter().zip(&objects.domains).enumerate() {
        for (entry, &cnode) in domain.caps.iter().zip(&its.extra_cnodes) {
            let (ExtraCap::FrameRange { region, perms }, Some(cnode)) = (&entry.cap, cnode) else { continue };
            let owns = perms.write && system.owner(*region) == Some(id);
            let moves_here = owns && !std::mem::replace(&mut moved[*region], true);
            let frames = objects.regions[*region];
            let count =
                spec.objects().get(frames as usize).map_or(0, |entry| Object::cap_count(entry.object));
            let transform = if moves_here { CapTransform::Move } else { CapTransform::Copy };
            let rights = perms.rights();
            let list = if moves_here { &mut moves } else { &mut spec.caps };
            list.push(CapEntry { cnode, slot: 0, object: frames, first: 0, count, rights, transform });
        }
    }
    spec.caps.append(&mut moves);
}

fn channels(spec: &mut Builder, system: &System, objects: &Objects) {
    for channel in &system.channels {
        for (from, to) in channel.directions() {
            let (sender, receiver) = (&objects.domains[from.domain], &objects.domains[to.domain]);
            if from.notify {
                let slot = slot::NOTIFICATION + u32::from(from.id);
                let transform = CapTransform::Badge(1 << to.id);
                put(spec, sender.system_cnode, slot, receiver.notification, Rights::SIGNAL, transform);
            }
            if from.pp {
                let slot = slot::ENDPOINT + u32::from(from.id);
                let transform = CapTransform::Badge(badge::PROTECTED_CALL | u64::from(to.id));
                put(spec, sender.system_cnode, slot, receiver.endpoint, Rights::SEND, transform);
            }
        }
    }
}
