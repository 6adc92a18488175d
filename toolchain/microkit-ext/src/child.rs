// SPDX-License-Identifier: BSD-2-Clause
//! What a parent can do to its children.

use sel4::cap::Tcb;
use sel4_microkit::Child;

use crate::layout::{STACK_TOP, slot, system};
use crate::thread;

fn tcb(child: Child) -> Tcb {
    thread::ready();
    Tcb::from_cptr(system(slot::CHILD_TCB + child.index()))
}

/// Makes the child run again from `entry_point`, with an empty stack and all other registers zero.
/// Whatever it was doing or waiting for is forgotten; its memory stays as it is.
pub fn restart(child: Child, entry_point: usize) -> sel4::Result<()> {
    let context = sel4::UserContext { rip: entry_point as u64, rsp: STACK_TOP, ..Default::default() };
    tcb(child).write_registers(true, &context)
}

/// Stops the child until it is restarted or goes on.
pub fn stop(child: Child) -> sel4::Result<()> {
    tcb(child).suspend()
}

/// Lets a child that was stopped go on where it was; what it was waiting for it asks for again.
pub fn go_on(child: Child) -> sel4::Result<()> {
    tcb(child).resume()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_lies_where_the_tool_puts_it() {
        assert_eq!(slot::CHILD_TCB + Child::new(3).index(), 205);
    }
}
