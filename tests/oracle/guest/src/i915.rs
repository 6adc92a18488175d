// SPDX-License-Identifier: BSD-2-Clause
//! i915's interface to programs, as much of it as the checks need.
//!
//! Numbers and layouts: i915: include/uapi/drm/i915_drm.h, facts only. Every object is bound where the checks say
//! (softpinned); addresses are handed out once and never again, so that a check cannot lean on another's mapping.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::sys::{self, Argument, Mapping};

mod number {
    pub(super) const GETPARAM: u8 = 0x46;
    pub(super) const GEM_CLOSE: u8 = 0x09;
    pub(super) const CREATE: u8 = 0x5b;
    pub(super) const MMAP_OFFSET: u8 = 0x64;
    pub(super) const EXECBUFFER2_WR: u8 = 0x69;
    pub(super) const BUSY: u8 = 0x57;
    pub(super) const WAIT: u8 = 0x6c;
    pub(super) const CONTEXT_CREATE_EXT: u8 = 0x6d;
    pub(super) const CONTEXT_DESTROY: u8 = 0x6e;
    pub(super) const GET_RESET_STATS: u8 = 0x72;
    pub(super) const USERPTR: u8 = 0x73;
    pub(super) const CONTEXT_GETPARAM: u8 = 0x74;
    pub(super) const CONTEXT_SETPARAM: u8 = 0x75;
    pub(super) const QUERY: u8 = 0x79;
    pub(super) const VM_CREATE: u8 = 0x7a;
    pub(super) const VM_DESTROY: u8 = 0x7b;
}

/// GETPARAM numbers.
pub(crate) mod getparam {
    pub(crate) const CHIPSET_ID: i32 = 4;
    pub(crate) const HAS_LLC: i32 = 17;
    pub(crate) const HAS_ALIASING_PPGTT: i32 = 18;
    pub(crate) const CMD_PARSER_VERSION: i32 = 28;
    pub(crate) const HAS_GPU_RESET: i32 = 35;
    pub(crate) const HAS_SCHEDULER: i32 = 41;
    pub(crate) const HAS_EXEC_FENCE: i32 = 44;
    pub(crate) const HAS_CONTEXT_ISOLATION: i32 = 50;
    pub(crate) const CS_TIMESTAMP_FREQUENCY: i32 = 51;
}

/// Context parameters.
pub(crate) mod param {
    pub(crate) const GTT_SIZE: u64 = 3;
    pub(crate) const PRIORITY: u64 = 6;
    pub(crate) const VM: u64 = 9;
    pub(crate) const ENGINES: u64 = 0xa;
    pub(crate) const PERSISTENCE: u64 = 0xb;
}

macro_rules! arguments {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),+ $(,)? })+) => { $(
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default)]
        pub(crate) struct $name { $(pub(crate) $field: $type),+ }
        #[allow(unsafe_code, reason = "says that a structure is what the kernel expects")]
        // SAFETY: `repr(C)` of integers, laid out as in i915_drm.h without gaps; addresses are put in by this module.
        unsafe impl Argument for $name {}
    )+ };
}

arguments! {
    Getparam { param: i32, pad: i32, value: u64 }
    Create { size: u64, handle: u32, pad: u32 }
    Close { handle: u32, pad: u32 }
    MmapOffset { handle: u32, pad: u32, offset: u64, flags: u64, extensions: u64 }
    Execbuffer2 {
        buffers: u64, buffer_count: u32, batch_start: u32, batch_len: u32, dr1: u32, dr4: u32, num_cliprects: u32,
        cliprects: u64, flags: u64, rsvd1: u64, rsvd2: u64
    }
    Busy { handle: u32, busy: u32 }
    Wait { handle: u32, flags: u32, timeout: i64 }
    ContextCreate { id: u32, flags: u32, extensions: u64 }
    ContextDestroy { id: u32, pad: u32 }
    ContextParam { id: u32, size: u32, param: u64, value: u64 }
    /// How often a context was guilty (`active`) or an innocent victim (`pending`) of a reset.
    ResetStats { id: u32, flags: u32, resets: u32, active: u32, pending: u32, pad: u32 }
    Userptr { address: u64, size: u64, flags: u32, handle: u32 }
    Query { num_items: u32, flags: u32, items: u64 }
    VmControl { extensions: u64, flags: u32, id: u32 }
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct ExecObject {
    handle: u32,
    relocation_count: u32,
    relocations: u64,
    alignment: u64,
    offset: u64,
    flags: u64,
    pad_to_size: u64,
    rsvd2: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct QueryItem {
    id: u64,
    length: i32,
    flags: u32,
    data: u64,
}

/// The head of an extension and what CREATE_EXT_SETPARAM and CREATE_EXT_CLONE have behind it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Extension {
    next: u64,
    name: u32,
    flags: u32,
    rsvd: [u32; 4],
    data: [u64; 3],
}

/// An engine by class (0 render, 1 copy, 2 video, 3 video enhance) and instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Engine {
    pub(crate) class: u16,
    pub(crate) instance: u16,
}

impl Engine {
    pub(crate) const RENDER: Self = Self { class: 0, instance: 0 };
    pub(crate) const COPY: Self = Self { class: 1, instance: 0 };

    /// The name that Linux gives it.
    pub(crate) fn name(self) -> String {
        let class = ["rcs", "bcs", "vcs", "vecs"].get(usize::from(self.class)).unwrap_or(&"engine");
        format!("{class}{}", self.instance)
    }
}

/// The first address that is handed out; beyond 4 GiB, so that the upper halves of addresses matter.
static NEXT_ADDRESS: AtomicU64 = AtomicU64::new(0x1_0000_0000);

/// An address for an object of that size, its own for the life of the program.
fn fresh_address(size: u64) -> u64 {
    /// Its own page table for each: 2 MiB.
    const SPAN: u64 = 2 << 20;
    NEXT_ADDRESS.fetch_add(size.next_multiple_of(SPAN), Ordering::Relaxed)
}

/// The address of what the kernel shall read or write during one call.
fn address_of<T: ?Sized>(value: &T) -> u64 {
    // CAST: an address has 64 bits here.
    std::ptr::from_ref(value).cast::<u8>() as u64
}

/// An open device.
#[derive(Debug)]
pub(crate) struct Device {
    file: File,
}

impl Device {
    pub(crate) fn open() -> Result<Self> {
        let path = Path::new("/dev/dri/renderD128");
        let file = OpenOptions::new().read(true).write(true).open(path);
        Ok(Self { file: file.with_context(|| path.display().to_string())? })
    }

    fn call<T: Argument>(&self, number: u8, argument: &mut T) -> io::Result<()> {
        sys::ioctl(self.file.as_fd(), number, argument)
    }

    pub(crate) fn getparam(&self, param: i32) -> io::Result<i32> {
        let mut value = 0_i32;
        let address = std::ptr::from_mut(&mut value) as u64;
        self.call(number::GETPARAM, &mut Getparam { param, pad: 0, value: address })?;
        Ok(std::hint::black_box(value))
    }

    /// The engines that programs may use.
    pub(crate) fn engines(&self) -> Result<Vec<Engine>> {
        /// ENGINE_INFO.
        const ID: u64 = 2;
        /// Dwords of its head and of each engine.
        const HEAD: usize = 4;
        const EACH: usize = 14;
        let mut data = [0_u32; HEAD + 64 * EACH];
        let length = i32::try_from(size_of_val(&data))?;
        let address = std::ptr::from_mut(&mut data) as u64;
        let mut item = QueryItem { id: ID, length, flags: 0, data: address };
        let items = std::ptr::from_mut(&mut item) as u64;
        self.call(number::QUERY, &mut Query { num_items: 1, flags: 0, items }).context("query")?;
        let (data, item) = (std::hint::black_box(data), std::hint::black_box(item));
        anyhow::ensure!(item.length > 0, "ENGINE_INFO says {}", item.length);
        let count = usize::try_from(data[0])?;
        let engines = data[HEAD..].chunks_exact(EACH).take(count);
        // CAST: the halves of a dword.
        #[allow(clippy::cast_possible_truncation, reason = "the halves of a dword")]
        Ok(engines
            .map(|engine| Engine { class: engine[0] as u16, instance: (engine[0] >> 16) as u16 })
            .collect())
    }

    /// A buffer in the driver's memory, and its place in every address space.
    pub(crate) fn buffer(&self, bytes: usize) -> Result<Buffer<'_>> {
        /// MMAP_OFFSET: cached. The parts on which the oracle is used share the processor's last-level cache.
        const WRITE_BACK: u64 = 2;
        let size = u64::try_from(bytes)?;
        let mut create = Create { size, handle: 0, pad: 0 };
        self.call(number::CREATE, &mut create).context("create")?;
        let mut map = MmapOffset { handle: create.handle, flags: WRITE_BACK, ..MmapOffset::default() };
        self.call(number::MMAP_OFFSET, &mut map).context("mmap offset")?;
        let memory = Mapping::of(self.file.as_fd(), map.offset, bytes).context("mmap")?;
        Ok(Buffer { device: self, handle: create.handle, address: fresh_address(size), memory })
    }

    /// A buffer of this process' own memory.
    pub(crate) fn userptr(&self, memory: Mapping, flags: u32) -> io::Result<Buffer<'_>> {
        let size = 4 * memory.dwords() as u64;
        let mut userptr = Userptr { address: memory.address(), size, flags, handle: 0 };
        self.call(number::USERPTR, &mut userptr)?;
        Ok(Buffer { device: self, handle: userptr.handle, address: fresh_address(size), memory })
    }

    /// A context whose slots are these engines, with an address space of its own unless one is named.
    pub(crate) fn context(&self, engines: &[Engine], vm: Option<u32>) -> Result<Context<'_>> {
        let mut map = vec![0_u32; 2];
        map.extend(engines.iter().map(|engine| u32::from(engine.class) | u32::from(engine.instance) << 16));
        let size = u64::try_from(map.len() * 4)?;
        // context_param { ctx_id 0, size } { param } { value }
        let with_vm = Extension { data: [0, param::VM, u64::from(vm.unwrap_or(0))], ..Extension::default() };
        let next = if vm.is_some() { address_of(&with_vm) } else { 0 };
        let with_engines = Extension {
            next,
            data: [size << 32, param::ENGINES, address_of(map.as_slice())],
            ..Extension::default()
        };
        let mut create = ContextCreate { id: 0, flags: 1, extensions: address_of(&with_engines) };
        self.call(number::CONTEXT_CREATE_EXT, &mut create).context("context create")?;
        std::hint::black_box((&map, &with_vm, &with_engines));
        Ok(Context { device: self, id: create.id })
    }

    /// A context that clones another by the extension that Linux had from 5.5 to 5.13.
    pub(crate) fn cloned(&self, source: &Context<'_>) -> io::Result<Context<'_>> {
        /// CREATE_EXT_CLONE, with the flags ENGINES and VM.
        const CLONE: u32 = 1;
        const FLAGS: u64 = 1 | 32;
        let data = [u64::from(source.id) | FLAGS << 32, 0, 0];
        let clone = Extension { name: CLONE, data, ..Extension::default() };
        let mut create = ContextCreate { id: 0, flags: 1, extensions: address_of(&clone) };
        self.call(number::CONTEXT_CREATE_EXT, &mut create)?;
        std::hint::black_box(&clone);
        Ok(Context { device: self, id: create.id })
    }

    pub(crate) fn destroy_context(&self, id: u32) -> io::Result<()> {
        self.call(number::CONTEXT_DESTROY, &mut ContextDestroy { id, pad: 0 })
    }

    pub(crate) fn create_vm(&self) -> io::Result<u32> {
        let mut vm = VmControl::default();
        self.call(number::VM_CREATE, &mut vm)?;
        Ok(vm.id)
    }

    pub(crate) fn destroy_vm(&self, id: u32) -> io::Result<()> {
        self.call(number::VM_DESTROY, &mut VmControl { id, ..VmControl::default() })
    }
}

/// A buffer object, its memory, and where it is bound.
#[derive(Debug)]
pub(crate) struct Buffer<'a> {
    device: &'a Device,
    handle: u32,
    /// Where every address space has it.
    pub(crate) address: u64,
    /// What is in it.
    pub(crate) memory: Mapping,
}

impl Buffer<'_> {
    /// Waits until nothing uses it; `false` when that takes longer.
    pub(crate) fn wait(&self, limit: Duration) -> Result<bool> {
        let timeout = i64::try_from(limit.as_nanos())?;
        let result = self.device.call(number::WAIT, &mut Wait { handle: self.handle, flags: 0, timeout });
        match result {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ETIME) => Ok(false),
            Err(error) => Err(error).context("wait"),
        }
    }

    /// Whether something uses it.
    pub(crate) fn busy(&self) -> io::Result<bool> {
        let mut busy = Busy { handle: self.handle, busy: 0 };
        self.device.call(number::BUSY, &mut busy)?;
        Ok(busy.busy != 0)
    }

    /// Puts commands at its start.
    pub(crate) fn fill(&self, commands: &[u32]) {
        for (index, command) in commands.iter().enumerate() {
            self.memory.write(index, *command);
        }
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        // What is still running keeps its own reference.
        let _ = self.device.call(number::GEM_CLOSE, &mut Close { handle: self.handle, pad: 0 });
    }
}

/// A context.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    device: &'a Device,
    pub(crate) id: u32,
}

impl Context<'_> {
    pub(crate) fn get(&self, param: u64) -> io::Result<u64> {
        let mut argument = ContextParam { id: self.id, size: 0, param, value: 0 };
        self.device.call(number::CONTEXT_GETPARAM, &mut argument)?;
        Ok(argument.value)
    }

    pub(crate) fn set(&self, param: u64, value: u64) -> io::Result<()> {
        self.device.call(number::CONTEXT_SETPARAM, &mut ContextParam { id: self.id, size: 0, param, value })
    }

    pub(crate) fn reset_stats(&self) -> io::Result<ResetStats> {
        let mut stats = ResetStats { id: self.id, ..ResetStats::default() };
        self.device.call(number::GET_RESET_STATS, &mut stats)?;
        Ok(stats)
    }

    /// Runs the commands at the start of `batch` on the engine in a slot; the others are what it uses.
    pub(crate) fn submit(&self, slot: u64, batch: &Buffer<'_>, others: &[&Buffer<'_>]) -> Result<()> {
        self.submit_with(slot, batch, others, None, false).map(drop)
    }

    /// As `submit`, after `after` has signalled; with a fence that signals at its end.
    pub(crate) fn submit_fenced(
        &self,
        slot: u64,
        batch: &Buffer<'_>,
        others: &[&Buffer<'_>],
        after: Option<BorrowedFd<'_>>,
    ) -> Result<OwnedFd> {
        self.submit_with(slot, batch, others, after, true)?.context("no fence came back")
    }

    fn submit_with(
        &self,
        slot: u64,
        batch: &Buffer<'_>,
        others: &[&Buffer<'_>],
        after: Option<BorrowedFd<'_>>,
        fenced: bool,
    ) -> Result<Option<OwnedFd>> {
        /// Object: may be written; has 48-bit addresses; is bound at its offset.
        const WRITE: u64 = 1 << 2;
        const PINNED: u64 = 1 << 3 | 1 << 4;
        /// Batch: waits for a fence, makes one.
        const FENCE_IN: u64 = 1 << 16;
        const FENCE_OUT: u64 = 1 << 17;
        let object = |buffer: &Buffer<'_>, flags| ExecObject {
            handle: buffer.handle,
            offset: buffer.address,
            flags: PINNED | flags,
            ..ExecObject::default()
        };
        let mut objects: Vec<_> = others.iter().map(|buffer| object(buffer, WRITE)).collect();
        objects.push(object(batch, 0));
        let mut flags = slot;
        let mut fences = 0;
        if let Some(fd) = after {
            flags |= FENCE_IN;
            fences = u64::try_from(fd.as_raw_fd())?;
        }
        if fenced {
            flags |= FENCE_OUT;
        }
        let mut exec = Execbuffer2 {
            buffers: address_of(objects.as_slice()),
            buffer_count: u32::try_from(objects.len())?,
            flags,
            rsvd1: u64::from(self.id),
            rsvd2: fences,
            ..Execbuffer2::default()
        };
        self.device.call(number::EXECBUFFER2_WR, &mut exec).context("execbuffer")?;
        std::hint::black_box(&objects);
        Ok(if fenced { Some(sys::adopt(i32::try_from(exec.rsvd2 >> 32)?)?) } else { None })
    }
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        let _ = self.device.destroy_context(self.id);
    }
}
