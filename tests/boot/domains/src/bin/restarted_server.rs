// SPDX-License-Identifier: BSD-2-Clause
//! A memory server whose lives end in the middle of things: every other one with a page request that it has fetched and not
//! answered, the others with pages lent, of which the next life knows nothing. Each begins with writing the page of data, which
//! is its own then.
#![no_std]
#![no_main]

use core::ops::Range;

use boot_domains::{region, restarting::*};
use gpu_client::microkit::ChannelTransport;
use gpu_client::symbols::Memory;
use gpu_client::{Backing, Errno, Lendable, Owner, memory, transport};
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, debug_println, protection_domain, var};

const DRIVER: Channel = Channel::new(0);
const PARENT: Channel = Channel::new(1);
const CLIENT: Channel = Channel::new(2);
const PAGE: usize = 4096;

struct Server {
    owner: Owner<ChannelTransport>,
    books: Books,
}

struct Books {
    pages: Memory,
    life: u64,
    lent: u32,
}

impl Backing for Books {
    fn lend(&mut self, _: u32, _: u64, _: bool) -> Result<Lendable, Errno> {
        if self.life % 2 == 1 {
            end(self.life);
        }
        self.lent += 1;
        Ok(Lendable { address: CLIENT_PAGES, ..self.pages.lendable })
    }

    fn back(&mut self, _: u32, _: Range<u64>, _: u64) {
        unreachable!("nothing is taken back but by the driver, when the server starts over");
    }
}

/// Its parent has the higher priority: this is the last that it does.
fn end(life: u64) -> ! {
    PARENT.notify();
    unreachable!("life {life} goes on");
}

impl Handler for Server {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        let Self { owner, books } = self;
        owner.work(books).expect("the driver answers");
        if channels.contains(CLIENT) {
            // The client has what it wanted, and its pages are still lent.
            assert!(books.lent > 0, "life {} has lent nothing", books.life);
            end(books.life);
        }
        Ok(())
    }
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> Server {
    let mut stage = region(*var!(stage: usize = 0), STAGE_BYTES);
    let life = stage.read::<u64>(LIFE);
    stage.write(ENTRY, entry());
    let mut pages = memory!(pages, pages_size, pages_bits, pages_row, slot = 1);
    let owner = Owner::connect_afresh(transport!(DRIVER)).expect("there is a GPU");
    // The client's commands, which it has written meanwhile, are in the first page.
    for word in PAGE / 8..pages.window.len() / 8 {
        pages.window.write(word * 8, life);
    }
    debug_println!("restarted_server: life {life} has its pages");
    Server { owner, books: Books { pages, life, lent: 0 } }
}
