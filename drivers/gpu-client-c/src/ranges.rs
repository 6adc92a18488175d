// SPDX-License-Identifier: BSD-2-Clause
//! The range allocator of an address space.
#![allow(unsafe_code, reason = "functions that C calls, with its pointers")]
#![allow(clippy::missing_safety_doc, reason = "gpu_client.h says what each pointer has to be")]

use core::ffi::c_int;

use gpu_client::{Range, Ranges};

use crate::errors::{Failure, answer};
use crate::pointers::{get_mut, put};
use crate::types::{CRanges, OPEN, RANGES_PIECES, RANGES_WORDS};

unsafe fn ranges<'a>(ranges: *mut CRanges) -> Result<&'a mut Ranges<RANGES_PIECES>, Failure> {
    // SAFETY: the caller's.
    let raw = unsafe { get_mut(ranges) }?;
    if raw.open != OPEN {
        return Err(Failure::INVALID);
    }
    // SAFETY: gpu_ranges_init, which wrote the mark in front, has put an allocator there; it fits and is aligned.
    Ok(unsafe { &mut *(&raw mut raw.body).cast::<Ranges<RANGES_PIECES>>() })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_ranges_init(ranges: *mut CRanges, address: u64, bytes: u64) -> c_int {
    answer(|| {
        // SAFETY: the caller's; the allocator fits and is aligned (`types`).
        unsafe {
            put(ranges, CRanges { open: OPEN, body: [0; RANGES_WORDS] })?;
            let raw = get_mut(ranges)?;
            (&raw mut raw.body).cast::<Ranges<RANGES_PIECES>>().write(Ranges::new(address, bytes));
        }
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_ranges_allocate(
    raw: *mut CRanges,
    bytes: u64,
    alignment: u64,
    address: *mut u64,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            let place = get_mut(address)?;
            let range = ranges(raw)?.allocate(bytes, alignment).ok_or(Failure::NO_MEMORY)?;
            *place = range.address;
        }
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_ranges_free(raw: *mut CRanges, address: u64, bytes: u64) -> c_int {
    answer(|| {
        let size = bytes.checked_next_multiple_of(gpu_protocol::PAGE_SIZE).ok_or(Failure::INVALID)?;
        // SAFETY: the caller's.
        unsafe { ranges(raw)?.free(Range { address, size })? };
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_ranges_free_bytes(raw: *mut CRanges, bytes: *mut u64) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe { put(bytes, ranges(raw)?.free_bytes())? };
        Ok(0)
    })
}
