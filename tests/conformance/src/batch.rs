// SPDX-License-Identifier: BSD-2-Clause
//! Batches out of single commands. Encodings: PRM vol 2a, command reference.

/// `MI_BATCH_BUFFER_END`.
pub const END: u32 = 0x0500_0000;

#[allow(clippy::cast_possible_truncation)]
const fn halves(address: u64) -> [u32; 2] {
    // CAST: the two halves of the address.
    [address as u32, (address >> 32) as u32]
}

/// Stores one dword, then ends (`MI_STORE_DATA_IMM`).
#[must_use]
pub const fn store(to: u64, value: u32) -> [u32; 6] {
    let [low, high] = halves(to);
    [0x1000_0002, low, high, value, END, 0]
}

/// Waits until the dword at `gate` equals `value`, stores another one, then ends (`MI_SEMAPHORE_WAIT` in
/// polling mode; with a wait token where the platform has one).
#[must_use]
pub fn gated_store(platform: &str, gate: u64, value: u32, to: u64, stored: u32) -> Vec<u32> {
    let [low, high] = halves(gate);
    let token = matches!(platform, "tgl" | "rkl" | "adls");
    let header = 0x1c << 23 | 1 << 15 | 4 << 12 | if token { 3 } else { 2 };
    // Without a token, the fifth dword is a no-operation of its own.
    let mut batch = vec![header, value, low, high, 0, 0];
    batch.extend(store(to, stored));
    batch
}

/// Jumps to itself for ever (`MI_BATCH_BUFFER_START` in the PPGTT).
#[must_use]
pub const fn endless(at: u64) -> [u32; 4] {
    let [low, high] = halves(at);
    [0x31 << 23 | 1 << 8 | 1, low, high, 0]
}

/// Fills a rectangle of 32-bit pixels (`XY_COLOR_BLT`).
#[must_use]
pub const fn fill(to: u64, pitch: u32, corners: [u32; 4], colour: u32) -> [u32; 7] {
    let [low, high] = halves(to);
    let [x0, y0, x1, y1] = corners;
    [0x5430_0005, 3 << 24 | 0xf0 << 16 | pitch, y0 << 16 | x0, y1 << 16 | x1, low, high, colour]
}
