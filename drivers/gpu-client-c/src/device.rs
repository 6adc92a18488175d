// SPDX-License-Identifier: BSD-2-Clause
//! The connection, address spaces, contexts.
#![allow(unsafe_code, reason = "functions that C calls, with its pointers")]
#![allow(clippy::missing_safety_doc, reason = "gpu_client.h says what each pointer has to be")]

use core::ffi::c_int;

use gpu_client::{
    CloneFlags, Context, ContextBuilder, EngineClassInstance, Gpu, MAX_ENGINE_SLOTS, Param, Vm,
};

use crate::engines::listed;
use crate::errors::{Failure, answer};
use crate::pointers::{get, get_mut, put, slice, slice_mut};
use crate::transport::CTransport;
use crate::types::{
    CFence, CResets, Callbacks, DEVICE_WORDS, Device, OPEN, STEP_CLONE, STEP_ENGINES, STEP_PARAM,
    STEP_SINGLE_TIMELINE, Step,
};

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
            let connection = how(CTransport::new(get(transport)?)?)?;
            let device = get_mut(gpu)?;
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
pub unsafe extern "C" fn gpu_vm_create(gpu: *mut Device, vm: *mut u32) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe { put(vm, device(gpu)?.create_vm()?.handle())? };
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
pub unsafe extern "C" fn gpu_context_create(gpu: *mut Device, vm: u32, context: *mut u32) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe { put(context, device(gpu)?.create_context(&Vm::from_handle(vm))?.handle())? };
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_context_create_with(
    gpu: *mut Device,
    steps: *const Step,
    count: usize,
    context: *mut u32,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        let (gpu, steps) = unsafe { (device(gpu)?, slice(steps, count)?) };
        let mut map = [EngineClassInstance::NONE; MAX_ENGINE_SLOTS];
        // The last map named is the one that counts, and so the only one that is kept.
        let mut map_len = 0;
        if let Some(step) = steps.iter().rfind(|step| step.kind == STEP_ENGINES) {
            let len = usize::try_from(step.value).map_err(|_| Failure::INVALID)?;
            // SAFETY: the caller's.
            map_len = unsafe { listed(step.engines, len, &mut map)? };
        }
        let mut builder = ContextBuilder::new();
        for step in steps {
            builder = match step.kind {
                STEP_PARAM => builder.param(step.name, step.value),
                STEP_CLONE => {
                    let flags = u32::try_from(step.name).map_err(|_| Failure::INVALID)?;
                    // What is not known is refused by the driver.
                    let flags = CloneFlags::from_bits_retain(flags);
                    builder.clone_of(&Context::from_handle(step.source)).flags(flags)
                }
                STEP_ENGINES => builder.engines(map.get(..map_len).ok_or(Failure::INVALID)?),
                STEP_SINGLE_TIMELINE => builder.single_timeline(),
                _ => return Err(Failure::INVALID),
            };
        }
        // SAFETY: the caller's.
        unsafe { put(context, gpu.create_context_with(&builder)?.handle())? };
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_context_destroy(gpu: *mut Device, context: u32) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe { device(gpu)? }.destroy_context(Context::from_handle(context))?;
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_context_set_param(
    gpu: *mut Device,
    context: u32,
    param: u64,
    value: u64,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe { device(gpu)? }.set_context_param(&Context::from_handle(context), param, value)?;
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_context_param(
    gpu: *mut Device,
    context: u32,
    param: u64,
    value: *mut u64,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe { put(value, device(gpu)?.context_param(&Context::from_handle(context), param)?)? };
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_context_resets(gpu: *mut Device, context: u32, resets: *mut CResets) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        let counts = unsafe { device(gpu)? }.reset_counts(&Context::from_handle(context))?;
        let counts = CResets { resets: counts.resets, guilty: counts.guilty, innocent: counts.innocent };
        // SAFETY: the caller's.
        unsafe { put(resets, counts)? };
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
