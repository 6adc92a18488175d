// SPDX-License-Identifier: BSD-2-Clause
//! Messages of QEMU's multi-process protocol (`x-pci-proxy-dev`).
//!
//! Header { i32 command, i32 padding, u64 size } and `size` bytes; descriptors travel as SCM_RIGHTS.

/// Bytes of the header.
pub const HEADER: usize = 16;
/// Largest payload that is accepted.
const MAX_PAYLOAD: usize = 4096;
/// Ranges in a memory map message.
const RANGES: usize = 8;

/// One range of guest memory: guest-physical start, size, offset in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// Guest-physical address.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// Offset in the file.
    pub offset: u64,
}

/// A request of QEMU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The guest's memory map; one descriptor per range. Not answered.
    Memory(Vec<MemoryRange>),
    /// Configuration write.
    ConfigWrite {
        /// Register.
        offset: u32,
        /// Bytes.
        len: u32,
        /// Value.
        value: u32,
    },
    /// Configuration read.
    ConfigRead {
        /// Register.
        offset: u32,
        /// Bytes.
        len: u32,
    },
    /// BAR write.
    BarWrite {
        /// Bus address.
        address: u64,
        /// Bytes.
        size: u32,
        /// Value.
        value: u64,
        /// Memory (else I/O).
        memory: bool,
    },
    /// BAR read.
    BarRead {
        /// Bus address.
        address: u64,
        /// Bytes.
        size: u32,
        /// Memory (else I/O).
        memory: bool,
    },
    /// Two descriptors for interrupts under KVM. Not answered.
    Irqfd,
    /// Device reset.
    Reset,
}

impl Request {
    /// Descriptors that came with the message.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        match self {
            Self::Memory(ranges) => ranges.len(),
            Self::Irqfd => 2,
            _ => 0,
        }
    }

    /// QEMU waits for an answer.
    #[must_use]
    pub const fn wants_answer(&self) -> bool {
        !matches!(self, Self::Memory(_) | Self::Irqfd)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// Result of looking for a message at the start of a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// More bytes are needed.
    Incomplete,
    /// A message, and the bytes that it took.
    Message(Request, usize),
    /// Not this protocol.
    Malformed(String),
}

/// Parses the message at the start of `bytes`.
#[must_use]
pub fn parse(bytes: &[u8]) -> Parsed {
    let (Some(command), Some(size)) = (u32_at(bytes, 0), u64_at(bytes, 8)) else { return Parsed::Incomplete };
    let Some(size) = usize::try_from(size).ok().filter(|size| *size <= MAX_PAYLOAD) else {
        return Parsed::Malformed(format!("command {command} with a payload of {size} bytes"));
    };
    let Some(payload) = bytes.get(HEADER..HEADER + size) else { return Parsed::Incomplete };
    match request(command, payload) {
        Some(request) => Parsed::Message(request, HEADER + size),
        None => Parsed::Malformed(format!("command {command} with {size} bytes: {payload:02x?}")),
    }
}

fn request(command: u32, payload: &[u8]) -> Option<Request> {
    Some(match command {
        0 => {
            let mut ranges = Vec::new();
            for n in 0..RANGES {
                let range = MemoryRange {
                    start: u64_at(payload, 8 * n)?,
                    size: u64_at(payload, 8 * (RANGES + n))?,
                    offset: u64_at(payload, 8 * (2 * RANGES + n))?,
                };
                if range.size != 0 {
                    ranges.push(range);
                }
            }
            Request::Memory(ranges)
        }
        2 | 3 => {
            let (offset, value, len) = (u32_at(payload, 0)?, u32_at(payload, 4)?, u32_at(payload, 8)?);
            if command == 2 {
                Request::ConfigWrite { offset, len, value }
            } else {
                Request::ConfigRead { offset, len }
            }
        }
        4 | 5 => {
            let (address, value) = (u64_at(payload, 0)?, u64_at(payload, 8)?);
            let (size, memory) = (u32_at(payload, 16)?, *payload.get(20)? != 0);
            if command == 4 {
                Request::BarWrite { address, size, value, memory }
            } else {
                Request::BarRead { address, size, memory }
            }
        }
        6 => Request::Irqfd,
        7 => Request::Reset,
        _ => return None,
    })
}

/// The answer to a request.
#[must_use]
pub fn answer(value: u64) -> [u8; HEADER + 8] {
    let mut bytes = [0; HEADER + 8];
    bytes[0] = 1;
    bytes[8] = 8;
    bytes[HEADER..].copy_from_slice(&value.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(command: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = command.to_le_bytes().to_vec();
        bytes.extend([0; 4]);
        bytes.extend((payload.len() as u64).to_le_bytes());
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn a_bar_write_is_parsed_and_says_how_long_it_was() {
        let mut payload = 0xfd02_2550u64.to_le_bytes().to_vec();
        payload.extend(1u64.to_le_bytes());
        payload.extend(4u32.to_le_bytes());
        payload.extend([1, 0, 0, 0]);
        let mut bytes = message(4, &payload);
        let request = Request::BarWrite { address: 0xfd02_2550, size: 4, value: 1, memory: true };
        assert_eq!(parse(&bytes), Parsed::Message(request.clone(), 40));
        bytes.extend([9; 3]);
        assert_eq!(parse(&bytes), Parsed::Message(request, 40));
    }

    #[test]
    fn a_memory_map_lists_its_used_ranges() {
        let mut words = [0u64; 24];
        (words[0], words[8], words[16]) = (0, 0xa0000, 0);
        (words[1], words[9], words[17]) = (0x10_0000, 0x1000, 0x10_0000);
        let payload: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let Parsed::Message(request, _) = parse(&message(0, &payload)) else { panic!("not a message") };
        assert_eq!(request.descriptors(), 2);
        assert!(!request.wants_answer());
    }

    #[test]
    fn parts_of_messages_are_incomplete() {
        let bytes = message(3, &[0; 12]);
        for len in 0..bytes.len() {
            assert_eq!(parse(&bytes[..len]), Parsed::Incomplete);
        }
    }

    #[test]
    fn other_bytes_are_malformed() {
        assert!(matches!(parse(&message(9, &[])), Parsed::Malformed(_)));
        assert!(matches!(parse(&message(4, &[0; 3])), Parsed::Malformed(_)));
        assert!(matches!(parse(&[0xff; 16]), Parsed::Malformed(_)));
    }

    #[test]
    fn an_answer_is_a_ret_message_with_one_quadword() {
        assert_eq!(
            parse(&answer(5)),
            Parsed::Malformed("command 1 with 8 bytes: [05, 00, 00, 00, 00, 00, 00, 00]".into())
        );
    }
}
