// SPDX-License-Identifier: BSD-2-Clause
//! What `restarter` and those that it starts over have in common: a page that outlives their lives.

/// Bytes of the page.
pub const STAGE_BYTES: usize = 4096;
/// Where it says which life this is, counted from 0.
pub const LIFE: usize = 0;
/// Where the child says where it starts.
pub const ENTRY: usize = 8;
/// Where the client of `restarted_server` has its pages.
pub const CLIENT_PAGES: u64 = 0x4000_0000;

/// Where the calling domain starts.
#[must_use]
#[allow(unsafe_code, reason = "the entry point's address is asked for, and nothing else")]
pub fn entry() -> u64 {
    unsafe extern "C" {
        fn _start() -> !;
    }
    _start as *const () as u64
}
