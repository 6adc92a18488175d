// SPDX-License-Identifier: BSD-2-Clause
//! Where each field of each operation's argument is among its bytes, little-endian; an operation that is not here does not
//! compile. The bytes are 1, 2, 3 and so on, so that a field that moves reads as another number.

#![allow(clippy::unwrap_used, reason = "tests")]

use gpu_protocol::{
    Bond, Connect, ContextCreate, ContextDestroy, ContextParam, ContextSseu, CreateClone, CreateSetParam,
    EnginesHeader, Fence, GemBusy, GemClose, GemCreate, GemExport, GemImport, GemTransfer, GemWait, GetParam,
    Grant, GrantEntry, GrantRegion, Invalidate, InvalidateStatus, LoadBalance, Operation, ReadErrorState,
    Refuse, ResetStats, RingAnswer, RingRequest, Submit, SubmitObject, UserptrCreate, VmCreate, VmDestroy,
};
use zerocopy::{FromBytes as _, IntoBytes as _};

/// Checks that a structure has these fields at these places, and no byte besides; its size.
macro_rules! layout {
    ($type:ty, $($($field:ident).+: $word:ty = $at:literal),+ $(,)?) => {{
        let name = stringify!($type);
        let bytes: Vec<u8> = (1..=u8::try_from(size_of::<$type>()).unwrap()).collect();
        let value = <$type>::read_from_bytes(&bytes).unwrap();
        let mut told = 0;
        $(
            let word: $word = value.$($field).+;
            let place = $at..$at + size_of::<$word>();
            assert_eq!(word.to_le_bytes()[..], bytes[place], "{name}: {}", stringify!($($field).+));
            told += size_of::<$word>();
        )+
        assert_eq!(told, bytes.len(), "{name} has bytes of no field");
        assert_eq!(value.as_bytes(), bytes, "{name}");
        bytes.len()
    }};
}

/// Checks the argument of an operation; its bytes.
fn argument(operation: Operation) -> usize {
    match operation {
        Operation::Connect => layout!(Connect, version: u32 = 0, flags: u32 = 4),
        Operation::GetParam => layout!(GetParam, param: u64 = 0),
        Operation::VmCreate => layout!(VmCreate, extensions: u64 = 0, flags: u32 = 8, vm_id: u32 = 12),
        Operation::VmDestroy => layout!(VmDestroy, extensions: u64 = 0, flags: u32 = 8, vm_id: u32 = 12),
        Operation::ContextCreate => {
            layout!(ContextCreate, ctx_id: u32 = 0, flags: u32 = 4, extensions: u64 = 8)
        }
        Operation::ContextDestroy => layout!(ContextDestroy, ctx_id: u32 = 0, pad: u32 = 4),
        Operation::ContextSetParam | Operation::ContextGetParam => {
            layout!(ContextParam, ctx_id: u32 = 0, size: u32 = 4, param: u64 = 8, value: u64 = 16)
        }
        Operation::ContextResetStats => layout!(
            ResetStats,
            ctx_id: u32 = 0, flags: u32 = 4, reset_count: u32 = 8, batch_active: u32 = 12, batch_pending: u32 = 16,
            pad: u32 = 20,
        ),
        Operation::UserptrCreate => {
            layout!(UserptrCreate, user_ptr: u64 = 0, user_size: u64 = 8, flags: u32 = 16, handle: u32 = 20)
        }
        Operation::GemClose => layout!(GemClose, handle: u32 = 0, pad: u32 = 4),
        Operation::GemExport => layout!(GemExport, handle: u32 = 0, peer: u32 = 4),
        Operation::GemImport => layout!(GemImport, name: u64 = 0),
        Operation::GemCreate => layout!(GemCreate, size: u64 = 0, handle: u32 = 8, pad: u32 = 12),
        Operation::GemRead | Operation::GemWrite => layout!(
            GemTransfer,
            handle: u32 = 0, pad: u32 = 4, offset: u64 = 8, size: u64 = 16, data: u64 = 24,
        ),
        Operation::GemBusy => layout!(GemBusy, handle: u32 = 0, busy: u32 = 4),
        Operation::GemWait => layout!(GemWait, handle: u32 = 0, flags: u32 = 4, timeout_ns: i64 = 8),
        Operation::Submit => layout!(
            Submit,
            context: u32 = 0, engine: u32 = 4, objects: u64 = 8, object_count: u32 = 16, batch_start: u32 = 20,
            batch_len: u32 = 24, flags: u32 = 28, fences: u64 = 32, fence_count: u32 = 40, rsvd: u32 = 44,
        ),
        Operation::ErrorState => {
            layout!(ReadErrorState, offset: u64 = 0, buffer: u64 = 8, length: u32 = 16, flags: u32 = 20)
        }
        Operation::NextPageRequest => 0,
        Operation::GrantCnode | Operation::GrantFrame => layout!(
            Grant,
            address: u64 = 0, sequence: u64 = 8, first: u32 = 16, count: u32 = 20, page_bits: u32 = 24,
            cnode_bits: u32 = 28, flags: u32 = 32, rsvd: u32 = 36,
        ),
        Operation::Refuse => {
            layout!(Refuse, address: u64 = 0, sequence: u64 = 8, errno: u32 = 16, rsvd: u32 = 20)
        }
        Operation::GrantRegion => layout!(
            GrantRegion,
            address: u64 = 0, sequence: u64 = 8, offset: u64 = 16, region: u32 = 24, count: u32 = 28, flags: u32 = 32,
            rsvd: u32 = 36,
        ),
        Operation::Invalidate => {
            layout!(Invalidate, start: u64 = 0, end: u64 = 8, space: u32 = 16, flags: u32 = 20)
        }
        Operation::InvalidateStatus => {
            layout!(InvalidateStatus, ticket: u64 = 0, space: u32 = 8, rsvd: u32 = 12)
        }
    }
}

#[test]
fn every_operations_argument_is_these_bytes() {
    let sizes: Vec<_> = Operation::ALL.into_iter().map(argument).collect();
    let expected =
        [8, 8, 16, 16, 16, 8, 24, 24, 24, 24, 8, 8, 8, 16, 32, 32, 8, 16, 48, 24, 0, 40, 40, 24, 40, 24, 16];
    assert_eq!(sizes, expected);
}

/// The header that every extension begins with: 32 bytes, of which the last 16 are reserved.
macro_rules! extension {
    ($type:ty, $($rest:tt)*) => {{
        let bytes: Vec<u8> = (1..=u8::try_from(size_of::<$type>()).unwrap()).collect();
        let value = <$type>::read_from_bytes(&bytes).unwrap();
        assert_eq!(value.base.next.to_le_bytes()[..], bytes[..8]);
        assert_eq!(value.base.name.to_le_bytes()[..], bytes[8..12]);
        assert_eq!(value.base.flags.to_le_bytes()[..], bytes[12..16]);
        assert_eq!(value.base.rsvd.as_bytes(), &bytes[16..32]);
        fields!(value, bytes, $($rest)*);
    }};
}

/// Fields of a value at these places among its bytes.
macro_rules! fields {
    ($value:ident, $bytes:ident, $($($field:ident).+: $word:ty = $at:literal),+ $(,)?) => {
        $(
            let word: $word = $value.$($field).+;
            let place = $at..$at + size_of::<$word>();
            assert_eq!(word.to_le_bytes()[..], $bytes[place], "{}", stringify!($($field).+));
        )+
    };
}

#[test]
fn what_arguments_point_to_is_these_bytes() {
    layout!(SubmitObject, handle: u32 = 0, flags: u32 = 4, address: u64 = 8);
    layout!(Fence, timeline: u32 = 0, flags: u32 = 4, point: u64 = 8);
    layout!(EnginesHeader, extensions: u64 = 0);
    layout!(
        ContextSseu,
        engine.class: u16 = 0, engine.instance: u16 = 2, flags: u32 = 4, slice_mask: u64 = 8, subslice_mask: u64 = 16,
        min_eus_per_subslice: u16 = 24, max_eus_per_subslice: u16 = 26, rsvd: u32 = 28,
    );
    layout!(GrantEntry, channel: u64 = 0, paddr: u64 = 8, size: u64 = 16, rights: u64 = 24);
    extension!(
        CreateSetParam,
        param.ctx_id: u32 = 32, param.size: u32 = 36, param.param: u64 = 40, param.value: u64 = 48,
    );
    extension!(CreateClone, clone_id: u32 = 32, flags: u32 = 36, rsvd: u64 = 40);
    extension!(LoadBalance, engine_index: u16 = 32, num_siblings: u16 = 34, flags: u32 = 36, mbz: u64 = 40);
    extension!(
        Bond,
        master.class: u16 = 32, master.instance: u16 = 34, virtual_index: u16 = 36, num_bonds: u16 = 38, flags: u64 = 40,
    );
}

#[test]
fn entries_of_the_rings_are_these_bytes() {
    let bytes: Vec<u8> = (1..=64).collect();
    let request = RingRequest::read_from_bytes(&bytes).unwrap();
    assert_eq!(request.submit.as_bytes(), &bytes[..48], "a submission, as in a call");
    fields!(request, bytes, user: u64 = 48, flags: u32 = 56, rsvd: u32 = 60);
    layout!(RingAnswer, user: u64 = 0, point: u64 = 8, timeline: u32 = 16, errno: u32 = 20, rsvd: u64 = 24);
}
