// SPDX-License-Identifier: BSD-2-Clause
//! Timelines: places in a client's page of completed points. A place has a user for each logical state on it
//! and each context whose engines share it.

use gpu_protocol::Errno;

use super::super::domain::ClientId;
use super::super::driver::Driver;
use crate::Error;
use crate::gpu::Fence;
use crate::platform::Hardware;

impl<H: Hardware> Driver<H> {
    /// A place of its own, with one user.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn timeline_new(&mut self, client: ClientId) -> Result<usize, Errno> {
        let index = self.clients[client].free_timeline().ok_or(Errno::NoMem)?;
        // The only thing besides pools that it can lack is a page's place in the GGTT.
        let id = self.gpu.timeline_create().map_err(|_| Errno::NoMem)?;
        self.clients[client].use_timeline(index, id);
        Ok(index)
    }

    /// Adds a user.
    pub(super) fn timeline_get(&mut self, client: ClientId, index: usize) {
        self.clients[client].timelines[index].users += 1;
    }

    /// Takes a user away.
    pub(super) fn timeline_put(&mut self, client: ClientId, index: usize) {
        self.clients[client].timelines[index].users -= 1;
        self.timeline_bury(client, index);
    }

    /// Frees the place of a timeline that has no users, once its requests are complete.
    #[inline]
    pub(crate) fn timeline_bury(&mut self, client: ClientId, index: usize) {
        let timeline = &self.clients[client].timelines[index];
        if timeline.users == 0
            && timeline.published == timeline.issued
            && let Some(id) = timeline.id
            && self.gpu.timeline_destroy(id) != Err(Error::Busy)
        {
            self.clients[client].unuse_timeline(index);
        }
    }

    /// What a fence of a client is below; `None` if it is reached.
    ///
    /// # Errors
    /// `EINVAL` for a point that no request has been given yet.
    pub(crate) fn fence_of(
        &self,
        client: ClientId,
        index: usize,
        point: u64,
    ) -> Result<Option<Fence>, Errno> {
        let timeline = self.clients[client].timelines.get(index).ok_or(Errno::NoEnt)?;
        if point > timeline.issued {
            return Err(Errno::Inval);
        }
        // Points up to the base are an earlier timeline's, whose requests are all complete.
        let seqno = point.saturating_sub(timeline.base);
        Ok(timeline.id.filter(|_| seqno > 0).map(|timeline| Fence { timeline, seqno }))
    }
}
