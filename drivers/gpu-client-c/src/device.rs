// SPDX-License-Identifier: BSD-2-Clause
//! The connection, address spaces, fences.
#![allow(unsafe_code, reason = "functions that C calls, with its pointers")]
#![allow(clippy::missing_safety_doc, reason = "gpu_client.h says what each pointer has to be")]

use core::ffi::c_int;

use gpu_client::mi::Semaphores;
use gpu_client::{Gpu, Param, Vm};

use crate::errors::{Failure, answer, driver_version};
use crate::pointers::{Output, get, get_mut, put, slice_mut};
use crate::transport::CTransport;
use crate::types::{CFence, Callbacks, DEVICE_WORDS, Device, OPEN};

/// The connection behind a pointer.
///
/// # Errors
/// It is null, or not open.
///
/// # Safety
/// It points to a `struct gpu`.
pub(crate) unsafe fn device<'a>(gpu: *mut Device) -> Result<&'a mut Gpu<CTransport>, Failure> {
    // SAFETY: the caller's.
    let device = unsafe { get_mut(gpu) }?;
    if device.open != OPEN {
        return Err(Failure::INVALID);
    }
    // SAFETY: gpu_connect, which wrote the mark in front, has put a connection there; it fits and is aligned (`types`).
    Ok(unsafe { &mut *(&raw mut device.body).cast::<Gpu<CTransport>>() })
}

type Connect = fn(CTransport) -> Result<Gpu<CTransport>, gpu_client::Error>;

unsafe fn connect(gpu: *mut Device, transport: *const Callbacks, how: Connect) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            put(gpu, Device { open: 0, body: [0; DEVICE_WORDS] })?;
            let device = get_mut(gpu)?;
            let tried = how(CTransport::new(get(transport)?)?);
            device.body[0] = driver_version(&tried);
            let connection = tried?;
            // SAFETY: it fits and is aligned (`types`).
            (&raw mut device.body).cast::<Gpu<CTransport>>().write(connection);
            device.open = OPEN;
        }
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_connect(gpu: *mut Device, transport: *const Callbacks) -> c_int {
    // SAFETY: the caller's.
    unsafe { connect(gpu, transport, Gpu::connect) }
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_connect_afresh(gpu: *mut Device, transport: *const Callbacks) -> c_int {
    // SAFETY: the caller's.
    unsafe { connect(gpu, transport, Gpu::connect_afresh) }
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_engines(gpu: *mut Device, engines: *mut u64) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe { put(engines, device(gpu)?.engines())? };
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_param(gpu: *mut Device, param: u64, value: *mut u64) -> c_int {
    answer(|| {
        let param = Param::from_number(param).ok_or(Failure::INVALID)?;
        // SAFETY: the caller's.
        unsafe { put(value, device(gpu)?.param(param)?)? };
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_semaphores(gpu: *mut Device, with_token: *mut u32) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe { put(with_token, (device(gpu)?.semaphores()? == Semaphores::WithToken).into())? };
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_vm_create(gpu: *mut Device, vm: *mut u32) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            let output = Output::at(vm)?;
            output.put(device(gpu)?.create_vm()?.handle());
        }
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_vm_destroy(gpu: *mut Device, vm: u32) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe { device(gpu)? }.destroy_vm(Vm::from_handle(vm))?;
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_error_state(
    gpu: *mut Device,
    offset: u64,
    text: *mut u8,
    size: usize,
    count: *mut usize,
    total: *mut u64,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        let (read, length) = unsafe { device(gpu)?.error_state(offset, slice_mut(text, size)?)? };
        // SAFETY: the caller's.
        unsafe {
            put(count, read)?;
            put(total, length)?;
        }
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_is_complete(gpu: *mut Device, fence: *const CFence) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe { Ok(device(gpu)?.is_complete(get(fence)?.fence()).into()) }
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_wait(gpu: *mut Device, fence: *const CFence) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe { device(gpu)?.wait(get(fence)?.fence()) };
        Ok(0)
    })
}
