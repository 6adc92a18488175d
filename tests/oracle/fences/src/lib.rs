// SPDX-License-Identifier: BSD-2-Clause
//! Many tests of IGT hold work back with fences that they signal themselves, and make those with the kernel's sw_sync.
//! Debian builds its kernels without that (`CONFIG_SW_SYNC`), and the tests would be skipped. This library is loaded into
//! them (`LD_PRELOAD`) and takes the place of the five functions of IGT that know of sw_sync (IGT: lib/sw_sync.h).
//!
//! The fences are vgem's, which Debian ships: a device without hardware whose programs attach fences to buffers and
//! signal them (Linux: include/uapi/drm/vgem_drm.h). A timeline is an open file of vgem, and closing it signals what is
//! left, as with sw_sync. In contrast to sw_sync's, a fence of vgem signals by itself after ten seconds (Linux:
//! vgem_fence.c). A test that had not signalled it by then was not held back, and says SUCCESS for nothing: this library
//! says so, and the judge does not count it (`judge.rs`). It does not notice where a timeline is closed instead.
#![allow(unsafe_code, reason = "the names of functions that it takes the place of; calls are in `kernel`")]

mod kernel;
mod timeline;

use std::ffi::c_int;
use std::sync::Mutex;

use kernel::Vgem;
use timeline::Timelines;

static TIMELINES: Mutex<Timelines> = Mutex::new(Timelines::new());

/// What IGT's functions answer where they fail: the negated error.
fn negated(error: &std::io::Error) -> c_int {
    -error.raw_os_error().unwrap_or(libc::EIO)
}

/// IGT ends a test whose timeline or fence cannot be made; so does this.
fn or_abort(result: std::io::Result<c_int>, what: &str) -> c_int {
    result.unwrap_or_else(|error| {
        eprintln!("fences: {what}: {error}");
        std::process::abort()
    })
}

fn create_fence(timeline: c_int, point: u32) -> std::io::Result<c_int> {
    let (fence, file) = Vgem::of(timeline).fence()?;
    let mut timelines = TIMELINES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if timelines.add(timeline, point, fence) {
        signal(timeline, fence);
    }
    Ok(file)
}

/// Signals a fence, and says so where it had signalled by itself.
fn signal(timeline: c_int, fence: u32) {
    match Vgem::of(timeline).signal(fence) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::ETIMEDOUT) => {
            eprintln!("fences: EXPIRED: a fence signalled by itself after ten seconds");
        }
        // The judge counts this as no success either: the test relies on it.
        Err(error) => eprintln!("fences: EXPIRED: {error}"),
    }
}

/// Ends the program as skipped where there is no vgem.
#[unsafe(no_mangle)]
pub extern "C" fn igt_require_sw_sync() {
    /// IGT: lib/igt_core.h, IGT_EXIT_SKIP.
    const SKIPPED: i32 = 77;
    if let Err(error) = kernel::node() {
        eprintln!("fences: no vgem: {error}");
        std::process::exit(SKIPPED);
    }
}

/// A new timeline, at point 0.
#[unsafe(no_mangle)]
pub extern "C" fn sw_sync_timeline_create() -> c_int {
    let timeline = or_abort(kernel::open(), "opening vgem");
    TIMELINES.lock().unwrap_or_else(std::sync::PoisonError::into_inner).start(timeline);
    timeline
}

/// A sync file that signals when the timeline reaches the point, or the negated error.
#[unsafe(no_mangle)]
pub extern "C" fn __sw_sync_timeline_create_fence(timeline: c_int, point: u32) -> c_int {
    create_fence(timeline, point).unwrap_or_else(|error| negated(&error))
}

/// A sync file that signals when the timeline reaches the point.
#[unsafe(no_mangle)]
pub extern "C" fn sw_sync_timeline_create_fence(timeline: c_int, point: u32) -> c_int {
    or_abort(create_fence(timeline, point), "making a fence")
}

/// Moves the timeline on.
#[unsafe(no_mangle)]
pub extern "C" fn sw_sync_timeline_inc(timeline: c_int, count: u32) {
    let mut timelines = TIMELINES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for fence in timelines.advance(timeline, count) {
        signal(timeline, fence);
    }
}
