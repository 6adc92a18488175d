// SPDX-License-Identifier: BSD-2-Clause
//! A memory server built on the client library's owner, which moves its clients' pages while they use the GPU.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use conformance::{Capability, Frame, Link, Rig, Settings, Shared, batch, channel};
use gpu_client::{Access, Backing, Errno, Error, Frames, Gpu, Lendable, Object, Owner, UsedObject};
use gpu_model::Timing;

const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;
const BLITTER: u32 = 3;
const PAGE: u64 = 4096;
/// Dwords of a page.
const WORDS: usize = 1024;
const SERVER: usize = Settings::SERVER;
/// Where each client's pages are in its address space: one of commands, two of data.
const BASE: u64 = 0x4000_0000;
const PAGES: usize = 3;
/// What old frames are filled with.
const SCRIBBLE: u32 = 0x5c41_bb1e;

/// The server's memory.
struct Memory {
    rig: Shared,
    /// Physical addresses of the frames behind each client's pages.
    behind: [[u64; PAGES]; 2],
    /// Frames that stand behind nothing, scribbled on; the one that has been free for longest first.
    free: Vec<u64>,
    /// Errors that are answered instead of frames.
    refusals: Vec<Errno>,
    /// Frames are sent one by one.
    piecemeal: bool,
    moves: u32,
    dirty: u64,
}

fn client_of(space: u32) -> usize {
    usize::try_from(u64::from(space) - channel(0)).unwrap()
}

impl Memory {
    fn new(rig: &Shared) -> Self {
        let region = rig.rig().region(SERVER, 16);
        let frames: Vec<_> = (0..16).map(|page| region.physical + page * PAGE).collect();
        let behind = [0, 1].map(|client: usize| std::array::from_fn(|page| frames[client * PAGES + page]));
        let memory = Self {
            rig: rig.clone(),
            behind,
            free: frames[2 * PAGES..].to_vec(),
            refusals: Vec::new(),
            piecemeal: false,
            moves: 0,
            dirty: 0,
        };
        memory.free.iter().for_each(|frame| memory.scribble(*frame));
        memory
    }

    fn scribble(&self, frame: u64) {
        self.rig.rig().poke(frame, &[SCRIBBLE; WORDS]);
    }

    /// No word of a frame that was taken back has changed since.
    fn check_free(&self) {
        for frame in &self.free {
            assert!(!self.rig.rig().domain.holds(*frame));
            for at in (0..PAGE).step_by(4) {
                assert_eq!(self.rig.rig().peek(frame + at), SCRIBBLE, "{frame:#x} + {at:#x}");
            }
        }
    }
}

impl Backing for Memory {
    fn lend(&mut self, space: u32, at: u64, write: bool) -> Result<Lendable, Errno> {
        if let Some(errno) = self.refusals.pop() {
            return Err(errno);
        }
        assert!(write);
        let page = usize::try_from((at - BASE) / PAGE).unwrap();
        let until = if self.piecemeal { page + 1 } else { PAGES };
        let frames = &self.behind[client_of(space)][page..until];
        let slots =
            frames.iter().map(|frame| Some(Capability::Frame(Frame { physical: *frame, writable: true })));
        let (cnode, bits) = self.rig.rig().cnode(slots.collect());
        let frames = Frames::Capabilities { cnode, bits, page_bits: 12 };
        Ok(Lendable { address: at, size: (until - page) as u64 * PAGE, frames })
    }

    fn back(&mut self, space: u32, range: Range<u64>, dirty: u64) {
        self.dirty += dirty;
        for page in (range.start - BASE) / PAGE..(range.end - BASE) / PAGE {
            let page = usize::try_from(page).unwrap();
            let new = self.free.remove(0);
            let old = std::mem::replace(&mut self.behind[client_of(space)][page], new);
            let words: Vec<_> = (0..PAGE).step_by(4).map(|at| self.rig.rig().peek(old + at)).collect();
            self.rig.rig().poke(new, &words);
            self.scribble(old);
            self.free.push(old);
            self.moves += 1;
        }
    }
}

struct Server {
    owner: Owner<Link>,
    memory: Memory,
}

impl Server {
    fn work(&mut self) -> usize {
        self.owner.work(&mut self.memory).unwrap()
    }

    /// Moves a page, as soon as it is back. Whether it is back already.
    fn move_page(&mut self, client: usize, page: usize) -> bool {
        let start = BASE + page as u64 * PAGE;
        let space = u32::try_from(channel(client)).unwrap();
        self.owner.take_back(&mut self.memory, space, start..start + PAGE).unwrap()
    }
}

/// A system of two clients and a server that works whenever a client sleeps.
fn served(platform: &'static str) -> (Shared, Rc<RefCell<Server>>, [Gpu<Link>; 2]) {
    let rig = Shared::new(Rig::unconnected(Settings::served(platform)));
    let owner = Owner::connect(rig.link(SERVER)).unwrap();
    let server = Rc::new(RefCell::new(Server { owner, memory: Memory::new(&rig) }));
    let clients = [0, 1].map(|client| {
        let server = Rc::clone(&server);
        let others = move || {
            server.borrow_mut().work();
        };
        Gpu::connect(rig.link(client).with_others(others)).unwrap()
    });
    (rig, server, clients)
}

fn object(gpu: &mut Gpu<Link>, first: u64, pages: u64) -> Object {
    let lendable = Lendable { address: BASE + first * PAGE, size: pages * PAGE, frames: Frames::Foreign };
    gpu.create_userptr(lendable).unwrap()
}

/// A deterministic sequence of numbers (xorshift, 32 bits).
fn next(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}

#[test]
fn clients_do_not_notice_that_their_server_moves_their_pages_all_the_time() {
    for platform in ["skl", "tgl"] {
        let (rig, server, mut clients) = served(platform);
        let objects = clients.each_mut().map(|gpu| [object(gpu, 0, 1), object(gpu, 1, 2)]);
        let spaces = clients.each_mut().map(|gpu| gpu.create_vm().unwrap());
        let contexts = [0, 1].map(|client| clients[client].create_context(&spaces[client]).unwrap());
        let mut random = 0x2545_f491;
        let mut pending = 0;
        for round in 0..300 {
            let client = usize::from(round % 3 == 0);
            // The client's CPU writes the commands into its own page, wherever that is now.
            let at = u64::from(next(&mut random) % 2048) * 4;
            let code = server.borrow().memory.behind[client][0];
            rig.rig().poke(code, &batch::store(DATA + at, round));
            let [code, data] = &objects[client];
            let busy = next(&mut random).is_multiple_of(2);
            // What the GPU has at hand it does not begin for now: pages that it uses cannot come back.
            rig.rig().set_timing(if busy { Timing::Busy } else { Timing::Instant });
            let used = |object, address, access| UsedObject { object, address, access };
            let batch = used(code, CODE, Access::Read);
            let data = [used(data, DATA, Access::Write)];
            let fence = clients[client].submit(&contexts[client], BLITTER, batch, 0..32, &data).unwrap();
            for _ in 0..next(&mut random) % 4 {
                let who = (next(&mut random) % 2) as usize;
                let page = (next(&mut random) % 3) as usize;
                pending += u32::from(!server.borrow_mut().move_page(who, page));
            }
            rig.rig().set_timing(Timing::Instant);
            clients[client].wait(fence);
            server.borrow_mut().work();
            let page = usize::try_from(at / PAGE).unwrap();
            let frame = server.borrow().memory.behind[client][1 + page];
            assert_eq!(rig.rig().peek(frame + at % PAGE), round, "{platform}, round {round}");
        }
        let server = server.borrow();
        assert!(server.memory.moves > 300 && pending > 50, "{} moves, {pending} waited", server.memory.moves);
        assert!(server.memory.dirty > 0 && server.owner.open() == 0);
        server.memory.check_free();
        rig.rig().check();
    }
}

#[test]
fn a_server_lends_in_pieces_and_its_errors_reach_the_client_once() {
    let (rig, server, mut clients) = served("tgl");
    server.borrow_mut().memory.piecemeal = true;
    let gpu = &mut clients[0];
    let vm = gpu.create_vm().unwrap();
    let context = gpu.create_context(&vm).unwrap();
    let all = object(gpu, 0, 3);
    let code = server.borrow().memory.behind[0][0];
    rig.rig().poke(code, &batch::store(CODE + 2 * PAGE, 77));
    let batch = UsedObject { object: &all, address: CODE, access: Access::Read };
    for errno in [Errno::NoMem, Errno::Fault] {
        server.borrow_mut().memory.refusals = vec![errno];
        assert_eq!(gpu.submit(&context, BLITTER, batch, 0..32, &[]), Err(Error::Refused(errno)));
        assert_eq!(rig.rig().domain.held(), 0);
    }
    let fence = gpu.submit(&context, BLITTER, batch, 0..32, &[]).unwrap();
    gpu.wait(fence);
    let last = server.borrow().memory.behind[0][2];
    assert_eq!(rig.rig().peek(last), 77);
    assert_eq!(rig.rig().domain.held(), 3);
    rig.rig().check();
}

#[test]
fn a_server_that_answers_never_keeps_its_client_waiting_and_nobody_else() {
    let (rig, server, mut clients) = served("tgl");
    // The first client's server side stands still: its requests stay where they are.
    let starved = rig.rig().userptr_create(0, BASE, PAGE).unwrap();
    let context = rig.rig().context_create(0, 0, &[]).unwrap();
    let list = [conformance::wire::reads(starved, CODE)];
    for _ in 0..100 {
        assert_eq!(rig.rig().submit(0, context, BLITTER, &list, &[]), Err(Errno::Again));
    }
    assert_eq!(rig.rig().driver.census().clients[0].requested, 1, "it is asked once");
    // Closing does not wait for the owner either: what nobody fetched leaves no trace.
    rig.rig().close(0, starved).unwrap();
    assert_eq!(rig.rig().driver.census().objects, 0);
    let gpu = &mut clients[1];
    let vm = gpu.create_vm().unwrap();
    let context = gpu.create_context(&vm).unwrap();
    let code = object(gpu, 0, 1);
    let frame = server.borrow().memory.behind[1][0];
    rig.rig().poke(frame, &[batch::END, 0]);
    let batch = UsedObject { object: &code, address: CODE, access: Access::Read };
    let fence = gpu.submit(&context, BLITTER, batch, 0..8, &[]).unwrap();
    gpu.wait(fence);
    rig.rig().check();
}
