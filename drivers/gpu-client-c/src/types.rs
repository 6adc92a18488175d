// SPDX-License-Identifier: BSD-2-Clause
//! The structures of `include/gpu_client.h`. A test compares the two.

use core::ffi::{c_int, c_void};

use gpu_client::{EngineClassInstance, Frames, Gpu, Lendable, Object, Owner, Place, Ranges, Sseu};

use crate::errors::Failure;
use crate::transport::CTransport;

/// Words of [`Device`] for the connection.
pub const DEVICE_WORDS: usize = 40;
/// Words of [`CRanges`].
pub const RANGES_WORDS: usize = 40;
/// Free pieces that a range allocator remembers.
pub const RANGES_PIECES: usize = 16;

/// A connection that is open has this in front (the bytes `GPUCLNT1`).
pub(crate) const OPEN: u64 = u64::from_le_bytes(*b"GPUCLNT1");

/// `struct gpu`: the connection.
#[repr(C)]
#[derive(Debug)]
pub struct Device {
    pub(crate) open: u64,
    pub(crate) body: [u64; DEVICE_WORDS],
}

const _: () = assert!(size_of::<Gpu<CTransport>>() <= DEVICE_WORDS * 8 && align_of::<Gpu<CTransport>>() <= 8);
const _: () = assert!(size_of::<Ranges<RANGES_PIECES>>() <= RANGES_WORDS * 8);
const _: () = assert!(align_of::<Ranges<RANGES_PIECES>>() <= 8);

/// `struct gpu_ranges`: a range allocator.
#[repr(C)]
#[derive(Debug)]
pub struct CRanges {
    pub(crate) open: u64,
    pub(crate) body: [u64; RANGES_WORDS],
}

/// Words of [`COwner`].
pub const OWNER_WORDS: usize = 256;

const _: () = assert!(size_of::<Owner<CTransport>>() <= OWNER_WORDS * 8);
const _: () = assert!(align_of::<Owner<CTransport>>() <= 8);

/// `struct gpu_owner`: the connection of a memory server.
#[repr(C)]
#[derive(Debug)]
pub struct COwner {
    pub(crate) open: u64,
    pub(crate) body: [u64; OWNER_WORDS],
}

/// `struct gpu_backing`: the memory behind other clients' address spaces.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CBacking {
    /// Says what stands behind an address.
    pub lend: Option<
        unsafe extern "C" fn(
            cookie: *mut c_void,
            client: u32,
            at: u64,
            write: u32,
            memory: *mut Memory,
        ) -> c_int,
    >,
    /// Is told of what is the owner's again.
    pub back:
        Option<unsafe extern "C" fn(cookie: *mut c_void, client: u32, start: u64, end: u64, dirty: u64)>,
    /// Handed to both.
    pub cookie: *mut c_void,
}

/// `struct gpu_message`: a protected call, and what it returns.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Message {
    /// The operation; on return the error, 0 for none.
    pub label: u64,
    /// Message registers.
    pub words: [u64; 4],
    /// How many of them are meant.
    pub count: u64,
    /// The capability that goes with it, 0 for none.
    pub capability: u64,
}

/// `struct gpu_transport`: how to reach the driver.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Callbacks {
    /// Makes a protected call.
    pub call: Option<unsafe extern "C" fn(cookie: *mut c_void, message: *mut Message)>,
    /// Notifies the driver.
    pub notify: Option<unsafe extern "C" fn(cookie: *mut c_void)>,
    /// Sleeps until somebody notifies this domain.
    pub sleep: Option<unsafe extern "C" fn(cookie: *mut c_void)>,
    /// Handed to each of them.
    pub cookie: *mut c_void,
    /// The message area.
    pub message: *mut c_void,
    /// Its bytes.
    pub message_size: usize,
    /// The page of completed points.
    pub points: *const c_void,
    /// The rings; null if there are none.
    pub rings: *mut c_void,
    /// Their bytes.
    pub rings_size: usize,
}

/// `struct gpu_memory`: memory of the domain that it can lend.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// First byte in the domain's address space.
    pub address: u64,
    /// Bytes.
    pub size: u64,
    /// Capability of a CNode with its frames; 0 where they are lent by row.
    pub cnode: u64,
    /// Radix of that CNode.
    pub cnode_bits: u32,
    /// Base-two logarithm of a frame's size.
    pub page_bits: u32,
    /// Row of the driver's grant table.
    pub row: u64,
}

/// [`Memory::row`] of memory that has none.
pub const NO_ROW: u64 = u64::MAX;

impl Memory {
    pub(crate) fn lendable(&self) -> Lendable {
        let frames = match u32::try_from(self.row) {
            Ok(row) => Frames::Region { row },
            Err(_) if self.cnode != 0 => {
                Frames::Capabilities { cnode: self.cnode, bits: self.cnode_bits, page_bits: self.page_bits }
            }
            Err(_) => Frames::Foreign,
        };
        Lendable { address: self.address, size: self.size, frames }
    }

    pub(crate) fn of(lendable: &Lendable) -> Self {
        let Lendable { address, size, frames } = *lendable;
        let none = Self { address, size, row: NO_ROW, ..Self::default() };
        match frames {
            Frames::Capabilities { cnode, bits, page_bits } => {
                Self { cnode, cnode_bits: bits, page_bits, ..none }
            }
            Frames::Region { row } => Self { row: row.into(), ..none },
            Frames::Foreign => none,
        }
    }
}

/// `struct gpu_object`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CObject {
    /// The driver's number for it.
    pub handle: u32,
    /// 0.
    pub pad: u32,
    /// What is lent for it.
    pub memory: Memory,
}

impl CObject {
    pub(crate) fn object(&self) -> Object {
        Object::from_parts(self.handle, self.memory.lendable())
    }

    pub(crate) fn of(object: &Object) -> Self {
        let (handle, lendable) = object.parts();
        Self { handle, pad: 0, memory: Memory::of(&lendable) }
    }
}

/// `struct gpu_fence`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CFence {
    /// The point.
    pub point: u64,
    /// Index in the page of completed points.
    pub timeline: u32,
    /// 0.
    pub pad: u32,
}

/// `struct gpu_after`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct CAfter {
    /// What is waited for.
    pub fence: CFence,
    /// `GPU_COMPLETE` or `GPU_STARTED`.
    pub until: u32,
    /// 0.
    pub pad: u32,
}

/// `GPU_COMPLETE`.
pub const COMPLETE: u32 = 0;
/// `GPU_STARTED`.
pub const STARTED: u32 = 1;

/// `struct gpu_use`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CUse {
    /// The object.
    pub object: *const CObject,
    /// Its GPU virtual address.
    pub address: u64,
    /// `GPU_READ` or `GPU_WRITE`.
    pub access: u32,
    /// 0.
    pub pad: u32,
}

/// `GPU_READ`.
pub const READ: u32 = 0;
/// `GPU_WRITE`.
pub const WRITE: u32 = 1;

/// `struct gpu_batch`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CBatch {
    /// The context.
    pub context: u32,
    /// Slot of its map of engines.
    pub engine: u32,
    /// The object with the commands.
    pub code: CUse,
    /// First byte of the commands in it.
    pub start: u32,
    /// Their bytes.
    pub length: u32,
    /// What else the batch touches.
    pub objects: *const CUse,
    /// How many.
    pub object_count: usize,
    /// What it waits for.
    pub after: *const CAfter,
    /// How many.
    pub after_count: usize,
    /// Comes back in the answer of a queued batch.
    pub tag: u64,
}

/// `struct gpu_answer`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct CAnswer {
    /// [`CBatch::tag`].
    pub tag: u64,
    /// The fence that was reached.
    pub fence: CFence,
    /// 0, or why not: a negative errno.
    pub error: c_int,
    /// 0.
    pub pad: u32,
}

/// `struct gpu_step`: one step of the making of a context.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// `GPU_STEP_...`.
    pub kind: u32,
    /// A clone's source.
    pub source: u32,
    /// A parameter's number; a clone's flags.
    pub name: u64,
    /// A parameter's value.
    pub value: u64,
    /// A map of engines.
    pub map: *const CEngineMap,
    /// The engine that `sseu` is for.
    pub engine: *const CEngine,
    /// What it powers.
    pub sseu: *const CSseu,
}

/// `GPU_STEP_PARAM`.
pub const STEP_PARAM: u32 = 1;
/// `GPU_STEP_CLONE`.
pub const STEP_CLONE: u32 = 2;
/// `GPU_STEP_ENGINES`.
pub const STEP_ENGINES: u32 = 3;
/// `GPU_STEP_SINGLE_TIMELINE`.
pub const STEP_SINGLE_TIMELINE: u32 = 4;

/// `GPU_STEP_SSEU`.
pub const STEP_SSEU: u32 = 5;

/// `struct gpu_engine`, which is as the driver has it.
pub type CEngine = EngineClassInstance;

/// `GPU_BY_SLOT`.
pub const BY_SLOT: u16 = 0xfffe;

/// Which engine of a context an engine of C's names.
pub(crate) const fn place(engine: CEngine) -> Place {
    match engine.class {
        BY_SLOT => Place::Slot(engine.instance),
        _ => Place::Engine(engine),
    }
}

/// `struct gpu_balanced`: a slot that is any of several engines.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CBalanced {
    /// The engines.
    pub siblings: *const CEngine,
    /// How many.
    pub sibling_count: usize,
    /// Which slot of the map.
    pub slot: u16,
    /// 0.
    pub pad: [u16; 3],
}

/// `struct gpu_bond`: restricts a balanced slot.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CBond {
    /// Those of the slot's siblings that go with `master`.
    pub engines: *const CEngine,
    /// How many.
    pub engine_count: usize,
    /// The engine of the other batch.
    pub master: CEngine,
    /// Which slot of the map.
    pub slot: u16,
    /// 0.
    pub pad: u16,
}

/// `struct gpu_engine_map`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CEngineMap {
    /// One engine a slot.
    pub slots: *const CEngine,
    /// How many.
    pub slot_count: usize,
    /// Its slots that are several engines.
    pub balanced: *const CBalanced,
    /// How many.
    pub balanced_count: usize,
    /// What restricts those.
    pub bonds: *const CBond,
    /// How many.
    pub bond_count: usize,
}

/// `struct gpu_sseu`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CSseu {
    /// A bit for each slice.
    pub slices: u64,
    /// A bit for each subslice of every slice.
    pub subslices: u64,
    /// Fewest execution units of a subslice.
    pub min_eus: u16,
    /// Most of them.
    pub max_eus: u16,
    /// 0.
    pub pad: u32,
}

impl CSseu {
    pub(crate) const fn of(Sseu { slices, subslices, min_eus, max_eus }: Sseu) -> Self {
        Self { slices, subslices, min_eus, max_eus, pad: 0 }
    }

    pub(crate) fn sseu(self) -> Result<Sseu, Failure> {
        let Self { slices, subslices, min_eus, max_eus, pad } = self;
        zero(&[pad])?;
        Ok(Sseu { slices, subslices, min_eus, max_eus })
    }
}

/// `struct gpu_resets`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CResets {
    /// Resets of the GPU that the client may know of.
    pub resets: u64,
    /// Batches that hung.
    pub guilty: u64,
    /// Batches that were disturbed by others' hangs.
    pub innocent: u64,
}

/// `struct gpu_commands`: a batch under construction.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CCommands {
    /// Where the dwords go.
    pub dwords: *mut u32,
    /// How many there is room for.
    pub capacity: usize,
    /// How many there are.
    pub used: usize,
}

/// `struct gpu_surface`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CSurface {
    /// GPU virtual address of the first pixel.
    pub address: u64,
    /// Bytes from one row to the next.
    pub pitch: u32,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// 0.
    pub pad: u32,
}

/// `struct gpu_rectangle`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CRectangle {
    /// Left.
    pub x0: u32,
    /// Top.
    pub y0: u32,
    /// Right, exclusive.
    pub x1: u32,
    /// Bottom, exclusive.
    pub y1: u32,
}

/// Whether reserved fields are 0.
pub(crate) fn zero(fields: &[u32]) -> Result<(), Failure> {
    if fields.iter().all(|field| *field == 0) { Ok(()) } else { Err(Failure::INVALID) }
}
