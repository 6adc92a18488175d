// SPDX-License-Identifier: BSD-2-Clause
//! Of rust-sel4 5.0.0's crate `sel4`, what the signatures of its `sel4-microkit` name, with the configuration of Microkit's
//! x86-64 kernel (rust-sel4: `crates/sel4/src/`).
#![no_std]

use core::marker::PhantomData;

/// `lib.rs`
pub type Word = u64;
/// `syscalls.rs`
pub type Badge = Word;
/// `cptr.rs`
pub type CPtrBits = Word;

/// `error.rs`
#[derive(Debug, Clone, Copy, Eq, PartialEq)]
pub enum Error {
    InvalidArgument,
    InvalidCapability,
    IllegalOperation,
    RangeError,
    AlignmentError,
    FailedLookup,
    TruncatedMessage,
    DeleteFirst,
    RevokeFirst,
    NotEnoughMemory,
}

/// `message_info.rs`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageInfo(());

impl MessageInfo {
    pub fn new(_label: Word, _caps_unwrapped: usize, _extra_caps: usize, _length: usize) -> Self {
        unimplemented!()
    }
    pub fn label(&self) -> Word {
        unimplemented!()
    }
    pub const fn label_width() -> usize {
        unimplemented!()
    }
    pub fn caps_unwrapped(&self) -> usize {
        unimplemented!()
    }
    pub fn extra_caps(&self) -> usize {
        unimplemented!()
    }
    pub fn length(&self) -> usize {
        unimplemented!()
    }
}

/// `fault.rs`, `arch/x86/fault.rs`; the fields are behind methods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    NullFault(fault::NullFault),
    CapFault(fault::CapFault),
    UnknownSyscall(fault::UnknownSyscall),
    UserException(fault::UserException),
    VmFault(fault::VmFault),
    Timeout(fault::Timeout),
}

mod fault {
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct NullFault(());
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct CapFault(());
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct UnknownSyscall(());
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct UserException(());
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct VmFault(());
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Timeout(());
}

/// `cptr.rs`
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Cap<T: CapType>(PhantomData<T>);

/// `cptr.rs`
pub trait CapType: Copy + Clone + Eq + PartialEq + Ord + PartialOrd + core::hash::Hash {
    const NAME: &'static str;
}

impl CapType for cap_type::Endpoint {
    const NAME: &'static str = "Endpoint";
}

impl CapType for cap_type::Notification {
    const NAME: &'static str = "Notification";
}

impl CapType for cap_type::IrqHandler {
    const NAME: &'static str = "IrqHandler";
}

impl CapType for cap_type::Tcb {
    const NAME: &'static str = "Tcb";
}

/// `cptr.rs`
pub mod cap_type {
    #[derive(Debug, Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
    pub struct Endpoint;
    #[derive(Debug, Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
    pub struct Notification;
    #[derive(Debug, Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
    pub struct IrqHandler;
    #[derive(Debug, Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
    pub struct Tcb;
}

/// `cptr.rs`
pub mod cap {
    use crate::{Cap, cap_type};

    pub type Endpoint = Cap<cap_type::Endpoint>;
    pub type Notification = Cap<cap_type::Notification>;
    pub type IrqHandler = Cap<cap_type::IrqHandler>;
    pub type Tcb = Cap<cap_type::Tcb>;
}
