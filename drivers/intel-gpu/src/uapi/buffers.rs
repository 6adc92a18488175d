// SPDX-License-Identifier: BSD-2-Clause
//! Objects in the driver's memory: create, read, write; and of all objects: whether the GPU uses them.
//!
//! Their pages are charged to who made them, are there from the start and never asked for, and go with the object.
//! Everything else of an object is as it is for lent ones: handles, bindings, export, the way out through page tables
//! and TLBs.

use gpu_protocol::{Errno, GemBusy, GemCreate, GemTransfer, GemWait, Operation, PAGE_SIZE, Reply};

use super::area::{self, Argument};
use super::domain::{ClientId, Domain};
use super::driver::Driver;
use super::interval::Interval;
use super::invalidate::Pages;
use super::object::Object;
use crate::handle::Id;
use crate::platform::Hardware;

/// Bytes that are copied at a time.
const PIECE: usize = 512;

impl<H: Hardware> Driver<H> {
    /// Operations on buffers.
    pub(crate) fn dispatch_buffers<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        operation: Operation,
        argument: Argument,
    ) -> Result<Reply, Errno> {
        match operation {
            Operation::GemCreate => {
                let create = area::read::<GemCreate, D>(domain, client, argument)?;
                self.gem_create(domain, client, &create)
            }
            Operation::GemRead | Operation::GemWrite => {
                let transfer = area::read::<GemTransfer, D>(domain, client, argument)?;
                self.gem_transfer(domain, client, &transfer, operation == Operation::GemWrite)
            }
            Operation::GemBusy => {
                self.gem_busy(domain, client, &area::read::<GemBusy, D>(domain, client, argument)?)
            }
            Operation::GemWait => {
                self.gem_wait(domain, client, &area::read::<GemWait, D>(domain, client, argument)?)
            }
            _ => Err(Errno::Inval),
        }
    }

    /// Makes an object in the driver's memory.
    ///
    /// # Errors
    /// See [`GemCreate`].
    fn gem_create<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        create: &GemCreate,
    ) -> Result<Reply, Errno> {
        if create.pad != 0 || create.size == 0 {
            return Err(Errno::Inval);
        }
        if create.size > self.gpu.vm_bytes() {
            return Err(Errno::TooBig);
        }
        let size = create.size.next_multiple_of(PAGE_SIZE);
        let pages = u32::try_from(size / PAGE_SIZE).map_err(|_| Errno::NoMem)?;
        let interval = Interval::with_size(0, size).ok_or(Errno::TooBig)?;
        let state = &self.clients[client];
        if !state.objects.has_room() || state.live_objects >= state.limits.objects {
            // Before memory is cleared for nothing.
            return Err(Errno::NoMem);
        }
        let mut memory = Some(self.gpu.object_allocate(state.account, pages)?);
        let id = self.insert_object(domain, (client, None), || {
            let memory = memory.take();
            Object { memory, lending: Pages::own(), ..Object::new(client, interval, size) }
        });
        if let Some(unused) = memory {
            // The object has not come into being.
            self.gpu.object_free(unused);
        }
        let reply = self.name_object(domain, client, id?)?;
        Ok(Reply::ok(&[reply.words[0], size]))
    }

    /// Copies between an object and the message area.
    ///
    /// # Errors
    /// See [`GemTransfer`].
    fn gem_transfer<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        transfer: &GemTransfer,
        write: bool,
    ) -> Result<Reply, Errno> {
        if transfer.pad != 0 {
            return Err(Errno::Inval);
        }
        if transfer.size == 0 {
            return Ok(Reply::ok(&[]));
        }
        let end = transfer.data.checked_add(transfer.size).ok_or(Errno::Fault)?;
        if end > domain.area_len(client) as u64 {
            return Err(Errno::Fault);
        }
        let id = self.clients[client].objects.get(transfer.handle).ok_or(Errno::NoEnt)?;
        let object = self.objects.get(id).ok_or(Errno::NoEnt)?;
        let inside = transfer.offset.checked_add(transfer.size).is_some_and(|end| end <= object.size);
        if !inside || object.memory.is_none() {
            return Err(Errno::Inval);
        }
        if self.in_use(domain, id, !write) {
            return Ok(self.tell_when_idle(client, id));
        }
        let mut done = 0;
        while done < transfer.size {
            done += self.copy_piece(domain, client, id, transfer, done, write)?;
        }
        Ok(Reply::ok(&[]))
    }

    /// Copies the bytes from `done` on, as far as a piece goes. Returns how many.
    fn copy_piece<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        id: Id<Object>,
        transfer: &GemTransfer,
        done: u64,
        write: bool,
    ) -> Result<u64, Errno> {
        let memory = self.objects.get(id).and_then(|object| object.memory.as_ref()).ok_or(Errno::Inval)?;
        // Memory is read and written by whole dwords, so that bytes around a short piece are written back as they were.
        let at = transfer.offset + done;
        // CAST: less than 4.
        let skipped = (at % 4) as usize;
        let left = usize::try_from(transfer.size - done).unwrap_or(usize::MAX);
        let bytes = left.min(PIECE - skipped);
        let mut piece = [0; PIECE];
        let whole = piece.get_mut(..(skipped + bytes).next_multiple_of(4)).ok_or(Errno::Inval)?;
        let first = at - skipped as u64;
        if !write || skipped != 0 || whole.len() != bytes {
            self.gpu.object_read(memory, first, whole)?;
        }
        let wanted = whole.get_mut(skipped..skipped + bytes).ok_or(Errno::Inval)?;
        if write {
            domain.read_area(client, transfer.data + done, wanted)?;
            self.gpu.object_write(memory, first, whole)?;
        } else {
            domain.write_area(client, transfer.data + done, wanted)?;
        }
        Ok(bytes as u64)
    }

    /// Whether requests in flight use an object, or write it.
    fn in_use<D: Domain>(&mut self, domain: &mut D, id: Id<Object>, only_writers: bool) -> bool {
        let used = |driver: &Self| {
            let users = |object: &Object| if only_writers { object.writers } else { object.active };
            driver.objects.get(id).map_or(0, users) != 0
        };
        if used(self) {
            // They may only wait for somebody to look whether they are complete.
            self.gpu.retire_finished();
            self.drain_events(domain);
        }
        used(self)
    }

    /// The answer to who has to wait: he is notified when nobody uses, or nobody writes, the object any more.
    fn tell_when_idle(&mut self, client: ClientId, id: Id<Object>) -> Reply {
        let bit = u32::try_from(client).ok().and_then(|client| 1_u64.checked_shl(client)).unwrap_or(0);
        if let Some(object) = self.objects.get_mut(id) {
            object.waiters |= bit;
        }
        Reply { words: [1, 0, 0, 0], count: 1, ..Reply::error(Errno::Again) }
    }

    /// Tells which engines use an object.
    ///
    /// # Errors
    /// `ENOENT`.
    fn gem_busy<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        busy: &GemBusy,
    ) -> Result<Reply, Errno> {
        let id = self.clients[client].objects.get(busy.handle).ok_or(Errno::NoEnt)?;
        let (mut readers, mut writer) = (0, None);
        if self.in_use(domain, id, false) {
            for job in (0..self.jobs.capacity()).filter_map(|place| self.jobs.get(self.jobs.at(place)?)) {
                let Some(class) = self.gpu.class_of_request(job.request) else { continue };
                let mut next = job.uses;
                while let Some(used) = next.and_then(|used| self.uses.get(used)) {
                    if used.object == id {
                        readers |= 1 << class.uapi();
                        writer = if used.writes { Some(class.uapi()) } else { writer };
                    }
                    next = used.next;
                }
            }
        }
        Ok(Reply::ok(&[GemBusy::answer(readers, writer).into()]))
    }

    /// Tells whether the GPU is done with an object, or when it is.
    ///
    /// # Errors
    /// See [`GemWait`].
    fn gem_wait<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        wait: &GemWait,
    ) -> Result<Reply, Errno> {
        if wait.flags != 0 {
            return Err(Errno::Inval);
        }
        let id = self.clients[client].objects.get(wait.handle).ok_or(Errno::NoEnt)?;
        match (self.in_use(domain, id, false), wait.timeout_ns) {
            (false, _) => Ok(Reply::ok(&[])),
            (true, 0) => Err(Errno::Time),
            (true, _) => Ok(self.tell_when_idle(client, id)),
        }
    }
}
