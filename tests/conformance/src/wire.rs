// SPDX-License-Identifier: BSD-2-Clause
//! Operations on the wire: the shortest way to make each of them, right or wrong.

use gpu_protocol::{
    Bond, CloneFlags, Connect, ContextCreate, ContextDestroy, ContextParam, CreateClone, CreateSetParam,
    EngineClassInstance, EnginesHeader, Errno, Extension, ExtensionHeader, Fence, GemBusy, GemClose,
    GemCreate, GemExport, GemImport, GemTransfer, GemWait, Grant, GrantFlags, Invalidate, InvalidateReply,
    InvalidateStatus, LoadBalance, OWN_SPACE, ObjectFlags, Operation, PageRequest, Refuse, ResetStats,
    Submit, SubmitObject, UserptrCreate, VERSION, VmCreate, VmDestroy,
};
use zerocopy::{Immutable, IntoBytes};

use crate::rig::{Region, Rig};

/// Where the structure that an operation's argument points to is written in the message area.
pub const PAYLOAD: usize = 1024;
/// Where fences are written.
pub const FENCES: usize = 4096;
/// Where the structure that a parameter's value points to is written.
pub const STRUCTURE: usize = 8192;
/// Where the extensions of a map of engines are written.
pub const MAP_EXTENSIONS: usize = 9216;

/// What a successful operation returns: the reply's words.
pub type Words = [u64; 4];

impl Rig {
    /// Makes one operation with its structure at the start of the message area.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn op<A: IntoBytes + Immutable>(
        &mut self,
        client: usize,
        operation: Operation,
        argument: &A,
    ) -> Result<Words, Errno> {
        self.op_with(client, operation, argument, None)
    }

    /// Makes one operation with a capability.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn op_with<A: IntoBytes + Immutable>(
        &mut self,
        client: usize,
        operation: Operation,
        argument: &A,
        capability: Option<u64>,
    ) -> Result<Words, Errno> {
        self.write_area(client, 0, argument.as_bytes());
        let reply = self.call(client, operation.label(), [0, size_of::<A>() as u64], capability);
        reply.status.map(|()| reply.words)
    }

    /// Makes one operation that must be refused and must leave everything as it was.
    ///
    /// # Panics
    /// It is not, or something changed.
    pub fn refused<A: IntoBytes + Immutable>(
        &mut self,
        client: usize,
        operation: Operation,
        argument: &A,
        errno: Errno,
    ) {
        self.refused_with(client, operation, argument, None, errno);
    }

    /// As [`Rig::refused`], with a capability.
    ///
    /// # Panics
    /// As [`Rig::refused`].
    pub fn refused_with<A: IntoBytes + Immutable>(
        &mut self,
        client: usize,
        operation: Operation,
        argument: &A,
        capability: Option<u64>,
        errno: Errno,
    ) {
        let before = self.snapshot();
        assert_eq!(self.op_with(client, operation, argument, capability), Err(errno), "{operation:?}");
        crate::rig::unchanged(&before, &self.snapshot(), operation);
    }

    /// Connects a client.
    ///
    /// # Panics
    /// The driver refuses.
    pub fn connect(&mut self, client: usize) {
        let reply = self.op(client, Operation::Connect, &Connect { version: VERSION, flags: 0 });
        assert!(reply.is_ok(), "{reply:?}");
    }

    /// Creates an address space.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn vm_create(&mut self, client: usize) -> Result<u32, Errno> {
        self.op(client, Operation::VmCreate, &VmCreate { extensions: 0, flags: 0, vm_id: 0 }).map(handle)
    }

    /// Drops a handle of an address space.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn vm_destroy(&mut self, client: usize, vm: u32) -> Result<(), Errno> {
        let destroy = VmDestroy { extensions: 0, flags: 0, vm_id: vm };
        self.op(client, Operation::VmDestroy, &destroy).map(drop)
    }

    /// Creates a context with parameters in the order of the slice.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn context_create(
        &mut self,
        client: usize,
        flags: u32,
        params: &[ContextParam],
    ) -> Result<u32, Errno> {
        let create = self.write_params(client, flags, params);
        self.op(client, Operation::ContextCreate, &create).map(handle)
    }

    /// Writes a chain of parameters into the message area; the structure that begins it.
    pub fn write_params(&mut self, client: usize, flags: u32, params: &[ContextParam]) -> ContextCreate {
        for (index, param) in params.iter().enumerate() {
            let at = PAYLOAD + index * size_of::<CreateSetParam>();
            let last = index + 1 == params.len();
            let next = if last { 0 } else { (at + size_of::<CreateSetParam>()) as u64 };
            self.write_area(client, at, set_param(next, *param).as_bytes());
        }
        let chain = !params.is_empty();
        ContextCreate {
            ctx_id: 0,
            flags: flags | if chain { ContextCreate::USE_EXTENSIONS } else { 0 },
            extensions: if chain { PAYLOAD as u64 } else { 0 },
        }
    }

    /// Creates a context with extensions in the order of the slice.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn context_with(&mut self, client: usize, flags: u32, chain: &[Link]) -> Result<u32, Errno> {
        let create = self.write_chain(client, flags, chain);
        self.op(client, Operation::ContextCreate, &create).map(handle)
    }

    /// Writes a chain of extensions into the message area; the structure that begins it.
    pub fn write_chain(&mut self, client: usize, flags: u32, chain: &[Link]) -> ContextCreate {
        for (index, link) in chain.iter().enumerate() {
            let at = PAYLOAD + index * EXTENSION_BYTES;
            let next = if index + 1 == chain.len() { 0 } else { (at + EXTENSION_BYTES) as u64 };
            match *link {
                Link::Set(param) => self.write_area(client, at, set_param(next, param).as_bytes()),
                Link::Clone(source, flags) => {
                    self.write_area(client, at, clone_of(next, source, flags.bits()).as_bytes());
                }
            }
        }
        let used = if chain.is_empty() { 0 } else { ContextCreate::USE_EXTENSIONS };
        let extensions = if chain.is_empty() { 0 } else { PAYLOAD as u64 };
        ContextCreate { ctx_id: 0, flags: flags | used, extensions }
    }

    /// Sets a parameter of a context.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn set(&mut self, client: usize, context: u32, name: u64, value: u64) -> Result<(), Errno> {
        let param = ContextParam { ctx_id: context, ..param(name, value) };
        self.op(client, Operation::ContextSetParam, &param).map(drop)
    }

    /// Reads a parameter of a context that is no structure.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn get(&mut self, client: usize, context: u32, name: u64) -> Result<u64, Errno> {
        let param = ContextParam { ctx_id: context, ..param(name, 0) };
        self.op(client, Operation::ContextGetParam, &param).map(|words| words[0])
    }

    /// Writes a map of engines; the parameter that names it.
    pub fn write_engines(
        &mut self,
        client: usize,
        context: u32,
        extensions: u64,
        engines: &[EngineClassInstance],
    ) -> ContextParam {
        self.write_area(client, STRUCTURE, EnginesHeader { extensions }.as_bytes());
        self.write_area(client, STRUCTURE + 8, engines.as_bytes());
        let size = u32::try_from(8 + 4 * engines.len()).unwrap_or(u32::MAX);
        ContextParam { ctx_id: context, size, param: ContextParam::ENGINES, value: STRUCTURE as u64 }
    }

    /// Sets the map of engines of a context.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn set_engines(
        &mut self,
        client: usize,
        context: u32,
        engines: &[EngineClassInstance],
    ) -> Result<(), Errno> {
        let param = self.write_engines(client, context, 0, engines);
        self.op(client, Operation::ContextSetParam, &param).map(drop)
    }

    /// Writes an extension of a map of engines with the engines that follow it. Returns where the next one goes.
    pub fn write_extension<A: IntoBytes + Immutable>(
        &mut self,
        client: usize,
        at: usize,
        extension: &A,
        engines: &[EngineClassInstance],
    ) -> usize {
        self.write_area(client, at, extension.as_bytes());
        self.write_area(client, at + size_of::<A>(), engines.as_bytes());
        at + size_of::<A>() + engines.len().next_multiple_of(2) * 4
    }

    /// Reads the map of engines of a context; `None` for the default map.
    ///
    /// # Panics
    /// The driver refuses.
    #[expect(clippy::expect_used, reason = "part of tests")]
    pub fn engines(&mut self, client: usize, context: u32) -> Option<Vec<EngineClassInstance>> {
        let ask = ContextParam { ctx_id: context, ..param(ContextParam::ENGINES, STRUCTURE as u64) };
        let size = self.op(client, Operation::ContextGetParam, &ask).expect("a size")[1];
        if size == 0 {
            return None;
        }
        let ask = ContextParam { size: u32::try_from(size).unwrap_or(u32::MAX), ..ask };
        let words = self.op(client, Operation::ContextGetParam, &ask).expect("a map");
        assert_eq!(words[1], size);
        let bytes = self.read_area(client, STRUCTURE, usize::try_from(size).unwrap_or(0));
        let half = |pair: &[u8]| u16::from_le_bytes([pair[0], pair[1]]);
        let engines = bytes[8..].chunks_exact(4);
        Some(engines.map(|raw| EngineClassInstance::new(half(&raw[..2]), half(&raw[2..]))).collect())
    }

    /// Reset statistics of a context: resets, guilty, innocent.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn reset_stats(&mut self, client: usize, context: u32) -> Result<[u64; 3], Errno> {
        let stats = ResetStats {
            ctx_id: context,
            flags: 0,
            reset_count: 0,
            batch_active: 0,
            batch_pending: 0,
            pad: 0,
        };
        let words = self.op(client, Operation::ContextResetStats, &stats)?;
        Ok([words[0], words[1], words[2]])
    }

    /// Creates a context in an address space.
    ///
    /// # Panics
    /// The driver refuses.
    #[expect(clippy::expect_used, reason = "part of tests")]
    pub fn context(&mut self, client: usize, vm: u32) -> u32 {
        self.context_create(client, 0, &[param(ContextParam::VM, u64::from(vm))]).expect("a context")
    }

    /// Destroys a context.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn context_destroy(&mut self, client: usize, context: u32) -> Result<(), Errno> {
        self.op(client, Operation::ContextDestroy, &ContextDestroy { ctx_id: context, pad: 0 }).map(drop)
    }

    /// Makes an object of a range of a client's address space.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn userptr_create(&mut self, client: usize, address: u64, size: u64) -> Result<u32, Errno> {
        let create = UserptrCreate { user_ptr: address, user_size: size, flags: 0, handle: 0 };
        self.op(client, Operation::UserptrCreate, &create).map(handle)
    }

    /// Makes an object of a region.
    ///
    /// # Panics
    /// The driver refuses.
    #[expect(clippy::expect_used, reason = "part of tests")]
    pub fn userptr(&mut self, client: usize, region: Region) -> u32 {
        self.userptr_create(client, region.address, region.size).expect("an object")
    }

    /// Closes an object.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn close(&mut self, client: usize, object: u32) -> Result<(), Errno> {
        self.op(client, Operation::GemClose, &GemClose { handle: object, pad: 0 }).map(drop)
    }

    /// Makes an object in the driver's memory.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn gem_create(&mut self, client: usize, size: u64) -> Result<u32, Errno> {
        self.op(client, Operation::GemCreate, &GemCreate { size, handle: 0, pad: 0 }).map(handle)
    }

    /// Copies bytes into an object, by way of [`PAYLOAD`].
    ///
    /// # Errors
    /// What the driver answers.
    pub fn gem_write(&mut self, client: usize, object: u32, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.write_area(client, PAYLOAD, bytes);
        self.op(client, Operation::GemWrite, &transfer(object, offset, bytes.len() as u64)).map(drop)
    }

    /// Copies bytes out of an object, by way of [`PAYLOAD`].
    ///
    /// # Errors
    /// What the driver answers.
    pub fn gem_read(
        &mut self,
        client: usize,
        object: u32,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, Errno> {
        self.op(client, Operation::GemRead, &transfer(object, offset, len as u64))?;
        Ok(self.read_area(client, PAYLOAD, len).to_vec())
    }

    /// Asks which engines use an object.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn gem_busy(&mut self, client: usize, object: u32) -> Result<u32, Errno> {
        self.op(client, Operation::GemBusy, &GemBusy { handle: object, busy: 0 }).map(handle)
    }

    /// Asks whether the GPU is done with an object.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn gem_wait(&mut self, client: usize, object: u32, timeout_ns: i64) -> Result<(), Errno> {
        self.op(client, Operation::GemWait, &GemWait { handle: object, flags: 0, timeout_ns }).map(drop)
    }

    /// Fetches the next page request.
    ///
    /// # Panics
    /// The driver refuses.
    pub fn next_request(&mut self, client: usize) -> Option<PageRequest> {
        let reply = self.call(client, Operation::NextPageRequest.label(), [0, 0], None);
        assert_eq!(reply.status, Ok(()));
        PageRequest::from_words(reply.words)
    }

    /// Grants frames.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn grant(&mut self, client: usize, grant: &Grant, cnode: u64) -> Result<u64, Errno> {
        self.op_with(client, Operation::GrantCnode, grant, Some(cnode)).map(|words| words[0])
    }

    /// Lets another client import an object.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn export(&mut self, client: usize, handle: u32, peer: usize) -> Result<u64, Errno> {
        let peer = u32::try_from(crate::channel(peer)).unwrap_or(u32::MAX);
        self.op(client, Operation::GemExport, &GemExport { handle, peer }).map(|words| words[0])
    }

    /// Imports an object.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn import(&mut self, client: usize, name: u64) -> Result<u32, Errno> {
        self.op(client, Operation::GemImport, &GemImport { name }).map(handle)
    }

    /// Takes pages of the caller's own address space back.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn invalidate(&mut self, client: usize, start: u64, end: u64) -> Result<InvalidateReply, Errno> {
        self.op(client, Operation::Invalidate, &own_range(start, end)).map(InvalidateReply::from_words)
    }

    /// Asks how an invalidation of the caller's own address space stands.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn invalidate_status(&mut self, client: usize, ticket: u64) -> Result<InvalidateReply, Errno> {
        let status = InvalidateStatus { ticket, space: OWN_SPACE, rsvd: 0 };
        self.op(client, Operation::InvalidateStatus, &status).map(InvalidateReply::from_words)
    }

    /// Answers a request with an error.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn refuse(&mut self, client: usize, request: PageRequest, errno: Errno) -> Result<(), Errno> {
        self.op(client, Operation::Refuse, &refusal(request, errno)).map(drop)
    }

    /// Submits a batch, the last object of the list, and returns its fence.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn submit(
        &mut self,
        client: usize,
        context: u32,
        engine: u32,
        objects: &[SubmitObject],
        fences: &[Fence],
    ) -> Result<Fence, Errno> {
        let submit = self.write_submit(client, context, engine, objects, fences);
        self.op(client, Operation::Submit, &submit).map(fence)
    }

    /// Writes the lists of a submission into the message area; the structure that names them.
    pub fn write_submit(
        &mut self,
        client: usize,
        context: u32,
        engine: u32,
        objects: &[SubmitObject],
        fences: &[Fence],
    ) -> Submit {
        self.write_area(client, PAYLOAD, objects.as_bytes());
        self.write_area(client, FENCES, fences.as_bytes());
        Submit {
            context,
            engine,
            objects: PAYLOAD as u64,
            object_count: u32::try_from(objects.len()).unwrap_or(u32::MAX),
            batch_start: 0,
            batch_len: 0,
            flags: 0,
            fences: FENCES as u64,
            fence_count: u32::try_from(fences.len()).unwrap_or(u32::MAX),
            rsvd: 0,
        }
    }
}

/// An extension of context creation.
#[derive(Clone, Copy, Debug)]
pub enum Link {
    /// Sets a parameter.
    Set(ContextParam),
    /// Takes parts of another context.
    Clone(u32, CloneFlags),
}

/// Bytes from one extension to the next.
const EXTENSION_BYTES: usize = size_of::<CreateSetParam>();
const _: () = assert!(size_of::<CreateClone>() <= EXTENSION_BYTES);

/// An extension that clones, with flags as they are on the wire.
#[must_use]
pub const fn clone_of(next: u64, clone_id: u32, flags: u32) -> CreateClone {
    let base = ExtensionHeader { next, name: Extension::Clone as u32, flags: 0, rsvd: [0; 4] };
    CreateClone { base, clone_id, flags, rsvd: 0 }
}

/// An invalidation of the caller's own address space.
#[must_use]
pub const fn own_range(start: u64, end: u64) -> Invalidate {
    Invalidate { start, end, space: OWN_SPACE, flags: 0 }
}

/// Makes a slot any of that many engines, which follow.
#[must_use]
pub const fn load_balance(next: u64, slot: u16, siblings: u16) -> LoadBalance {
    let base = ExtensionHeader { next, name: LoadBalance::NAME, flags: 0, rsvd: [0; 4] };
    LoadBalance { base, engine_index: slot, num_siblings: siblings, flags: 0, mbz: 0 }
}

/// Bonds a slot to a master, with that many engines, which follow.
#[must_use]
pub const fn bond(next: u64, slot: u16, master: EngineClassInstance, bonds: u16) -> Bond {
    let base = ExtensionHeader { next, name: Bond::NAME, flags: 0, rsvd: [0; 4] };
    Bond { base, master, virtual_index: slot, num_bonds: bonds, flags: 0, mbz: [0; 4] }
}

/// The only word of a reply that is a handle.
#[must_use]
pub fn handle(words: Words) -> u32 {
    u32::try_from(words[0]).unwrap_or(u32::MAX)
}

/// The fence that a submission returns.
#[must_use]
pub fn fence(words: Words) -> Fence {
    Fence { timeline: handle(words), flags: 0, point: words[1] }
}

/// A copy between an object and [`PAYLOAD`].
#[must_use]
pub const fn transfer(handle: u32, offset: u64, size: u64) -> GemTransfer {
    GemTransfer { handle, pad: 0, offset, size, data: PAYLOAD as u64 }
}

/// A parameter of a context that is being created.
#[must_use]
pub const fn param(param: u64, value: u64) -> ContextParam {
    ContextParam { ctx_id: 0, size: 0, param, value }
}

/// An extension that sets a parameter.
#[must_use]
pub const fn set_param(next: u64, param: ContextParam) -> CreateSetParam {
    CreateSetParam {
        base: ExtensionHeader { next, name: Extension::SetParam as u32, flags: 0, rsvd: [0; 4] },
        param,
    }
}

/// An object that is read, at a fixed address.
#[must_use]
pub const fn reads(handle: u32, address: u64) -> SubmitObject {
    SubmitObject { handle, flags: ObjectFlags::PINNED.bits(), address }
}

/// An object that is written, at a fixed address.
#[must_use]
pub const fn writes(handle: u32, address: u64) -> SubmitObject {
    SubmitObject { handle, flags: ObjectFlags::PINNED.bits() | ObjectFlags::WRITE.bits(), address }
}

/// The grant of a whole request out of a region's CNode.
#[must_use]
pub fn whole_grant(request: PageRequest, region: Region) -> Grant {
    Grant {
        address: request.address,
        sequence: request.sequence,
        first: u32::try_from((request.address - region.address) >> 12).unwrap_or(u32::MAX),
        count: u32::try_from(request.size >> 12).unwrap_or(u32::MAX),
        page_bits: 12,
        cnode_bits: region.bits,
        flags: GrantFlags::WRITE.bits(),
        rsvd: 0,
    }
}

/// A refusal of a request.
#[must_use]
pub fn refusal(request: PageRequest, errno: Errno) -> Refuse {
    Refuse { address: request.address, sequence: request.sequence, errno: u32::from(errno.number()), rsvd: 0 }
}
