// SPDX-License-Identifier: BSD-2-Clause
//! A client whose CPU draws one frame after the other in pages of its own, out of which the GPU composes the picture: the
//! pages are lent, so nothing is copied on the way. Both have two buffers, so that the CPU draws the next frame while the
//! GPU composes the last one.
//!
//! ```text
//!   CPU   draw 0 ► draw 1 ► (0 composed?) draw 2 ► (1 composed?) draw 3 ...      into frames[number % 2]
//!   GPU            compose 0 ► compose 1 ► compose 2 ...      from frames[number % 2] into picture[number % 2]
//! ```
//!
//! For comparison the same is done first in the way of an interface that does not take the client's own pages: each frame
//! is copied by the CPU into others, and composed from there. [`Canvas::copy_to`] is what copies, and counts.
//!
//! The picture is not mapped in this domain, nor in any other: only the GPU can have written it.
#![no_std]
#![no_main]

use gpu_client::blit::{BlitError, Commands, Surface};
use gpu_client::microkit::{ChannelTransport, Finished};
use gpu_client::symbols::Memory;
use gpu_client::{
    Access, Context, Error, Fence, Gpu, Lendable, Object, Param, UsedObject, Vm, memory, transport,
};
use microkit_ext::ioport::IoPort;
use pictures::PIXEL;
use pictures::stream::{FRAMES, HEIGHT, SOURCE_HEIGHT, SOURCE_WIDTH, WIDTH, composed, drawn};
use sel4_microkit::{Channel, MessageInfo, debug_println, protection_domain, var};
use window::Window;

/// The channel to the driver, in system.xml.
const DRIVER: Channel = Channel::new(0);
/// Nobody shows what the driver has counted.
const NO_TOP: u64 = 0;
/// The engine slot of the blitter in a context without a map of its own.
const BLITTER: u32 = 3;
/// Frames that are copied, for comparison.
const COPIED_FRAMES: u32 = 24;
/// Buffers of everything.
const BUFFERS: usize = 2;
/// Bytes of a frame that the CPU draws, of its buffer (whole pages), and of a composed one, which is whole pages.
const SOURCE_BYTES: usize = SOURCE_WIDTH as usize * SOURCE_HEIGHT as usize * PIXEL;
const SOURCE_BUFFER: usize = SOURCE_BYTES.next_multiple_of(0x1000);
const PICTURE_BYTES: usize = WIDTH as usize * HEIGHT as usize * PIXEL;
/// Where the picture's pages count as being in this domain's address space, as userptr have to be somewhere in it.
const PICTURE_PLACE: u64 = 0x5000_0000;
/// Bytes of the object with the commands that each buffer has, and where the time of each is behind them.
const CODE: usize = 0x1000;
const TIMES: usize = BUFFERS * CODE;
/// Where the objects lie in the GPU's address space.
const PICTURE_ADDRESS: u64 = 0x1_0000_0000;
const FRAMES_ADDRESS: u64 = 0x2_0000_0000;
const STAGING_ADDRESS: u64 = 0x2_1000_0000;
const CODE_ADDRESS: u64 = 0x3_0000_0000;
const TIMES_ADDRESS: u64 = 0x4_0000_0000;
/// Port of QEMU's debug exit device.
const EXIT_PORT: u16 = 0xf4;

/// Two buffers that the CPU writes, and what it did with them.
struct Canvas {
    memory: Window,
    /// Bytes that it drew.
    drawn: u64,
    /// Bytes that it read in order to write them somewhere else.
    copied: u64,
}

impl Canvas {
    const fn new(memory: Window) -> Self {
        Self { memory, drawn: 0, copied: 0 }
    }

    /// Draws a frame into a buffer.
    fn draw(&mut self, number: u32, buffer: usize) {
        let mut at = buffer * SOURCE_BUFFER;
        for y in 0..SOURCE_HEIGHT {
            for x in 0..SOURCE_WIDTH {
                self.memory.write(at, drawn(number, x, y));
                at += PIXEL;
                self.drawn += PIXEL as u64;
            }
        }
    }

    /// Copies a buffer into the same one of another canvas.
    fn copy_to(&mut self, other: &mut Self, buffer: usize) {
        let start = buffer * SOURCE_BUFFER;
        for at in (start..start + SOURCE_BYTES).step_by(PIXEL) {
            let pixel: u32 = self.memory.read(at);
            other.memory.write(at, pixel);
            self.copied += PIXEL as u64;
        }
    }
}

/// Pages that the CPU writes and the GPU reads: an object for each buffer, one behind the other for the GPU.
struct Source {
    canvas: Canvas,
    objects: [Object; BUFFERS],
    address: u64,
}

impl Source {
    const fn address(&self, buffer: usize) -> u64 {
        self.address + (buffer * SOURCE_BUFFER) as u64
    }
}

/// Everything there is.
struct Stream {
    gpu: Gpu<ChannelTransport>,
    context: Context,
    frames: Source,
    staging: Source,
    picture: Object,
    code: Window,
    code_object: Object,
    times_object: Object,
    _vm: Vm,
}

/// What a run of frames came to.
struct Tally {
    frames: u32,
    /// Times the frames' end took on the GPU's clock, of all but the first.
    ticks: u64,
    /// Frames that the CPU finished drawing before the GPU had finished the one before.
    overlapped: u32,
}

/// Ends the emulator with a status (0: everything held). On a board the port goes nowhere.
fn exit(code: u32) {
    // The only error would be a missing port, which is a board's normal state.
    let _ = IoPort::new(*var!(exit_port_id: usize = 0)).out32(EXIT_PORT, code);
}

fn source(gpu: &mut Gpu<ChannelTransport>, memory: Memory, address: u64) -> Result<Source, Error> {
    if memory.window.len() < BUFFERS * SOURCE_BUFFER {
        return Err(Error::TooLarge);
    }
    let mut object = |buffer: usize| {
        let start = buffer * SOURCE_BUFFER;
        gpu.create_userptr_in(memory.lendable, start as u64..(start + SOURCE_BUFFER) as u64)
    };
    let objects = [object(0)?, object(1)?];
    Ok(Source { canvas: Canvas::new(memory.window), objects, address })
}

fn start() -> Result<Stream, Error> {
    let frames = memory!(frames, frames_size, frames_bits, frames_row, slot = 1);
    let staging = memory!(staging, staging_size, staging_bits, staging_row, slot = 2);
    let picture = memory!(picture, picture_size, picture_bits, picture_row, slot = 3);
    let code = memory!(code, code_size, code_bits, code_row, slot = 4);
    if code.window.len() < TIMES + CODE {
        return Err(Error::TooLarge);
    }
    let mut gpu = Gpu::connect(transport!(DRIVER))?;
    let vm = gpu.create_vm()?;
    let context = gpu.create_context(&vm)?;
    let frames = source(&mut gpu, frames, FRAMES_ADDRESS)?;
    let staging = source(&mut gpu, staging, STAGING_ADDRESS)?;
    let size = (BUFFERS * PICTURE_BYTES) as u64;
    let picture = gpu.create_userptr(Lendable { address: PICTURE_PLACE, size, ..picture.lendable })?;
    let code_object = gpu.create_userptr_in(code.lendable, 0..TIMES as u64)?;
    let times_object = gpu.create_userptr_in(code.lendable, TIMES as u64..(TIMES + CODE) as u64)?;
    let code = code.window;
    Ok(Stream { gpu, context, frames, staging, picture, code, code_object, times_object, _vm: vm })
}

impl Stream {
    /// Writes the commands of a frame into its buffer's page, and returns their length in bytes. The last one writes the
    /// time.
    fn write_commands(&mut self, number: u32, buffer: usize, source: u64) -> Result<u32, BlitError> {
        let source =
            Surface { address: source, pitch: SOURCE_WIDTH * 4, width: SOURCE_WIDTH, height: SOURCE_HEIGHT };
        let address = PICTURE_ADDRESS + (buffer * PICTURE_BYTES) as u64;
        let target = Surface { address, pitch: WIDTH * 4, width: WIDTH, height: HEIGHT };
        let mut dwords = [0; CODE / 4];
        let mut commands = Commands::new(&mut dwords);
        for step in composed(number) {
            step.emit(&mut commands, target, source)?;
        }
        commands.flush_and_stamp(TIMES_ADDRESS + (buffer * 8) as u64)?;
        let length = commands.finish()?;
        for (index, dword) in dwords.iter().take(length as usize / 4).enumerate() {
            self.code.write(buffer * CODE + index * 4, *dword);
        }
        Ok(length)
    }

    /// Lets the GPU compose a frame out of the buffer of `frames` or of `staging`.
    fn compose(&mut self, number: u32, buffer: usize, staged: bool) -> Result<Fence, Error> {
        let source = if staged { self.staging.address(buffer) } else { self.frames.address(buffer) };
        let length = self.write_commands(number, buffer, source).map_err(|_| Error::TooLarge)?;
        // CAST: two pages.
        #[allow(clippy::cast_possible_truncation)]
        let start = (buffer * CODE) as u32;
        let from = if staged { &self.staging } else { &self.frames };
        let used = |object, address, access| UsedObject { object, address, access };
        self.gpu.submit(
            &self.context,
            BLITTER,
            used(&self.code_object, CODE_ADDRESS, Access::Read),
            start..start + length,
            &[
                used(&from.objects[buffer], source, Access::Read),
                used(&self.picture, PICTURE_ADDRESS, Access::Write),
                used(&self.times_object, TIMES_ADDRESS, Access::Write),
            ],
        )
    }

    fn time(&self, buffer: usize) -> u64 {
        self.code.read(TIMES + buffer * 8)
    }

    /// Streams frames, by way of the staging pages or in place.
    fn run(&mut self, frames: u32, staged: bool) -> Result<Tally, Error> {
        let mut fences: [Option<Fence>; BUFFERS] = [None; BUFFERS];
        let (mut first, mut overlapped) = (0, 0);
        for number in 0..frames {
            let buffer = number as usize % BUFFERS;
            // The frame before the last was the last one to use this buffer.
            if let Some(fence) = fences[buffer] {
                self.gpu.wait(fence);
            }
            if number == 2 {
                first = self.time(0);
            }
            self.frames.canvas.draw(number, buffer);
            if staged {
                self.frames.canvas.copy_to(&mut self.staging.canvas, buffer);
            }
            overlapped += fences[1 - buffer].map_or(0, |fence| u32::from(!self.gpu.is_complete(fence)));
            fences[buffer] = Some(self.compose(number, buffer, staged)?);
        }
        for fence in fences.into_iter().flatten() {
            self.gpu.wait(fence);
        }
        let ticks = self.time((frames as usize + 1) % BUFFERS).wrapping_sub(first);
        Ok(Tally { frames, ticks, overlapped })
    }
}

fn tell(how: &str, tally: &Tally, hz: u64, copied: u64) {
    // Tenths of frames per second, between the end of the first and the end of the last one.
    let rate = u64::from(tally.frames - 1) * 10 * hz / tally.ticks.max(1);
    debug_println!(
        "stream: {how}: {} frames, {}.{} frames per second, {copied} bytes copied by the CPU, {} drawn while the GPU composed",
        tally.frames,
        rate / 10,
        rate % 10,
        tally.overlapped
    );
}

fn stream() -> Result<(), Error> {
    let mut stream = start()?;
    let hz = stream.gpu.param(Param::CsTimestampFrequency)?;
    let staged = stream.run(COPIED_FRAMES, true)?;
    let copied = stream.frames.canvas.copied;
    tell("with a copy, for comparison", &staged, hz, copied);
    let in_place = stream.run(FRAMES, false)?;
    tell("in place", &in_place, hz, stream.frames.canvas.copied - copied);
    let all = stream.frames.canvas.drawn + stream.staging.canvas.drawn;
    debug_println!("stream: {all} bytes drawn by the CPU");
    debug_println!("frame: {WIDTH}x{} stride={} format=XRGB8888", 2 * HEIGHT, WIDTH * 4);
    show_top();
    Ok(())
}

/// Lets the domain that shows what the driver has counted do so, if there is one.
fn show_top() {
    match *var!(top_channel: u64 = NO_TOP) {
        NO_TOP => {}
        channel => {
            let channel = usize::try_from(channel).map(Channel::new);
            let _ = channel.map(|top| top.pp_call(MessageInfo::new(0, 0)));
        }
    }
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> Finished {
    let result = stream();
    if let Err(error) = result {
        debug_println!("stream: error: {error}");
    }
    exit(u32::from(result.is_err()) * 2);
    Finished
}
