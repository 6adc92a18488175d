// SPDX-License-Identifier: BSD-2-Clause
//! Lets the memory server move pages while clients paint, as often as system.xml says; then lets the clients finish, has
//! the old frames looked at, and ends the run.
//!
//! It has the clients' priority and yields to them after each call, so that moves come at every moment of their frames.
#![no_std]
#![no_main]

use core::ptr::NonNull;

use microkit_ext::ioport::IoPort;
use microkit_ext::wait;
use sel4_microkit::{
    Channel, MessageInfo, NullHandler, debug_println, get_mr, protection_domain, set_mr, var,
};
use window::Window;

/// Channels, in system.xml.
const SERVER: Channel = Channel::new(0);
/// The clients', which are numbered from 1.
const CLIENTS: usize = 2;
/// Calls of the server: see there.
const MOVE: u64 = 1;
const FINISH: u64 = 2;
/// Pages that are moved at a time.
const AT_A_TIME: u64 = 4;
/// A line is printed after so many moves.
const REPORT: u64 = 1000;
/// Calls to wait for invalidations that are under way: each gives the others a turn, and none takes longer than half a
/// second, in which there are fewer turns than this.
const PATIENCE: u32 = 1_000_000;
/// Port of QEMU's debug exit device.
const EXIT_PORT: u16 = 0xf4;

/// What the server answers.
struct Tally {
    moves: u64,
    waited: u64,
    damaged: u64,
    open: u64,
}

fn ask(label: u64, argument: u64) -> Result<Tally, &'static str> {
    set_mr(0, argument);
    let answer = SERVER.pp_call(MessageInfo::new(label, 1));
    if answer.label() != 0 || answer.count() != 4 {
        return Err("the memory server has failed");
    }
    Ok(Tally { moves: get_mr(0), waited: get_mr(1), damaged: get_mr(2), open: get_mr(3) })
}

#[allow(unsafe_code)]
fn score() -> Window {
    let base = NonNull::new(*var!(score: usize = 0) as *mut u8);
    let size = if base.is_some() { *var!(score_size: usize = 0) } else { 0 };
    // SAFETY: system.xml maps the region there with that size for the life of the domain; this runs once. A region that
    // was not given has no byte.
    unsafe { Window::new(base.unwrap_or(NonNull::dangling()), size) }
}

fn frames(score: &Window) -> [u64; CLIENTS] {
    core::array::from_fn(|client| score.read(8 + 8 * client))
}

fn conduct() -> Result<(), &'static str> {
    let mut score = score();
    let goal = *var!(moves: u64 = 0);
    let mut told = 0;
    loop {
        let tally = ask(MOVE, AT_A_TIME)?;
        if frames(&score).contains(&u64::MAX) {
            return Err("a client has failed");
        }
        if tally.moves / REPORT > told {
            told = tally.moves / REPORT;
            let [a, b] = frames(&score);
            debug_println!("conductor: {} moves, {a} and {b} frames", tally.moves);
        }
        if tally.moves >= goal {
            break;
        }
        sel4::yield_now();
    }
    score.write(0, 1_u64);
    // The clients notify once each, when they have finished their last frames.
    let mut finished = 0;
    while finished < CLIENTS {
        let notified = wait::notified();
        finished += (1..=CLIENTS).filter(|client| notified.contains(Channel::new(*client))).count();
    }
    let [a, b] = frames(&score);
    if [a, b].contains(&u64::MAX) {
        return Err("a client has failed");
    }
    let mut tally = ask(FINISH, 0)?;
    for _ in 0..PATIENCE {
        if tally.open == 0 {
            break;
        }
        sel4::yield_now();
        tally = ask(FINISH, 0)?;
    }
    let Tally { moves, waited, damaged, open } = tally;
    debug_println!(
        "conductor: {moves} pages moved, {waited} of them waited for the GPU; {a} and {b} frames are right"
    );
    if damaged > 0 || open > 0 {
        debug_println!(
            "conductor: {damaged} words of old frames were written, {open} invalidations have no end"
        );
        return Err("pages were not the server's");
    }
    debug_println!("conductor: no word of an old frame was written");
    debug_println!("frame: 128x256 stride=512 format=XRGB8888");
    Ok(())
}

#[protection_domain]
fn init() -> NullHandler {
    let result = conduct();
    if let Err(what) = result {
        debug_println!("conductor: error: {what}");
    }
    // The only error would be a missing port, which is a board's normal state.
    let _ = IoPort::new(*var!(exit_port_id: usize = 0)).out32(EXIT_PORT, u32::from(result.is_err()));
    NullHandler::new()
}
