// SPDX-License-Identifier: BSD-2-Clause
//! What the engines of a context are and power, and which address space it has.
#![allow(unsafe_code, reason = "functions that C calls, with its pointers")]
#![allow(clippy::missing_safety_doc, reason = "gpu_client.h says what each pointer has to be")]

use core::ffi::c_int;
use core::mem;

use gpu_client::{Balanced, Bonded, Context, EngineClassInstance, EngineMap, MAX_ENGINE_SLOTS};

use crate::device::device;
use crate::errors::{Failure, answer};
use crate::pointers::{Output, get, put, slice, slice_mut};
use crate::types::{CBalanced, CBond, CEngine, CEngineMap, CSseu, Device, place, zero};

/// Most balanced slots of the maps of one call, and most bonds: on a small stack, and more than any part has engines of one
/// class to choose from.
pub(crate) const MOST_BALANCED: usize = 16;
pub(crate) const MOST_BONDS: usize = 16;

/// Places for the balanced slots and the bonds of a call.
pub(crate) type Places<'c> = ([Balanced<'c>; MOST_BALANCED], [Bonded<'c>; MOST_BONDS]);

/// Empty places.
pub(crate) const fn nothing<'c>() -> Places<'c> {
    let balanced = Balanced { slot: 0, siblings: &[] };
    let bond = Bonded { slot: 0, master: EngineClassInstance::NONE, engines: &[] };
    ([balanced; MOST_BALANCED], [bond; MOST_BONDS])
}

/// What of the [`Places`] is left, for maps one after the other.
#[derive(Debug)]
pub(crate) struct Room<'r, 'c> {
    balanced: &'r mut [Balanced<'c>],
    bonds: &'r mut [Bonded<'c>],
}

impl<'r, 'c> Room<'r, 'c> {
    pub(crate) const fn new(balanced: &'r mut [Balanced<'c>], bonds: &'r mut [Bonded<'c>]) -> Self {
        Self { balanced, bonds }
    }

    /// A map as the library has it.
    ///
    /// # Errors
    /// A pointer or a reserved field is wrong, or there is no more room.
    ///
    /// # Safety
    /// The map's pointers are as gpu_client.h says, for as long as the result is used.
    pub(crate) unsafe fn map(&mut self, map: *const CEngineMap) -> Result<EngineMap<'r>, Failure> {
        // SAFETY: the caller's.
        unsafe {
            let map = get(map)?;
            let balanced = slice(map.balanced, map.balanced_count)?;
            let bonds = slice(map.bonds, map.bond_count)?;
            Ok(EngineMap {
                slots: slice(map.slots, map.slot_count)?,
                balanced: fill(&mut self.balanced, balanced, |one: &CBalanced| {
                    zero(&one.pad.map(u32::from))?;
                    Ok(Balanced { slot: one.slot, siblings: slice(one.siblings, one.sibling_count)? })
                })?,
                bonds: fill(&mut self.bonds, bonds, |one: &CBond| {
                    zero(&[one.pad.into()])?;
                    let engines = slice(one.engines, one.engine_count)?;
                    Ok(Bonded { slot: one.slot, master: one.master, engines })
                })?,
            })
        }
    }
}

/// Puts the entries of a list of C's into the first free places, which they keep.
fn fill<'r, C, T>(
    free: &mut &'r mut [T],
    list: &[C],
    convert: impl Fn(&C) -> Result<T, Failure>,
) -> Result<&'r [T], Failure> {
    let (places, rest) = mem::take(free).split_at_mut_checked(list.len()).ok_or(Failure::TOO_BIG)?;
    *free = rest;
    for (place, one) in places.iter_mut().zip(list) {
        *place = convert(one)?;
    }
    Ok(places)
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_context_vm(gpu: *mut Device, context: u32, vm: *mut u32) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            let output = Output::at(vm)?;
            output.put(device(gpu)?.vm_of(&Context::from_handle(context))?.handle());
        }
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_context_set_engines(
    gpu: *mut Device,
    context: u32,
    map: *const CEngineMap,
) -> c_int {
    answer(|| {
        let (mut balanced, mut bonds) = nothing();
        // SAFETY: the caller's.
        let (gpu, map) = unsafe { (device(gpu)?, Room::new(&mut balanced, &mut bonds).map(map)?) };
        gpu.set_engines(&Context::from_handle(context), map)?;
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
            *place = *slot;
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
            let found = device(gpu)?.sseu(&Context::from_handle(context), place(*get(engine)?))?;
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
        gpu.set_sseu(&Context::from_handle(context), place(*engine), sseu.sseu()?)?;
        Ok(0)
    })
}
