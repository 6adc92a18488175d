// SPDX-License-Identifier: BSD-2-Clause
//! The clients' part of the error state (`gpu/error_state.rs`): what the request that hung had bound, where, and by which
//! name its client knows it. The client whose request it was can read the text, and clear it.

use core::fmt::Write;

use gpu_protocol::{Errno, ReadErrorState, ReadErrorStateFlags, Reply};

use super::domain::{ClientId, Domain};
use super::driver::Driver;
use super::job::{Job, Use};
use crate::address::VaRange;
use crate::gpu::{ErrorText, Hang};
use crate::handle::Id;
use crate::memory::Cache;
use crate::platform::Hardware;

impl<H: Hardware> Driver<H> {
    /// Adds to the record of a hang, if there is a new one. To be done before the request is forgotten.
    pub(crate) fn describe_hang(&mut self) {
        if let Some(hang) = self.gpu.take_hang() {
            self.describe(&hang);
        }
    }

    #[cold]
    #[inline(never)]
    fn describe(&mut self, hang: &Hang) {
        let Some(job) = self.jobs.get(Id::from_raw(hang.cookie)).copied() else { return };
        self.hung = Some(job.client);
        let llc = self.gpu.platform().has_llc;
        let handles = &self.clients[job.client].objects;
        let text = self.gpu.error_text();
        let bound = |used: &Use| self.bindings.get(used.binding).map(|binding| binding.range);
        let holds = |range: &VaRange| hang.batch.is_some_and(|at| range.contains(at));
        if let Some(range) = uses(&self.uses, &job).find_map(|used| bound(&used).filter(holds)) {
            let _ = write_batch_range(text, range);
        }
        let count = uses(&self.uses, &job).count();
        let _ = writeln!(text, "Active ({}) [{count}]:", hang.engine);
        for used in uses(&self.uses, &job) {
            if let (Some(range), Some(object)) = (bound(&used), self.objects.get(used.object)) {
                // i915: `i915_cache_level_str`.
                let cached = match object.cache {
                    Cache::Coherent if llc => " LLC",
                    Cache::Coherent => " snooped",
                    Cache::Uncached => " uncached",
                    Cache::WriteThrough => " WT",
                };
                let marks = if object.memory.is_none() { " userptr" } else { "" };
                let _ = write_buffer(text, range, used.writes, (marks, cached), handles.find(used.object));
            }
        }
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
fn uses<'a>(pool: &'a crate::handle::Slab<Use>, job: &Job) -> impl Iterator<Item = Use> + use<'a> {
    let mut next = job.uses;
    core::iter::from_fn(move || {
        let used = *pool.get(next?)?;
        next = used.next;
        Some(used)
    })
}

/// Two halves of an address, as i915 prints them.
const fn halves(address: u64) -> (u64, u64) {
    (address >> 32, address & 0xffff_ffff)
}

/// Where the object lies that the batch is in, from its first byte to the one behind its last.
fn write_batch_range(out: &mut ErrorText, range: VaRange) -> core::fmt::Result {
    let start = range.start().canonical();
    let ((high, low), (end_high, end_low)) = (halves(start), halves(start.wrapping_add(range.bytes())));
    writeln!(out, "  batch: [0x{high:08x}_{low:08x}, 0x{end_high:08x}_{end_low:08x}]")
}

/// One line of the list of buffers: address, bytes, domains that read and that write it (2 is rendering), marks, and the
/// client's handle if it still has one.
fn write_buffer(
    out: &mut ErrorText,
    range: VaRange,
    writes: bool,
    (marks, cached): (&str, &str),
    name: Option<u32>,
) -> core::fmt::Result {
    let (high, low) = halves(range.start().canonical());
    let (bytes, written) = (range.bytes(), if writes { 2 } else { 0 });
    write!(out, "    {high:08x}_{low:08x} {bytes:8} 02 {written:02x}{marks}{cached}")?;
    name.map_or(Ok(()), |name| write!(out, " (name: {name})"))?;
    writeln!(out)
}
