// SPDX-License-Identifier: BSD-2-Clause
//! Clone: what a context takes from another one when it is created. The parts are taken in a fixed order
//! (engines, flags, scheduling attributes, SSEU, timeline, address space); the source never changes.

use gpu_protocol::{CloneFlags, CreateClone, Errno};

use super::super::domain::ClientId;
use super::super::driver::Driver;
use super::Value;
use crate::platform::Hardware;

impl<H: Hardware> Driver<H> {
    /// Takes parts of a client's context into a value.
    ///
    /// # Errors
    /// `EINVAL` for unknown flags, a reserved field that is not 0, or an SSEU of a map that is not alike;
    /// `ENOENT`; `ENOMEM`.
    pub(super) fn create_clone(
        &mut self,
        client: ClientId,
        clone: &CreateClone,
        value: &mut Value,
    ) -> Result<(), Errno> {
        let flags = CloneFlags::from_bits(clone.flags).ok_or(Errno::Inval)?;
        if clone.rsvd != 0 {
            return Err(Errno::Inval);
        }
        let source = self.value_of(self.context_of(client, clone.clone_id)?)?;
        if flags.contains(CloneFlags::ENGINES) {
            self.map_copy(client, &mut value.map, &source.map)?;
            self.map_reset_sseu(&value.map);
        }
        if flags.contains(CloneFlags::FLAGS) {
            value.flags = source.flags;
        }
        if flags.contains(CloneFlags::SCHEDATTR) {
            value.scheduling = source.scheduling;
        }
        if flags.contains(CloneFlags::SSEU) {
            self.clone_sseu(client, value, &source)?;
        }
        if flags.contains(CloneFlags::TIMELINE) {
            self.clone_timeline(client, value, &source);
        }
        if flags.contains(CloneFlags::VM)
            && let Some(space) = source.space
        {
            self.space_get(space, 1);
            if let Some(earlier) = value.space.replace(space) {
                self.space_put(earlier, 1);
            }
        }
        Ok(())
    }

    /// Slot by slot, between maps that have the same classes of engines in the same places.
    fn clone_sseu(&mut self, client: ClientId, value: &mut Value, source: &Value) -> Result<(), Errno> {
        self.default_map(client, value)?;
        if value.map.len() != source.map.len() {
            return Err(Errno::Inval);
        }
        for index in 0..source.map.len() {
            let (Some(mine), Some(theirs)) =
                (self.map_slot(&value.map, index), self.map_slot(&source.map, index))
            else {
                return Err(Errno::Inval);
            };
            if self.gpu.class_of(mine.engines) != self.gpu.class_of(theirs.engines) {
                return Err(Errno::Inval);
            }
            self.map_put(&value.map, index, super::map::Slot { sseu: theirs.sseu, ..mine });
        }
        Ok(())
    }

    /// Shares the source's timeline, if its engines share one.
    fn clone_timeline(&mut self, client: ClientId, value: &mut Value, source: &Value) {
        let Some(timeline) = source.timeline else {
            return;
        };
        self.timeline_get(client, timeline);
        if let Some(earlier) = value.timeline.replace(timeline) {
            self.timeline_put(client, earlier);
        }
    }
}
