// SPDX-License-Identifier: BSD-2-Clause
//! Where the IPC buffer of this thread lies, and who is using it.
//!
//! The kernel reads and writes the buffer during system calls; between them it is the program's. A
//! program has one thread here, so there is one buffer, at an address that the runtime or the root task
//! sets once. A flag catches the one mistake that is possible: a system call, or a second borrow, while
//! a closure holds a reference into the buffer.
#![allow(unsafe_code, reason = "the buffer is memory shared with the kernel")]

use crate::abi::IpcBuffer;

/// Where the buffer is, and whether a closure has it.
#[cfg(not(test))]
mod state {
    use core::ptr;
    use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

    use crate::abi::IpcBuffer;

    static BUFFER: AtomicPtr<IpcBuffer> = AtomicPtr::new(ptr::null_mut());
    static BORROWED: AtomicBool = AtomicBool::new(false);

    pub(super) fn buffer() -> *mut IpcBuffer {
        BUFFER.load(Ordering::Relaxed)
    }

    pub(super) fn set_buffer(buffer: *mut IpcBuffer) {
        BUFFER.store(buffer, Ordering::Relaxed);
    }

    pub(super) fn is_borrowed() -> bool {
        BORROWED.load(Ordering::Relaxed)
    }

    pub(super) fn set_borrowed(borrowed: bool) {
        BORROWED.store(borrowed, Ordering::Relaxed);
    }
}

/// The same for each test: they run at the same time.
#[cfg(test)]
mod state {
    use std::cell::Cell;
    use std::ptr;

    use crate::abi::IpcBuffer;

    thread_local! {
        static BUFFER: Cell<*mut IpcBuffer> = const { Cell::new(ptr::null_mut()) };
        static BORROWED: Cell<bool> = const { Cell::new(false) };
    }

    pub(super) fn buffer() -> *mut IpcBuffer {
        BUFFER.get()
    }

    pub(super) fn set_buffer(buffer: *mut IpcBuffer) {
        BUFFER.set(buffer);
    }

    pub(super) fn is_borrowed() -> bool {
        BORROWED.get()
    }

    pub(super) fn set_borrowed(borrowed: bool) {
        BORROWED.set(borrowed);
    }
}

/// Says where the kernel expects this thread's IPC buffer.
///
/// # Safety
///
/// `buffer` is the address that the thread was configured with, mapped for as long as the program runs,
/// and nothing else refers to that memory. The program has no second thread that uses this crate.
pub unsafe fn set_ipc_buffer(buffer: *mut IpcBuffer) {
    state::set_buffer(buffer);
}

/// Whether [`set_ipc_buffer`] was called.
#[inline]
pub fn has_ipc_buffer() -> bool {
    !state::buffer().is_null()
}

/// The buffer, for system calls, which copy words and keep no reference.
#[inline]
#[track_caller]
pub(crate) fn unborrowed() -> *mut IpcBuffer {
    assert!(!state::is_borrowed(), "the IPC buffer is in use");
    let buffer = state::buffer();
    assert!(!buffer.is_null(), "no IPC buffer is set");
    buffer
}

/// Ends the borrow also when the closure panics (in host tests, where panics unwind).
struct Borrow;

impl Drop for Borrow {
    fn drop(&mut self) {
        state::set_borrowed(false);
    }
}

/// Reads the IPC buffer. No system call may be made meanwhile.
///
/// # Panics
///
/// When no buffer is set, or inside another borrow.
#[inline]
#[track_caller]
pub fn with_ipc_buffer<R>(f: impl FnOnce(&IpcBuffer) -> R) -> R {
    with_ipc_buffer_mut(|buffer| f(buffer))
}

/// Reads and writes the IPC buffer. No system call may be made meanwhile.
///
/// # Panics
///
/// When no buffer is set, or inside another borrow.
#[inline]
#[track_caller]
pub fn with_ipc_buffer_mut<R>(f: impl FnOnce(&mut IpcBuffer) -> R) -> R {
    let buffer = unborrowed();
    state::set_borrowed(true);
    let _borrow = Borrow;
    // SAFETY: `set_ipc_buffer` promised valid memory that nobody else refers to; nobody had borrowed it,
    // so no other reference from here exists, and system calls refuse to run until it is false again.
    f(unsafe { &mut *buffer })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn the_buffer_is_lent_to_one_closure_at_a_time() {
        assert!(!has_ipc_buffer());
        assert!(catch_unwind(|| with_ipc_buffer(|_| ())).is_err(), "no buffer is set yet");

        // SAFETY: the memory is never freed, nothing else refers to it, and no other test uses it.
        unsafe { set_ipc_buffer(Box::into_raw(Box::new(IpcBuffer::new()))) };
        with_ipc_buffer_mut(|buffer| buffer.words_mut()[3] = 7);
        assert_eq!(with_ipc_buffer(|buffer| buffer.words()[3]), 7);

        let nested = || with_ipc_buffer(|_| with_ipc_buffer_mut(|_| ()));
        assert!(catch_unwind(AssertUnwindSafe(nested)).is_err(), "a borrow inside a borrow");
        let system_call = || with_ipc_buffer(|_| unborrowed());
        assert!(catch_unwind(AssertUnwindSafe(system_call)).is_err(), "a system call inside a borrow");
        assert_eq!(with_ipc_buffer(|buffer| buffer.words()[3]), 7, "the refusals ended their borrows");
    }
}
