// SPDX-License-Identifier: BSD-2-Clause
//! What `cap_lender` and `cap_borrower` agree on.

/// Bytes of a page.
pub const PAGE_BYTES: usize = 4096;
/// Words of a page.
pub const PAGE_WORDS: usize = PAGE_BYTES / 8;
/// Bytes at the start of a page that the device copies.
pub const COPIED_BYTES: usize = crate::edu::BUFFER_SIZE;
/// Pages of the region that is lent for reading and writing.
pub const PAGES: usize = 4;

/// Call: here is a CNode with the frames of all those pages; copy the first page to the second.
pub const LEND_ALL: u64 = 1;
/// Call: here is a CNode with one frame that is only to be read; copy it to the third page, and try to overwrite it.
pub const LEND_READ_ONLY: u64 = 2;
/// Call: the last page has been revoked; see that it has gone, and try to overwrite it.
pub const LAST_IS_GONE: u64 = 3;
/// Call: give the second page back, and try to overwrite it.
pub const GIVE_BACK_SECOND: u64 = 4;
/// Answer: as you say.
pub const DONE: u64 = 100;
