// SPDX-License-Identifier: BSD-2-Clause
//! Decodes the message that the kernel sends to a fault handler in a thread's name.

use core::fmt;

use crate::abi::fault as layout;
use crate::message::MessageInfo;

/// What a thread did that it could not go on after.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// A capability address led nowhere in a system call.
    Capability {
        /// Instruction that faulted.
        instruction: u64,
        /// The capability address.
        address: u64,
        /// Whether it was in the receiving half of the call.
        receiving: bool,
    },
    /// A system call number that the kernel does not have.
    UnknownSyscall {
        /// Instruction that faulted.
        instruction: u64,
        /// The number, as given.
        number: u64,
    },
    /// A processor exception other than a page fault.
    UserException {
        /// Instruction that faulted.
        instruction: u64,
        /// Stack pointer at that time.
        stack: u64,
        /// Number of the exception (0 division, 6 invalid opcode, 13 general protection ...).
        number: u64,
        /// The processor's error code.
        code: u64,
    },
    /// A page fault.
    VirtualMemory {
        /// Instruction that faulted.
        instruction: u64,
        /// The address that it accessed.
        address: u64,
        /// Whether the access was an instruction fetch.
        fetch: bool,
        /// The processor's error code: bit 0 the page was present, bit 1 a write, bit 4 a fetch.
        status: u64,
    },
    /// A kind that this kernel's interface does not define.
    Unknown(u64),
}

impl Fault {
    /// Reads a fault message. `word(i)` is message word `i`.
    pub fn decode(info: MessageInfo, word: impl Fn(usize) -> u64) -> Self {
        match info.label() {
            layout::CAP_FAULT => {
                Self::Capability { instruction: word(0), address: word(1), receiving: word(2) != 0 }
            }
            layout::UNKNOWN_SYSCALL => Self::UnknownSyscall {
                instruction: word(layout::UNKNOWN_SYSCALL_IP),
                number: word(layout::UNKNOWN_SYSCALL_NUMBER),
            },
            layout::USER_EXCEPTION => {
                Self::UserException { instruction: word(0), stack: word(1), number: word(3), code: word(4) }
            }
            layout::VM_FAULT => Self::VirtualMemory {
                instruction: word(0),
                address: word(1),
                fetch: word(2) != 0,
                status: word(3),
            },
            other => Self::Unknown(other),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Capability { instruction, address, receiving } => {
                let phase = if receiving { "receiving" } else { "sending" };
                write!(f, "no capability at {address:#x} while {phase}, at instruction {instruction:#x}")
            }
            Self::UnknownSyscall { instruction, number } => {
                write!(f, "unknown system call {number:#x} at instruction {instruction:#x}")
            }
            Self::UserException { instruction, stack, number, code } => write!(
                f,
                "processor exception {number} (code {code:#x}) at instruction {instruction:#x}, stack {stack:#x}"
            ),
            Self::VirtualMemory { instruction, address, fetch, status } => {
                let access = match (fetch, status & 2 != 0) {
                    (true, _) => "instruction fetch from",
                    (false, true) => "write to",
                    (false, false) => "read of",
                };
                let state = if status & 1 != 0 { "which does not allow it" } else { "which is not mapped" };
                write!(f, "{access} address {address:#x}, {state}, at instruction {instruction:#x}")
            }
            Self::Unknown(label) => write!(f, "unknown kind of fault {label}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(label: u64, words: &[u64]) -> Fault {
        Fault::decode(MessageInfo::new(label, 0, 0, words.len()), |i| words[i])
    }

    #[test]
    fn a_page_fault_tells_access_and_address() {
        // seL4: libsel4/arch_include/x86/sel4/arch/shared_types.bf: VMFault is 5, since MCS 6
        let vm_fault = if cfg!(feature = "mcs") { 6 } else { 5 };
        let fault = decode(vm_fault, &[0x40_1000, 0xdead_b000, 0, 6]);
        assert_eq!(
            fault,
            Fault::VirtualMemory { instruction: 0x40_1000, address: 0xdead_b000, fetch: false, status: 6 }
        );
        assert_eq!(
            fault.to_string(),
            "write to address 0xdeadb000, which is not mapped, at instruction 0x401000"
        );
        assert!(
            decode(vm_fault, &[1, 2, 0, 5])
                .to_string()
                .starts_with("read of address 0x2, which does not allow it")
        );
        assert!(
            decode(vm_fault, &[1, 2, 1, 0x14]).to_string().starts_with("instruction fetch from address 0x2")
        );
    }

    #[test]
    fn an_unknown_system_call_is_read_from_behind_the_registers() {
        let mut words = [0; 19];
        (words[15], words[18]) = (0x1234, 0xffff);
        assert_eq!(decode(2, &words), Fault::UnknownSyscall { instruction: 0x1234, number: 0xffff });
    }

    #[test]
    fn exceptions_and_capability_faults_are_told_apart() {
        assert_eq!(
            decode(3, &[1, 2, 3, 13, 8]),
            Fault::UserException { instruction: 1, stack: 2, number: 13, code: 8 }
        );
        assert_eq!(
            decode(1, &[1, 2, 1, 0]),
            Fault::Capability { instruction: 1, address: 2, receiving: true }
        );
        assert_eq!(decode(9, &[]), Fault::Unknown(9));
    }
}
