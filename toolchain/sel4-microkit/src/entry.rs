// SPDX-License-Identifier: BSD-2-Clause
//! From the first instruction to the event loop.
#![allow(unsafe_code, reason = "the entry point, and the address of the IPC buffer")]

use crate::layout::IPC_BUFFER;
use crate::{Handler, panicking};

/// Runs a domain: called once, from the entry point.
#[doc(hidden)]
pub fn run_main<T: Handler>(init: impl FnOnce() -> T) -> ! {
    // SAFETY: the image tool maps the buffer of this thread at this address; there is one thread, and
    // this is its first act.
    unsafe { sel4::set_ipc_buffer(IPC_BUFFER as *mut sel4::IpcBuffer) };
    match init().run() {
        Ok(never) => match never {},
        Err(error) => panicking::terminated(&error),
    }
}

/// Declares the entry point of a domain, for those who do not use the attribute
/// [`protection_domain`](crate::protection_domain):
/// `declare_protection_domain! { init = FUNCTION, stack_size = BYTES }`. Without `stack_size` the stack
/// is the one that system.xml asks for, which has an unmapped page below it; one given here has none.
#[macro_export]
macro_rules! declare_protection_domain {
    { init = $init:expr $(,)? } => {
        $crate::_declare_entry!($init, "movabs rsp, {top}", top = const $crate::_private::STACK_TOP);
    };
    { init = $init:expr, stack_size = $stack_size:expr $(,)? } => {
        const _: () = {
            #[repr(C, align(4096))]
            struct Stack(::core::cell::UnsafeCell<[u8; { ($stack_size as usize).next_multiple_of(4096) }]>);
            // SAFETY: only the one thread touches it, as its stack.
            unsafe impl ::core::marker::Sync for Stack {}
            static STACK: Stack = Stack(::core::cell::UnsafeCell::new([0; _]));
            $crate::_declare_entry!($init, "lea rsp, [rip + {stack} + {size}]", stack = sym STACK,
                size = const ::core::mem::size_of::<Stack>());
        };
    };
    { init = $init:expr, $(stack_size = $stack_size:expr,)? heap_size = $heap_size:expr $(,)? } => {
        ::core::compile_error!(
            "sel4-microkit: `heap_size` is not supported: domains allocate from pools that they size at start"
        );
        $crate::declare_protection_domain! { init = $init $(, stack_size = $stack_size)? }
    };
}

/// `_start` loads the stack pointer itself, so that a parent that restarts the domain needs to know only
/// the entry point; the call leaves the stack aligned as the C ABI wants it.
#[cfg(any(sel4_domain, target_os = "none"))]
#[doc(hidden)]
#[macro_export]
macro_rules! _declare_entry {
    ($init:expr, $load_stack:literal, $($operands:tt)*) => {
        const _: () = {
            #[unsafe(no_mangle)]
            #[unsafe(naked)]
            extern "C" fn _start() -> ! {
                ::core::arch::naked_asm!(
                    $load_stack,
                    "xor ebp, ebp",
                    "call {main}",
                    "ud2",
                    main = sym main,
                    $($operands)*
                )
            }

            extern "C" fn main() -> ! {
                $crate::_private::run_main($init)
            }
        };
    };
}

/// Outside of a domain nothing starts; the initialisation function is type-checked all the same.
#[cfg(not(any(sel4_domain, target_os = "none")))]
#[doc(hidden)]
#[macro_export]
macro_rules! _declare_entry {
    ($init:expr, $($start:tt)*) => {
        const _: fn() -> ! = || $crate::_private::run_main($init);
    };
}

#[cfg(any(sel4_domain, target_os = "none"))]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    panicking::panicked(info)
}
