// SPDX-License-Identifier: BSD-2-Clause
//! Owns the frames behind the address spaces of two clients of the GPU, and moves their pages to other frames while the
//! clients, which do not know, let the GPU paint into them.
//!
//! ```text
//!   conductor ─ call MOVE ─► a page of a client ─► Owner::take_back ─┬─► done ──────────► Pages::back
//!   driver ─ notification ─► Owner::work ─┬─► pending one has ended ─┘                      │
//!                                         └─► page request ─► Pages::lend                   ▼
//!                                                 copy, remap, scribble over the old frame
//! ```
//!
//! It runs above its clients and alone on the processor, so that no client sees a page while it moves.
#![no_std]
#![no_main]

mod frames;
mod pages;

use gpu_client::microkit::ChannelTransport;
use gpu_client::{Errno, Error, Owner, transport};
use sel4_microkit::{
    Channel, ChannelSet, Handler, Infallible, MessageInfo, debug_println, get_mr, protection_domain, set_mr,
    var,
};

use pages::{CLIENTS, PAGES, Pages};

/// Channels, in system.xml.
const DRIVER: Channel = Channel::new(0);
/// The conductor's calls: move so many pages; reply: moves so far.
const MOVE: u64 = 1;
/// Look at all frames that stand behind nothing; reply: moves, of which waited for the GPU, words of old frames that are
/// not as they were left, and invalidations under way.
const FINISH: u64 = 2;

struct Server {
    owner: Owner<ChannelTransport>,
    pages: Pages,
    random: u64,
    /// Moves that had to wait for the GPU.
    waited: u64,
}

/// Nothing to serve without a driver.
struct MemoryServer {
    server: Option<Server>,
}

impl Server {
    /// The next of a sequence of numbers that is the same in each run (xorshift64).
    fn next(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// Begins to move a page of a client, if too many are not under way.
    fn move_one(&mut self) -> Result<(), Error> {
        let number = self.next();
        let client = usize::from(number & 1 != 0) % CLIENTS;
        // CAST: a page of a client, far fewer than 2^16.
        #[allow(clippy::cast_possible_truncation)]
        let page = (number >> 8) as usize % PAGES;
        let space = pages::space(client);
        let range = self.pages.range(client, page);
        match self.owner.take_back(&mut self.pages, space, range) {
            Ok(at_once) => self.waited += u64::from(!at_once),
            Err(Error::Refused(Errno::Again)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn call(&mut self, message: &MessageInfo) -> Result<[u64; 4], Error> {
        if message.label() == MOVE {
            for _ in 0..get_mr(0) {
                self.move_one()?;
            }
        }
        // An invalidation may have ended, and its notification not have come yet.
        self.owner.work(&mut self.pages)?;
        let damaged = if message.label() == FINISH { self.pages.check_free() } else { 0 };
        Ok([self.pages.moves, self.waited, self.pages.damaged + damaged, self.owner.open() as u64])
    }
}

impl Handler for MemoryServer {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Self::Error> {
        if let Some(server) = &mut self.server
            && let Err(error) = server.owner.work(&mut server.pages)
        {
            debug_println!("memory_server: error: {error}");
        }
        Ok(())
    }

    fn protected(&mut self, _: Channel, message: MessageInfo) -> Result<MessageInfo, Self::Error> {
        let Some(server) = &mut self.server else { return Ok(MessageInfo::new(1, 0)) };
        match server.call(&message) {
            Ok(words) => {
                for (register, word) in words.into_iter().enumerate() {
                    set_mr(register, word);
                }
                Ok(MessageInfo::new(0, 4))
            }
            Err(error) => {
                debug_println!("memory_server: error: {error}");
                Ok(MessageInfo::new(1, 0))
            }
        }
    }
}

/// `None` where it cannot move pages: it says why.
fn start() -> Result<Option<Server>, Error> {
    let Some(pages) = Pages::take_over() else {
        debug_println!(
            "memory_server: error: it has no capabilities of its frames, which no kernel of a Microkit SDK gives"
        );
        return Ok(None);
    };
    let owner = Owner::connect_afresh(transport!(DRIVER))?;
    let random = (*var!(seed: u64 = 0)).max(1);
    debug_println!(
        "memory_server: owns {} pages of {CLIENTS} clients and {} spare frames",
        CLIENTS * PAGES,
        pages.spare()
    );
    Ok(Some(Server { owner, pages, random, waited: 0 }))
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> MemoryServer {
    match start() {
        Ok(server) => MemoryServer { server },
        Err(error) => {
            debug_println!("memory_server: error: {error}");
            MemoryServer { server: None }
        }
    }
}
