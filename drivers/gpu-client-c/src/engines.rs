// SPDX-License-Identifier: BSD-2-Clause
//! What the engines of a context are and power, and which address space it has.
#![allow(unsafe_code, reason = "functions that C calls, with its pointers")]
#![allow(clippy::missing_safety_doc, reason = "gpu_client.h says what each pointer has to be")]

use core::ffi::c_int;

use gpu_client::{Context, EngineClassInstance, EngineMap, MAX_ENGINE_SLOTS};

use crate::device::device;
use crate::errors::{Failure, answer};
use crate::pointers::{get, put, slice, slice_mut};
use crate::types::{CEngine, CSseu, Device, zero};

/// The list of engines that C has, in a place for the longest one; how many they are.
///
/// # Safety
/// The caller's word about the list.
pub(crate) unsafe fn listed(
    engines: *const CEngine,
    count: usize,
    map: &mut [EngineClassInstance; MAX_ENGINE_SLOTS],
) -> Result<usize, Failure> {
    let room = map.get_mut(..count).ok_or(Failure::INVALID)?;
    // SAFETY: the caller's.
    for (slot, engine) in room.iter_mut().zip(unsafe { slice(engines, count)? }) {
        *slot = EngineClassInstance::new(engine.class, engine.instance);
    }
    Ok(count)
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_context_vm(gpu: *mut Device, context: u32, vm: *mut u32) -> c_int {
    answer(|| {
        // SAFETY: the caller's. What cannot be written is found before there is a name that nobody would know.
        unsafe {
            put(vm, 0)?;
            put(vm, device(gpu)?.vm_of(&Context::from_handle(context))?.handle())?;
        }
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_context_set_engines(
    gpu: *mut Device,
    context: u32,
    engines: *const CEngine,
    count: usize,
) -> c_int {
    answer(|| {
        let mut map = [EngineClassInstance::NONE; MAX_ENGINE_SLOTS];
        // SAFETY: the caller's.
        let (gpu, count) = unsafe { (device(gpu)?, listed(engines, count, &mut map)?) };
        let slots = map.get(..count).ok_or(Failure::INVALID)?;
        gpu.set_engines(&Context::from_handle(context), EngineMap::from(slots))?;
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_context_engines(
    gpu: *mut Device,
    context: u32,
    engines: *mut CEngine,
    size: usize,
    count: *mut usize,
) -> c_int {
    answer(|| {
        let mut map = [EngineClassInstance::NONE; MAX_ENGINE_SLOTS];
        // SAFETY: the caller's.
        let (gpu, room) = unsafe { (device(gpu)?, slice_mut(engines, size)?) };
        let found = gpu.engines_of(&Context::from_handle(context), &mut map)?;
        let slots = map.iter().take(found.unwrap_or(0));
        for (place, slot) in room.iter_mut().zip(slots) {
            *place = CEngine { class: slot.class, instance: slot.instance };
        }
        // SAFETY: the caller's.
        unsafe { put(count, found.unwrap_or(0))? };
        Ok(found.is_some().into())
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_context_sseu(
    gpu: *mut Device,
    context: u32,
    engine: *const CEngine,
    sseu: *mut CSseu,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            let found = device(gpu)?.sseu(&Context::from_handle(context), get(engine)?.place())?;
            put(sseu, CSseu::of(found))?;
        }
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_context_set_sseu(
    gpu: *mut Device,
    context: u32,
    engine: *const CEngine,
    sseu: *const CSseu,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        let (gpu, engine, sseu) = unsafe { (device(gpu)?, get(engine)?, get(sseu)?) };
        zero(&[sseu.pad])?;
        gpu.set_sseu(&Context::from_handle(context), engine.place(), sseu.sseu())?;
        Ok(0)
    })
}
