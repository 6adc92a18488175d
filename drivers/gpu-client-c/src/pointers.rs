// SPDX-License-Identifier: BSD-2-Clause
//! Where pointers become references.
#![allow(unsafe_code, reason = "C hands over pointers")]

use crate::errors::Failure;

/// What a pointer points to.
///
/// # Errors
/// It is null or not aligned.
///
/// # Safety
/// Otherwise it points to a `T` that nobody writes during the call.
pub(crate) unsafe fn get<'a, T>(pointer: *const T) -> Result<&'a T, Failure> {
    if pointer.is_null() || !pointer.is_aligned() {
        return Err(Failure::INVALID);
    }
    // SAFETY: not null, aligned; the rest is the caller's word.
    Ok(unsafe { &*pointer })
}

/// What a pointer points to, to be written.
///
/// # Errors
/// It is null or not aligned.
///
/// # Safety
/// Otherwise it points to a `T` that nobody else uses during the call.
pub(crate) unsafe fn get_mut<'a, T>(pointer: *mut T) -> Result<&'a mut T, Failure> {
    if pointer.is_null() || !pointer.is_aligned() {
        return Err(Failure::INVALID);
    }
    // SAFETY: as above.
    Ok(unsafe { &mut *pointer })
}

/// Where a result goes: found to be a place before anything is done whose result would be lost.
#[derive(Debug)]
pub(crate) struct Output<T>(*mut T);

impl<T> Output<T> {
    /// # Errors
    /// The pointer is null or not aligned.
    ///
    /// # Safety
    /// Otherwise there is room for a `T` that nobody else uses during the call.
    pub(crate) unsafe fn at(pointer: *mut T) -> Result<Self, Failure> {
        if pointer.is_null() || !pointer.is_aligned() {
            return Err(Failure::INVALID);
        }
        Ok(Self(pointer))
    }

    /// Writes the result.
    pub(crate) fn put(self, value: T) {
        // SAFETY: `at` has looked at the pointer, and its caller's word is the rest; what was there is not dropped, because
        // it may be anything.
        unsafe { self.0.write(value) }
    }
}

/// Writes where a pointer points to.
///
/// # Errors
/// It is null or not aligned.
///
/// # Safety
/// Otherwise there is room for a `T` that nobody else uses during the call.
pub(crate) unsafe fn put<T>(pointer: *mut T, value: T) -> Result<(), Failure> {
    // SAFETY: the caller's.
    unsafe { Output::at(pointer)? }.put(value);
    Ok(())
}

/// The array that a pointer points to; an empty one may be null.
///
/// # Errors
/// It is null or not aligned, or longer than the address space.
///
/// # Safety
/// Otherwise it points to so many `T`s that nobody writes during the call.
pub(crate) unsafe fn slice<'a, T>(pointer: *const T, len: usize) -> Result<&'a [T], Failure> {
    if len == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() || !pointer.is_aligned() || !fits::<T>(len) {
        return Err(Failure::INVALID);
    }
    // SAFETY: as above.
    Ok(unsafe { core::slice::from_raw_parts(pointer, len) })
}

/// The array that a pointer points to, to be written; an empty one may be null.
///
/// # Errors
/// It is null or not aligned, or longer than the address space.
///
/// # Safety
/// Otherwise it points to so many `T`s that nobody else uses during the call.
pub(crate) unsafe fn slice_mut<'a, T>(pointer: *mut T, len: usize) -> Result<&'a mut [T], Failure> {
    if len == 0 {
        return Ok(&mut []);
    }
    if pointer.is_null() || !pointer.is_aligned() || !fits::<T>(len) {
        return Err(Failure::INVALID);
    }
    // SAFETY: as above.
    Ok(unsafe { core::slice::from_raw_parts_mut(pointer, len) })
}

fn fits<T>(len: usize) -> bool {
    len.checked_mul(size_of::<T>()).is_some_and(|bytes| isize::try_from(bytes).is_ok())
}
