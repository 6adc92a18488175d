// SPDX-License-Identifier: BSD-2-Clause
//! A client that composes a picture out of what another client shares with it: the other one tells it, in a protected
//! call, the name of an object that it has exported; the GPU copies out of that one's pages into this one's. No CPU reads
//! or writes a pixel of either.
//!
//! Where system.xml has a domain with a screen, that one is notified of the finished picture.
#![no_std]
#![no_main]

use gpu_client::blit::{Commands, Surface};
use gpu_client::microkit::ChannelTransport;
use gpu_client::symbols::Memory;
use gpu_client::{Access, Context, Error, Fence, Gpu, Object, UsedObject, Vm, memory, transport};
use microkit_ext::ioport::IoPort;
use pictures::share::{HEIGHT, TILE_HEIGHT, TILE_WIDTH, WIDTH, composed};
use sel4_microkit::{
    Channel, ChannelSet, Handler, Infallible, MessageInfo, debug_println, get_mr, protection_domain, var,
};
use window::Window;

/// The channel to the driver, in system.xml.
const DRIVER: Channel = Channel::new(0);
/// The one to the domain that shows the picture, where system.xml says that there is one. It notifies when it cannot.
const SCREEN: Channel = Channel::new(2);
/// The engine slot of the blitter in a context without a map of its own.
const BLITTER: u32 = 3;
/// Where the objects lie in the GPU's address space.
const FRAME_ADDRESS: u64 = 0x1_0000_0000;
const BATCH_ADDRESS: u64 = 0x2_0000_0000;
const TILE_ADDRESS: u64 = 0x3_0000_0000;
/// Where the picture's pages count as being in this domain's address space, as userptr have to be somewhere in it. They
/// are not mapped there.
const FRAME_PLACE: u64 = 0x4000_0000;
const FRAME_BYTES: u64 = 640 * 480 * 4;
/// Dwords for commands.
const BATCH_DWORDS: usize = 1024;
/// Port of QEMU's debug exit device.
const EXIT_PORT: u16 = 0xf4;

/// Connected, and waiting for something to compose or for its composition.
struct Composer {
    gpu: Gpu<ChannelTransport>,
    context: Context,
    frame: Object,
    code: Object,
    batch: Window,
    /// What was imported, and when it is composed.
    composing: Option<(Object, Fence)>,
    _vm: Vm,
}

struct Compositor(Option<Composer>);

/// Ends the emulator with a status (0: everything held). On a board the port goes nowhere.
fn exit(code: u32) {
    // The only error would be a missing port, which is a board's normal state.
    let _ = IoPort::new(*var!(exit_port_id: usize = 0)).out32(EXIT_PORT, code);
}

fn start() -> Result<Composer, Error> {
    let picture = memory!(frame, frame_size, frame_bits, frame_row, slot = 1).lendable;
    let Memory { window: batch, lendable } = memory!(batch, batch_size, batch_bits, batch_row, slot = 2);
    let mut gpu = Gpu::connect(transport!(DRIVER))?;
    let vm = gpu.create_vm()?;
    let context = gpu.create_context(&vm)?;
    let picture = gpu_client::Lendable { address: FRAME_PLACE, size: FRAME_BYTES, ..picture };
    let frame = gpu.create_userptr(picture)?;
    let code = gpu.create_userptr(lendable)?;
    Ok(Composer { gpu, context, frame, code, batch, composing: None, _vm: vm })
}

impl Composer {
    /// Imports the tile of that name and lets the GPU compose the picture.
    fn compose(&mut self, name: u64) -> Result<(), Error> {
        let tile = self.gpu.import(name)?;
        let source =
            Surface { address: TILE_ADDRESS, pitch: TILE_WIDTH * 4, width: TILE_WIDTH, height: TILE_HEIGHT };
        let target = Surface { address: FRAME_ADDRESS, pitch: WIDTH * 4, width: WIDTH, height: HEIGHT };
        let mut dwords = [0; BATCH_DWORDS];
        let mut commands = Commands::new(&mut dwords);
        for step in composed() {
            step.emit(&mut commands, target, source).map_err(|_| Error::TooLarge)?;
        }
        let length = commands.finish().map_err(|_| Error::TooLarge)?;
        for (index, dword) in dwords.iter().take(length as usize / 4).enumerate() {
            self.batch.write(index * 4, *dword);
        }
        let used = |object, address, access| UsedObject { object, address, access };
        let fence = self.gpu.submit(
            &self.context,
            BLITTER,
            used(&self.code, BATCH_ADDRESS, Access::Read),
            0..length,
            &[used(&tile, TILE_ADDRESS, Access::Read), used(&self.frame, FRAME_ADDRESS, Access::Write)],
        )?;
        debug_println!("compositor: imported {name:#x}; the GPU composes {length} bytes of commands");
        self.composing = Some((tile, fence));
        Ok(())
    }

    /// The picture is finished.
    fn finish(mut self, tile: Object) -> u32 {
        if let Err(error) = self.gpu.close(tile) {
            debug_println!("compositor: error: close: {error}");
            return 2;
        }
        debug_println!("frame: {WIDTH}x{HEIGHT} stride={} format=XRGB8888", WIDTH * 4);
        debug_println!("compositor: composed");
        0
    }
}

impl Handler for Compositor {
    type Error = Infallible;

    fn protected(&mut self, _: Channel, message: MessageInfo) -> Result<MessageInfo, Self::Error> {
        let name = if message.count() > 0 { get_mr(0) } else { 0 };
        let result = match &mut self.0 {
            Some(composer) if composer.composing.is_none() => composer.compose(name),
            _ => Err(Error::Protocol),
        };
        if let Err(error) = result {
            debug_println!("compositor: error: {error}");
            exit(2);
        }
        Ok(MessageInfo::new(result.is_err().into(), 0))
    }

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Self::Error> {
        if channels.contains(SCREEN) {
            debug_println!("compositor: error: the picture is not on the screen");
            exit(3);
        }
        // A notification may be about something else: the page of completed points decides.
        let done = |composer: &mut Composer| {
            composer.composing.as_ref().is_some_and(|(_, fence)| composer.gpu.is_complete(*fence))
        };
        if let Some(mut composer) = self.0.take_if(done)
            && let Some((tile, _)) = composer.composing.take()
        {
            match composer.finish(tile) {
                // It ends the run, or who looks at it.
                0 if *var!(has_screen: u64 = 0) != 0 => SCREEN.notify(),
                code => exit(code),
            }
        }
        Ok(())
    }
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> Compositor {
    match start() {
        Ok(composer) => Compositor(Some(composer)),
        Err(error) => {
            debug_println!("compositor: error: {error}");
            exit(2);
            Compositor(None)
        }
    }
}
