// SPDX-License-Identifier: BSD-2-Clause
//! QEMU's `edu` device: a PCI function made for teaching, with an interrupt that can be raised at will and a small
//! DMA engine of its own. The facts are from QEMU's `docs/specs/edu.txt`.

use window::Window;

use crate::pci::Function;

/// Vendor and device number, as the first dword of configuration space.
pub const ID: u32 = 0x11e8_1234;

/// The most bytes that one transfer moves here. The device's buffer has twice as many, but QEMU 7.2 ends itself at a
/// transfer that reaches the buffer's last byte (`hw/misc/edu.c`, `edu_check_range`).
pub const BUFFER_SIZE: usize = 2048;
/// Where the DMA engine sees that buffer.
const BUFFER: u64 = 0x4_0000;

const IDENTIFICATION: usize = 0x00;
const LIVENESS: usize = 0x04;
const INTERRUPT_STATUS: usize = 0x24;
const INTERRUPT_RAISE: usize = 0x60;
const INTERRUPT_ACKNOWLEDGE: usize = 0x64;
const DMA_SOURCE: usize = 0x80;
const DMA_DESTINATION: usize = 0x88;
const DMA_COUNT: usize = 0x90;
const DMA_COMMAND: usize = 0x98;

const DMA_START: u64 = 1;
const DMA_FROM_DEVICE: u64 = 1 << 1;

/// The device, mapped.
pub struct Edu {
    registers: Window,
}

impl Edu {
    /// Checks that `function` is the device, that its registers are where `registers` maps them (`paddr`), and that it
    /// answers; switches it on.
    #[must_use]
    pub fn new(function: Function, registers: Window, paddr: usize) -> Self {
        assert_eq!(function.read(0), ID, "what is at the device's PCI address");
        let bar = function.read(0x10) & !0xf;
        assert_eq!(bar as usize, paddr, "the BAR is not where the system maps it");
        function.enable();
        let mut edu = Self { registers };
        let identification = edu.registers.read::<u32>(IDENTIFICATION);
        assert_eq!(identification & 0xffff, 0x00ed, "identification register {identification:#x}");
        edu.registers.write(LIVENESS, 0x1234_5678_u32);
        assert_eq!(edu.registers.read::<u32>(LIVENESS), !0x1234_5678, "liveness register");
        edu
    }

    /// Raises the interrupt with these bits in its status.
    pub fn raise(&mut self, bits: u32) {
        self.registers.write(INTERRUPT_RAISE, bits);
    }

    /// Takes the interrupt's status and clears it.
    pub fn acknowledge(&mut self) -> u32 {
        let bits = self.registers.read(INTERRUPT_STATUS);
        self.registers.write(INTERRUPT_ACKNOWLEDGE, bits);
        bits
    }

    /// Copies `count` bytes at the device address `from` into the device's buffer.
    pub fn load(&mut self, from: u64, count: usize) {
        self.transfer(from, BUFFER, count, 0);
    }

    /// Copies the first `count` bytes of the device's buffer to the device address `to`.
    pub fn store(&mut self, to: u64, count: usize) {
        self.transfer(BUFFER, to, count, DMA_FROM_DEVICE);
    }

    fn transfer(&mut self, from: u64, to: u64, count: usize, direction: u64) {
        // A transfer takes 100 ms of the machine's time; an access to a register costs it a microsecond or less.
        const POLLS: usize = 100_000_000;
        assert!(count <= BUFFER_SIZE);
        self.registers.write(DMA_SOURCE, from);
        self.registers.write(DMA_DESTINATION, to);
        self.registers.write(DMA_COUNT, count as u64);
        self.registers.write(DMA_COMMAND, DMA_START | direction);
        let finished = (0..POLLS).any(|_| self.registers.read::<u64>(DMA_COMMAND) & DMA_START == 0);
        assert!(finished, "the transfer does not end");
    }
}
