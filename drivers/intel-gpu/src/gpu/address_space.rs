// SPDX-License-Identifier: BSD-2-Clause
//! Address spaces: their ranges, what is bound in them, and the release of what was unbound.

use super::{Gpu, MAX_ENGINES};
use crate::address::{GpuVirtual, PAGE_SIZE, PageRun, VaRange};
use crate::error::Error;
use crate::handle::Id;
use crate::memory::pool::{AccountId, PageList, Pool};
use crate::memory::ppgtt::Ppgtt;
use crate::memory::ranges::{From, Space};
use crate::memory::tlb::{self, EngineMask};
use crate::memory::{Cache, Object, Placement, Released, Unbinding};
use crate::platform::Hardware;
use crate::trace;

/// An address space.
#[derive(Debug)]
pub struct Vm {
    pub(super) ppgtt: Ppgtt,
    space: Space,
    /// Contexts that use it.
    pub(super) contexts: u32,
    /// Contexts with requests in flight per engine.
    pub(super) in_flight: [u32; MAX_ENGINES],
    /// The engine's TLB generation when its last request here ended.
    pub(super) last_use: [u64; MAX_ENGINES],
}

/// Handle of an address space.
pub type VmId = Id<Vm>;

impl<H: Hardware> Gpu<H> {
    /// Creates an empty address space; its page tables are charged to `account`.
    ///
    /// # Errors
    /// [`Error::NoMemory`], [`Error::Quota`], [`Error::NotFound`] (account).
    pub fn vm_create(&mut self, account: AccountId) -> Result<VmId, Error> {
        let shared = self.shared_scratch.as_ref();
        let ppgtt = Ppgtt::new(&mut self.bus, &mut self.pool, self.format, shared, account)?;
        let vm = Vm {
            ppgtt,
            space: Space::new(0, self.format.bytes()),
            contexts: 0,
            in_flight: [0; MAX_ENGINES],
            last_use: [0; MAX_ENGINES],
        };
        self.vms.insert(vm).map_err(|vm| {
            let mut pages = PageList::new();
            vm.ppgtt.dismantle(&mut self.bus, &mut self.pool, &mut pages);
            self.pool.free_list(&mut pages);
            Error::NoMemory
        })
    }

    /// Destroys an address space with all that is bound in it. No engine reaches any of it any more when
    /// the result has been released.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`] while a context uses it (also one that was destroyed but is
    /// still on the hardware).
    pub fn vm_destroy(&mut self, vm: VmId) -> Result<Unbinding, Error> {
        if self.vms.get(vm).ok_or(Error::NotFound)?.contexts != 0 {
            return Err(Error::Busy);
        }
        let engines = self.engines_that_remember(vm);
        let mut removed = self.vms.remove(vm).ok_or(Error::NotFound)?;
        self.ranges.clear(&mut removed.space);
        let everything = VaRange::from_bounds(0, self.format.bytes());
        let mut emptied = PageList::new();
        let pages = removed.ppgtt.dismantle(&mut self.bus, &mut self.pool, &mut emptied);
        Ok(self.removed(everything, pages, engines, emptied))
    }

    /// Bytes of every address space.
    #[must_use]
    pub const fn vm_bytes(&self) -> u64 {
        self.format.bytes()
    }

    /// What a context has in its page-directory-pointer registers to use an address space: the device address of the
    /// PML4, or of the four page directories where there are three levels.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn vm_page_directories(&self, vm: VmId) -> Result<[u64; 4], Error> {
        self.vms.get(vm).map(|vm| vm.ppgtt.pdp_registers(&self.pool)).ok_or(Error::NotFound)
    }

    /// Pages mapped in an address space, in 4 KiB.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn vm_mapped_pages(&self, vm: VmId) -> Result<u64, Error> {
        self.vms.get(vm).map(|vm| vm.ppgtt.mapped_pages()).ok_or(Error::NotFound)
    }

    /// Takes `bytes` (a multiple of 4 KiB) of an address space, at a multiple of `alignment` (a power of
    /// two of at least 4 KiB; not asked of a place that the caller names). `owner` is the caller's and comes back from
    /// [`Self::vm_overlap`]. Nothing is bound.
    ///
    /// # Errors
    /// [`Error::Invalid`] for numbers that make no sense or a fixed place outside the space,
    /// [`Error::Overlap`] for a fixed place that is taken, [`Error::NoSpace`], [`Error::NoMemory`],
    /// [`Error::NotFound`].
    pub fn vm_reserve(
        &mut self,
        vm: VmId,
        placement: Placement,
        bytes: u64,
        alignment: u64,
        owner: u64,
    ) -> Result<VaRange, Error> {
        let space = &mut self.vms.get_mut(vm).ok_or(Error::NotFound)?.space;
        let sound = bytes != 0
            && bytes.is_multiple_of(PAGE_SIZE)
            && alignment.is_power_of_two()
            && alignment >= PAGE_SIZE;
        if !sound {
            return Err(Error::Invalid);
        }
        let find = |ranges: &crate::memory::ranges::Ranges, space: &Space, limit| {
            ranges.find(space, bytes, alignment, From::Bottom, limit).ok_or(Error::NoSpace)
        };
        let start = match placement {
            Placement::Fixed(start) if !start.is_multiple_of(PAGE_SIZE) => return Err(Error::Invalid),
            Placement::Fixed(start) => start,
            Placement::Below { limit } => find(&self.ranges, space, limit)?,
            Placement::Hint { start, limit } => {
                let end = start.checked_add(bytes).filter(|end| *end <= limit.min(space.end()));
                let usable = start.is_multiple_of(PAGE_SIZE)
                    && end.is_some_and(|end| self.ranges.first_overlap(space, start, end).is_none());
                if usable { start } else { find(&self.ranges, space, limit)? }
            }
        };
        self.ranges.insert(space, start, bytes, owner)?;
        Ok(VaRange::from_bounds(start, start + bytes))
    }

    /// Gives a range back that [`Self::vm_reserve`] returned. What is bound there stays bound: unbind
    /// first.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn vm_unreserve(&mut self, vm: VmId, range: VaRange) -> Result<(), Error> {
        let space = &mut self.vms.get_mut(vm).ok_or(Error::NotFound)?.space;
        self.ranges.remove(space, range.start().get()).map(|_| ())
    }

    /// The lowest reserved range that has a page in `range`, and its owner.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn vm_overlap(&self, vm: VmId, range: VaRange) -> Result<Option<(VaRange, u64)>, Error> {
        let space = &self.vms.get(vm).ok_or(Error::NotFound)?.space;
        let found = self.ranges.first_overlap(space, range.start().get(), range.end());
        Ok(found.map(|entry| (VaRange::from_bounds(entry.start, entry.end), entry.owner)))
    }

    /// Binds pages at `range`. `runs` must have exactly the pages of the range, 4 KiB aligned; 64 KiB
    /// and 2 MiB entries are used where alignment and contiguity allow. On error nothing has changed.
    ///
    /// # Errors
    /// [`Error::Invalid`] (range outside the space, wrong number of pages, an address that the part
    /// cannot reach), [`Error::Overlap`] (something is bound there), [`Error::Unsupported`] (`read_only`
    /// on a part that cannot enforce it), [`Error::NoMemory`], [`Error::Quota`] (page tables),
    /// [`Error::NotFound`].
    pub fn bind<I>(
        &mut self,
        vm: VmId,
        range: VaRange,
        runs: I,
        cache: Cache,
        read_only: bool,
    ) -> Result<(), Error>
    where
        I: IntoIterator<Item = PageRun>,
        I::IntoIter: Clone,
    {
        let mut runs = runs.into_iter();
        let limit = 1u64 << self.format.dma_bits;
        let mut pages = 0u64;
        for run in runs.clone() {
            let end = run.address.get().checked_add(u64::from(run.pages) << 12);
            if !run.address.is_aligned(PAGE_SIZE) || end.is_none_or(|end| end > limit) {
                return Err(Error::Invalid);
            }
            pages += u64::from(run.pages);
        }
        self.bind_from(vm, range, pages, |_| runs.next(), cache, read_only)
    }

    /// Binds an object in driver memory at `range`, which is as long as the object. On error nothing
    /// has changed.
    ///
    /// # Errors
    /// As [`Self::bind`].
    pub fn bind_object(
        &mut self,
        vm: VmId,
        range: VaRange,
        object: &Object,
        cache: Cache,
        read_only: bool,
    ) -> Result<(), Error> {
        let runs = object.runs(&self.pool);
        self.bind_from(vm, range, object.pages().into(), runs, cache, read_only)
    }

    fn bind_from(
        &mut self,
        vm: VmId,
        range: VaRange,
        pages: u64,
        next_run: impl FnMut(&Pool) -> Option<PageRun>,
        cache: Cache,
        read_only: bool,
    ) -> Result<(), Error> {
        let vm = self.vms.get_mut(vm).ok_or(Error::NotFound)?;
        if read_only && !self.platform.read_only {
            return Err(Error::Unsupported);
        }
        if pages != range.pages() {
            return Err(Error::Invalid);
        }
        let reserved = vm.ppgtt.reserve(&self.bus, &mut self.pool, range)?;
        vm.ppgtt.bind(&mut self.bus, &mut self.pool, reserved, next_run, cache, read_only);
        Ok(())
    }

    /// Takes whatever is bound in `range` out of the page tables. It cannot fail for lack of memory. The
    /// pages may be given back when the result has been released.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn unbind(&mut self, vm: VmId, range: VaRange) -> Result<Unbinding, Error> {
        let engines = self.engines_that_remember(vm);
        let found = self.vms.get_mut(vm).ok_or(Error::NotFound)?;
        let mut emptied = PageList::new();
        let pages = found.ppgtt.unbind(&mut self.bus, &mut self.pool, range, &mut emptied);
        let engines = if pages == 0 { 0 } else { engines };
        Ok(self.removed(range, pages, engines, emptied))
    }

    fn removed(
        &mut self,
        range: VaRange,
        pages: u64,
        engines: EngineMask,
        mut emptied: PageList,
    ) -> Unbinding {
        // Of a GPU that was given up nothing is confirmed, and it reads no table any more (`wedge`).
        if engines == 0 || self.check_running().is_err() {
            self.pool.free_list(&mut emptied);
        } else {
            self.pool.append(&mut self.tlb.tables, &mut emptied);
        }
        // The engines' walkers must not find the old entries in a write buffer's shadow.
        self.bus.hw.write_barrier();
        self.tlb.removed(range, pages, engines)
    }

    /// Waits until no engine reaches the pages of `unbinding` any more; does the TLB invalidation that
    /// the part needs, once for all unbindings that are waiting.
    ///
    /// # Errors
    /// The unbinding comes back when an engine does not answer in its time: the pages may still be
    /// reached. [`Self::tick`] resets the GPU then; try again after it. Of a GPU that was given up nothing is asked,
    /// and it comes back at once: see [`Self::release_given_up`].
    pub fn release(&mut self, unbinding: Unbinding) -> Result<Released, Unbinding> {
        match self.tlb.try_release(unbinding) {
            Ok(released) => Ok(released),
            Err(unbinding) => {
                // A failure leaves it unreleased, which is the answer.
                let _ = self.invalidate_tlbs();
                self.tlb.try_release(unbinding)
            }
        }
    }

    /// Turns `unbinding` into the proof if an invalidation since has covered it; touches no register.
    ///
    /// # Errors
    /// The unbinding comes back when it is not covered yet.
    pub fn try_release(&self, unbinding: Unbinding) -> Result<Released, Unbinding> {
        self.tlb.try_release(unbinding)
    }

    /// Invalidates the TLBs of all engines that unbindings are waiting for.
    ///
    /// # Errors
    /// [`Error::Timeout`] when an engine does not answer in its time. Then the next [`Self::tick`] resets the GPU, and
    /// gives it up if it does not answer even after that. [`Error::Wedged`] when it was given up: no register is touched
    /// then (i915: `intel_gt_invalidate_tlb_full`).
    pub fn invalidate_tlbs(&mut self) -> Result<(), Error> {
        self.check_running()?;
        let pending = self.tlb.pending;
        if let Err(error) = self.wake() {
            // Nothing is unconfirmed where nothing waits for it.
            self.tlb.unconfirmed |= pending != 0;
            return Err(error);
        }
        let chosen = || (0..).zip(&self.engines).filter(move |(index, _)| pending >> *index & 1 != 0);
        let ids = chosen().map(|(_, engine)| engine.id);
        self.statistics.tlb_invalidations += 1;
        if let Err(error) = tlb::invalidate(&mut self.bus, self.platform.generation, ids) {
            self.tlb.unconfirmed = true;
            return Err(error);
        }
        self.bus.hw.note(|| trace::Event::TlbsInvalidated);
        self.tlbs_invalidated();
        Ok(())
    }

    /// All engines of `tlb.pending` forgot what they knew.
    pub(super) fn tlbs_invalidated(&mut self) {
        let pending = self.tlb.pending;
        for (index, engine) in (0..).zip(&mut self.engines) {
            if pending >> index & 1 != 0 {
                engine.tlb_generation += 1;
            }
        }
        self.tlb.completed();
        self.pool.free_list(&mut self.tlb.tables);
    }

    /// Engines whose TLBs may hold translations of `vm`.
    fn engines_that_remember(&self, vm: VmId) -> EngineMask {
        let Some(vm) = self.vms.get(vm) else { return 0 };
        (0..).zip(&self.engines).fold(0, |mask, (index, engine): (usize, _)| {
            let running = vm.in_flight[index] != 0;
            let remembers = vm.last_use[index] == engine.tlb_generation;
            if running || remembers { mask | 1 << index } else { mask }
        })
    }

    /// What a GPU address translates to, and whether it can be written; `None` where nothing is bound.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn translate(&self, vm: VmId, at: GpuVirtual) -> Result<Option<(u64, bool)>, Error> {
        let vm = self.vms.get(vm).ok_or(Error::NotFound)?;
        if at.get() >= self.format.bytes() {
            return Ok(None);
        }
        Ok(vm.ppgtt.translate(&self.bus, &self.pool, at.get()))
    }
}
