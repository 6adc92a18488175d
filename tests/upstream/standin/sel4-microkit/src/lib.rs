// SPDX-License-Identifier: BSD-2-Clause
//! The signatures of rust-sel4 5.0.0's crate `sel4-microkit`, of the configuration that Microkit's x86-64 kernels have
//! (rust-sel4: `crates/sel4-microkit/`, the file of each part beside it). Nothing has a body.
//!
//! It must take nothing that rust-sel4 does not: whoever changes it compares with that release, item by item. It may lack
//! what is hidden there and no domain should use.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

use core::fmt;
use core::panic::UnwindSafe;
use core::str::Utf8Error;

pub use core::convert::Infallible;
pub use upstream_macros::protection_domain;

// base/src/channel.rs

#[derive(Debug, Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Channel(());

impl Channel {
    pub const fn new(_index: usize) -> Self {
        Self(())
    }
    pub const fn index(&self) -> usize {
        unimplemented!()
    }
    #[doc(hidden)]
    pub fn notification(&self) -> sel4::cap::Notification {
        unimplemented!()
    }
    #[doc(hidden)]
    pub fn irq_handler(&self) -> sel4::cap::IrqHandler {
        unimplemented!()
    }
    #[doc(hidden)]
    pub fn endpoint(&self) -> sel4::cap::Endpoint {
        unimplemented!()
    }
    pub fn notify(&self) {
        unimplemented!()
    }
    pub fn irq_ack(&self) -> Result<(), IrqAckError> {
        unimplemented!()
    }
    pub fn pp_call(&self, _msg_info: MessageInfo) -> MessageInfo {
        unimplemented!()
    }
}

#[derive(Debug, PartialEq, Eq)]
pub struct IrqAckError(());

impl fmt::Display for IrqAckError {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        unimplemented!()
    }
}

#[derive(Debug, Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Child(());

impl Child {
    pub const fn new(_index: usize) -> Self {
        Self(())
    }
    pub const fn index(&self) -> usize {
        unimplemented!()
    }
    #[doc(hidden)]
    pub fn tcb(&self) -> sel4::cap::Tcb {
        unimplemented!()
    }
}

// base/src/defer.rs

#[derive(Debug, Copy, Clone, Eq, PartialEq)]
pub struct DeferredAction(());

#[derive(Debug, Copy, Clone, Eq, PartialEq)]
pub enum DeferredActionInterface {
    Notify,
    IrqAck,
}

impl DeferredAction {
    pub fn new(_channel: Channel, _interface: DeferredActionInterface) -> Self {
        unimplemented!()
    }
    pub fn new_notify(_channel: Channel) -> DeferredAction {
        unimplemented!()
    }
    pub fn new_irq_ack(_channel: Channel) -> DeferredAction {
        unimplemented!()
    }
    pub fn channel(&self) -> Channel {
        unimplemented!()
    }
    pub fn interface(&self) -> DeferredActionInterface {
        unimplemented!()
    }
    pub fn execute_now(self) -> Result<(), IrqAckError> {
        unimplemented!()
    }
}

pub struct DeferredActionSlot(());

impl DeferredActionSlot {
    pub const fn new() -> Self {
        Self(())
    }
    pub fn take(&mut self) -> Option<DeferredAction> {
        unimplemented!()
    }
    pub fn defer(&mut self, _action: DeferredAction) -> Result<(), IrqAckError> {
        unimplemented!()
    }
    pub fn defer_notify(&mut self, _channel: Channel) -> Result<(), IrqAckError> {
        unimplemented!()
    }
    pub fn defer_irq_ack(&mut self, _channel: Channel) -> Result<(), IrqAckError> {
        unimplemented!()
    }
}

impl Default for DeferredActionSlot {
    fn default() -> Self {
        Self::new()
    }
}

// base/src/handler.rs

pub trait Handler {
    type Error: fmt::Display;

    fn notified(&mut self, _channels: ChannelSet) -> Result<(), Self::Error> {
        unimplemented!()
    }
    fn protected(&mut self, _channel: Channel, _msg_info: MessageInfo) -> Result<MessageInfo, Self::Error> {
        unimplemented!()
    }
    fn fault(&mut self, _child: Child, _msg_info: MessageInfo) -> Result<Option<MessageInfo>, Self::Error> {
        unimplemented!()
    }
    fn take_deferred_action(&mut self) -> Option<DeferredAction> {
        None
    }
    #[doc(hidden)]
    fn run(&mut self) -> Result<Never, Self::Error> {
        unimplemented!()
    }
}

#[doc(hidden)]
pub enum Never {}

impl Handler for Never {
    type Error = Infallible;
}

pub struct NullHandler(());

impl NullHandler {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(())
    }
}

impl Handler for NullHandler {
    type Error = Infallible;
}

#[cfg(feature = "alloc")]
impl<T: Handler + ?Sized> Handler for alloc::boxed::Box<T> {
    type Error = T::Error;
}

// base/src/ipc.rs; the iterator's type has no public path but this one.

#[doc(hidden)]
pub mod ipc {
    use core::fmt;

    use crate::{Channel, Child, MessageInfo};

    #[derive(Debug, Clone)]
    pub enum Event {
        Notified(ChannelSet),
        Protected(Channel, MessageInfo),
        Fault(Child, MessageInfo),
    }

    pub fn reply(_msg_info: MessageInfo) {
        unimplemented!()
    }
    pub fn recv() -> Event {
        unimplemented!()
    }
    pub fn reply_recv(_msg_info: MessageInfo) -> Event {
        unimplemented!()
    }

    #[derive(Debug, Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct ChannelSet(());

    impl ChannelSet {
        pub fn contains(&self, _channel: Channel) -> bool {
            unimplemented!()
        }
        pub fn iter(&self) -> ChannelSetIter {
            unimplemented!()
        }
        pub fn display(&self) -> DisplayChannelSet<'_> {
            unimplemented!()
        }
    }

    pub struct ChannelSetIter(());

    impl Iterator for ChannelSetIter {
        type Item = Channel;
        fn next(&mut self) -> Option<Self::Item> {
            unimplemented!()
        }
    }

    pub struct DisplayChannelSet<'a>(core::marker::PhantomData<&'a ChannelSet>);

    impl fmt::Display for DisplayChannelSet<'_> {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            unimplemented!()
        }
    }
}

pub use ipc::{ChannelSet, DisplayChannelSet};

// base/src/message.rs

pub type MessageLabel = sel4::Word;
pub type MessageRegisterValue = sel4::Word;

#[derive(Debug, Clone)]
pub struct MessageInfo(());

impl MessageInfo {
    #[doc(hidden)]
    pub fn from_inner(_inner: sel4::MessageInfo) -> Self {
        unimplemented!()
    }
    #[doc(hidden)]
    pub fn inner(&self) -> &sel4::MessageInfo {
        unimplemented!()
    }
    #[doc(hidden)]
    pub fn into_inner(self) -> sel4::MessageInfo {
        unimplemented!()
    }
    pub fn new(_label: MessageLabel, _count: usize) -> Self {
        unimplemented!()
    }
    pub fn label(&self) -> MessageLabel {
        unimplemented!()
    }
    pub const fn label_width() -> usize {
        unimplemented!()
    }
    pub fn count(&self) -> usize {
        unimplemented!()
    }
    pub fn fault(&self) -> sel4::Fault {
        unimplemented!()
    }
}

impl Default for MessageInfo {
    fn default() -> Self {
        Self::new(0, 0)
    }
}

pub fn with_msg_regs<T>(_f: impl FnOnce(&[MessageRegisterValue]) -> T) -> T {
    unimplemented!()
}
pub fn with_msg_regs_mut<T>(_f: impl FnOnce(&mut [MessageRegisterValue]) -> T) -> T {
    unimplemented!()
}
pub fn with_msg_bytes<T>(_f: impl FnOnce(&[u8]) -> T) -> T {
    unimplemented!()
}
pub fn with_msg_bytes_mut<T>(_f: impl FnOnce(&mut [u8]) -> T) -> T {
    unimplemented!()
}
pub fn set_mr(_i: usize, _value: MessageRegisterValue) {
    unimplemented!()
}
pub fn get_mr(_i: usize) -> MessageRegisterValue {
    unimplemented!()
}

// base/src/symbols.rs; what `pd_name_bytes` is has no public path.

pub fn pd_is_passive() -> bool {
    unimplemented!()
}
pub fn pd_name() -> Result<&'static str, Utf8Error> {
    unimplemented!()
}

/// What it is given with decides the symbol's size: the value itself is the symbol.
#[macro_export]
macro_rules! var {
    ($(#[$attrs:meta])* $symbol:ident: $ty:ty = $default:expr) => {{
        use $crate::_private::ImmutableCell;

        $(#[$attrs])*
        #[unsafe(no_mangle)]
        #[unsafe(link_section = ".data")]
        static $symbol: ImmutableCell<$ty> = ImmutableCell::new($default);

        $symbol.get()
    }}
}

#[macro_export]
macro_rules! memory_region_symbol {
    // Of no use: it goes on with `*mut TYPE, n = COUNT`, which is none of the forms, there as here.
    ($(#[$attrs:meta])* $symbol:ident: *mut [$ty:ty], n = $n:expr, bytes = $bytes:expr $(,)?) => {{
        const _: usize = $bytes;
        $crate::memory_region_symbol!($(#[$attrs])* $symbol: *mut $ty, n = $n)
    }};
    ($(#[$attrs:meta])* $symbol:ident: *mut $ty:ty, bytes = $bytes:expr $(,)?) => {{
        assert!($bytes == core::mem::size_of::<$ty>());
        $crate::memory_region_symbol!($(#[$attrs])* $symbol: *mut $ty)
    }};
    ($(#[$attrs:meta])* $symbol:ident: *mut [$ty:ty], n = $n:expr $(,)?) => {{
        let first: core::ptr::NonNull<$ty> = $crate::memory_region_symbol!($(#[$attrs])* $symbol: *mut $ty);
        core::ptr::NonNull::slice_from_raw_parts(first, $n)
    }};
    ($(#[$attrs:meta])* $symbol:ident: *mut $ty:ty $(,)?) => {{
        let _: &'static usize = $crate::var!($(#[$attrs])* $symbol: usize = 0);
        $crate::_private::address::<$ty>()
    }};
}

// src/panicking.rs

pub mod panicking {
    use core::panic::{PanicInfo, UnwindSafe};

    pub type PanicHook = &'static (dyn Fn(&PanicInfo<'_>) + Send + Sync);

    pub fn set_hook(_hook: PanicHook) {
        unimplemented!()
    }
    pub fn catch_unwind<R, F: FnOnce() -> R + UnwindSafe>(_f: F) -> Result<R, ()> {
        unimplemented!()
    }
}

// src/printing.rs; in configurations without printing they compile to nothing.

#[macro_export]
macro_rules! debug_print {
    ($($arg:tt)*) => {
        $crate::_private::print(format_args!($($arg)*))
    };
}

#[macro_export]
macro_rules! debug_println {
    () => {
        $crate::_private::print(format_args!("\n"))
    };
    ($($arg:tt)*) => {
        $crate::_private::print(format_args!($($arg)*))
    };
}

// src/lib.rs, src/entry.rs

#[doc(hidden)]
#[macro_export]
macro_rules! declare_protection_domain {
    {
        init = $init:expr $(,)?
    } => {
        $crate::declare_init!($init);
    };
    {
        init = $init:expr,
        stack_size = $stack_size:expr $(,)?
    } => {
        const _: () = {
            static STACK: [u8; { $stack_size }] = [0; { $stack_size }];
            let _ = &STACK;
        };
        $crate::declare_init!($init);
    };
    {
        init = $init:expr,
        $(stack_size = $stack_size:expr,)?
        heap_size = $heap_size:expr $(,)?
    } => {
        const _: () = {
            const SIZE: usize = $heap_size;

            #[global_allocator]
            static GLOBAL_ALLOCATOR: $crate::_private::Heap<SIZE> = $crate::_private::Heap;
        };
        $crate::declare_protection_domain! { init = $init, $(stack_size = $stack_size,)? }
    };
}

// There can be one in a program.
#[doc(hidden)]
#[macro_export]
macro_rules! declare_init {
    ($init:expr) => {
        #[allow(non_snake_case)]
        #[unsafe(no_mangle)]
        fn __sel4_microkit__main() {
            $crate::_private::run_main($init)
        }
    };
}

#[doc(hidden)]
pub mod _private {
    pub fn run_main<T: super::Handler>(_init: impl FnOnce() -> T + super::UnwindSafe) -> ! {
        unimplemented!()
    }
    pub fn print(_: core::fmt::Arguments<'_>) {}

    pub fn address<T>() -> core::ptr::NonNull<T> {
        unimplemented!()
    }

    /// What a domain with `heap_size` has as its allocator.
    pub struct Heap<const SIZE: usize>;

    // SAFETY: it gives no memory.
    unsafe impl<const SIZE: usize> core::alloc::GlobalAlloc for Heap<SIZE> {
        unsafe fn alloc(&self, _: core::alloc::Layout) -> *mut u8 {
            core::ptr::null_mut()
        }
        unsafe fn dealloc(&self, _: *mut u8, _: core::alloc::Layout) {}
    }

    /// rust-sel4: `crates/sel4-immutable-cell`
    pub struct ImmutableCell<T: ?Sized>(core::cell::UnsafeCell<T>);

    // SAFETY: there is no value and no access.
    unsafe impl<T> Sync for ImmutableCell<T> {}

    impl<T> ImmutableCell<T> {
        pub const fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }
    }

    impl<T: ?Sized> ImmutableCell<T> {
        pub fn get(&self) -> &T {
            unimplemented!()
        }
    }
}

#[cfg(any(sel4_domain, target_os = "none"))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
