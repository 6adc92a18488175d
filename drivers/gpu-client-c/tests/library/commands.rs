// SPDX-License-Identifier: BSD-2-Clause
//! The command builder.

use core::ffi::c_int;

use gpu_client_c::types::*;
use gpu_client_c::*;

use crate::world::DATA;

#[test]
fn ill_formed_commands_are_refused_and_leave_nothing() {
    let mut dwords = [0xdead_beef_u32; 12];
    let mut commands = CCommands { dwords: dwords.as_mut_ptr(), capacity: 12, used: 0 };
    let surface = CSurface { address: DATA, pitch: 256, width: 64, height: 64, pad: 0 };
    let whole = CRectangle { x0: 0, y0: 0, x1: 64, y1: 64 };
    let results: [c_int; 9] = {
        let commands = &raw mut commands;
        // SAFETY: every pointer is to something of the test's.
        unsafe {
            [
                gpu_store_dword(commands, 0x2001, 7),
                gpu_store_qword(commands, 0x2004, 7),
                gpu_wait_until(commands, 0x2000, 6, 1, 0),
                gpu_wait_until(commands, 0x2000, 4, 1, 2),
                gpu_fill(commands, &surface, &CRectangle { x1: 65, ..whole }, 0),
                gpu_copy(commands, &surface, 1, 1, &surface, &CRectangle { x1: 8, y1: 8, ..whole }),
                gpu_fill(commands, &CSurface { pad: 1, ..surface }, &whole, 0),
                gpu_fill(commands, &surface, &whole, 0xff),
                gpu_fill(commands, &surface, &whole, 0xff),
            ]
        }
    };
    assert_eq!(results, [-22, -22, -22, -22, -34, -34, -22, 0, -28]);
    assert_eq!(commands.used, 7);
    assert_eq!(dwords[7..], [0xdead_beef; 5]);
}
