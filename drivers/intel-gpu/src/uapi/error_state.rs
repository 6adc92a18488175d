// SPDX-License-Identifier: BSD-2-Clause
//! The clients' part of the error state (`gpu/error_state.rs`): what the request that hung had bound and where, and its
//! batch, which lies in the client's own pages or in the driver's memory. The client whose request it was can read the text, and clear it.

use core::fmt::Write;

use gpu_protocol::{Errno, PAGE_SIZE, ReadErrorState, ReadErrorStateFlags, Reply};

use super::domain::{ClientId, Domain};
use super::driver::Driver;
use super::job::Job;
use super::space::Binding;
use crate::gpu::{BATCH_BYTES, ErrorText, Hang};
use crate::handle::Id;
use crate::memory::Cache;
use crate::platform::Hardware;

impl<H: Hardware> Driver<H> {
    /// Adds to the record of a hang, if there is a new one. To be done before the request is forgotten.
    pub(crate) fn describe_hang<D: Domain>(&mut self, domain: &mut D) {
        if let Some(hang) = self.gpu.take_hang() {
            self.describe(domain, &hang);
        }
    }

    /// By itself, so that the way past it needs no room for a page.
    #[cold]
    #[inline(never)]
    fn describe<D: Domain>(&mut self, domain: &mut D, hang: &Hang) {
        let Some(job) = self.jobs.get(Id::from_raw(hang.cookie)).copied() else { return };
        self.hung = Some(job.client);
        let mut page = [0; BATCH_BYTES];
        let batch = self.read_batch(domain, &job, hang, &mut page);
        let llc = self.gpu.platform().has_llc;
        let text = self.gpu.error_text();
        if let (Some(len), Some(at)) = (batch, hang.batch) {
            let dwords = page.get(..len).unwrap_or(&[]).chunks_exact(4);
            let dwords = dwords.map(|word| u32::from_le_bytes(word.try_into().unwrap_or([0; 4])));
            text.buffer(hang.engine, "gtt_offset", at.canonical(), dwords);
        }
        let count = uses(&self.uses, &job).count();
        let _ = writeln!(text, "Active ({}) [{count}]:", hang.engine);
        for used in uses(&self.uses, &job) {
            let object = self.objects.get(used.object);
            if let (Some(binding), Some(object)) = (self.bindings.get(used.binding), object) {
                // i915: `i915_cache_level_str`.
                let cached = match object.cache {
                    Cache::Coherent if llc => " LLC",
                    Cache::Coherent => " snooped",
                    Cache::Uncached => " uncached",
                    Cache::WriteThrough => " WT",
                };
                let marks = if object.memory.is_none() { " userptr" } else { "" };
                let _ = write_binding(text, binding, marks, cached);
            }
        }
    }

    /// Reads the batch from where it begins to the end of its page. Returns the number of bytes.
    fn read_batch<D: Domain>(
        &self,
        domain: &mut D,
        job: &Job,
        hang: &Hang,
        bytes: &mut [u8],
    ) -> Option<usize> {
        let at = hang.batch?.get();
        let (object, start) = uses(&self.uses, job).find_map(|used| {
            let range = self.bindings.get(used.binding)?.range;
            (range.start().get() <= at && at < range.end()).then(|| (used.object, range.start().get()))
        })?;
        let inside = at - start;
        let object = self.objects.get(object)?;
        if let Some(memory) = &object.memory {
            let rest = (PAGE_SIZE - inside % PAGE_SIZE).min(bytes.len() as u64);
            let piece = bytes.get_mut(..usize::try_from(rest).ok()?)?;
            self.gpu.object_read(memory, inside, piece).ok()?;
            return Some(piece.len());
        }
        let page = u32::try_from(inside / PAGE_SIZE).ok()?;
        // Only the first page of a large frame can be looked at.
        let (slot, _) = self.lent.slot_at(&object.pages, page).filter(|(_, rest)| *rest == 0)?;
        let offset = usize::try_from(inside % PAGE_SIZE).ok()?;
        let len = bytes.len().checked_sub(offset)?;
        domain.read_frame(slot, offset, bytes.get_mut(..len)?).then_some(len)
    }

    /// Copies a piece of the error state into the client's message area.
    ///
    /// # Errors
    /// `EINVAL`: unknown flags; `EPERM`: it is about another client's request; `EFAULT`: not inside the area.
    pub(crate) fn read_error_state<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        read: &ReadErrorState,
    ) -> Result<Reply, Errno> {
        let flags = ReadErrorStateFlags::from_bits(read.flags).ok_or(Errno::Inval)?;
        let Some(text) = self.gpu.error_state() else {
            return Ok(Reply::ok(&[0, 0]));
        };
        if self.hung != Some(client) {
            return Err(Errno::Perm);
        }
        let total = text.len();
        let start = usize::try_from(read.offset).unwrap_or(total).min(total);
        let len = usize::try_from(read.length).unwrap_or(total).min(total - start);
        let piece = text.as_bytes().get(start..start + len).unwrap_or(&[]);
        domain.write_area(client, read.buffer, piece)?;
        if flags.contains(ReadErrorStateFlags::CLEAR) {
            self.gpu.error_state_clear();
            self.hung = None;
        }
        Ok(Reply::ok(&[len as u64, total as u64]))
    }

    /// The error state, for the domain around the driver.
    #[must_use]
    pub fn error_state(&self) -> Option<&str> {
        self.gpu.error_state()
    }
}

/// The objects that a request names.
fn uses<'a>(
    pool: &'a crate::handle::Slab<super::job::Use>,
    job: &Job,
) -> impl Iterator<Item = super::job::Use> + use<'a> {
    let mut next = job.uses;
    core::iter::from_fn(move || {
        let used = *pool.get(next?)?;
        next = used.next;
        Some(used)
    })
}

/// One line of the list of buffers: address, bytes, domains that read and that write it, marks.
fn write_binding(out: &mut ErrorText, binding: &Binding, marks: &str, cached: &str) -> core::fmt::Result {
    let at = binding.range.start().canonical();
    let (high, low, bytes) = (at >> 32, at & 0xffff_ffff, binding.range.bytes());
    writeln!(out, "    {high:08x}_{low:08x} {bytes:8} 02 02{marks}{cached}")
}
