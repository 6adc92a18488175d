// SPDX-License-Identifier: BSD-2-Clause
//! How a domain ends: with a line on the debug console, and a fault that its parent or the monitor sees.
#![allow(unsafe_code, reason = "stops the thread with an invalid instruction; keeps the hook in a static")]

use core::arch::asm;
use core::cell::Cell;
use core::fmt;
use core::panic::PanicInfo;
#[cfg(any(sel4_domain, target_os = "none"))]
use core::sync::atomic::{AtomicBool, Ordering};

/// What is done when the domain panics, before it stops.
pub type PanicHook = &'static (dyn Fn(&PanicInfo<'_>) + Send + Sync);

struct HookCell(Cell<Option<PanicHook>>);

// SAFETY: a domain is one thread (see the crate's head), so no two accesses are at the same time.
unsafe impl Sync for HookCell {}

static HOOK: HookCell = HookCell(Cell::new(None));

/// Set once the domain is on its way out: a panic of the hook must not call it again.
#[cfg(any(sel4_domain, target_os = "none"))]
static PANICKING: AtomicBool = AtomicBool::new(false);

/// Replaces the line on the debug console by something of the domain's own.
pub fn set_hook(hook: PanicHook) {
    HOOK.0.set(Some(hook));
}

fn name() -> &'static str {
    match crate::pd_name() {
        Ok(name) if !name.is_empty() => name,
        _ => "?",
    }
}

/// Ends the domain because of a panic.
#[cfg(any(sel4_domain, target_os = "none"))]
pub(crate) fn panicked(info: &PanicInfo<'_>) -> ! {
    if !PANICKING.swap(true, Ordering::Relaxed) {
        match HOOK.0.get() {
            Some(hook) => hook(info),
            None => report(info),
        }
    }
    stop()
}

#[cfg(any(sel4_domain, target_os = "none"))]
fn report(info: &PanicInfo<'_>) {
    match info.location() {
        Some(location) => {
            crate::debug_println!("{}: panicked at {location}: {}", name(), info.message());
        }
        None => crate::debug_println!("{}: panicked at an unknown place: {}", name(), info.message()),
    }
}

/// Ends the domain because its handler returned an error.
pub(crate) fn terminated(error: &dyn fmt::Display) -> ! {
    crate::debug_println!("{}: terminated with error: {error}", name());
    stop()
}

/// Stops the thread for good, visibly: the fault goes to the parent or the monitor. Should either let
/// the thread run on, it faults again.
fn stop() -> ! {
    loop {
        // SAFETY: the instruction has no effect but the fault.
        unsafe { asm!("ud2", options(nomem, nostack)) };
    }
}
