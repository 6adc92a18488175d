// SPDX-License-Identifier: BSD-2-Clause
//! Submission.

use gpu_protocol::{Errno, Fence, MAX_OBJECTS, ObjectFlags, PAGE_SIZE, Submit, SubmitFlags, SubmitObject};
use zerocopy::{FromZeros, IntoBytes};

use super::context::{Context, EngineContext};
use super::domain::{ClientId, Domain};
use super::driver::Driver;
use super::job::{Job, Use};
use super::leaving::scatter;
use super::placing::{Listed, Objects, Place};
use super::rings::Ticket;
use super::space::AddressSpace;
use crate::address::{GpuVirtual, VaRange};
use crate::gpu::{self, Submission};
use crate::handle::Id;
use crate::platform::Hardware;
use crate::trace::Event;

/// Of so many submissions, scattered among all so that no pattern of clients escapes, one is looked at for a page that its
/// owner revoked: a look is a call of the kernel. What the GPU does meanwhile ends in the IOMMU. Those that repeat a list of
/// the same turn (`run`) do not count: whoever repeats one in the next turn is looked at again.
const LOOKED_AT: u64 = 8;

/// Most fences that one submission can wait for.
const MAX_FENCES: usize = 16;

/// Where a submission is to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(super) client: ClientId,
    pub(super) context: Id<Context>,
    pub(super) space: Id<AddressSpace>,
    pub(super) slot: usize,
    /// What the context has on that slot, if it was used before.
    pub(super) state: Option<EngineContext>,
    /// Which object is the batch.
    pub(super) batch: usize,
    /// For the answer, if it came by a ring.
    pub(super) ticket: Option<Ticket>,
    /// What comes next may say the same.
    pub(super) leads: bool,
}

/// A batch whose objects are where they have to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) client: ClientId,
    pub(crate) context: Id<Context>,
    pub(crate) space: Id<AddressSpace>,
    /// What runs it.
    pub(crate) engine: EngineContext,
    /// Its first command.
    pub(crate) batch: GpuVirtual,
    /// What keeps its objects.
    pub(crate) uses: Option<Id<Use>>,
    /// For the answer, if it came by a ring.
    pub(crate) ticket: Option<Ticket>,
}

/// Fences that are not reached yet.
pub(crate) struct Fences {
    fences: [gpu::Fence; MAX_FENCES],
    len: usize,
    /// What only has to be given to an engine.
    start: Option<gpu::Fence>,
}

impl Fences {
    // What is past `len` is never looked at.
    pub(crate) const NONE: Self = Self {
        fences: [gpu::Fence { timeline: Id::from_raw(0), seqno: 0 }; MAX_FENCES],
        len: 0,
        start: None,
    };

    fn push(&mut self, fence: gpu::Fence) {
        if let Some(place) = self.fences.get_mut(self.len) {
            *place = fence;
            self.len += 1;
        }
    }

    fn as_slice(&self) -> &[gpu::Fence] {
        self.fences.get(..self.len).unwrap_or(&[])
    }
}

/// Places for objects that are not said to support addresses of 48 bits end here (i915: `PIN_ZONE_4G`).
const LOW_ADDRESSES: u64 = (1 << 32) - PAGE_SIZE;

/// How many objects a submission names.
///
/// # Errors
/// `EINVAL` for too many or none, and for what has to be zero or aligned and is not.
#[inline]
fn count_of(submit: &Submit) -> Result<usize, Errno> {
    let count = submit.object_count as usize;
    if submit.rsvd != 0 || !(1..=MAX_OBJECTS).contains(&count) || !is_aligned(submit) {
        return Err(Errno::Inval);
    }
    Ok(count)
}

/// Which of `count` objects, of which there is one at least, is the batch.
#[inline]
pub(crate) const fn batch_of(flags: SubmitFlags, count: usize) -> usize {
    if flags.contains(SubmitFlags::BATCH_FIRST) { 0 } else { count.wrapping_sub(1) }
}

/// Whether the commands begin and end with a quadword.
pub(crate) const fn is_aligned(submit: &Submit) -> bool {
    submit.batch_start.is_multiple_of(8) && submit.batch_len.is_multiple_of(8)
}

/// Where the commands begin in the object of `size` bytes that holds them, once the batch's bounds are checked against it.
pub(crate) fn batch_start(submit: &Submit, size: u64) -> Result<u64, Errno> {
    let start = u64::from(submit.batch_start);
    let end = if submit.batch_len == 0 { size } else { start + u64::from(submit.batch_len) };
    if start >= end || end > size { Err(Errno::Inval) } else { Ok(start) }
}

impl<H: Hardware> Driver<H> {
    /// Submits a batch.
    pub(crate) fn submit<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        submit: &Submit,
    ) -> Result<(usize, u64), Errno> {
        let target = self.target_of(client, submit, None)?;
        self.submit_for(domain, &target, submit)
    }

    /// Where a submission is to run.
    ///
    /// # Errors
    /// `EINVAL`, `ENOENT`, `EIO`.
    #[inline(always)] // A target is many words.
    pub(super) fn target_of(
        &self,
        client: ClientId,
        submit: &Submit,
        ticket: Option<Ticket>,
    ) -> Result<Target, Errno> {
        let flags = SubmitFlags::from_bits(submit.flags).ok_or(Errno::Inval)?;
        let count = count_of(submit)?;
        let context = self.context_of(client, submit.context)?;
        let found = self.contexts.get(context).ok_or(Errno::NoEnt)?;
        let (space, banned) = (found.value.space.ok_or(Errno::NoEnt)?, found.banned);
        let (slot, state) = self.slot_of(&found.value.map, submit.engine)?;
        if banned || self.gpu.is_wedged() {
            return Err(Errno::Io);
        }
        let batch = batch_of(flags, count);
        Ok(Target { client, context, space, slot, state, batch, ticket, leads: false })
    }

    /// Submits a batch. If it leads, what it was found to need is kept for a request that says the same (see [`super::run`]).
    #[inline(always)] // A target is many words.
    pub(super) fn submit_for<D: Domain>(
        &mut self,
        domain: &mut D,
        target: &Target,
        submit: &Submit,
    ) -> Result<(usize, u64), Errno> {
        let count = count_of(submit)?;
        // One list serves all submissions, one after the other.
        let mut objects = self.listed.take().ok_or(Errno::NoMem)?;
        let result = self.submit_to(domain, target, submit, count, &mut objects);
        objects.clear();
        self.listed = Some(objects);
        let started = result?;
        self.drain_finished(domain);
        Ok(started)
    }

    fn submit_to<D: Domain>(
        &mut self,
        domain: &mut D,
        target: &Target,
        submit: &Submit,
        count: usize,
        objects: &mut Objects,
    ) -> Result<(usize, u64), Errno> {
        let client = target.client;
        self.list_objects(domain, target, submit.objects, count, objects)?;
        let start = batch_start(submit, objects.get(target.batch).ok_or(Errno::Inval)?.size)?;
        let mut fences;
        let waits = if submit.fence_count == 0 {
            &Fences::NONE
        } else {
            fences = Fences::NONE;
            self.read_fences(domain, client, submit, &mut fences)?;
            &fences
        };
        let revoked = self.revoked;
        self.look_at_one(domain, objects);
        if objects.lack_pages() || self.revoked != revoked {
            self.need_all_pages(client, objects)?;
            objects.look_again();
        }
        let (order, point) = self.start(domain, target, start, waits, objects)?;
        Self::tell_places(domain, client, submit, objects);
        if target.leads {
            self.lead(submit, target, &order, objects);
        } else if objects.have_changed() {
            // What is known of other lists may not be so any more, and more requests may come in this turn.
            self.clients[client].run = None;
        }
        Ok((order.engine.timeline, point))
    }

    /// Looks at one of the objects, another one each time, of one submission in [`LOOKED_AT`]: see
    /// [`Driver::look_for_revoked`].
    #[inline]
    fn look_at_one<D: Domain>(&mut self, domain: &mut D, objects: &Objects) {
        self.looked = self.looked.wrapping_add(1);
        let scattered = scatter(self.looked);
        if scattered >> (u64::BITS - LOOKED_AT.ilog2()) != 0 {
            return;
        }
        let chosen = (scattered & 0xffff_ffff) % (objects.len() as u64).max(1);
        let chosen = usize::try_from(chosen).ok().and_then(|chosen| objects.get(chosen));
        if let Some(id) = chosen.map(|listed| listed.id) {
            self.look_for_revoked(domain, id, false);
        }
    }

    /// Asks for everything that is missing in one go, so that one try more is enough.
    fn need_all_pages(&mut self, client: ClientId, objects: &Objects) -> Result<(), Errno> {
        let mut missing = Ok(());
        for listed in objects.iter() {
            if let Err(errno) = self.need_pages(listed.id, client) {
                if errno != Errno::Again {
                    return Err(errno);
                }
                missing = Err(errno);
            }
        }
        missing
    }

    /// Writes into the client's list where each object went, if it is not where the client said (i915
    /// does so in the array of `drm_i915_gem_exec_object2`).
    fn tell_places<D: Domain>(domain: &mut D, client: ClientId, submit: &Submit, objects: &Objects) {
        if !objects.are_hinted() {
            return;
        }
        for (index, listed) in (0_u64..).zip(objects.iter()) {
            let Some(hint) = listed.hint() else { continue };
            if let Some((_, range)) = listed.bound
                && range.start().get() != hint
            {
                let address = range.start().canonical();
                let at = submit.objects + index * size_of::<SubmitObject>() as u64;
                let at = at + core::mem::offset_of!(SubmitObject, address) as u64;
                // The list was read there a moment ago.
                let _ = domain.write_area(client, at, &address.to_le_bytes());
            }
        }
    }

    /// Places the objects, makes the logical state where it is not there yet, and hands the batch, which begins at
    /// `start` in its object, to the hardware half. Returns what it was given, and the point.
    #[inline]
    fn start<D: Domain>(
        &mut self,
        domain: &mut D,
        target: &Target,
        start: u64,
        waits: &Fences,
        objects: &mut Objects,
    ) -> Result<(Order, u64), Errno> {
        let state = &self.clients[target.client];
        let free_uses = state.share.uses.saturating_sub(state.used.uses);
        if state.used.jobs >= state.share.jobs || (free_uses as usize) < objects.len() {
            return Err(Errno::Again);
        }
        let engine = match target.state {
            Some(state) => state,
            None => self.engine_context_new(target.context, target.slot)?,
        };
        let started = self.place_objects(target.space, objects).and_then(|()| {
            let started = self.submit_job(domain, target, start, waits, objects, engine);
            match started {
                Ok(_) => self.keep_placing(objects),
                Err(_) => self.undo_placing(target.space, objects),
            }
            started
        });
        if started.is_err() && target.state.is_none() {
            self.engine_context_undo(target.context, target.slot);
        }
        started
    }

    #[inline]
    fn submit_job<D: Domain>(
        &mut self,
        domain: &mut D,
        target: &Target,
        start: u64,
        waits: &Fences,
        objects: &Objects,
        engine: EngineContext,
    ) -> Result<(Order, u64), Errno> {
        let Target { client, context, space, batch, ticket, .. } = *target;
        let (_, range) = objects.get(batch).and_then(|batch| batch.bound).ok_or(Errno::Inval)?;
        let batch = range.at(start).ok_or(Errno::Inval)?;
        let uses = self.hold_objects(domain, client, objects)?;
        let order = Order { client, context, space, engine, batch, uses, ticket };
        let point = self.launch(domain, &order, waits)?;
        if objects.are_written() {
            for listed in objects.iter().filter(|listed| listed.written) {
                if let Some(object) = self.objects.get_mut(listed.id) {
                    object.dirty = true;
                }
            }
        }
        Ok((order, point))
    }

    /// Hands a batch to the hardware half; lets go of what keeps its objects if that does not take it. Returns the point.
    #[inline(always)] // An order is many words, and of each of the two who give one much is known.
    pub(crate) fn launch<D: Domain>(
        &mut self,
        domain: &mut D,
        order: &Order,
        waits: &Fences,
    ) -> Result<u64, Errno> {
        let Order { client, context, space, engine, batch, uses, ticket } = *order;
        let timeline = engine.timeline;
        let Some(vacant) = self.jobs.vacant() else {
            self.let_go_of(domain, client, uses, 1);
            return Err(Errno::Again);
        };
        let submission =
            Submission { context: engine.id, batch, waits: waits.as_slice(), cookie: vacant.id().to_raw() };
        let submitted = match waits.start {
            Some(master) => self.gpu.submit_bonded(submission, master),
            None => self.gpu.submit(submission),
        };
        let request = match submitted {
            Ok(submitted) => submitted.request,
            Err(error) => {
                self.let_go_of(domain, client, uses, 1);
                return Err(error.into());
            }
        };
        let state = &mut self.clients[client];
        state.used.jobs += 1;
        let issued = &mut state.timelines[timeline].issued;
        *issued += 1;
        let point = *issued;
        vacant.put(Job { client, context, space, timeline, point, request, uses, ticket });
        if let Some(context) = self.contexts.get_mut(context) {
            context.jobs += 1;
        }
        self.note(|| Event::Accepted { client, context: engine.id, timeline, point });
        Ok(point)
    }

    /// Reads a list of `count` objects in a client's message area.
    #[inline]
    fn list_objects<D: Domain>(
        &self,
        domain: &D,
        target: &Target,
        mut at: u64,
        count: usize,
        objects: &mut Objects,
    ) -> Result<(), Errno> {
        let entry_bytes = size_of::<SubmitObject>() as u64;
        let end = at.checked_add(entry_bytes * count as u64);
        if end.is_none_or(|end| end > domain.area_len(target.client) as u64) {
            return Err(Errno::Fault);
        }
        for index in 0..count {
            let mut entry = SubmitObject::new_zeroed();
            domain.read_area(target.client, at, entry.as_mut_bytes())?;
            at += entry_bytes;
            self.list_object(target, &entry, index == target.batch, objects)?;
            if target.leads {
                objects.remember(entry);
            }
        }
        Ok(())
    }

    /// Checks an entry of a list of objects, and looks up where the object is. Not inlined: most lists are short, and what
    /// could be found out once for a long one costs more than it saves them.
    #[inline(never)]
    fn list_object(
        &self,
        target: &Target,
        entry: &SubmitObject,
        is_batch: bool,
        objects: &mut Objects,
    ) -> Result<(), Errno> {
        let id = self.clients[target.client].objects.get(entry.handle).ok_or(Errno::NoEnt)?;
        let flags = ObjectFlags::from_bits(entry.flags).ok_or(Errno::Inval)?;
        let written = flags.contains(ObjectFlags::WRITE);
        let object = self.objects.get(id).ok_or(Errno::NoEnt)?;
        // A batch that wrote itself would be another one than was checked.
        if written && (is_batch || object.read_only) {
            return Err(Errno::Inval);
        }
        let size = object.size;
        let start = GpuVirtual::new(entry.address);
        let place = if flags.contains(ObjectFlags::PINNED) {
            let range = start.and_then(|start| VaRange::new(start, size)).ok_or(Errno::Inval)?;
            if range.end() > self.gpu.vm_bytes() {
                return Err(Errno::Inval);
            }
            Place::Fixed(range)
        } else {
            let wide = flags.contains(ObjectFlags::SUPPORTS_48B_ADDRESS);
            let limit = if wide { self.gpu.vm_bytes() } else { LOW_ADDRESSES };
            // What cannot be an address is no hint.
            Place::Hint { start: start.map_or(u64::MAX, GpuVirtual::get), limit }
        };
        let bound = self.bound_in(target.space, id, object);
        objects.push(Listed::new(id, place, size, written, bound), object.lending.is_present())
    }

    fn read_fences<D: Domain>(
        &self,
        domain: &D,
        client: ClientId,
        submit: &Submit,
        fences: &mut Fences,
    ) -> Result<(), Errno> {
        let count = usize::try_from(submit.fence_count).map_err(|_| Errno::Inval)?;
        if count > MAX_FENCES {
            return Err(Errno::Inval);
        }
        let mut entries = [Fence::new_zeroed(); MAX_FENCES];
        let entries = entries.get_mut(..count).ok_or(Errno::Inval)?;
        domain.read_area(client, submit.fences, entries.as_mut_bytes())?;
        let mut starts = 0;
        for entry in entries {
            let start = entry.flags == Fence::START;
            starts += u32::from(start);
            if entry.flags & !Fence::START != 0 || starts > 1 {
                return Err(Errno::Inval);
            }
            let timeline = usize::try_from(entry.timeline).map_err(|_| Errno::NoEnt)?;
            match self.fence_of(client, timeline, entry.point)? {
                Some(fence) if start => fences.start = Some(fence),
                Some(fence) => fences.push(fence),
                None => {}
            }
        }
        Ok(())
    }

    /// Keeps every object of a request alive until it completes: returns the first of the chain that does so.
    #[inline]
    fn hold_objects<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        objects: &Objects,
    ) -> Result<Option<Id<Use>>, Errno> {
        let mut held = None;
        let mut count = 0;
        let mut complete = true;
        for listed in objects.iter() {
            let used = match listed.bound {
                Some((binding, _)) => {
                    let writes = listed.written;
                    let used = Use { object: listed.id, binding, writes, next: held, sharers: 0 };
                    self.uses.vacant().map(|vacant| vacant.put(used))
                }
                None => None,
            };
            let (Some(used), Some((binding, _))) = (used, listed.bound) else {
                complete = false;
                break;
            };
            (held, count) = (Some(used), count + 1);
            if let Some(binding) = self.bindings.get_mut(binding) {
                binding.active += 1;
            }
            if let Some(object) = self.objects.get_mut(listed.id) {
                object.active += 1;
                object.writers += u32::from(listed.written);
            }
        }
        self.clients[client].used.uses += count;
        if complete {
            return Ok(held);
        }
        self.let_go_of(domain, client, held, 1);
        Err(Errno::Again)
    }
}
