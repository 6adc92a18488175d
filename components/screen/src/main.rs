// SPDX-License-Identifier: BSD-2-Clause
//! Copies a picture to the screen when it is notified that the picture is finished: into the linear framebuffer that the
//! boot loader has set up, which lies where the board file says, in the mode that it says.
//!
//! The copy is the CPU's: the screen's memory is another device's, whose frames nobody can lend to the GPU.
//!
//! That the mode is set is checked with the adapter's own registers (QEMU: `docs/specs/standard-vga.txt`, the interface of
//! Bochs): an index at port 0x1ce, the value at 0x1cf. They are read and never written. A boot loader that sets the mode by
//! these registers leaves the adapter's older part as the BIOS did, with its output off; that is switched on here.
//!
//! What goes wrong is printed, and whoever notified it is notified.
#![no_std]
#![no_main]

use core::ptr::NonNull;

use microkit_ext::ioport::{self, IoPort};
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, debug_println, protection_domain, var};
use window::Window;

/// Ports of the adapter's registers, and the registers: identity, width, height, bits of a pixel, enable.
const INDEX_PORT: u16 = 0x1ce;
const DATA_PORT: u16 = 0x1cf;
const ID: u16 = 0;
const WIDTH: u16 = 1;
const HEIGHT: u16 = 2;
const DEPTH: u16 = 3;
const ENABLE: u16 = 4;
/// An identity is this with a version in its lowest bits.
const ID_MARK: u16 = 0xb0c0;
/// [`ENABLE`]: the mode is on. Its memory is linear whatever the adapter's other bit says (QEMU: `hw/display/vga.c`).
const ON: u16 = 1 << 0;
/// VGA's attribute registers: a read of the status port makes the next write of the other one an index, in which this bit
/// lets the picture out (IBM VGA Technical Reference: "Attribute Address Register").
const STATUS_PORT: u16 = 0x3da;
const ATTRIBUTE_PORT: u16 = 0x3c0;
const OUTPUT_ON: u8 = 1 << 5;
/// Bytes of a pixel, of the picture and of the screen.
const PIXEL: u32 = 4;
/// What is wrong when an access of a port fails.
const NO_PORTS: &str = "system.xml does not give the adapter's ports";
/// The channel to the client that makes the picture, in system.xml.
const CLIENT: Channel = Channel::new(0);

/// The screen and the picture, as system.xml gives them.
struct Screen {
    picture: Window,
    memory: Window,
    /// Pixels in a row, rows, and bytes from row to row.
    width: u32,
    height: u32,
    stride: u32,
    adapter: IoPort,
    attributes: IoPort,
}

/// The memory that the image tool has mapped at an address.
#[allow(unsafe_code)]
fn region(address: usize, size: usize) -> Window {
    let base = NonNull::new(address as *mut u8);
    let size = if base.is_some() { size } else { 0 };
    // SAFETY: system.xml maps the region there with that size for the life of the domain; this runs once for each. A region
    // that was not given has no byte.
    unsafe { Window::new(base.unwrap_or(NonNull::dangling()), size) }
}

impl Screen {
    /// To be called once.
    fn given() -> Self {
        let number = |value: u64| u32::try_from(value).unwrap_or(0);
        Self {
            picture: region(*var!(picture: usize = 0), *var!(picture_size: usize = 0)),
            memory: region(*var!(screen: usize = 0), *var!(screen_size: usize = 0)),
            width: number(*var!(screen_width: u64 = 0)),
            height: number(*var!(screen_height: u64 = 0)),
            stride: number(*var!(screen_stride: u64 = 0)),
            adapter: IoPort::new(*var!(adapter_port_id: usize = 0)),
            attributes: IoPort::new(*var!(attribute_port_id: usize = 0)),
        }
    }

    fn register(&self, index: u16) -> Result<u16, &'static str> {
        let read = || -> ioport::Result<u16> {
            self.adapter.out16(INDEX_PORT, index)?;
            self.adapter.in16(DATA_PORT)
        };
        read().map_err(|_| NO_PORTS)
    }

    /// Whether the mode is the board file's.
    fn check(&self) -> Result<(), &'static str> {
        if self.register(ID)? & 0xfff0 != ID_MARK {
            return Err("there is no adapter with Bochs' registers");
        }
        if self.register(ENABLE)? & ON == 0 {
            return Err("the boot loader has set no mode");
        }
        let mode = [self.register(WIDTH)?, self.register(HEIGHT)?, self.register(DEPTH)?].map(u32::from);
        if mode != [self.width, self.height, 8 * PIXEL] {
            return Err("the mode is not the board file's");
        }
        Ok(())
    }

    /// Copies the picture, which has the screen's width and height and no gaps between its rows.
    fn show(&mut self) -> Result<(), &'static str> {
        self.check()?;
        let bytes = |stride: u32| stride as usize * self.height as usize;
        if bytes(self.width * PIXEL) > self.picture.len() || bytes(self.stride) > self.memory.len() {
            return Err("a region of system.xml is too small for the mode");
        }
        for y in 0..self.height {
            let row = (y * self.width * PIXEL) as usize;
            let pixels = (0..self.width as usize).map(|x| self.picture.read::<u32>(row + x * PIXEL as usize));
            self.memory.write_row((y * self.stride) as usize, pixels);
        }
        let switch_on = || -> ioport::Result<()> {
            self.attributes.in8(STATUS_PORT)?;
            self.attributes.out8(ATTRIBUTE_PORT, OUTPUT_ON)
        };
        switch_on().map_err(|_| NO_PORTS)
    }
}

impl Handler for Screen {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Self::Error> {
        match self.show() {
            // Who looks at the screen ends the run.
            Ok(()) => debug_println!("screen: shows the picture"),
            Err(problem) => {
                debug_println!("screen: error: {problem}");
                CLIENT.notify();
            }
        }
        Ok(())
    }
}

#[protection_domain]
fn init() -> Screen {
    Screen::given()
}
