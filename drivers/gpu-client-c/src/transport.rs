// SPDX-License-Identifier: BSD-2-Clause
//! The transport over functions of the C program.
#![allow(unsafe_code, reason = "C's functions are called, and its memories become windows")]

use core::ffi::c_void;
use core::ptr::NonNull;

use gpu_client::{Errno, Operation, Reply, Transport, Words};
use window::Window;

use crate::errors::Failure;
use crate::types::{Callbacks, Message};

/// Bytes of the page of completed points.
const POINTS: usize = 4096;

/// See the module.
#[derive(Debug)]
pub struct CTransport {
    callbacks: Callbacks,
    area: Window,
    points: Window,
    rings: Option<Window>,
}

fn window(base: *mut c_void, bytes: usize) -> Option<Window> {
    let base = NonNull::new(base.cast::<u8>()).filter(|base| base.addr().get().is_multiple_of(8))?;
    // SAFETY: gpu_connect's caller says that so many bytes are there while the connection is used, shared with the
    // driver and touched by nobody else in this domain.
    Some(unsafe { Window::new(base, bytes) })
}

impl CTransport {
    /// # Errors
    /// A function or a memory is missing, or is not aligned to 8 bytes.
    ///
    /// # Safety
    /// What `gpu_connect` asks for.
    pub(crate) unsafe fn new(callbacks: &Callbacks) -> Result<Self, Failure> {
        let complete = callbacks.call.is_some() && callbacks.notify.is_some() && callbacks.sleep.is_some();
        let area = window(callbacks.message, callbacks.message_size);
        let points = window(callbacks.points.cast_mut(), POINTS);
        let (Some(area), Some(points), true) = (area, points, complete) else {
            return Err(Failure::INVALID);
        };
        let rings = window(callbacks.rings, callbacks.rings_size);
        Ok(Self { callbacks: *callbacks, area, points, rings })
    }
}

impl Transport for CTransport {
    fn call(&mut self, operation: Operation, arguments: [u64; 2], capability: Option<u64>) -> Reply {
        let mut message = Message {
            label: operation.label(),
            words: [arguments[0], arguments[1], 0, 0],
            count: 2,
            capability: capability.unwrap_or(0),
        };
        if let Some(call) = self.callbacks.call {
            // SAFETY: the function is gpu_connect's caller's, made for this; the message is there while it runs.
            unsafe { call(self.callbacks.cookie, &raw mut message) };
        }
        let count = usize::try_from(message.count).unwrap_or(4).min(4);
        let mut words = [0; 4];
        for (word, told) in words.iter_mut().zip(message.words).take(count) {
            *word = told;
        }
        Reply { status: Errno::status(message.label), words, count }
    }

    fn area_len(&self) -> usize {
        self.area.len()
    }

    fn write_area(&mut self, offset: usize, bytes: &[u8]) {
        // The caller keeps inside; outside nothing is written.
        let _ = self.area.write_bytes(offset, bytes);
    }

    fn read_area(&self, offset: usize, bytes: &mut [u8]) {
        // As above; outside nothing is read.
        let _ = self.area.read_bytes(offset, bytes);
    }

    fn completed_point(&self, timeline: u32) -> u64 {
        self.points.read(timeline as usize * size_of::<u64>())
    }

    fn rings(&self) -> Option<&dyn Words> {
        self.rings.as_ref().map(|rings| rings as &dyn Words)
    }

    fn notify(&mut self) {
        if let Some(notify) = self.callbacks.notify {
            // SAFETY: as in `call`.
            unsafe { notify(self.callbacks.cookie) };
        }
    }

    fn sleep(&mut self) {
        if let Some(sleep) = self.callbacks.sleep {
            // SAFETY: as in `call`.
            unsafe { sleep(self.callbacks.cookie) };
        }
    }
}
