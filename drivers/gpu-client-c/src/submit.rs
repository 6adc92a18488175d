// SPDX-License-Identifier: BSD-2-Clause
//! Batches: by call, and through the queue.
#![allow(unsafe_code, reason = "functions that C calls, with its pointers")]
#![allow(clippy::missing_safety_doc, reason = "gpu_client.h says what each pointer has to be")]

use core::ffi::c_int;

use gpu_client::{Access, After, Context, Fence, Frames, Lendable, Object, Queued, UsedObject};
use gpu_protocol::MAX_OBJECTS;

use crate::device::device;
use crate::errors::{Failure, answer};
use crate::pointers::{get, put, slice};
use crate::types::{
    CAfter, CAnswer, CBatch, CFence, COMPLETE, CObject, CUse, Device, READ, STARTED, WRITE, zero,
};

/// Most fences that a batch can wait for.
const MAX_AFTER: usize = 16;

impl CFence {
    pub(crate) const fn fence(&self) -> Fence {
        Fence::from_parts(self.timeline, self.point)
    }

    const fn of(fence: Fence) -> Self {
        let (timeline, point) = fence.parts();
        Self { point, timeline, pad: 0 }
    }
}

impl CAfter {
    fn after(&self) -> Result<After, Failure> {
        zero(&[self.pad, self.fence.pad])?;
        match self.until {
            COMPLETE => Ok(After::Complete(self.fence.fence())),
            STARTED => Ok(After::Started(self.fence.fence())),
            _ => Err(Failure::INVALID),
        }
    }
}

impl CUse {
    fn access(&self) -> Result<Access, Failure> {
        zero(&[self.pad])?;
        match self.access {
            READ => Ok(Access::Read),
            WRITE => Ok(Access::Write),
            _ => Err(Failure::INVALID),
        }
    }
}

/// Objects of a batch that most have no more than. Stacks of domains are small, and lists are on them.
const FEW: usize = 8;

/// The objects of a list, and then what a batch does with them.
///
/// # Safety
/// Each entry points to a `struct gpu_object`.
unsafe fn with_uses<R>(
    list: &[CUse],
    then: impl FnOnce(&[UsedObject<'_>]) -> Result<R, Failure>,
) -> Result<R, Failure> {
    // SAFETY: the caller's.
    unsafe {
        match list.len() {
            0..=FEW => with_places::<FEW, R>(list, then),
            _ => with_places::<MAX_OBJECTS, R>(list, then),
        }
    }
}

/// The same, with places for `N`. Its frame is not to be part of its caller's.
///
/// # Safety
/// As above.
#[inline(never)]
unsafe fn with_places<const N: usize, R>(
    list: &[CUse],
    then: impl FnOnce(&[UsedObject<'_>]) -> Result<R, Failure>,
) -> Result<R, Failure> {
    const NOTHING: Object = Object::from_parts(0, Lendable { address: 0, size: 0, frames: Frames::Foreign });
    let mut objects = [NOTHING; N];
    for (object, used) in objects.get_mut(..list.len()).ok_or(Failure::TOO_BIG)?.iter_mut().zip(list) {
        // SAFETY: the caller's.
        let named: &CObject = unsafe { get(used.object)? };
        zero(&[named.pad])?;
        *object = named.object();
    }
    let mut uses = [UsedObject { object: &NOTHING, address: 0, access: Access::Read }; N];
    for ((place, object), used) in uses.iter_mut().zip(&objects).zip(list) {
        *place = UsedObject { object, address: used.address, access: used.access()? };
    }
    then(uses.get(..list.len()).unwrap_or(&[]))
}

/// A batch as the library has it.
///
/// # Safety
/// Its pointers are as gpu_client.h says.
unsafe fn with_batch<R>(
    batch: *const CBatch,
    then: impl FnOnce(&Queued<'_>) -> Result<R, Failure>,
) -> Result<R, Failure> {
    // SAFETY: the caller's.
    let (batch, list, waits) = unsafe {
        let batch = get(batch)?;
        (batch, slice(batch.objects, batch.object_count)?, slice(batch.after, batch.after_count)?)
    };
    let mut after = [After::Complete(Fence::from_parts(0, 0)); MAX_AFTER];
    let after = after.get_mut(..waits.len()).ok_or(Failure::TOO_BIG)?;
    for (place, wait) in after.iter_mut().zip(waits) {
        *place = wait.after()?;
    }
    let context = Context::from_handle(batch.context);
    // SAFETY: the caller's.
    let code = unsafe { get(batch.code.object)? };
    zero(&[code.pad])?;
    let code = code.object();
    let code = UsedObject { object: &code, address: batch.code.address, access: batch.code.access()? };
    // SAFETY: the caller's.
    unsafe {
        with_uses(list, |objects| {
            then(&Queued {
                context: &context,
                engine: batch.engine,
                batch: code,
                start: batch.start,
                length: batch.length,
                objects,
                after,
                tag: batch.tag,
            })
        })
    }
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_submit(gpu: *mut Device, batch: *const CBatch, fence: *mut CFence) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            // Before anything runs, so that no fence is lost.
            put(fence, CFence::default())?;
            let gpu = device(gpu)?;
            let reached = with_batch(batch, |queued| {
                let end = queued.start.checked_add(queued.length).ok_or(Failure::INVALID)?;
                let bytes = queued.start..end;
                let Queued { context, engine, batch, objects, after, .. } = *queued;
                Ok(gpu.submit_after(context, engine, batch, bytes, objects, after)?)
            })?;
            put(fence, CFence::of(reached))?;
        }
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_queue_capacity(gpu: *mut Device, capacity: *mut u64) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe { put(capacity, device(gpu)?.queue_capacity())? };
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_queued(gpu: *mut Device, queued: *mut u64) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe { put(queued, device(gpu)?.queued())? };
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_enqueue(gpu: *mut Device, batch: *const CBatch) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            let gpu = device(gpu)?;
            with_batch(batch, |queued| Ok(gpu.enqueue(queued)?))?;
        }
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_flush(gpu: *mut Device) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe { device(gpu)?.flush()? };
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_next_answer(gpu: *mut Device, told: *mut CAnswer) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            // Before one is taken out, so that none is lost.
            put(told, CAnswer::default())?;
            let Some(next) = device(gpu)?.next_answer()? else { return Ok(0) };
            let (fence, error) = match next.result {
                Ok(fence) => (CFence::of(fence), 0),
                Err(errno) => (CFence::default(), -c_int::from(errno.number())),
            };
            put(told, CAnswer { tag: next.tag, fence, error, pad: 0 })?;
        }
        Ok(1)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_wait_answers(gpu: *mut Device, count: u64) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe { device(gpu)?.wait_answers(count)? };
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_ask_for_answers(gpu: *mut Device, count: u64) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe { Ok(device(gpu)?.ask_for_answers(count)?.into()) }
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_lend_for(gpu: *mut Device, objects: *const CUse, count: usize) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            let gpu = device(gpu)?;
            with_uses(slice(objects, count)?, |uses| Ok(gpu.lend_for(uses)?))?;
        }
        Ok(0)
    })
}
