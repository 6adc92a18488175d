// SPDX-License-Identifier: BSD-2-Clause
//! Calls `call_server` with messages of every length that matters, and checks every word of every answer.
#![no_std]
#![no_main]

use boot_domains::pattern;
use sel4_microkit::{
    Channel, Handler, Infallible, MessageInfo, NullHandler, get_mr, protection_domain, set_mr,
};

const SERVER: Channel = Channel::new(0);
/// The label of a call whose words come back changed.
const ECHO: u64 = 1;
/// The label of the last call.
const DONE: u64 = 2;
/// Up to four words travel in registers, more in the IPC buffer, which holds 120.
const LENGTHS: [usize; 8] = [0, 1, 3, 4, 5, 17, 119, 120];
const ROUNDS: u64 = 50;

#[protection_domain]
fn init() -> impl Handler<Error = Infallible> {
    for round in 0..ROUNDS {
        for length in LENGTHS {
            for index in 0..length {
                set_mr(index, pattern(round, index));
            }
            let answer = SERVER.pp_call(MessageInfo::new(ECHO, length));
            assert_eq!(answer.label(), ECHO + 100);
            assert_eq!(answer.count(), length);
            for index in 0..length {
                assert_eq!(get_mr(index), !pattern(round, index), "word {index} of {length}");
            }
        }
    }
    set_mr(0, ROUNDS * LENGTHS.len() as u64);
    SERVER.pp_call(MessageInfo::new(DONE, 1));
    NullHandler::new()
}
