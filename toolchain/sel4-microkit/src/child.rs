// SPDX-License-Identifier: BSD-2-Clause
//! What a parent can do to its children.

use crate::Child;
use crate::layout::STACK_TOP;

/// Makes the child run again from `entry_point`, with an empty stack and all other registers zero.
/// Whatever it was doing or waiting for is forgotten; its memory stays as it is.
pub fn restart(child: Child, entry_point: usize) -> sel4::Result<()> {
    let context = sel4::UserContext { rip: entry_point as u64, rsp: STACK_TOP as u64, ..Default::default() };
    child.tcb().write_registers(true, &context)
}

/// Stops the child until it is restarted.
pub fn stop(child: Child) -> sel4::Result<()> {
    child.tcb().suspend()
}
