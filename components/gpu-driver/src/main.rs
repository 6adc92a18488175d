// SPDX-License-Identifier: BSD-2-Clause
//! The driver domain: seL4 objects in, the `intel-gpu` core, replies out. No policy is here.
//!
//! ```text
//!   init       ports ─► PCI function ─► Machine ─► Gpu ─► Driver
//!   protected  client's call ─► Driver::call ─► reply
//!   notified   MSI   ─► Driver::interrupt ─► points published, clients notified
//!              client ─► Driver::serve_rings, as every time that the driver is woken
//!              alarm ─► Driver::tick, while the GPU has work: what interrupts do not tell
//! ```
//!
//! A domain without a GPU stays alive and answers `ENODEV` to everybody: its clients decide what that
//! means to them.
#![no_std]
#![no_main]

extern crate alloc;

mod board;
mod bringup;
mod clients;
mod clock;
mod frames;
mod given;
mod hardware;
mod heap;
mod ports;
mod top;
mod tracer;

use core::ptr::NonNull;

use gpu_protocol::{Errno, GrantEntry, Reply};
use intel_gpu::uapi::{ClientConfig, Driver};
use microkit_ext::ioport::IoPort;
use pit::Alarm;
use sel4_microkit::{
    Channel, ChannelSet, Handler, Infallible, MessageInfo, debug_println, get_mr, memory_region_symbol,
    protection_domain, set_mr, var,
};
use window::Window;

use clients::Clients;
use clock::Tsc;
use frames::Frames;
use hardware::Machine;
use ports::{PciPorts, Shots, Timer};
use top::Top;
use tracer::Tracer;

/// Alarms without a sign of the GPU's interrupt before that is said: a second.
const PATIENCE: u32 = 100;
/// Rows that the grant table has room for.
const MAX_GRANTS: usize = 64;

/// The domain: its clients, and the GPU if there is one.
struct GpuDriver {
    clients: Clients,
    driver: Option<Driver<Machine>>,
    /// Who may ask what the driver holds, if system.xml names a channel for it (`audit_channel`).
    auditor: Option<Channel>,
    /// Who watches what it does.
    top: Option<Top>,
    interrupt: Channel,
    /// Where the alarm's interrupt comes.
    shot: Channel,
    /// Wakes the domain while the GPU has work, so that a lost interrupt, a context that does not yield and a batch that
    /// never ends are noticed: every 10 ms, ten of i915's timeslices. Without work it is silent.
    alarm: Alarm<Shots>,
    /// Whether a client has called.
    served: bool,
    /// Alarms that may still come before the GPU's first interrupt; 0 when it came, or its absence was told.
    waiting_for_interrupt: u32,
    /// Interrupts that the alarm has made up for, as far as they were told of.
    lost_interrupts: u64,
    /// The first hang has been told of.
    told_of_hang: bool,
}

#[allow(unsafe_code)]
fn region(base: NonNull<u8>, bytes: usize) -> Window {
    // SAFETY: system.xml maps the region there with that size for the life of the domain, and each
    // region is made into a window once.
    unsafe { Window::new(base, bytes) }
}

/// The channel of an interrupt.
///
/// # Panics
/// When system.xml has not given the id: a domain without its interrupts must not start.
fn irq_channel(id: usize) -> Channel {
    assert!(
        id != usize::MAX,
        "system.xml gives no id for an interrupt: gpu_irq_id and timer_irq_id are needed"
    );
    Channel::new(id)
}

/// A port that system.xml gives.
fn port(id: usize) -> IoPort {
    IoPort::new(id)
}

/// Ports 0x40..0x44.
fn timer_port() -> IoPort {
    port(*var!(timer_port_id: usize = 0))
}

fn bring_up(clients: &[ClientConfig]) -> Result<Driver<Machine>, bringup::BringUpError> {
    let mut pci_space = pci::PortAccess(PciPorts::new(
        port(*var!(pci_config_port_id: usize = 0)),
        u16::try_from(*var!(pci_config_port_addr: u64 = 0)).unwrap_or(0),
    ));
    // Where the processor does not tell its frequency, this waits for 10 ms, which is no work.
    let mut timer = Timer::new(timer_port(), port(*var!(timer_gate_port_id: usize = 0)));
    let tsc = Tsc::new(&mut timer);
    let started = clock::counter();
    let mapped = *var!(gpu_registers_paddr: u64 = 0);
    let board = board::Board::given();
    let found = bringup::find(&mut pci_space, &board, mapped)?;
    debug_println!(
        "gpu_driver: found {:04x}:{:04x} revision {:#04x}, registers at {:#x}",
        found.identity.vendor,
        found.identity.device,
        found.identity.revision,
        found.registers
    );

    debug_println!("gpu_driver: timestamp counter at {} kHz (from {:?})", tsc.hz() / 1000, tsc.source());
    let registers =
        region(memory_region_symbol!(gpu_registers: *mut u8), *var!(gpu_registers_size: usize = 0));
    let dma = region(memory_region_symbol!(gpu_dma: *mut u8), *var!(gpu_dma_size: usize = 0));
    let tracer = NonNull::new(*var!(gpu_trace_ring: usize = 0) as *mut u8)
        .and_then(|base| Tracer::new(region(base, *var!(gpu_trace_ring_size: usize = 0))));
    let machine =
        Machine::new(registers, dma, bringup::DMA_BASE, tsc, (pci_space, board.address)).traced(tracer);

    let table: &[[u64; 4]; MAX_GRANTS] = var!(grant_table: [[u64; 4]; MAX_GRANTS] = [[0; 4]; MAX_GRANTS]);
    let count = (*var!(grant_table_count: usize = 0)).min(MAX_GRANTS);
    let mut grants = [GrantEntry::default(); MAX_GRANTS];
    for (entry, [channel, paddr, size, rights]) in grants.iter_mut().zip(table.iter().copied()) {
        *entry = GrantEntry { channel, paddr, size, rights };
    }
    let mut driver = bringup::start(machine, found.identity, clients, &grants[..count])?;
    // The counter starts with the machine, so its value is the time that the whole boot has taken.
    let now = clock::counter();
    let (used, size) = heap::usage();
    let gpu = driver.gpu();
    let (dma, free) = (intel_gpu::platform::DmaMemory::page_count(gpu.hardware()), gpu.free_pages());
    debug_println!(
        "gpu_driver: ready; pools use {} of {} KiB, the part itself {} of {} KiB that it reaches",
        used >> 10,
        size >> 10,
        dma.saturating_sub(free) * 4,
        dma * 4
    );
    debug_println!("bench: driver-heap {} KiB", used >> 10);
    debug_println!("bench: driver-dma-before-clients {} KiB", dma.saturating_sub(free) * 4);
    debug_println!("bench: driver-start {} ticks", now - started);
    debug_println!("bench: boot-to-driver-ready {now} ticks");
    Ok(driver)
}

/// The channel on which it is answered what the driver holds.
fn auditor() -> Option<Channel> {
    usize::try_from(*var!(audit_channel: u64 = 0)).ok().filter(|id| *id > 0).map(Channel::new)
}

impl GpuDriver {
    /// Waits for the interrupt of the request that the bring-up made for it. Returns whether that is all there is to
    /// do at this alarm.
    fn wait_for_interrupt(&mut self) -> bool {
        let Some(left) = self.waiting_for_interrupt.checked_sub(1) else { return false };
        self.waiting_for_interrupt = left;
        if left == 0 {
            debug_println!("gpu_driver: error: {}", board::NoInterrupt);
            return false;
        }
        self.alarm.set();
        // What clients wait for is not put off.
        !self.served
    }

    /// Does what no interrupt tells of. A lost interrupt costs time and is a sign of a wrong board file, so it is
    /// said.
    fn tick(&mut self) {
        let Some(driver) = &mut self.driver else {
            return;
        };
        if driver.tick(&mut self.clients) {
            self.alarm.set();
        }
        if let Some(top) = &mut self.top {
            top.tick(driver.gpu().now_ns());
        }
        let lost = driver.gpu().statistics().lost_interrupts;
        // The first one, and then each time that there are twice as many.
        if lost >= self.lost_interrupts.saturating_mul(2).max(1) {
            self.lost_interrupts = lost;
            debug_println!(
                "gpu_driver: {lost} times the GPU's interrupt did not tell of completions within 100 ms"
            );
        }
    }

    /// Says that a request has hung, once: its client can read the whole record.
    fn tell_of_hang(&mut self) {
        if self.told_of_hang {
            return;
        }
        let state = self.driver.as_ref().and_then(Driver::error_state);
        if let Some(first) = state.and_then(|state| state.lines().next()) {
            debug_println!("gpu_driver: {first}");
            self.told_of_hang = true;
        }
    }

    /// Serves the clients' rings, whoever woke the driver: a look costs two reads for each client.
    fn serve_rings(&mut self) {
        let Some(driver) = &mut self.driver else {
            return;
        };
        let left = driver.serve_rings(&mut self.clients);
        if left {
            self.alarm.set_soon();
        } else if driver.is_busy() {
            self.alarm.set();
        }
    }

    /// What the driver holds of others: frame capabilities as the kernel counts them, and pages as its own books do. To
    /// a message labelled 1: how many invocations of frame capabilities it has made.
    fn audit(&self, label: u64) -> Reply {
        if label == 1 {
            return Reply::ok(&[self.clients.frames.invocations]);
        }
        let lent = self.driver.as_ref().map_or(0, Driver::lent_pages);
        Reply::ok(&[self.clients.frames.held(), lent.into()])
    }

    fn answer(&mut self, channel: Channel, message: &MessageInfo) -> Reply {
        if self.auditor.is_some_and(|auditor| auditor.index() == channel.index()) {
            return self.audit(message.label());
        }
        if let Some(top) = self.top.as_mut().filter(|top| top.is(channel)) {
            return top.answer(self.driver.as_mut());
        }
        let Some(client) = self.clients.of_channel(channel) else {
            return Reply::error(Errno::Perm);
        };
        let Some(driver) = &mut self.driver else {
            return Reply::error(Errno::NoDev);
        };
        // Registers that the message does not have would be the last one's.
        let argument = |register| if register < message.count() { get_mr(register) } else { 0 };
        let reply = driver.call(&mut self.clients, client, message.label(), [argument(0), argument(1)]);
        if driver.is_busy() {
            self.alarm.set();
        }
        reply
    }
}

impl Handler for GpuDriver {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Self::Error> {
        if channels.contains(self.interrupt) {
            if core::mem::take(&mut self.waiting_for_interrupt) > 0 {
                debug_println!("gpu_driver: the GPU's interrupt arrives");
            }
            if let Some(driver) = &mut self.driver {
                driver.interrupt(&mut self.clients);
            }
            // Not acknowledged: the kernel cannot mask a message, and comes with the next one all the same (seL4:
            // plat/pc99/machine/interrupt.h, `maskInterrupt`).
        }
        if channels.contains(self.shot) {
            self.alarm.expired();
            if !self.wait_for_interrupt() {
                self.tick();
            }
        }
        self.tell_of_hang();
        self.serve_rings();
        Ok(())
    }

    fn protected(&mut self, channel: Channel, message: MessageInfo) -> Result<MessageInfo, Self::Error> {
        self.served = true;
        let reply = self.answer(channel, &message);
        if microkit_ext::cap::Received::of(&message).in_slot() {
            self.clients.frames.forget_received();
        }
        for (register, word) in reply.words.iter().take(reply.count).enumerate() {
            set_mr(register, *word);
        }
        Ok(MessageInfo::new(reply.label(), reply.count))
    }
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> GpuDriver {
    heap::init();
    let (links, clients) = given::clients();
    let driver = match bring_up(&clients) {
        Ok(driver) => Some(driver),
        Err(error) => {
            debug_println!("gpu_driver: error: {error}");
            None
        }
    };
    let shot = irq_channel(*var!(timer_irq_id: usize = usize::MAX));
    let mut domain = GpuDriver {
        clients: Clients::new(links, Frames::new()),
        driver,
        auditor: auditor(),
        top: Top::given(),
        interrupt: irq_channel(*var!(gpu_irq_id: usize = usize::MAX)),
        shot,
        alarm: Alarm::new(Shots::new(timer_port(), shot)),
        lost_interrupts: 0,
        told_of_hang: false,
        served: false,
        waiting_for_interrupt: 0,
    };
    if domain.driver.is_some() {
        domain.waiting_for_interrupt = PATIENCE;
        domain.alarm.begin();
    }
    domain
}
