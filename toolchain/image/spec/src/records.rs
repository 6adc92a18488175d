// SPDX-License-Identifier: BSD-2-Clause
//! The records of a specification. Object indices are `u32`, addresses are bytes.

use crate::codec::{Field, record, wire_enum};

record! {
    /// A piece of the string pool.
    pub struct Name {
        /// First byte in the pool.
        pub offset: u32,
        /// Bytes.
        pub len: u16,
    }
}

wire_enum! {
    /// Which level of a paging structure a table is.
    pub enum PagingLevel {
        /// Covers 512 GiB.
        Pdpt = 0,
        /// Covers 1 GiB.
        PageDirectory = 1,
        /// Covers 2 MiB.
        PageTable = 2,
    }
}

wire_enum! {
    /// How an interrupt line signals.
    pub enum IrqTrigger {
        /// On a transition.
        Edge = 0,
        /// While active.
        Level = 1,
    }
}

wire_enum! {
    /// When an interrupt line is active.
    pub enum Polarity {
        /// While high.
        High = 0,
        /// While low.
        Low = 1,
    }
}

/// What a capability, or a mapping through it, permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Read, or receive.
    pub read: bool,
    /// Write, or send.
    pub write: bool,
    /// Send capabilities.
    pub grant: bool,
}

impl Rights {
    /// Everything.
    pub const ALL: Self = Self { read: true, write: true, grant: true };
    /// Read a frame.
    pub const READ: Self = Self { read: true, write: false, grant: false };
    /// Read and write a frame.
    pub const READ_WRITE: Self = Self { read: true, write: true, grant: false };
    /// Signal a notification.
    pub const SIGNAL: Self = Self { read: false, write: true, grant: false };
    /// Send and call on an endpoint.
    pub const SEND: Self = Self { read: false, write: true, grant: true };
}

impl Field for Rights {
    const SIZE: usize = 1;

    fn get(bytes: &mut &[u8]) -> Option<Self> {
        let bits = u8::get(bytes)?;
        (bits < 8).then_some(Self { read: bits & 1 != 0, write: bits & 2 != 0, grant: bits & 4 != 0 })
    }

    #[cfg(feature = "write")]
    fn put(&self, out: &mut alloc::vec::Vec<u8>) {
        out.push(u8::from(self.read) | u8::from(self.write) << 1 | u8::from(self.grant) << 2);
    }
}

/// Where frames lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Physical address.
    pub paddr: u64,
    /// Whether that is device memory. It is never cleared or written at boot.
    pub device: bool,
}

/// Something that capabilities can stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// An endpoint.
    Endpoint,
    /// A notification.
    Notification,
    /// A thread control block.
    Tcb,
    /// A CNode with 2^`radix` slots.
    CNode {
        /// log2 of the number of slots.
        radix: u8,
    },
    /// The root of an address space.
    VSpace,
    /// A table below the root of an address space.
    Paging(PagingLevel),
    /// `count` frames of like size; the only object that has more than one capability.
    Frames {
        /// [`SMALL_PAGE_BITS`](crate::SMALL_PAGE_BITS) or [`LARGE_PAGE_BITS`](crate::LARGE_PAGE_BITS).
        size_bits: u8,
        /// How many.
        count: u32,
        /// Where the first lies when it matters; the others follow without a gap.
        at: Option<Location>,
    },
    /// The I/O address space of one device.
    IoSpace {
        /// PCI requester id: bus << 8 | device << 3 | function.
        requester: u16,
        /// Domain id of the I/O memory management unit; not 0.
        domain: u16,
    },
    /// A range of I/O ports.
    IoPorts {
        /// First port.
        first: u16,
        /// Last port, inclusive.
        last: u16,
    },
    /// The handler of an interrupt line.
    IoApicIrq {
        /// Which I/O APIC.
        ioapic: u8,
        /// Which of its pins.
        pin: u8,
        /// How the line signals.
        trigger: IrqTrigger,
        /// When the line is active.
        polarity: Polarity,
        /// Vector, counted from the first one for users.
        vector: u8,
    },
    /// The handler of a message-signalled interrupt.
    MsiIrq {
        /// PCI requester id of the device.
        requester: u16,
        /// Handle, free for the user's choice.
        handle: u32,
        /// Vector, counted from the first one for users.
        vector: u8,
    },
}

impl Object {
    /// How many capabilities stand for this entry.
    #[must_use]
    pub fn cap_count(self) -> u32 {
        match self {
            Self::Frames { count, .. } => count,
            _ => 1,
        }
    }

    /// Bytes that a run of frames covers; 0 for everything else.
    #[must_use]
    pub fn frame_bytes(self) -> u64 {
        match self {
            Self::Frames { size_bits, count, .. } => u64::from(count) << size_bits.min(32),
            _ => 0,
        }
    }
}

/// The common shape of all objects: tag, three small values, one large.
type RawObject = (u8, u8, u16, u32, u64);

impl Object {
    fn from_raw(raw: RawObject) -> Option<Self> {
        let object = match raw {
            (0, 0, 0, 0, 0) => Self::Endpoint,
            (1, 0, 0, 0, 0) => Self::Notification,
            (2, 0, 0, 0, 0) => Self::Tcb,
            (3, radix, 0, 0, 0) => Self::CNode { radix },
            (4, 0, 0, 0, 0) => Self::VSpace,
            (5, level, 0, 0, 0) => Self::Paging(PagingLevel::get(&mut &[level][..])?),
            (6, size_bits, 0, count, 0) => Self::Frames { size_bits, count, at: None },
            (6, size_bits, kind @ (1 | 2), count, paddr) => {
                Self::Frames { size_bits, count, at: Some(Location { paddr, device: kind == 2 }) }
            }
            (7, 0, requester, domain, 0) => Self::IoSpace { requester, domain: u16::try_from(domain).ok()? },
            (8, 0, first, last, 0) => Self::IoPorts { first, last: u16::try_from(last).ok()? },
            (9, vector, line, modes, 0) => {
                let [ioapic, pin] = line.to_le_bytes();
                let [trigger, polarity, 0, 0] = modes.to_le_bytes() else { return None };
                Self::IoApicIrq {
                    ioapic,
                    pin,
                    trigger: IrqTrigger::get(&mut &[trigger][..])?,
                    polarity: Polarity::get(&mut &[polarity][..])?,
                    vector,
                }
            }
            (10, vector, requester, handle, 0) => Self::MsiIrq { requester, handle, vector },
            _ => return None,
        };
        Some(object)
    }

    #[cfg(feature = "write")]
    fn to_raw(self) -> RawObject {
        match self {
            Self::Endpoint => (0, 0, 0, 0, 0),
            Self::Notification => (1, 0, 0, 0, 0),
            Self::Tcb => (2, 0, 0, 0, 0),
            Self::CNode { radix } => (3, radix, 0, 0, 0),
            Self::VSpace => (4, 0, 0, 0, 0),
            Self::Paging(level) => (5, level as u8, 0, 0, 0),
            Self::Frames { size_bits, count, at: None } => (6, size_bits, 0, count, 0),
            Self::Frames { size_bits, count, at: Some(Location { paddr, device }) } => {
                (6, size_bits, 1 + u16::from(device), count, paddr)
            }
            Self::IoSpace { requester, domain } => (7, 0, requester, u32::from(domain), 0),
            Self::IoPorts { first, last } => (8, 0, first, u32::from(last), 0),
            Self::IoApicIrq { ioapic, pin, trigger, polarity, vector } => (
                9,
                vector,
                u16::from_le_bytes([ioapic, pin]),
                u32::from_le_bytes([trigger as u8, polarity as u8, 0, 0]),
                0,
            ),
            Self::MsiIrq { requester, handle, vector } => (10, vector, requester, handle, 0),
        }
    }
}

impl Field for Object {
    const SIZE: usize = 16;

    fn get(bytes: &mut &[u8]) -> Option<Self> {
        Self::from_raw((
            u8::get(bytes)?,
            u8::get(bytes)?,
            u16::get(bytes)?,
            u32::get(bytes)?,
            u64::get(bytes)?,
        ))
    }

    #[cfg(feature = "write")]
    fn put(&self, out: &mut alloc::vec::Vec<u8>) {
        let (tag, a, b, c, d) = self.to_raw();
        tag.put(out);
        a.put(out);
        b.put(out);
        c.put(out);
        d.put(out);
    }
}

record! {
    /// An entry of the object table.
    ///
    /// Runs of frames with a physical address come first, in ascending order, and do not overlap.
    pub struct NamedObject {
        /// What it is.
        pub object: Object,
        /// For messages.
        pub name: Name,
        /// Capability index of its first capability.
        pub first_cap: u32,
    }
}

record! {
    /// Bytes that a run of frames starts with; all other bytes of memory frames are zero.
    pub struct Fill {
        /// Object index of the frames.
        pub frames: u32,
        /// Byte within the run.
        pub offset: u64,
        /// First byte in the data pool.
        pub data: u32,
        /// Bytes.
        pub len: u32,
    }
}

record! {
    /// A paging structure and the place where it is hung in. A table stands after the table above it.
    pub struct PagingTable {
        /// Object index of the table.
        pub table: u32,
        /// Object index of the address space.
        pub vspace: u32,
        /// First address that it covers.
        pub vaddr: u64,
    }
}

record! {
    /// Consecutive frames at consecutive addresses.
    pub struct Map {
        /// Object index of the address space.
        pub vspace: u32,
        /// Object index of the frames.
        pub frames: u32,
        /// First frame of the run.
        pub first: u32,
        /// Number of frames.
        pub count: u32,
        /// Address of the first.
        pub vaddr: u64,
        /// What the mapping permits.
        pub rights: Rights,
        /// Whether the processor may cache it.
        pub cached: bool,
        /// Whether this mapping uses the frames' own capabilities rather than copies. At most one
        /// mapping of a frame does.
        pub original: bool,
    }
}

/// How the capability in a slot differs from the object's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapTransform {
    /// Only in its rights.
    Copy,
    /// It carries a badge.
    Badge(u64),
    /// It is a CNode capability with a guard of so many zero bits.
    Guard(u8),
    /// Not at all: it is the object's own, of a frame, with whatever mapping was made with it. All others of that
    /// frame are derived from it, so its holder can revoke them. Nothing else is made of it afterwards.
    Move,
}

impl Field for CapTransform {
    const SIZE: usize = 9;

    fn get(bytes: &mut &[u8]) -> Option<Self> {
        match (u8::get(bytes)?, u64::get(bytes)?) {
            (0, 0) => Some(Self::Copy),
            (1, badge) if badge != 0 => Some(Self::Badge(badge)),
            (2, bits) => Some(Self::Guard(u8::try_from(bits).ok()?)),
            (3, 0) => Some(Self::Move),
            _ => None,
        }
    }

    #[cfg(feature = "write")]
    fn put(&self, out: &mut alloc::vec::Vec<u8>) {
        let (tag, value) = match *self {
            Self::Copy => (0u8, 0),
            Self::Badge(badge) => (1, badge),
            Self::Guard(bits) => (2, u64::from(bits)),
            Self::Move => (3, 0),
        };
        tag.put(out);
        value.put(out);
    }
}

record! {
    /// A run of capabilities of one object in consecutive slots of a CNode.
    pub struct CapEntry {
        /// Object index of the CNode.
        pub cnode: u32,
        /// First slot.
        pub slot: u32,
        /// Object index of what the capabilities stand for.
        pub object: u32,
        /// First capability of the object.
        pub first: u32,
        /// Number of capabilities and slots.
        pub count: u32,
        /// What they permit.
        pub rights: Rights,
        /// How they differ otherwise.
        pub transform: CapTransform,
    }
}

record! {
    /// Where an interrupt goes.
    pub struct IrqBinding {
        /// Object index of the handler.
        pub irq: u32,
        /// Object index of the notification that it signals.
        pub notification: u32,
        /// With which badge.
        pub badge: u64,
    }
}

record! {
    /// I/O addresses that need page tables, because something is or will be mapped there.
    pub struct IoRange {
        /// Object index of the I/O address space.
        pub io_space: u32,
        /// Object index of the frames: large ones need no tables of the lowest level.
        pub frames: u32,
        /// First address, aligned to a page of that size.
        pub iova: u64,
        /// Bytes, a multiple of a page of that size.
        pub size: u64,
    }
}

record! {
    /// Small frames in an I/O address space.
    pub struct IoMap {
        /// Object index of the I/O address space.
        pub io_space: u32,
        /// Object index of the frames.
        pub frames: u32,
        /// I/O address of the first frame; all of the run are mapped.
        pub iova: u64,
        /// What the device may do.
        pub rights: Rights,
    }
}

record! {
    /// A protection domain's thread. The position in the table is the domain's number: its faults reach
    /// the monitor with badge number + 1.
    pub struct Thread {
        /// The domain's name.
        pub name: Name,
        /// Object index of the thread.
        pub tcb: u32,
        /// Object index of its root CNode.
        pub cspace: u32,
        /// Object index of its address space.
        pub vspace: u32,
        /// Object index of the frame of the IPC buffer.
        pub ipc_buffer: u32,
        /// Where the IPC buffer is mapped.
        pub ipc_buffer_vaddr: u64,
        /// Object index of the notification that it is bound to.
        pub notification: u32,
        /// Capability pointer, in its own capability space, of the endpoint for its faults.
        pub fault_endpoint: u64,
        /// Entry point.
        pub entry: u64,
        /// Initial stack pointer.
        pub stack_top: u64,
        /// Lowest address of the stack; the page below is never mapped.
        pub stack_bottom: u64,
        /// Priority, also the highest that it may give.
        pub priority: u8,
    }
}
