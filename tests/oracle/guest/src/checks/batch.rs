// SPDX-License-Identifier: BSD-2-Clause
//! Command streams, from what the PRM says about each command (vol 2a, MI and blitter commands, Gen9 and Gen12).

/// Commands as they lie in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch(pub(super) Vec<u32>);

/// The halves of an address.
#[allow(clippy::cast_possible_truncation, reason = "CAST: the halves of an address")]
fn halves(address: u64) -> [u32; 2] {
    [address as u32, (address >> 32) as u32]
}

/// Comparisons of MI_SEMAPHORE_WAIT.
const EQUAL: u32 = 4;

impl Batch {
    pub(super) fn new() -> Self {
        Self::default()
    }

    fn with(mut self, dwords: impl IntoIterator<Item = u32>) -> Self {
        self.0.extend(dwords);
        self
    }

    fn with_address(self, header: u32, address: u64) -> Self {
        self.with([header]).with(halves(address))
    }

    /// MI_STORE_DWORD_IMM.
    pub(super) fn store(self, address: u64, value: u32) -> Self {
        self.with_address(0x20 << 23 | 2, address).with([value])
    }

    /// MI_STORE_REGISTER_MEM.
    pub(super) fn store_register(self, register: u32, address: u64) -> Self {
        self.with([0x24 << 23 | 2, register]).with(halves(address))
    }

    /// MI_LOAD_REGISTER_IMM.
    pub(super) fn load_register(self, register: u32, value: u32) -> Self {
        self.with([0x22 << 23 | 1, register, value])
    }

    /// MI_MATH of these operations.
    pub(super) fn math(self, operations: &[u32]) -> Self {
        // CAST: a handful.
        let length = u32::try_from(operations.len()).unwrap_or(1) - 1;
        self.with([0x1a << 23 | length]).with(operations.iter().copied())
    }

    /// MI_ARB_CHECK: here a running context may be replaced.
    pub(super) fn arbitrate(self) -> Self {
        self.with([0x05 << 23])
    }

    /// MI_SEMAPHORE_WAIT: polls until memory is equal to the value.
    pub(super) fn wait_equal(self, address: u64, value: u32) -> Self {
        self.with([0x1c << 23 | 1 << 15 | EQUAL << 12 | 2, value]).with(halves(address))
    }

    /// MI_BATCH_BUFFER_START of the first level, in the context's address space.
    pub(super) fn jump(self, address: u64) -> Self {
        self.with_address(0x31 << 23 | 1 << 8 | 1, address)
    }

    /// MI_BATCH_BUFFER_END, and one more dword where needed: batches are whole quadwords.
    pub(super) fn end(self) -> Self {
        let batch = self.with([0x0a << 23]);
        if batch.0.len() % 2 == 1 { batch.with([0]) } else { batch }
    }

    /// XY_COLOR_BLT: fills a rectangle of pixels of 32 bits.
    pub(super) fn fill(self, target: Surface, area: Area, colour: u32) -> Self {
        /// 32 bits for a pixel; the raster operation that takes the colour.
        const MODE: u32 = 3 << 24 | 0xf0 << 16;
        self.with([2 << 29 | 0x50 << 22 | 3 << 20 | 5, MODE | target.pitch])
            .with(area.corners())
            .with(halves(target.address))
            .with([colour])
    }

    /// XY_SRC_COPY_BLT: copies to `area` of the target from the source's pixel `from`.
    pub(super) fn copy(self, target: Surface, area: Area, source: Surface, from: (u32, u32)) -> Self {
        /// 32 bits for a pixel; the raster operation that takes the source.
        const MODE: u32 = 3 << 24 | 0xcc << 16;
        self.with([2 << 29 | 0x53 << 22 | 3 << 20 | 8, MODE | target.pitch])
            .with(area.corners())
            .with(halves(target.address))
            .with([from.1 << 16 | from.0, source.pitch])
            .with(halves(source.address))
    }
}

/// Pixels in memory, linear; the pitch in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surface {
    pub(super) address: u64,
    pub(super) pitch: u32,
}

/// A rectangle; the right and bottom edges are outside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) right: u32,
    pub(super) bottom: u32,
}

impl Area {
    fn corners(self) -> [u32; 2] {
        [self.top << 16 | self.left, self.bottom << 16 | self.right]
    }

    pub(super) fn contains(self, x: u32, y: u32) -> bool {
        (self.left..self.right).contains(&x) && (self.top..self.bottom).contains(&y)
    }
}
