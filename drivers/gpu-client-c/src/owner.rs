// SPDX-License-Identifier: BSD-2-Clause
//! A memory server: the owner of other clients' memory.
#![allow(unsafe_code, reason = "functions that C calls, with its pointers, and that call C's")]
#![allow(clippy::missing_safety_doc, reason = "gpu_client.h says what each pointer has to be")]

use core::ffi::c_int;
use core::ops::Range;

use gpu_client::{Backing, Errno, Lendable, Owner};

use crate::errors::{Failure, answer, driver_version};
use crate::pointers::{get, get_mut, put};
use crate::transport::CTransport;
use crate::types::{CBacking, COwner, Callbacks, Memory, NO_ROW, OPEN, OWNER_WORDS};

/// C's functions as what the library calls.
struct Functions(CBacking);

impl Functions {
    /// # Errors
    /// One is missing.
    fn new(backing: &CBacking) -> Result<Self, Failure> {
        if backing.lend.is_none() || backing.back.is_none() {
            return Err(Failure::INVALID);
        }
        Ok(Self(*backing))
    }
}

impl Backing for Functions {
    fn lend(&mut self, space: u32, at: u64, write: bool) -> Result<Lendable, Errno> {
        let mut memory = Memory { page_bits: 12, row: NO_ROW, ..Memory::default() };
        let function = self.0.lend.ok_or(Errno::Fault)?;
        // SAFETY: the function is the caller's, made for this; the memory is there while it runs.
        let result = unsafe { function(self.0.cookie, space, at, write.into(), &raw mut memory) };
        match u64::from(result.unsigned_abs()) {
            0 => Ok(memory.lendable()),
            number => Err(Errno::status(number).err().unwrap_or(Errno::Io)),
        }
    }

    fn back(&mut self, space: u32, range: Range<u64>, dirty: u64) {
        if let Some(function) = self.0.back {
            // SAFETY: as above.
            unsafe { function(self.0.cookie, space, range.start, range.end, dirty) };
        }
    }
}

/// The connection behind a pointer.
unsafe fn owner<'a>(owner: *mut COwner) -> Result<&'a mut Owner<CTransport>, Failure> {
    // SAFETY: the caller's.
    let raw = unsafe { get_mut(owner) }?;
    if raw.open != OPEN {
        return Err(Failure::INVALID);
    }
    // SAFETY: gpu_owner_connect, which wrote the mark in front, has put a connection there; it fits and is aligned (`types`).
    Ok(unsafe { &mut *(&raw mut raw.body).cast::<Owner<CTransport>>() })
}

/// What connects: [`Owner::connect`] or [`Owner::connect_afresh`].
type Connect = fn(CTransport) -> Result<Owner<CTransport>, gpu_client::Error>;

unsafe fn connect(owner: *mut COwner, transport: *const Callbacks, how: Connect) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            put(owner, COwner { open: 0, body: [0; OWNER_WORDS] })?;
            let raw = get_mut(owner)?;
            let tried = how(CTransport::new(get(transport)?)?);
            raw.body[0] = driver_version(&tried);
            let connection = tried?;
            // SAFETY: it fits and is aligned (`types`).
            (&raw mut raw.body).cast::<Owner<CTransport>>().write(connection);
            raw.open = OPEN;
        }
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_owner_connect(owner: *mut COwner, transport: *const Callbacks) -> c_int {
    // SAFETY: the caller's.
    unsafe { connect(owner, transport, Owner::connect) }
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_owner_connect_afresh(owner: *mut COwner, transport: *const Callbacks) -> c_int {
    // SAFETY: the caller's.
    unsafe { connect(owner, transport, Owner::connect_afresh) }
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_owner_open(raw: *mut COwner, open: *mut u64) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe { put(open, owner(raw)?.open() as u64)? };
        Ok(0)
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_owner_take_back(
    raw: *mut COwner,
    backing: *const CBacking,
    client: u32,
    start: u64,
    end: u64,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        let (owner, mut functions) = unsafe { (owner(raw)?, Functions::new(get(backing)?)?) };
        let here_already = owner.take_back(&mut functions, client, start..end)?;
        Ok((!here_already).into())
    })
}

/// See `gpu_client.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gpu_owner_work(
    raw: *mut COwner,
    backing: *const CBacking,
    granted: *mut u64,
) -> c_int {
    answer(|| {
        // SAFETY: the caller's.
        unsafe {
            put(granted, 0)?;
            let (owner, mut functions) = (owner(raw)?, Functions::new(get(backing)?)?);
            put(granted, owner.work(&mut functions)? as u64)?;
        }
        Ok(0)
    })
}
