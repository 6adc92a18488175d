// SPDX-License-Identifier: BSD-2-Clause
//! Objects: of lent memory, in the driver's memory, shared, taken back.
#![allow(unsafe_code, reason = "functions that C calls, with its pointers")]
#![allow(clippy::missing_safety_doc, reason = "gpu_client.h says what each pointer has to be")]

use core::ffi::c_int;

use gpu_client::{TakenBack, Ticket, UserptrFlags};

use crate::device::device;
use crate::errors::{Failure, answer};
use crate::pointers::{Output, get, put, slice, slice_mut};
use crate::types::{CObject, Device, Memory};

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_userptr_create(
    gpu: *mut Device,
    memory: *const Memory,
    object: *mut CObject,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            let output = Output::at(object)?;
            output.put(CObject::of(&device(gpu)?.create_userptr(get(memory)?.lendable())?));
        }
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_userptr_create_in(
    gpu: *mut Device,
    memory: *const Memory,
    start: u64,
    end: u64,
    object: *mut CObject,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            let output = Output::at(object)?;
            output.put(CObject::of(&device(gpu)?.create_userptr_in(get(memory)?.lendable(), start..end)?));
        }
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_userptr_create_with(
    gpu: *mut Device,
    memory: *const Memory,
    flags: u32,
    object: *mut CObject,
) -> c_int {
    answer(|| {
        // What is not known is refused by the driver.
        let flags = UserptrFlags::from_bits_retain(flags);
        // SAFETY: the caller's.
        unsafe {
            let output = Output::at(object)?;
            output.put(CObject::of(&device(gpu)?.create_userptr_with(get(memory)?.lendable(), flags)?));
        }
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_buffer_create(gpu: *mut Device, bytes: u64, object: *mut CObject) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            let output = Output::at(object)?;
            output.put(CObject::of(&device(gpu)?.create_buffer(bytes)?));
        }
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_buffer_read(
    gpu: *mut Device,
    object: *const CObject,
    offset: u64,
    bytes: *mut u8,
    size: usize,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe { device(gpu)?.read(&get(object)?.object(), offset, slice_mut(bytes, size)?)? };
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_buffer_write(
    gpu: *mut Device,
    object: *const CObject,
    offset: u64,
    bytes: *const u8,
    size: usize,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe { device(gpu)?.write(&get(object)?.object(), offset, slice(bytes, size)?)? };
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_object_usage(
    gpu: *mut Device,
    object: *const CObject,
    readers: *mut u16,
    writer: *mut u16,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            let usage = device(gpu)?.usage(&get(object)?.object())?;
            put(readers, usage.readers)?;
            put(writer, usage.writer.unwrap_or(u16::MAX))?;
        }
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_object_wait_idle(gpu: *mut Device, object: *const CObject) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe { device(gpu)?.wait_idle(&get(object)?.object())? };
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_object_close(gpu: *mut Device, object: *const CObject) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe { device(gpu)?.close(get(object)?.object())? };
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_object_export(
    gpu: *mut Device,
    object: *const CObject,
    peer: u32,
    name: *mut u64,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            let output = Output::at(name)?;
            output.put(device(gpu)?.export(&get(object)?.object(), peer)?);
        }
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_object_import(gpu: *mut Device, name: u64, object: *mut CObject) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            let output = Output::at(object)?;
            output.put(CObject::of(&device(gpu)?.import(name)?));
        }
        Ok(0)
    })
}

/// Writes how an invalidation stands: 1 and the ticket while it is pending.
unsafe fn tell(state: TakenBack, ticket: *mut u64, dirty: *mut u64) -> Result<c_int, Failure> {
    match state {
        TakenBack::Done { dirty: pages } => {
            // SAFETY: the caller's.
            unsafe { put(dirty, pages)? };
            Ok(0)
        }
        TakenBack::Pending(pending) => {
            // SAFETY: the caller's.
            unsafe { put(ticket, pending.number())? };
            Ok(1)
        }
    }
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_take_back(
    gpu: *mut Device,
    start: u64,
    end: u64,
    ticket: *mut u64,
    dirty: *mut u64,
) -> c_int {
    answer(|| {
        // Before the pages are asked for, so that no ticket is lost.
        // SAFETY: the caller's.
        unsafe {
            put(ticket, 0)?;
            put(dirty, 0)?;
            tell(device(gpu)?.take_back(start..end)?, ticket, dirty)
        }
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_look_at(gpu: *mut Device, ticket: *mut u64, dirty: *mut u64) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            let number = *get(ticket.cast_const())?;
            put(dirty, 0)?;
            tell(device(gpu)?.look_at(Ticket::from_number(number))?, ticket, dirty)
        }
    })
}
