// SPDX-License-Identifier: BSD-2-Clause
//! Submission and completion.

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
use crate::gpu::{self, Completion, Submission};
use crate::handle::Id;
use crate::platform::Hardware;
use crate::trace::Event;

/// Of so many submissions, scattered among all so that no pattern of clients escapes, one is looked at for a page that its
/// owner revoked: a look is a call of the kernel. What the GPU does meanwhile ends in the IOMMU.
const LOOKED_AT: u64 = 8;

/// Most fences that one submission can wait for.
const MAX_FENCES: usize = 16;

/// Where a submission is to run.
#[derive(Clone, Copy, Debug)]
struct Target {
    client: ClientId,
    context: Id<Context>,
    space: Id<AddressSpace>,
    slot: usize,
    /// What the context has on that slot, if it was used before.
    state: Option<EngineContext>,
    /// Which object is the batch.
    batch: usize,
    /// For the answer, if it came by a ring.
    ticket: Option<Ticket>,
}

/// Fences that are not reached yet.
struct Fences {
    fences: [gpu::Fence; MAX_FENCES],
    len: usize,
    /// What only has to be given to an engine.
    start: Option<gpu::Fence>,
}

impl Fences {
    // What is past `len` is never looked at.
    const NONE: Self = Self {
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

/// Where the commands begin in the object that holds them, once the batch's bounds are checked against it.
fn batch_start(submit: &Submit, objects: &Objects, index: usize) -> Result<u64, Errno> {
    let size = objects.get(index).ok_or(Errno::Inval)?.size;
    let start = u64::from(submit.batch_start);
    let end = if submit.batch_len == 0 { size } else { start + u64::from(submit.batch_len) };
    if start >= end || end > size { Err(Errno::Inval) } else { Ok(start) }
}

impl<H: Hardware> Driver<H> {
    pub(crate) fn submit<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        submit: &Submit,
        ticket: Option<Ticket>,
    ) -> Result<(usize, u64), Errno> {
        let flags = SubmitFlags::from_bits(submit.flags).ok_or(Errno::Inval)?;
        let count = usize::try_from(submit.object_count).map_err(|_| Errno::Inval)?;
        if submit.rsvd != 0 || !(1..=MAX_OBJECTS).contains(&count) {
            return Err(Errno::Inval);
        }
        if !submit.batch_start.is_multiple_of(8) || !submit.batch_len.is_multiple_of(8) {
            return Err(Errno::Inval);
        }
        let context = self.context_of(client, submit.context)?;
        let found = self.contexts.get(context).ok_or(Errno::NoEnt)?;
        let (space, banned) = (found.value.space.ok_or(Errno::NoEnt)?, found.banned);
        let (slot, state) = self.slot_of(&found.value.map, submit.engine)?;
        if banned || self.gpu.is_wedged() {
            return Err(Errno::Io);
        }
        let batch = if flags.contains(SubmitFlags::BATCH_FIRST) { 0 } else { count - 1 };
        let target = Target { client, context, space, slot, state, batch, ticket };
        // One list serves all submissions, one after the other.
        let mut objects = self.listed.take().ok_or(Errno::NoMem)?;
        let result = self.submit_to(domain, &target, submit, count, &mut objects);
        objects.clear();
        self.listed = Some(objects);
        let started = result?;
        if self.gpu.has_completion() {
            self.drain_events(domain);
        }
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
        let start = batch_start(submit, objects, target.batch)?;
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
        let started = self.start(domain, target, start, waits, objects)?;
        Self::tell_places(domain, client, submit, objects);
        Ok(started)
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
    /// `start` in its object, to the hardware half. Returns the timeline's index and the point.
    #[inline]
    fn start<D: Domain>(
        &mut self,
        domain: &mut D,
        target: &Target,
        start: u64,
        waits: &Fences,
        objects: &mut Objects,
    ) -> Result<(usize, u64), Errno> {
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
        started.map(|point| (engine.timeline, point))
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
    ) -> Result<u64, Errno> {
        let Target { client, context, space, batch, ticket, .. } = *target;
        let (_, range) = objects.get(batch).and_then(|batch| batch.bound).ok_or(Errno::Inval)?;
        let batch = GpuVirtual::new(range.start().canonical() + start).ok_or(Errno::Inval)?;
        let timeline = engine.timeline;
        let point = self.clients[client].timelines[timeline].issued + 1;
        let uses = self.hold_objects(domain, client, objects)?;
        let Some(vacant) = self.jobs.vacant() else {
            self.let_go_of(domain, client, uses);
            return Err(Errno::Again);
        };
        let id = vacant.put(Job { client, context, space, timeline, point, request: None, uses, ticket });
        self.clients[client].used.jobs += 1;
        let submission =
            Submission { context: engine.id, batch, waits: waits.as_slice(), cookie: id.to_raw() };
        let submitted = match waits.start {
            Some(master) => self.gpu.submit_bonded(submission, master),
            None => self.gpu.submit(submission),
        };
        match submitted {
            Ok(submitted) => {
                if let Some(job) = self.jobs.get_mut(id) {
                    job.request = Some(submitted.request);
                }
            }
            Err(error) => {
                self.drop_uses(domain, id);
                self.jobs.remove(id);
                self.clients[client].used.jobs -= 1;
                return Err(error.into());
            }
        }
        if objects.are_written() {
            for listed in objects.iter().filter(|listed| listed.written) {
                if let Some(object) = self.objects.get_mut(listed.id) {
                    object.dirty = true;
                }
            }
        }
        self.space_get(space);
        if let Some(context) = self.contexts.get_mut(context) {
            context.jobs += 1;
        }
        self.clients[client].timelines[timeline].issued = point;
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
                    let used = Use { object: listed.id, binding, writes, next: held };
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
        self.let_go_of(domain, client, held);
        Err(Errno::Again)
    }

    /// Lets go of the objects of a request that executes nothing of its batch any more.
    pub(crate) fn drop_uses<D: Domain>(&mut self, domain: &mut D, id: Id<Job>) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        let (client, uses) = (job.client, job.uses.take());
        self.let_go_of(domain, client, uses);
    }

    /// Lets go of a chain of objects of a client's request.
    #[inline]
    fn let_go_of<D: Domain>(&mut self, domain: &mut D, client: ClientId, mut next: Option<Id<Use>>) {
        while let Some(used) = next.and_then(|used| self.uses.remove_with(used, |used| *used)) {
            self.clients[client].used.uses -= 1;
            next = used.next;
            if let Some(binding) = self.bindings.get_mut(used.binding) {
                binding.active -= 1;
            }
            let Some(object) = self.objects.get_mut(used.object) else { continue };
            object.active -= 1;
            object.writers -= u32::from(used.writes);
            let (idle, told) = (object.active == 0, object.waiters != 0 && object.writers == 0);
            if idle && !object.lending.is_present() {
                self.settle(domain, used.object);
            }
            if told {
                self.tell_waiters(used.object);
            }
        }
    }

    /// The GPU has interrupted: finds what completed, tells the clients.
    pub fn interrupt<D: Domain>(&mut self, domain: &mut D) {
        self.gpu.interrupt();
        self.drain_events(domain);
        self.bury(domain);
        self.wake_clients(domain);
    }

    /// Time has passed: ends what hangs, notices lost interrupts. To be called every now and then while it
    /// returns true, that is while something runs.
    pub fn tick<D: Domain>(&mut self, domain: &mut D) -> bool {
        let busy = self.gpu.tick();
        self.drain_events(domain);
        self.enforce_deadlines(domain);
        self.bury(domain);
        self.wake_clients(domain);
        busy || self.is_busy()
    }

    /// Whether a request is in flight or something waits for the hardware to let go of it, and so
    /// [`Driver::tick`] is to be called.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.jobs.len() != 0 || !self.dying.is_empty() || !self.unconfirmed.is_empty()
    }

    /// Publishes what completed.
    pub(crate) fn drain_events<D: Domain>(&mut self, domain: &mut D) {
        self.describe_hang();
        while let Some(completion) = self.gpu.take_completion() {
            self.completed(domain, &completion);
        }
    }

    /// Destroys what only waited for the hardware to let go of it. A context may leave the hardware long
    /// after its last request completed, so that this is not a matter of completions.
    fn bury<D: Domain>(&mut self, domain: &mut D) {
        if self.retry_unconfirmed(domain) {
            self.bury_spaces();
        }
    }

    #[inline]
    fn completed<D: Domain>(&mut self, domain: &mut D, completion: &Completion) {
        let id = Id::from_raw(completion.cookie);
        if completion.status != gpu::Status::Done {
            self.look_at_objects_of(domain, id);
        }
        let Some(job) = self.jobs.remove_with(id, |job| *job) else {
            return;
        };
        self.clients[job.client].used.jobs -= 1;
        self.let_go_of(domain, job.client, job.uses);
        if let Some(context) = self.contexts.get_mut(job.context) {
            context.jobs -= 1;
        }
        self.judge(job.context, completion);
        self.space_put(job.space);
        domain.publish_point(job.client, job.timeline, job.point);
        self.clients[job.client].timelines[job.timeline].published = job.point;
        self.timeline_bury(job.client, job.timeline);
        // Who asked by a ring says there when to be woken.
        self.clients[job.client].wake |= !self.answer_job(domain, &job, completion.status);
        self.untold = true;
    }

    /// A request did not end well: perhaps because a page was revoked under it.
    fn look_at_objects_of<D: Domain>(&mut self, domain: &mut D, id: Id<Job>) {
        let mut next = self.jobs.get(id).and_then(|job| job.uses);
        while let Some(used) = next.and_then(|used| self.uses.get(used)).copied() {
            self.look_for_revoked(domain, used.object, true);
            next = used.next;
        }
    }

    /// Notifies each client for which something completed, once.
    pub(crate) fn wake_clients<D: Domain>(&mut self, domain: &mut D) {
        if !core::mem::take(&mut self.untold) {
            return;
        }
        for id in 0..self.clients.len() {
            let answers = self.publish_answers(domain, id);
            if core::mem::take(&mut self.clients[id].wake) || answers {
                domain.notify(id);
            }
        }
    }
}
