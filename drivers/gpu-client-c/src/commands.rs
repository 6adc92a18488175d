// SPDX-License-Identifier: BSD-2-Clause
//! The command builder.
#![allow(unsafe_code, reason = "functions that C calls, with its pointers")]
#![allow(clippy::missing_safety_doc, reason = "gpu_client.h says what each pointer has to be")]

use core::ffi::c_int;

use gpu_client::blit::{BlitError, Commands, Rectangle, Surface};
use gpu_client::mi::{Comparison, Semaphores};

use crate::errors::{Failure, answer};
use crate::pointers::{get, get_mut, slice_mut};
use crate::types::{CCommands, CRectangle, CSurface, zero};

/// Appends commands to a batch.
///
/// # Safety
/// The pointers are as gpu_client.h says.
unsafe fn append(
    commands: *mut CCommands,
    what: impl FnOnce(&mut Commands<'_>) -> Result<(), BlitError>,
) -> Result<c_int, Failure> {
    // SAFETY: the caller's.
    let (raw, dwords) = unsafe {
        let raw = get_mut(commands)?;
        let dwords = slice_mut(raw.dwords, raw.capacity)?;
        (raw, dwords)
    };
    let mut commands = Commands::resume(dwords, raw.used)?;
    what(&mut commands)?;
    raw.used = commands.used();
    Ok(0)
}

impl CSurface {
    fn surface(&self) -> Result<Surface, Failure> {
        zero(&[self.pad])?;
        let Self { address, pitch, width, height, .. } = *self;
        Ok(Surface { address, pitch, width, height })
    }
}

impl CRectangle {
    const fn rectangle(&self) -> Rectangle {
        Rectangle { x0: self.x0, y0: self.y0, x1: self.x1, y1: self.y1 }
    }
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_fill(
    commands: *mut CCommands,
    target: *const CSurface,
    rectangle: *const CRectangle,
    colour: u32,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            let (target, rectangle) = (get(target)?.surface()?, get(rectangle)?.rectangle());
            append(commands, |commands| commands.fill(target, rectangle, colour))
        }
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_copy(
    commands: *mut CCommands,
    target: *const CSurface,
    x: u32,
    y: u32,
    source: *const CSurface,
    rectangle: *const CRectangle,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            let (target, source) = (get(target)?.surface()?, get(source)?.surface()?);
            let rectangle = get(rectangle)?.rectangle();
            append(commands, |commands| commands.copy(target, x, y, source, rectangle))
        }
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_store_dword(commands: *mut CCommands, address: u64, value: u32) -> c_int {
    // SAFETY: the caller's.
    answer(|| unsafe { append(commands, |commands| commands.store_dword(address, value)) })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_store_qword(commands: *mut CCommands, address: u64, value: u64) -> c_int {
    // SAFETY: the caller's.
    answer(|| unsafe { append(commands, |commands| commands.store_qword(address, value)) })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_copy_dword(commands: *mut CCommands, to: u64, from: u64) -> c_int {
    // SAFETY: the caller's.
    answer(|| unsafe { append(commands, |commands| commands.copy_dword(to, from)) })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_flush_and_store(commands: *mut CCommands, address: u64, value: u64) -> c_int {
    // SAFETY: the caller's.
    answer(|| unsafe { append(commands, |commands| commands.flush_and_store(address, value)) })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_flush_and_stamp(commands: *mut CCommands, address: u64) -> c_int {
    // SAFETY: the caller's.
    answer(|| unsafe { append(commands, |commands| commands.flush_and_stamp(address)) })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_arbitration_point(commands: *mut CCommands) -> c_int {
    // SAFETY: the caller's.
    answer(|| unsafe { append(commands, |commands| commands.arbitration_point()) })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_wait_until(
    commands: *mut CCommands,
    address: u64,
    comparison: u32,
    value: u32,
    with_token: u32,
) -> c_int {
    answer(|| {
        let comparison = [
            Comparison::Greater,
            Comparison::GreaterOrEqual,
            Comparison::Less,
            Comparison::LessOrEqual,
            Comparison::Equal,
            Comparison::NotEqual,
        ]
        .into_iter()
        .find(|known| *known as u32 == comparison)
        .ok_or(Failure::INVALID)?;
        let semaphores = match with_token {
            0 => Semaphores::Plain,
            1 => Semaphores::WithToken,
            _ => return Err(Failure::INVALID),
        };
        // SAFETY: the caller's.
        unsafe { append(commands, |commands| commands.wait_until(address, comparison, value, semaphores)) }
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_finish(commands: *mut CCommands, bytes: *mut u32) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            let raw = get_mut(commands)?;
            let length = get_mut(bytes)?;
            *length = Commands::resume(slice_mut(raw.dwords, raw.capacity)?, raw.used)?.finish()?;
            raw.used = *length as usize / size_of::<u32>();
        }
        Ok(0)
    })
}
