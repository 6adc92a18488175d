// SPDX-License-Identifier: BSD-2-Clause
//! A client of the GPU driver: lends pages of its own memory, lets the blitter paint a picture into
//! them, sleeps until the driver notifies it, and checks every pixel with the CPU.
//!
//! ```text
//!   init: connect ► address space, context ► objects ► commands ► submit ─┐
//!                                                                         ▼
//!   event loop (asleep) ◄──────────────────────────────────────── painter with a fence
//!      └─ notified ► fence reached? ► check every pixel ► one line, exit code
//! ```
#![no_std]
#![no_main]

mod scene;

use gpu_client::blit::{BlitError, Commands, Surface};
use gpu_client::microkit::ChannelTransport;
use gpu_client::symbols::Memory;
use gpu_client::{Access, Context, Error, Fence, Gpu, Object, Param, UsedObject, Vm, memory, transport};
use microkit_ext::ioport::IoPort;
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, debug_println, protection_domain, var};
use window::Window;

use scene::{HEIGHT, Scene, WIDTH};

/// The channel to the driver, in system.xml.
const DRIVER: Channel = Channel::new(0);
/// Root slots of the frame capabilities, in system.xml.
const FRAME_SLOT: usize = 1;
const BATCH_SLOT: usize = 2;
/// The engine slot of the blitter in a context without a map of its own.
const BLITTER: u32 = 3;
/// Where the objects lie in the GPU's address space.
const FRAME_ADDRESS: u64 = 0x1_0000_0000;
const BATCH_ADDRESS: u64 = 0x2_0000_0000;
/// What the picture is filled with beforehand: a colour that the scene does not have.
const UNPAINTED: u32 = 0x00de_ad00;
/// Bytes a pixel.
const PIXEL: usize = 4;
/// Dwords for commands.
const BATCH_DWORDS: usize = 2048;
/// Port of QEMU's debug exit device.
const EXIT_PORT: u16 = 0xf4;

/// Everything that lives as long as the picture is being painted.
struct Painter {
    gpu: Gpu<ChannelTransport>,
    scene: Scene,
    frame: Window,
    fence: Fence,
    _kept: (Vm, Context, Object, Object),
}

/// The domain: painting, or nothing left to do.
struct Paint {
    painter: Option<Painter>,
}

/// Why there is no picture.
enum Failure {
    Gpu(&'static str, Error),
    Blit(BlitError),
    System(&'static str),
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Gpu(what, error) => write!(f, "{what}: {error}"),
            Self::Blit(error) => write!(f, "commands: {error}"),
            Self::System(what) => f.write_str(what),
        }
    }
}

/// Ends the emulator with a status (0: everything held). On a board the port goes nowhere.
fn exit(code: u32) {
    // The only error would be a missing port, which is a board's normal state.
    let _ = IoPort::new(*var!(exit_port_id: usize = 0)).out32(EXIT_PORT, code);
}

fn start() -> Result<Painter, Failure> {
    let Memory { window: mut frame, lendable: frame_pages } =
        memory!(frame, frame_size, frame_cnode_bits, frame_row, slot = FRAME_SLOT);
    let Memory { window: mut batch, lendable: batch_pages } =
        memory!(batch, batch_size, batch_cnode_bits, batch_row, slot = BATCH_SLOT);
    let pixels = WIDTH as usize * HEIGHT as usize;
    if frame.len() < pixels * PIXEL || batch.len() < BATCH_DWORDS * 4 {
        return Err(Failure::System("system.xml: the regions frame or batch are too small"));
    }

    let at = |what| move |error| Failure::Gpu(what, error);
    let mut gpu = Gpu::connect_afresh(transport!(DRIVER)).map_err(at("connect"))?;
    let chipset = gpu.param(Param::ChipsetId).map_err(at("chipset id"))?;
    debug_println!("paint: connected to GPU {chipset:#06x} with {} engines", gpu.engines());
    let vm = gpu.create_vm().map_err(at("create address space"))?;
    let context = gpu.create_context(&vm).map_err(at("create context"))?;

    let frame_object = gpu.create_userptr(frame_pages).map_err(at("create the picture's object"))?;
    let batch_object = gpu.create_userptr(batch_pages).map_err(at("create the batch's object"))?;

    let scene = Scene::new();
    let target = Surface { address: FRAME_ADDRESS, pitch: WIDTH * 4, width: WIDTH, height: HEIGHT };
    let length = write_commands(&scene, target, &mut batch).map_err(Failure::Blit)?;
    for pixel in 0..pixels {
        frame.write(pixel * PIXEL, UNPAINTED);
    }

    let fence = gpu
        .submit(
            &context,
            BLITTER,
            UsedObject { object: &batch_object, address: BATCH_ADDRESS, access: Access::Read },
            0..length,
            &[UsedObject { object: &frame_object, address: FRAME_ADDRESS, access: Access::Write }],
        )
        .map_err(at("submit"))?;
    debug_println!("paint: submitted {} blitter commands in {length} bytes", scene.steps().len());
    if !gpu.is_complete(fence) {
        debug_println!("paint: the GPU is painting; asleep until the driver notifies");
    }
    Ok(Painter { gpu, scene, frame, fence, _kept: (vm, context, frame_object, batch_object) })
}

/// Writes the batch into the client's own page and returns its length in bytes.
fn write_commands(scene: &Scene, target: Surface, batch: &mut Window) -> Result<u32, BlitError> {
    let mut dwords = [0; BATCH_DWORDS];
    let mut commands = Commands::new(&mut dwords);
    for step in scene.steps() {
        match *step {
            scene::Step::Fill(rectangle, colour) => commands.fill(target, rectangle, colour)?,
            scene::Step::Copy(rectangle, x, y) => commands.copy(target, x, y, target, rectangle)?,
        }
    }
    let length = commands.finish()?;
    for (index, dword) in dwords.iter().take(length as usize / 4).enumerate() {
        batch.write(index * 4, *dword);
    }
    Ok(length)
}

impl Painter {
    /// Checks every pixel; the first wrong one is reported. Returns how many are wrong.
    fn check(&self) -> u32 {
        let mut wrong = 0;
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                let found: u32 = self.frame.read((y * WIDTH + x) as usize * PIXEL);
                let expected = scene::expected(self.scene.steps(), x, y, UNPAINTED);
                if found != expected {
                    if wrong == 0 {
                        debug_println!("paint: pixel ({x}, {y}) is {found:#010x}, expected {expected:#010x}");
                    }
                    wrong += 1;
                }
            }
        }
        wrong
    }
}

impl Handler for Paint {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Self::Error> {
        // A notification may be about something else: the page of completed points decides.
        let Some(painter) = self.painter.take_if(|painter| painter.gpu.is_complete(painter.fence)) else {
            return Ok(());
        };
        debug_println!("paint: notified, the batch is complete");
        let wrong = painter.check();
        if wrong == 0 {
            debug_println!("frame: {WIDTH}x{HEIGHT} stride={} format=XRGB8888", WIDTH as usize * PIXEL);
            debug_println!("paint: all {} pixels are right", WIDTH * HEIGHT);
            exit(0);
        } else {
            debug_println!("paint: {wrong} of {} pixels are wrong", WIDTH * HEIGHT);
            exit(1);
        }
        Ok(())
    }
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> Paint {
    match start() {
        Ok(painter) => Paint { painter: Some(painter) },
        Err(failure) => {
            debug_println!("paint: error: {failure}");
            exit(2);
            Paint { painter: None }
        }
    }
}
