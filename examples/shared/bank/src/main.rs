// SPDX-License-Identifier: BSD-2-Clause
//! A memory server: owns the pages behind two clients' address spaces, lends them to the GPU when the driver asks, and takes
//! them back when a client says that it is done. Then the pages are its own again, and it looks at what was painted.
//!
//! ```text
//!   driver ─ notification ─► Owner::work ─► page request ─► Books::lend
//!   client ─ notification ─► Owner::take_back ─► Books::back ─► every pixel right?
//! ```
#![no_std]
#![no_main]

use core::ops::Range;

use gpu_client::microkit::ChannelTransport;
use gpu_client::symbols::Memory;
use gpu_client::{Backing, Errno, Lendable, Owner, memory, transport};
use microkit_ext::ioport::IoPort;
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, debug_println, protection_domain, var};

/// Channels, in system.xml: the driver, and client N on N + 1, as on the driver's side.
const DRIVER: Channel = Channel::new(0);
const CLIENTS: usize = 2;
/// Where each client has its pages, in system.xml.
const PAGES: u64 = 0x4000_0000;
/// Pixels of each client's picture.
const PIXELS: usize = 64 * 64;

/// Who has lent what.
struct Books {
    pages: [Memory; CLIENTS],
    colours: [u32; CLIENTS],
    lent: [u32; CLIENTS],
    back: [bool; CLIENTS],
}

struct Bank {
    owner: Option<Owner<ChannelTransport>>,
    books: Books,
}

/// The client of an address space, by its channel at the driver.
fn client(space: u32) -> Option<usize> {
    (space as usize).checked_sub(1).filter(|client| *client < CLIENTS)
}

fn space(client: usize) -> u32 {
    // CAST: one of two.
    client as u32 + 1
}

impl Backing for Books {
    fn lend(&mut self, space: u32, _: u64, _: bool) -> Result<Lendable, Errno> {
        let client = client(space).ok_or(Errno::Fault)?;
        self.lent[client] += 1;
        // The frames are known by the bank's region, their place by the client's address space.
        Ok(Lendable { address: PAGES, ..self.pages[client].lendable })
    }

    fn back(&mut self, space: u32, _: Range<u64>, _: u64) {
        if let Some(client) = client(space) {
            self.back[client] = true;
        }
    }
}

impl Books {
    /// Whether everybody was served and is right; `None` as long as somebody's pages are not back.
    fn audit(&self) -> Option<bool> {
        if self.back.contains(&false) {
            return None;
        }
        let mut right = true;
        for client in 0..CLIENTS {
            let window = &self.pages[client].window;
            let painted =
                (0..PIXELS).filter(|pixel| window.read::<u32>(pixel * 4) == self.colours[client]).count();
            debug_println!(
                "bank: client {client} has lent {} times, {painted} pixels are right",
                self.lent[client]
            );
            right &= painted == PIXELS && self.lent[client] >= 2;
        }
        Some(right)
    }
}

impl Handler for Bank {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Self::Error> {
        let Self { owner: Some(owner), books } = self else { return Ok(()) };
        let mut result = Ok(());
        for client in (0..CLIENTS).filter(|client| channels.contains(Channel::new(client + 1))) {
            let size = books.pages[client].lendable.size;
            result = result.and(owner.take_back(books, space(client), PAGES..PAGES + size).map(drop));
        }
        // Whoever notified: page requests, and pages that were not back at once.
        result = result.and(owner.work(books).map(drop));
        let verdict = match result {
            Ok(()) => books.audit(),
            Err(error) => {
                debug_println!("bank: error: {error}");
                Some(false)
            }
        };
        if let Some(right) = verdict {
            // Ends the emulator; on a board the port goes nowhere.
            let _ = IoPort::new(0).out32(0xf4, u32::from(!right));
        }
        Ok(())
    }
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> Bank {
    let pages = [
        memory!(pages_a, pages_a_size, pages_a_bits, pages_a_row, slot = 1),
        memory!(pages_b, pages_b_size, pages_b_bits, pages_b_row, slot = 2),
    ];
    let colours = [*var!(colour_a: u64 = 0), *var!(colour_b: u64 = 0)].map(|colour| colour as u32);
    let owner = Owner::connect_afresh(transport!(DRIVER));
    if let Err(error) = &owner {
        debug_println!("bank: error: {error}");
        let _ = IoPort::new(0).out32(0xf4, 2);
    }
    Bank { owner: owner.ok(), books: Books { pages, colours, lent: [0; CLIENTS], back: [false; CLIENTS] } }
}
