// SPDX-License-Identifier: BSD-2-Clause
//! A client of the GPU driver that loses a context and goes on with a clone of it.
//!
//! ```text
//!   init: context ► paint the night ► a batch without end ► paint the sunrise, on the same context
//!                                          │                      │
//!   notified: the watchdog has stopped it ─┘   cancelled with it ─┘
//!      ► reset statistics: guilty ► submit: EIO, banned ► no pixel of the sunrise is there
//!      ► clone everything, destroy the old context ► paint the sunrise, on the clone
//!   notified: complete ► check every pixel ► one line, exit code
//! ```
//!
//! The clone has the address space with the objects where they were, the engines, the watchdog and the timeline; only
//! the logical state is fresh.
#![no_std]
#![no_main]

mod scene;

use gpu_client::blit::{BlitError, Commands, Surface};
use gpu_client::microkit::ChannelTransport;
use gpu_client::symbols::Memory;
use gpu_client::{
    Access, CLONE_ALL, Context, ContextBuilder, ContextParam, EngineClassInstance, Errno, Error, Fence, Gpu,
    Object, UsedObject, Vm, memory, transport,
};
use microkit_ext::ioport::IoPort;
use sel4_microkit::{
    Channel, ChannelSet, Handler, Infallible, MessageInfo, debug_println, protection_domain, var,
};
use window::Window;

use scene::{HEIGHT, Part, WIDTH};

/// The channel to the driver, in system.xml.
const DRIVER: Channel = Channel::new(0);
/// Nobody shows what the driver has counted.
const NO_TOP: u64 = 0;
/// Root slots of the frame capabilities, in system.xml.
const FRAME_SLOT: usize = 1;
const BATCH_SLOT: usize = 2;
/// The map of engines: the blitter, in a slot where the default map does not have it.
const ENGINES: [EngineClassInstance; 2] = [EngineClassInstance::NONE, EngineClassInstance::new(1, 0)];
const BLITTER: u32 = 1;
/// How long one batch may run. Painting takes milliseconds where the GPU is emulated; but the batch behind the endless one
/// is to be accepted before that one is ended, on a machine that emulates several systems at once, too.
const WATCHDOG_US: u64 = 2_000_000;
/// Where the objects lie in the GPU's address space.
const FRAME_ADDRESS: u64 = 0x1_0000_0000;
const BATCH_ADDRESS: u64 = 0x2_0000_0000;
/// What the picture is filled with beforehand: a colour that neither part has.
const UNPAINTED: u32 = 0x00de_ad00;
/// Bytes a pixel.
const PIXEL: usize = 4;
/// Bytes of the object with the batches that each of them has.
const BATCH_BYTES: u32 = 4096;
/// Port of QEMU's debug exit device.
const EXIT_PORT: u16 = 0xf4;

/// The batches, in the order of their pages.
#[derive(Clone, Copy)]
enum Batch {
    Night,
    Endless,
    Sunrise,
}

/// Why it did not work.
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

/// What the client waits for.
enum Stage {
    /// Nothing yet.
    Starting,
    /// The end of the batch without end, and of what was behind it.
    Hanging(Fence),
    /// The sunrise on the clone.
    Recovering(Fence),
}

/// Everything that lives as long as the picture is being painted.
struct Painter {
    gpu: Gpu<ChannelTransport>,
    context: Context,
    frame_object: Object,
    batch_object: Object,
    lengths: [u32; 3],
    frame: Window,
    stage: Stage,
    _vm: Vm,
}

/// The domain: painting, or nothing left to do.
struct Recover {
    painter: Option<Painter>,
}

/// Ends the emulator with a status (0: everything held). On a board the port goes nowhere.
fn exit(code: u32) {
    // The only error would be a missing port, which is a board's normal state.
    let _ = IoPort::new(*var!(exit_port_id: usize = 0)).out32(EXIT_PORT, code);
}

fn at(what: &'static str) -> impl Fn(Error) -> Failure {
    move |error| Failure::Gpu(what, error)
}

/// Writes a part's commands into its page and returns their length in bytes.
fn write_part(part: &Part, page: Batch, batch: &mut Window) -> Result<u32, Failure> {
    let target = Surface { address: FRAME_ADDRESS, pitch: WIDTH * 4, width: WIDTH, height: HEIGHT };
    let mut dwords = [0; BATCH_BYTES as usize / 4];
    let mut commands = Commands::new(&mut dwords);
    for (rectangle, colour) in part.rectangles() {
        commands.fill(target, *rectangle, *colour).map_err(Failure::Blit)?;
    }
    let length = commands.finish().map_err(Failure::Blit)?;
    write_page(&dwords, length, page, batch);
    Ok(length)
}

fn write_page(dwords: &[u32], length: u32, page: Batch, batch: &mut Window) {
    for (index, dword) in dwords.iter().take(length as usize / 4).enumerate() {
        batch.write((page as usize) * BATCH_BYTES as usize + index * 4, *dword);
    }
}

/// MI_BATCH_BUFFER_START in the PPGTT, to itself (PRM vol 2a).
fn write_endless(batch: &mut Window) -> u32 {
    let address = BATCH_ADDRESS + Batch::Endless as u64 * u64::from(BATCH_BYTES);
    // CAST: the two halves of the address.
    #[allow(clippy::cast_possible_truncation)]
    let dwords = [0x31 << 23 | 1 << 8 | 1, address as u32, (address >> 32) as u32, 0];
    write_page(&dwords, 16, Batch::Endless, batch);
    16
}

impl Painter {
    fn submit(&mut self, batch: Batch) -> Result<Fence, Error> {
        let start = batch as u32 * BATCH_BYTES;
        self.gpu.submit(
            &self.context,
            BLITTER,
            UsedObject { object: &self.batch_object, address: BATCH_ADDRESS, access: Access::Read },
            start..start + self.lengths[batch as usize],
            &[UsedObject { object: &self.frame_object, address: FRAME_ADDRESS, access: Access::Write }],
        )
    }

    /// Checks every pixel; the first wrong one is reported. Returns how many are wrong.
    fn wrong_pixels(&self, parts: &[&Part]) -> u32 {
        let mut wrong = 0;
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                let found: u32 = self.frame.read((y * WIDTH + x) as usize * PIXEL);
                let expected = scene::expected(parts, x, y, UNPAINTED);
                if found != expected {
                    if wrong == 0 {
                        debug_println!(
                            "recover: pixel ({x}, {y}) is {found:#010x}, expected {expected:#010x}"
                        );
                    }
                    wrong += 1;
                }
            }
        }
        wrong
    }

    /// The batch without end has been ended: learns why, and goes on with a clone.
    fn recover(&mut self) -> Result<Fence, Failure> {
        let counts = self.gpu.reset_counts(&self.context).map_err(at("reset statistics"))?;
        debug_println!("recover: the context is guilty of {} hang", counts.guilty);
        if counts.guilty != 1 {
            return Err(Failure::System("the context should be guilty of one hang"));
        }
        match self.submit(Batch::Sunrise) {
            Err(Error::Refused(Errno::Io)) => {
                debug_println!("recover: it is banned: the driver answers {}", Errno::Io);
            }
            Ok(_) => return Err(Failure::System("a banned context takes a batch")),
            Err(error) => return Err(at("submit on the banned context")(error)),
        }
        if self.wrong_pixels(&[&Part::night()]) != 0 {
            return Err(Failure::System("what was behind the hang has painted all the same"));
        }
        // Its flags are the source's, too; that its first hang bans it is not wanted a second time.
        let builder = ContextBuilder::new()
            .clone_of(&self.context)
            .flags(CLONE_ALL)
            .param(ContextParam::RECOVERABLE, 1);
        let clone = self.gpu.create_context_with(&builder).map_err(at("clone"))?;
        let banned = core::mem::replace(&mut self.context, clone);
        self.gpu.destroy_context(banned).map_err(at("destroy the banned context"))?;
        let watchdog =
            self.gpu.context_param(&self.context, ContextParam::WATCHDOG).map_err(at("parameter"))?;
        if watchdog != WATCHDOG_US {
            return Err(Failure::System("the clone has another watchdog than its source"));
        }
        debug_println!("recover: cloned it; painting on");
        self.submit(Batch::Sunrise).map_err(at("submit on the clone"))
    }
}

fn start() -> Result<Painter, Failure> {
    let Memory { window: mut frame, lendable: frame_pages } =
        memory!(frame, frame_size, frame_cnode_bits, frame_row, slot = FRAME_SLOT);
    let Memory { window: mut batch, lendable: batch_pages } =
        memory!(batch, batch_size, batch_cnode_bits, batch_row, slot = BATCH_SLOT);
    let pixels = WIDTH as usize * HEIGHT as usize;
    if frame.len() < pixels * PIXEL || batch.len() < 3 * BATCH_BYTES as usize {
        return Err(Failure::System("system.xml: the regions frame or batch are too small"));
    }
    for pixel in 0..pixels {
        frame.write(pixel * PIXEL, UNPAINTED);
    }

    let mut gpu = Gpu::connect(transport!(DRIVER)).map_err(at("connect"))?;
    let vm = gpu.create_vm().map_err(at("create address space"))?;
    let builder = ContextBuilder::new()
        .single_timeline()
        .in_vm(&vm)
        .engines(&ENGINES)
        .priority(-1)
        .param(ContextParam::WATCHDOG, WATCHDOG_US)
        .param(ContextParam::RECOVERABLE, 0);
    let context = gpu.create_context_with(&builder).map_err(at("create context"))?;
    let frame_object = gpu.create_userptr(frame_pages).map_err(at("create the picture's object"))?;
    let batch_object = gpu.create_userptr(batch_pages).map_err(at("create the batches' object"))?;
    let lengths = [
        write_part(&Part::night(), Batch::Night, &mut batch)?,
        write_endless(&mut batch),
        write_part(&Part::sunrise(), Batch::Sunrise, &mut batch)?,
    ];

    let stage = Stage::Starting;
    let mut painter = Painter { gpu, context, frame_object, batch_object, lengths, frame, stage, _vm: vm };
    painter.submit(Batch::Night).map_err(at("submit the night"))?;
    painter.submit(Batch::Endless).map_err(at("submit the batch without end"))?;
    let last = painter.submit(Batch::Sunrise).map_err(at("submit the sunrise"))?;
    painter.stage = Stage::Hanging(last);
    debug_println!("recover: submitted a batch, one without end, and one behind it");
    Ok(painter)
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

impl Recover {
    fn finish(painter: &Painter) {
        show_top();
        let wrong = painter.wrong_pixels(&[&Part::night(), &Part::sunrise()]);
        if wrong == 0 {
            debug_println!("frame: {WIDTH}x{HEIGHT} stride={} format=XRGB8888", WIDTH as usize * PIXEL);
            debug_println!("recover: all {} pixels are right", WIDTH * HEIGHT);
            exit(0);
        } else {
            debug_println!("recover: {wrong} of {} pixels are wrong", WIDTH * HEIGHT);
            exit(1);
        }
    }
}

impl Handler for Recover {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Self::Error> {
        let Some(mut painter) = self.painter.take() else { return Ok(()) };
        // A notification may be about something else: the page of completed points decides.
        match painter.stage {
            Stage::Hanging(fence) if painter.gpu.is_complete(fence) => match painter.recover() {
                Ok(fence) => painter.stage = Stage::Recovering(fence),
                Err(failure) => {
                    debug_println!("recover: error: {failure}");
                    exit(2);
                    return Ok(());
                }
            },
            Stage::Recovering(fence) if painter.gpu.is_complete(fence) => {
                Self::finish(&painter);
                return Ok(());
            }
            Stage::Starting | Stage::Hanging(_) | Stage::Recovering(_) => {}
        }
        self.painter = Some(painter);
        Ok(())
    }
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> Recover {
    match start() {
        Ok(painter) => Recover { painter: Some(painter) },
        Err(failure) => {
            debug_println!("recover: error: {failure}");
            exit(2);
            Recover { painter: None }
        }
    }
}
