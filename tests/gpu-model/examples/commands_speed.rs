// SPDX-License-Identifier: BSD-2-Clause
//! Speed of the command interpreter alone, above flat memory: `cargo run --release --example commands_speed`.
//!
//! Prints a line per kind of work: `<name> <number> <unit>`. The device above it adds page-table walks through
//! its TLBs. Arguments: only names that contain the first, and the second's number of rounds.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a measurement")]

use std::time::Instant;

use gpu_model::commands::{
    Access, CommandBus, Denied, Engine, EngineClass, Fault, FaultKind, Flush, Generation, Interrupt, Outcome,
    Position, Privilege, Report, Space, StreamState,
};

const MEMORY: usize = 64 << 20;
const RING: u32 = 0x1_0000;
const RING_SIZE: u32 = 0x20_0000;
const DATA: u32 = 0x100_0000;

/// Flat memory, the same behind both address spaces.
struct Bus {
    memory: Vec<u8>,
    registers: Vec<u32>,
}

impl Bus {
    fn range(
        &mut self,
        space: Space,
        address: u64,
        length: usize,
        access: Access,
    ) -> Result<&mut [u8], Fault> {
        let fault = Fault { space, address, access, kind: FaultKind::InvalidPte };
        let start = usize::try_from(address).map_err(|_| fault)?;
        self.memory.get_mut(start..start + length).ok_or(fault)
    }
}

impl CommandBus for Bus {
    fn generation(&self) -> Generation {
        Generation::Gen12
    }
    fn engine(&self) -> Engine {
        Engine { class: EngineClass::Copy, instance: 0, base: 0x2_2000 }
    }
    fn read(&mut self, space: Space, address: u64, buffer: &mut [u8], access: Access) -> Result<(), Fault> {
        buffer.copy_from_slice(self.range(space, address, buffer.len(), access)?);
        Ok(())
    }
    fn write(&mut self, space: Space, address: u64, data: &[u8]) -> Result<(), Fault> {
        self.range(space, address, data.len(), Access::Write)?.copy_from_slice(data);
        Ok(())
    }
    fn read_register(&mut self, offset: u32, _: Privilege) -> Result<u32, Denied> {
        Ok(self.registers.get(offset as usize / 4).copied().unwrap_or(0))
    }
    fn write_register(&mut self, offset: u32, value: u32, mask: u32, _: Privilege) -> Result<(), Denied> {
        if let Some(register) = self.registers.get_mut(offset as usize / 4) {
            *register = *register & !mask | value & mask;
        }
        Ok(())
    }
    fn privilege_violation(&mut self, _: u32, _: Position) {}
    fn interrupt(&mut self, _: Interrupt) {}
    fn timestamp(&mut self) -> u64 {
        0
    }
    fn invalidate_tlb(&mut self) {}
    fn flush(&mut self, _: Flush) {}
    fn hardware_status_page(&mut self) -> u64 {
        0
    }
    fn process_status_page(&mut self) -> u64 {
        0
    }
    fn update_gtt(&mut self, _: u64, _: u64) {}
    fn signal_semaphore(&mut self, _: u8, _: u32) {}
    fn preemption_pending(&mut self) -> bool {
        false
    }
    fn report(&mut self, report: Report) {
        eprintln!("{report}");
    }
}

/// Fills a ring with `pattern` and runs it `rounds` times; answers seconds and commands.
fn run(bus: &mut Bus, pattern: &[u32], rounds: u32) -> (f64, u64) {
    let mut tail = 0;
    while tail + 4 * pattern.len() <= RING_SIZE as usize - 64 && (tail == 0 || pattern.len() < 1000) {
        for dword in pattern {
            let at = RING as usize + tail;
            bus.memory[at..at + 4].copy_from_slice(&dword.to_le_bytes());
            tail += 4;
        }
    }
    tail &= !7;
    let mut executed = 0;
    let start = Instant::now();
    for _ in 0..rounds {
        let mut state = StreamState::new();
        state.start = RING;
        state.control = (RING_SIZE - 0x1000) | 1;
        state.tail = u32::try_from(tail).unwrap();
        let step = state.step(bus, u64::MAX);
        assert_eq!(step.outcome, Outcome::RingEmpty);
        executed += step.executed;
    }
    (start.elapsed().as_secs_f64(), executed)
}

fn main() {
    let mut bus = Bus { memory: vec![0; MEMORY], registers: vec![0; 0x8_0000] };
    let mut math = vec![0x0d00_0003, 0x080 << 20 | 0x20 << 10, 0x080 << 20 | 0x21 << 10 | 1];
    math.extend([0x100 << 20, 0x180 << 20 | 2 << 10 | 0x31, 0]);
    let streams: [(&str, &[u32]); 5] = [
        ("MI_NOOP", &[0, 0]),
        ("MI_NOOP with id", &[0x0040_0001, 0x0040_0002]),
        ("MI_STORE_DATA_IMM", &[0x1000_0002, DATA, 0, 0x1234]),
        ("MI_LOAD_REGISTER_IMM", &[0x1100_0001, 0x2_2600, 5, 0]),
        ("MI_MATH of four", &math),
    ];
    let arguments: Vec<String> = std::env::args().collect();
    let wanted = |name: &str| arguments.get(1).is_none_or(|part| name.contains(part.as_str()));
    let rounds = arguments.get(2).and_then(|rounds| rounds.parse().ok()).unwrap_or(50);
    for (name, pattern) in streams.into_iter().filter(|(name, _)| wanted(name)) {
        let (seconds, executed) = run(&mut bus, pattern, rounds);
        println!("{name} {:.1} million/s", executed as f64 / seconds / 1e6);
    }
    // 1024 by 1024 pixels of 32 bits, 4 MiB; the pattern is repeated 16 times in the ring.
    let lower = 1024 << 16 | 1024;
    let bytes = f64::from(4 << 20);
    let color =
        |header: u32, pitch: u32| [0x5430_0005 | header, 0x03f0_0000 | pitch, 0, lower, DATA, 0, 0xff11_2233];
    let from = DATA + (8 << 20);
    let copy = |tiling: u32, pitch: u32| {
        [0x5080_0008 | tiling << 20 | tiling << 13, 0x0300_0000 | pitch, 0, lower, DATA, 0, 0, pitch, from, 0]
    };
    let blits: [(&str, Vec<u32>); 6] = [
        ("fill linear", color(0, 4096).into()),
        ("fill X-tiled", color(1 << 11, 1024).into()),
        ("copy linear", copy(0, 4096).into()),
        ("copy X-tiled", copy(1, 1024).into()),
        ("copy Y-tiled", copy(2, 1024).into()),
        ("xor fill", {
            let mut c = color(0, 4096);
            c[1] ^= (0xf0 ^ 0x5a) << 16;
            c.into()
        }),
    ];
    for (name, command) in blits.into_iter().filter(|(name, _)| wanted(name)) {
        let pattern: Vec<u32> = command.repeat(16).into_iter().chain([0; 1000]).collect();
        let (seconds, _) = run(&mut bus, &pattern, 4);
        println!("{name} {:.2} GB/s", 64.0 * bytes / seconds / 1e9);
    }
}
