// SPDX-License-Identifier: BSD-2-Clause
//! From a checked system to the specification of its kernel objects.

mod capabilities;
mod io_memory;
mod objects;
mod paging;
mod vspace;

use image_spec::{Builder, Overflow, Rights, Thread};

use crate::board::Board;
use crate::layout::{self, slot};
use crate::model::System;
use crate::program::Program;
use objects::Objects;

pub(crate) use io_memory::check as check_io_memory;

/// Builds the specification. `programs` are the patched programs of the domains, `paddrs` the physical addresses of
/// the regions.
///
/// # Errors
/// The specification is too large for its format.
pub(crate) fn lower(
    system: &System,
    programs: &[Program],
    paddrs: &[u64],
    board: &Board,
) -> Result<Builder, Overflow> {
    let mut spec = Builder::new();
    let objects = Objects::create(&mut spec, system, programs, paddrs, board)?;
    spec.monitor_endpoint = objects.monitor_endpoint;
    contents(&mut spec, system, programs, &objects)?;
    vspace::lower(&mut spec, system, programs, &objects)?;
    io_memory::lower(&mut spec, system, paddrs, &objects);
    capabilities::lower(&mut spec, system, &objects);
    threads(&mut spec, system, programs, &objects)?;
    Ok(spec)
}

/// What frames contain: programs and prefilled regions. Everything else is zero, as the kernel hands it out.
fn contents(
    spec: &mut Builder,
    system: &System,
    programs: &[Program],
    objects: &Objects,
) -> Result<(), Overflow> {
    for (region, &frames) in system.regions.iter().zip(&objects.regions) {
        if let Some(bytes) = &region.prefill {
            spec.fill(frames, 0, without_zeros(bytes))?;
        }
    }
    for (program, domain) in programs.iter().zip(&objects.domains) {
        for (segment, &frames) in program.segments.iter().zip(&domain.segments) {
            let bytes = without_zeros(&segment.bytes);
            if !bytes.is_empty() {
                spec.fill(frames, segment.vaddr - segment.first_page(), bytes)?;
            }
        }
    }
    Ok(())
}

/// Cuts off what is zero anyway.
fn without_zeros(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &bytes[..end]
}

fn threads(
    spec: &mut Builder,
    system: &System,
    programs: &[Program],
    objects: &Objects,
) -> Result<(), Overflow> {
    for ((domain, program), its) in system.domains.iter().zip(programs).zip(&objects.domains) {
        let name = spec.name(&domain.name)?;
        spec.threads.push(Thread {
            name,
            tcb: its.tcb,
            cspace: its.root_cnode,
            vspace: its.vspace,
            ipc_buffer: its.ipc_buffer,
            ipc_buffer_vaddr: layout::IPC_BUFFER,
            notification: its.notification,
            fault_endpoint: slot::FAULT.into(),
            entry: program.entry,
            stack_top: layout::STACK_TOP,
            stack_bottom: layout::STACK_TOP - domain.stack_size,
            priority: domain.priority,
        });
    }
    Ok(())
}

/// What the monitor and a domain's parent may do with a fault endpoint's other side.
const FAULT_RIGHTS: Rights = Rights::SEND;
