// SPDX-License-Identifier: BSD-2-Clause
//! Buffer objects in the driver's memory: made, read and written by message, asked whether the GPU is done with them.
//!
//! Structures as in i915 (`drm_i915_gem_create`, `drm_i915_gem_pread`, `drm_i915_gem_pwrite`, `drm_i915_gem_busy`,
//! `drm_i915_gem_wait`), with a pointer read as an offset in the message area.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Makes an object in the driver's memory, full of zeros.
///
/// `EINVAL`: no bytes; `E2BIG`: more than a GPU address space has; `ENOMEM`: more than the client may have, or than
/// there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GemCreate {
    /// Bytes; the object has whole pages.
    pub size: u64,
    /// Ignored; the handle is in the reply.
    pub handle: u32,
    /// 0.
    pub pad: u32,
}

/// Copies bytes out of an object, or into one, between it and the message area.
///
/// In this order: `EINVAL`: `pad`; success, without a look at the rest: no bytes; `EFAULT`: the bytes are not in the
/// message area; `ENOENT`; `EINVAL`: they are not in the object, or it is made of lent pages, which their owner reads
/// and writes by himself; `EAGAIN`: the GPU has not finished with it, and the caller is notified when it has. Reading
/// waits for batches that write the object, writing for all that use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GemTransfer {
    /// The object.
    pub handle: u32,
    /// 0.
    pub pad: u32,
    /// First byte in the object.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// First byte in the message area.
    pub data: u64,
}

/// Asks which engines use an object. `ENOENT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GemBusy {
    /// The object.
    pub handle: u32,
    /// Ignored; the answer is in the reply.
    pub busy: u32,
}

impl GemBusy {
    /// The answer about an object that batches of these classes of engines read (bit `n`: class `n`), one of which
    /// writes it, if any: the writer's class plus 1 in the lower half, the readers in the upper.
    #[must_use]
    pub const fn answer(readers: u16, writer: Option<u16>) -> u32 {
        let writer = match writer {
            Some(class) => class as u32 + 1,
            None => 0,
        };
        (readers as u32) << 16 | writer
    }
}

/// Asks whether the GPU is done with an object.
///
/// `EINVAL`: flags; `ENOENT`; `ETIME`: it is not, and `timeout_ns` is 0. With any other timeout `EAGAIN`: the caller is
/// notified when it is. The driver makes nobody wait, so that how long that may take is the caller's to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GemWait {
    /// The object.
    pub handle: u32,
    /// 0.
    pub flags: u32,
    /// 0: only look.
    pub timeout_ns: i64,
}

#[cfg(test)]
mod tests {
    use core::mem::{offset_of, size_of};

    use super::*;

    #[test]
    fn structures_of_buffer_objects_have_i915s_layout() {
        assert_eq!((size_of::<GemCreate>(), offset_of!(GemCreate, handle)), (16, 8));
        assert_eq!(size_of::<GemTransfer>(), 32);
        let offsets =
            [offset_of!(GemTransfer, offset), offset_of!(GemTransfer, size), offset_of!(GemTransfer, data)];
        assert_eq!(offsets, [8, 16, 24]);
        assert_eq!((size_of::<GemBusy>(), offset_of!(GemBusy, busy)), (8, 4));
        assert_eq!((size_of::<GemWait>(), offset_of!(GemWait, timeout_ns)), (16, 8));
    }

    #[test]
    fn structures_of_buffer_objects_are_these_bytes() {
        let create = GemCreate { size: 0x1122_3344_5566_7788, handle: 1, pad: 2 };
        assert_eq!(
            create.as_bytes(),
            [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 1, 0, 0, 0, 2, 0, 0, 0]
        );
        let transfer = GemTransfer { handle: 1, pad: 2, offset: 3, size: 4, data: 5 };
        let mut bytes = [0; 32];
        for (at, value) in [(0, 1), (4, 2), (8, 3), (16, 4), (24, 5)] {
            bytes[at] = value;
        }
        assert_eq!(transfer.as_bytes(), bytes);
        assert_eq!(GemBusy { handle: 7, busy: 8 }.as_bytes(), [7, 0, 0, 0, 8, 0, 0, 0]);
        let wait = GemWait { handle: 9, flags: 0, timeout_ns: -1 };
        assert_eq!(wait.as_bytes()[..8], [9, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(wait.as_bytes()[8..], [0xff; 8]);
    }

    #[test]
    fn an_answer_has_the_writers_class_plus_one_below_and_a_bit_for_each_reader_above() {
        assert_eq!(GemBusy::answer(0, None), 0);
        assert_eq!(GemBusy::answer(0b10, None), 0x2_0000);
        assert_eq!(GemBusy::answer(0b11, Some(1)), 0x3_0002);
    }
}
