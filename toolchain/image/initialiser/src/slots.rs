// SPDX-License-Identifier: BSD-2-Clause
//! What stands in the CNodes of the domains, and where interrupts go.

use image_spec::{CapEntry, CapTransform};
use sel4::cap::{CNode, IrqHandler, Notification};
use sel4::{CPtr, CapData, CapRights, Slot};

use crate::failure::{During, Failure};
use crate::memory;
use crate::objects::{Objects, rights};

/// Fills everything.
pub(crate) fn fill(objects: &mut Objects<'_>) -> Result<(), Failure> {
    let spec = objects.spec;
    for irq in spec.irqs().iter() {
        let name = objects.name(irq.irq);
        let badged = objects.pool.slot()?;
        let notification = memory::slot(objects.slot_of(irq.notification, 0));
        let data = CapData::badge(irq.badge).unwrap_or(CapData::NONE);
        memory::slot(badged)
            .mint_from(notification, CapRights::WRITE, data)
            .during("make the capability that it signals", name)?;
        IrqHandler::from_cptr(objects.cptr(irq.irq))
            .set_notification(Notification::from_cptr(CPtr::new(badged)))
            .during("let it signal", name)?;
    }
    spec.caps().iter().try_for_each(|entry| put(objects, &entry))
}

fn put(objects: &mut Objects<'_>, entry: &CapEntry) -> Result<(), Failure> {
    let name = objects.name(entry.object);
    let Some(image_spec::Object::CNode { radix }) =
        objects.spec.objects().get(entry.cnode).map(|entry| entry.object)
    else {
        return Ok(());
    };
    // The object's own capability has no guard, so the depth is that of the slots alone.
    let cnode = CNode::from_cptr(objects.cptr(entry.cnode));
    for number in 0..entry.count {
        let destination = Slot::new(cnode, u64::from(entry.slot + number), radix);
        let source = memory::slot(objects.slot_of(entry.object, entry.first + number));
        let rights = rights(entry.rights);
        let mint =
            |data: Option<CapData>| destination.mint_from(source, rights, data.unwrap_or(CapData::NONE));
        match entry.transform {
            CapTransform::Copy => destination.copy_from(source, rights),
            CapTransform::Badge(badge) => mint(CapData::badge(badge)),
            CapTransform::Guard(size) => mint(CapData::guard(0, size)),
            CapTransform::Move => destination.move_from(source),
        }
        .during("put its capability where a domain finds it", name)?;
    }
    Ok(())
}
