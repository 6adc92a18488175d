// SPDX-License-Identifier: BSD-2-Clause
//! Logical contexts: an image that the hardware saves and loads, a ring of requests, and where it is.
//!
//! ```text
//!   Idle -- a request is ready --> Queued -- submitted --> OnHardware
//!    ^                               ^                        |
//!    +---- nothing ready ------------+------ left hardware ---+
//! ```
//!
//! A context is freed when it is destroyed, has no request left, and is off the hardware, which saves
//! into the image after the last breadcrumb.

use super::submit::Request;
use super::wait::Wait;
use super::{EngineIndex, EngineSelection, Gpu, RequestId, TimelineId, VmId};
use crate::address::{DmaPage, PAGE_SHIFT};
use crate::device::{EngineClass, Sseu};
use crate::engine::image::{self, Parameters, slot};
use crate::engine::queue::{Linked, Links, MAX_PRIORITY, MIN_PRIORITY};
use crate::engine::ring::Ring;
use crate::error::Error;
use crate::handle::{Id, Slab};
use crate::memory::AccountId;
use crate::memory::ggtt::GgttRange;
use crate::memory::pool::PageList;
use crate::platform::Hardware;

/// Where a context is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Idle,
    Queued,
    OnHardware,
}

/// A logical context on one engine.
#[derive(Debug)]
pub struct Context {
    /// Index of the engine.
    pub(super) engine: usize,
    /// Whose it is.
    pub(super) account: AccountId,
    pub(super) vm: VmId,
    pub(super) timeline: TimelineId,
    pub(super) priority: i16,
    /// What it is queued at: its own priority, or that of the most urgent one that waits for its requests.
    urgency: i16,
    /// It has been passed over for long: its next timeslice is as urgent as a client's can be (`relieve`).
    pub(super) relieved: bool,
    /// How much of its timeslice it has used.
    pub(super) slice_ns: u64,
    /// Number of its last request that a submission covered.
    pub(super) submitted_seqno: u64,
    /// Number of its last request that is ready.
    pub(super) ready_seqno: u64,
    /// Pages of the image, in order.
    pub(super) pages: PageList,
    /// Page 1 of the image, the register state.
    pub(super) state: DmaPage,
    /// Image and ring in the GGTT.
    pub(super) range: GgttRange,
    pub(super) ring: Ring,
    links: Links<Context>,
    pub(super) place: Place,
    /// Submissions that it is in: the active one, the pending one.
    pub(super) ports: u8,
    /// Hardware id while it is in a submission.
    pub(super) tag: u32,
    /// Requests that are not complete, oldest first.
    pub(super) first: Option<RequestId>,
    pub(super) last: Option<RequestId>,
    /// The first of them that waits for a fence, or is behind one that does.
    pub(super) first_unready: Option<RequestId>,
    /// Tail for the next submission, and the one in the image.
    pub(super) next_tail: u32,
    pub(super) spare_tail: u32,
    pub(super) submitted_tail: u32,
    /// A request became ready since the last submission.
    pub(super) unsubmitted: bool,
    /// The image was changed by the driver in more than its tail.
    pub(super) force_restore: bool,
    /// The image has no saved state yet.
    pub(super) restore_inhibit: bool,
    /// Its timeslice was over when it left.
    pub(super) yielded: bool,
    /// It polled in vain: it is not queued before the fence that this is for is complete.
    pub(super) parked: Option<Id<Wait>>,
    closing: bool,
    pub(super) banned: bool,
    /// A hang before this time bans it (`cancel`).
    pub(super) ban_before_ns: u64,
    /// It is to start behind its skipped requests when it has left the hardware (`cancel`).
    pub(super) rewind_when_off: bool,
    /// How long a request of it may run; 0: as long as it lets others run.
    pub(super) watchdog_ns: u64,
    /// Its hangs are recorded in the error state.
    pub(super) capture: bool,
    /// What the error state says of whose context it is: hangs that its requests were to blame for, and requests that
    /// were executed again for others' hangs.
    pub(super) blame: (u32, u32),
    /// What it powers of the render engine.
    pub(super) sseu: Sseu,
    /// The image is behind `sseu`: the next request must find the context off the hardware.
    pub(super) reload: bool,
    /// The engines that may execute it.
    pub(super) selection: EngineSelection,
    /// Those of them that may execute all that is ready of it (`balance`).
    pub(super) lane: u8,
}

/// Handle of a context.
pub type ContextId = Id<Context>;

impl Linked<Context> for Slab<Context> {
    fn links(&mut self, id: ContextId) -> Option<&mut Links<Context>> {
        self.get_mut(id).map(|context| &mut context.links)
    }
}

impl Context {
    /// Its own priority, or that of the most urgent one that waits for it.
    pub(super) const fn effective_priority(&self) -> i16 {
        self.urgency
    }

    /// It was destroyed, and takes no request.
    pub(super) const fn is_closing(&self) -> bool {
        self.closing
    }

    /// Moves the mark of what may run past all requests that wait for nothing and fit what is ready already.
    #[inline]
    pub(super) fn advance_mark(&mut self, requests: &Slab<Request>) {
        while let Some(request) = self.first_unready.and_then(|id| requests.get(id)) {
            if !self.join(request) {
                break;
            }
            self.mark_ready(request.tail, request.spare_tail, request.seqno);
            self.first_unready = request.next;
        }
    }

    /// Everything up to a request may run: where the tail goes for that.
    #[inline]
    pub(super) const fn mark_ready(&mut self, tail: u32, spare_tail: u32, seqno: u64) {
        self.next_tail = tail;
        self.spare_tail = spare_tail;
        self.unsubmitted = true;
        self.ready_seqno = seqno;
    }

    /// Whether some request may run now.
    pub(super) fn is_runnable(&self) -> bool {
        self.first.is_some() && self.first != self.first_unready && self.parked.is_none()
    }
}

impl<H: Hardware> Gpu<H> {
    /// Creates a context on `engine` that uses `vm` and completes its requests on `timeline`. Image and
    /// ring are charged to `account`. Priorities run from −1023 to 1023.
    ///
    /// # Errors
    /// [`Error::NotFound`] (engine, vm, timeline, account), [`Error::Invalid`] (priority),
    /// [`Error::NoMemory`], [`Error::Quota`], [`Error::NoSpace`] (GGTT), [`Error::Wedged`].
    pub fn context_create(
        &mut self,
        account: AccountId,
        engine: EngineIndex,
        vm: VmId,
        timeline: TimelineId,
        priority: i16,
    ) -> Result<ContextId, Error> {
        if !(MIN_PRIORITY..=MAX_PRIORITY).contains(&priority) {
            return Err(Error::Invalid);
        }
        self.context_create_any(account, engine, vm, timeline, priority)
    }

    /// [`Self::context_create`] with the driver's own priority, too.
    pub(super) fn context_create_any(
        &mut self,
        account: AccountId,
        engine: EngineIndex,
        vm: VmId,
        timeline: TimelineId,
        priority: i16,
    ) -> Result<ContextId, Error> {
        self.check_running()?;
        let id = self.engines.get(engine.get()).ok_or(Error::NotFound)?.id;
        if self.vms.get(vm).is_none() || self.timelines.get(timeline).is_none() {
            return Err(Error::NotFound);
        }
        let mut pages = PageList::new();
        let image_pages = image::pages(self.platform.generation, id.class);
        let allocated = self.context_memory(account, image_pages, &mut pages);
        let (state, ring_memory, range) = match allocated {
            Ok(parts) => parts,
            Err(error) => {
                self.pool.free_list(&mut pages);
                return Err(error);
            }
        };
        let ring =
            Ring::new(ring_memory, range.at(image_pages << PAGE_SHIFT), self.config.ring_pages << PAGE_SHIFT);
        let context = Context {
            engine: engine.get(),
            account,
            vm,
            timeline,
            priority,
            urgency: priority,
            relieved: false,
            slice_ns: 0,
            submitted_seqno: 0,
            ready_seqno: 0,
            pages,
            state,
            range,
            ring,
            links: Links::new(),
            place: Place::Idle,
            ports: 0,
            tag: 0,
            first: None,
            last: None,
            first_unready: None,
            next_tail: 0,
            spare_tail: 0,
            submitted_tail: 0,
            unsubmitted: false,
            force_restore: true,
            restore_inhibit: self.engines[engine.get()].default_state.len() == 0,
            yielded: false,
            parked: None,
            closing: false,
            banned: false,
            ban_before_ns: 0,
            rewind_when_off: false,
            watchdog_ns: 0,
            capture: true,
            blame: (0, 0),
            sseu: Sseu::full(self.platform, &self.fuses.topology),
            reload: false,
            selection: EngineSelection::one(engine),
            lane: EngineSelection::one(engine).mask(),
        };
        let context = match self.contexts.insert(context) {
            Ok(id) => id,
            Err(context) => {
                self.context_free_memory(context);
                return Err(Error::NoMemory);
            }
        };
        self.context_write_image(context);
        self.context_map(context);
        if let Some(vm) = self.vms.get_mut(vm) {
            vm.contexts += 1;
        }
        if let Some(timeline) = self.timelines.get_mut(timeline) {
            timeline.contexts += 1;
        }
        Ok(context)
    }

    /// Memory of a context: the image's pages onto `pages`, and last the ring's block. Returns the
    /// register-state page, the ring, and the GGTT range.
    fn context_memory(
        &mut self,
        account: AccountId,
        image_pages: u32,
        pages: &mut PageList,
    ) -> Result<(DmaPage, DmaPage, GgttRange), Error> {
        let mut state = None;
        for index in 0..image_pages {
            let page = self.pool.allocate(0, account)?;
            self.pool.push(pages, page);
            if index == 1 {
                state = Some(page);
            }
        }
        // CAST: log2 of at most 512.
        #[expect(clippy::cast_possible_truncation)]
        let order = self.config.ring_pages.trailing_zeros() as u8;
        let ring = self.pool.allocate(order, account)?;
        self.pool.push(pages, ring);
        let range = self.ggtt.allocate(image_pages + self.config.ring_pages)?;
        Ok((state.ok_or(Error::NoMemory)?, ring, range))
    }

    /// Fills the image: from the engine's saved default state, or from scratch for the first context.
    pub(super) fn context_write_image(&mut self, id: ContextId) {
        let Some(context) = self.contexts.get(id) else { return };
        let engine = &self.engines[context.engine];
        let Some(vm) = self.vms.get(context.vm) else { return };
        let parameters = Parameters {
            generation: self.platform.generation,
            class: engine.id.class,
            base: engine.base,
            ring: context.ring.ggtt,
            ring_bytes: context.ring.size(),
            pdps: vm.ppgtt.pdp_registers(&self.pool),
            power_clock_state: image::power_clock_state(
                self.platform.generation,
                &self.fuses.topology,
                context.sseu,
            ),
        };
        let saved = self.pool.blocks(&engine.default_state).map(|(page, _)| Some(page));
        let mut saved = saved.chain(core::iter::repeat(None));
        for (page, _) in self.pool.blocks(&context.pages) {
            if page == context.ring.memory {
                break;
            }
            match saved.next().flatten() {
                Some(from) => self.bus.hw.copy_page(from, page),
                None => self.bus.hw.write_u64_run(page.at(0), 0, 0, 512),
            }
            self.bus.publish(page.at(0), 4096);
        }
        let state = context.state;
        let mut put = |dword: u32, value| self.bus.hw.write_u32(state.at(dword * 4), value);
        if engine.default_state.len() == 0 {
            image::build(&parameters, &mut put);
        } else {
            put(slot::CONTEXT_CONTROL, image::context_control(parameters.generation, false));
            put(slot::CONTEXT_TIMESTAMP, 0);
            if parameters.class == EngineClass::Render {
                put(slot::POWER_CLOCK_STATE, parameters.power_clock_state);
            }
            image::set_ring(&parameters, &mut put);
            image::set_pdps(&parameters.pdps, &mut put);
            if let Some(slot) = image::mi_mode_slot(parameters.generation, parameters.class) {
                put(slot, image::MI_MODE_RUN);
            }
        }
        self.bus.publish(state.at(0), 4096);
    }

    fn context_map(&mut self, id: ContextId) {
        let Some(context) = self.contexts.get(id) else { return };
        let pool = &self.pool;
        let addresses = pool.blocks(&context.pages).flat_map(|(block, pages)| {
            (0..u64::from(pages)).map(move |page| pool.address(block).offset(page << PAGE_SHIFT))
        });
        self.ggtt.map(&mut self.bus, context.range, addresses);
        self.ggtt.flush(&mut self.bus);
    }

    /// Destroys a context: its requests still run; then it is freed. The handle is gone at once.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn context_destroy(&mut self, id: ContextId) -> Result<(), Error> {
        let context = self.contexts.get_mut(id).filter(|context| !context.closing).ok_or(Error::NotFound)?;
        context.closing = true;
        // Nobody is left who would go on with it.
        context.ban_before_ns = u64::MAX;
        let timeline = context.timeline;
        if let Some(timeline) = self.timelines.get_mut(timeline) {
            timeline.contexts -= 1;
        }
        self.context_free_if_done(id);
        Ok(())
    }

    /// Changes the priority of a context; requests that are queued move with it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`].
    pub fn context_set_priority(&mut self, id: ContextId, priority: i16) -> Result<(), Error> {
        if !(MIN_PRIORITY..=MAX_PRIORITY).contains(&priority) {
            return Err(Error::Invalid);
        }
        let context = self.context_mut(id)?;
        let raised = core::mem::replace(&mut context.priority, priority) < priority;
        let mut at = context.first.filter(|_| raised);
        while let Some(request) = at {
            self.boost_what_it_waits_for(request, priority);
            at = self.requests.get(request).and_then(|request| request.next);
        }
        self.refresh_priority(id);
        self.run_scheduler();
        Ok(())
    }

    /// Works out how urgent a context is. One that waits moves to its new place.
    pub(super) fn refresh_priority(&mut self, id: ContextId) {
        let Some(context) = self.contexts.get_mut(id) else { return };
        // What is before another one in a context is at least as urgent.
        let first = context.first.and_then(|first| self.requests.get(first));
        let boost = first.map_or(MIN_PRIORITY, |request| request.boost);
        let relief = if context.relieved { MAX_PRIORITY } else { MIN_PRIORITY };
        let urgency = context.priority.max(boost).max(relief);
        if core::mem::replace(&mut context.urgency, urgency) == urgency {
            return;
        }
        let (place, engine) = (context.place, context.engine);
        if place == Place::Queued {
            self.unqueue(id);
            self.enqueue(id, false);
        }
        self.kick(engine);
    }

    /// Whether a context has requests that are not complete.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn context_is_busy(&self, id: ContextId) -> Result<bool, Error> {
        self.context(id).map(|context| context.first.is_some())
    }

    /// Time that a context has run, in ticks of its engine's timestamp, as of when it last left the
    /// hardware.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn context_runtime_ticks(&self, id: ContextId) -> Result<u32, Error> {
        let context = self.context(id)?;
        Ok(self.bus.hw.read_u32(context.state.at(slot::CONTEXT_TIMESTAMP * 4)))
    }

    pub(super) fn context(&self, id: ContextId) -> Result<&Context, Error> {
        self.contexts.get(id).filter(|context| !context.closing).ok_or(Error::NotFound)
    }

    pub(super) fn context_mut(&mut self, id: ContextId) -> Result<&mut Context, Error> {
        self.contexts.get_mut(id).filter(|context| !context.closing).ok_or(Error::NotFound)
    }

    /// Frees a context that was destroyed, if nothing of it is left anywhere.
    pub(super) fn context_free_if_done(&mut self, id: ContextId) {
        let done = self
            .contexts
            .get(id)
            .is_some_and(|context| context.closing && context.first.is_none() && context.ports == 0);
        if !done {
            return;
        }
        if let Some(context) = self.contexts.remove(id) {
            debug_assert_ne!(context.place, Place::Queued, "a queue still names it");
            if let Some(vm) = self.vms.get_mut(context.vm) {
                vm.contexts -= 1;
            }
            self.ggtt.unmap(&mut self.bus, context.range);
            self.ggtt.flush_and_wait(&mut self.bus);
            let mut pages = context.pages;
            self.pool.free_list(&mut pages);
        }
    }

    /// Frees the memory of a context that never was mapped.
    fn context_free_memory(&mut self, context: Context) {
        self.ggtt.release(context.range);
        let mut pages = context.pages;
        self.pool.free_list(&mut pages);
    }

    /// Takes the saved image of a context, which must be off the hardware, as the state that all later
    /// contexts of its engine start from.
    pub(super) fn context_keep_as_default(&mut self, id: ContextId) -> Result<(), Error> {
        let Some(context) = self.contexts.get(id) else { return Err(Error::NotFound) };
        let (engine, ring) = (context.engine, context.ring.memory);
        let mut copy = PageList::new();
        let mut at = self.pool.first(&context.pages);
        while let Some(from) = at.filter(|page| *page != ring) {
            match self.pool.allocate(0, self.pool.driver_account()) {
                Ok(to) => {
                    self.pool.push(&mut copy, to);
                    self.bus.hw.copy_page(from, to);
                    if self.pool.first(&copy) == Some(to) {
                        // The status page is a new context's own.
                        self.bus.hw.write_u64_run(to.at(0), 0, 0, 512);
                    }
                }
                Err(error) => {
                    self.pool.free_list(&mut copy);
                    return Err(error);
                }
            }
            at = self.pool.after(from);
        }
        self.engines[engine].default_state = copy;
        Ok(())
    }
}
