// SPDX-License-Identifier: BSD-2-Clause
//! Contexts: made, cloned, asked, changed.
#![allow(unsafe_code, reason = "functions that C calls, with its pointers")]
#![allow(clippy::missing_safety_doc, reason = "gpu_client.h says what each pointer has to be")]

use core::ffi::c_int;

use gpu_client::{CloneFlags, Context, ContextBuilder, Vm};

use crate::device::device;
use crate::engines::{Room, nothing};
use crate::errors::{Failure, answer};
use crate::pointers::{Output, get, put, slice};
use crate::types::{
    CResets, Device, STEP_CLONE, STEP_ENGINES, STEP_PARAM, STEP_SINGLE_TIMELINE, STEP_SSEU, Step, place,
};

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_context_create(gpu: *mut Device, vm: u32, context: *mut u32) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            let output = Output::at(context)?;
            output.put(device(gpu)?.create_context(&Vm::from_handle(vm))?.handle());
        }
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
        let (output, gpu, steps) = unsafe { (Output::at(context)?, device(gpu)?, slice(steps, count)?) };
        let (mut balanced, mut bonds) = nothing();
        let mut room = Room::new(&mut balanced, &mut bonds);
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
                // SAFETY: the caller's.
                STEP_ENGINES => builder.engines(unsafe { room.map(step.map)? }),
                STEP_SSEU => {
                    // SAFETY: the caller's.
                    let (engine, sseu) = unsafe { (get(step.engine)?, get(step.sseu)?) };
                    builder.sseu(place(*engine), sseu.sseu()?)
                }
                STEP_SINGLE_TIMELINE => builder.single_timeline(),
                _ => return Err(Failure::INVALID),
            };
        }
        output.put(gpu.create_context_with(&builder)?.handle());
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
