// SPDX-License-Identifier: BSD-2-Clause
//! A client that lets the GPU paint one frame after the other into its own pages and checks every pixel of each, until
//! it is told that it is enough. Then it shows the last frame.
//!
//! The pages are objects of two pages each, next to each other in the GPU's address space, and one with the commands.
//! Nothing here knows who owns the memory: with frame capabilities of its own (`cap_frame_range`) it lends
//! them itself, without it waits for whoever does.
#![no_std]
#![no_main]

mod scene;

use gpu_client::blit::{BlitError, Commands, Surface};
use gpu_client::microkit::{ChannelTransport, Finished};
use gpu_client::symbols::Memory;
use gpu_client::{Access, Context, Error, Gpu, Object, UsedObject, Vm, memory, transport};
use sel4_microkit::{Channel, debug_println, pd_name, protection_domain, var};
use window::Window;

use scene::{RECTANGLES, SIDE};

/// Channels, in system.xml.
const DRIVER: Channel = Channel::new(0);
const CONDUCTOR: Channel = Channel::new(1);
/// The engine slot of the blitter in a context without a map of its own.
const BLITTER: u32 = 3;
/// Where the objects lie in the GPU's address space.
const CANVAS_ADDRESS: u64 = 0x1_0000_0000;
const BATCH_ADDRESS: u64 = 0x2_0000_0000;
/// Bytes of the canvas, of one of its objects, and of the object with the commands behind it.
const CANVAS: usize = SIDE as usize * SIDE as usize * 4;
const PIECE: usize = 0x2000;
const PIECES: usize = CANVAS / PIECE;
const BATCH: usize = 0x1000;
/// How often each frame is painted over with itself, so that the GPU has more to do.
const COATS: usize = 8;

struct Painter {
    gpu: Gpu<ChannelTransport>,
    memory: Window,
    context: Context,
    pieces: [Object; PIECES],
    batch: Object,
    place: usize,
    _vm: Vm,
}

fn start(place: usize) -> Result<Painter, Error> {
    let Memory { window, lendable } = memory!(pages, pages_size, pages_bits, pages_row, slot = 1);
    if window.len() < CANVAS + BATCH {
        return Err(Error::TooLarge);
    }
    let mut gpu = Gpu::connect_afresh(transport!(DRIVER))?;
    let vm = gpu.create_vm()?;
    let context = gpu.create_context(&vm)?;
    let mut object =
        |start: usize, bytes: usize| gpu.create_userptr_in(lendable, start as u64..(start + bytes) as u64);
    let mut piece = |number: usize| object(number * PIECE, PIECE);
    let pieces = [piece(0)?, piece(1)?, piece(2)?, piece(3)?, piece(4)?, piece(5)?, piece(6)?, piece(7)?];
    let batch = object(CANVAS, BATCH)?;
    Ok(Painter { gpu, memory: window, context, pieces, batch, place, _vm: vm })
}

impl Painter {
    /// Writes a frame's commands into the page for them, and returns their length in bytes.
    fn write_commands(&mut self, number: u64) -> Result<u32, BlitError> {
        let target = Surface { address: CANVAS_ADDRESS, pitch: SIDE * 4, width: SIDE, height: SIDE };
        let mut dwords = [0; BATCH / 4];
        let mut commands = Commands::new(&mut dwords);
        for _ in 0..COATS {
            for (rectangle, colour) in scene::frame(number, self.place as u64) {
                commands.fill(target, rectangle, colour)?;
            }
        }
        let length = commands.finish()?;
        for (index, dword) in dwords.iter().take(length as usize / 4).enumerate() {
            self.memory.write(CANVAS + index * 4, *dword);
        }
        Ok(length)
    }

    /// Paints a frame and waits for it.
    fn paint(&mut self, number: u64) -> Result<(), Error> {
        let length = self.write_commands(number).map_err(|_| Error::TooLarge)?;
        let used = |object, address, access| UsedObject { object, address, access };
        let batch = used(&self.batch, BATCH_ADDRESS, Access::Read);
        let pieces: [_; PIECES] = core::array::from_fn(|piece| {
            used(&self.pieces[piece], CANVAS_ADDRESS + (piece * PIECE) as u64, Access::Write)
        });
        let fence = self.gpu.submit(&self.context, BLITTER, batch, 0..length, &pieces)?;
        self.gpu.wait(fence);
        Ok(())
    }

    /// The first wrong pixel of a frame: where it is, what it is and what it must be.
    fn check(&self, number: u64) -> Option<(u32, u32, u32, u32)> {
        let frame: [_; RECTANGLES] = scene::frame(number, self.place as u64);
        let pixels = (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (x, y)));
        let mut wrong = pixels.filter_map(|(x, y)| {
            let found = self.memory.read(((y * SIDE + x) * 4) as usize);
            let expected = scene::expected(&frame, x, y);
            (found != expected).then_some((x, y, found, expected))
        });
        wrong.next()
    }

    /// Copies the canvas to its place in the picture.
    fn show(&self, picture: &mut Window) {
        for at in (0..CANVAS).step_by(4) {
            let pixel: u32 = self.memory.read(at);
            picture.write(self.place * CANVAS + at, pixel);
        }
    }
}

/// Paints until it is enough; how many frames there were.
fn run(place: usize, score: &mut Window, picture: &mut Window) -> Result<u64, Error> {
    let mut painter = start(place)?;
    let mut number = 0;
    loop {
        painter.paint(number)?;
        if let Some((x, y, found, expected)) = painter.check(number) {
            let name = pd_name().unwrap_or("");
            debug_println!(
                "{name}: frame {number}: pixel ({x}, {y}) is {found:#010x}, expected {expected:#010x}"
            );
            return Err(Error::Protocol);
        }
        number += 1;
        score.write(8 + 8 * painter.place, number);
        if score.read::<u64>(0) != 0 {
            painter.show(picture);
            return Ok(number);
        }
    }
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> Finished {
    let mut score = memory!(score, score_size, score_bits, score_row, slot = 2).window;
    let mut picture = memory!(frame, frame_size, frame_bits, frame_row, slot = 3).window;
    let name = pd_name().unwrap_or("");
    let place = *var!(place: usize = 0);
    match run(place, &mut score, &mut picture) {
        Ok(frames) => debug_println!("{name}: {frames} frames, every pixel of each is right"),
        Err(error) => {
            debug_println!("{name}: error: {error}");
            // No frame more: the conductor sees it.
            score.write(8 + 8 * place, u64::MAX);
        }
    }
    CONDUCTOR.notify();
    Finished
}
