// SPDX-License-Identifier: BSD-2-Clause
//! A ring of fixed-size entries in memory that two domains share. One side, the [`Producer`], appends; the
//! other, the [`Consumer`], takes out. Neither waits for the other, neither trusts the other, and each is
//! woken only when it sleeps and there is something for it.
//!
//! # Memory
//!
//! Everything is 64-bit words that are read and written atomically ([`Words`]). Four of them, each on a
//! cache line of its own, say how the two stand; [`Layout`] has their places:
//!
//! | word | written by | meaning |
//! | --- | --- | --- |
//! | tail | producer | entries ever appended |
//! | head | consumer | entries ever taken out |
//! | wanted tail | consumer | 0, or: wake me when the tail passes this number less one |
//! | wanted head | producer | 0, or: wake me when the head passes this number less one |
//!
//! Indices count for ever (2^64 entries do not happen); an entry's slot is its index modulo the capacity,
//! a power of two.
//!
//! # No wake-up is lost
//!
//! ```text
//!   sleeper                                waker
//!   wanted := what it has seen             entries, then tail := new       (release)
//!   ─── fence (SeqCst) ───                 ─── fence (SeqCst) ───
//!   tail?  moved: do not sleep             wanted?  in old..new: notify
//! ```
//!
//! Of the two reads below the fences at least one sees the other side's write, so that either the sleeper
//! does not sleep or the waker notifies. A waker that moves the index twice notifies once, because the
//! second time the wanted number is not among those that it passes: a full ring costs one notification.
//! `tests/loom.rs` explores every interleaving of both directions, and shows that the fences are needed.
//!
//! # The other side may lie
//!
//! Each side keeps its own index in its own memory and takes from the shared words only what the *other*
//! one says, which must be possible ([`Corrupt`] otherwise). An entry is copied out once, and what is done
//! with it is done with the copy. Whatever the other side writes, an operation touches at most one slot and
//! ends at once.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod consumer;
mod layout;
mod pair;
mod producer;
mod words;

pub use consumer::Consumer;
pub use layout::Layout;
pub use pair::Pair;
pub use producer::{Producer, PushError};
pub use words::Words;

/// The other side's index is one that it cannot have come to: it has overwritten the ring, or lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

impl core::fmt::Display for Corrupt {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the ring's indices contradict each other")
    }
}

impl core::error::Error for Corrupt {}

/// Whether an index that goes from `old` to `new` passes what a sleeper waits for.
const fn passes(wanted: u64, old: u64, new: u64) -> bool {
    wanted != 0 && (wanted - 1).wrapping_sub(old) < new.wrapping_sub(old)
}

#[cfg(test)]
mod tests {
    use super::passes;

    #[test]
    fn an_index_passes_what_lies_behind_its_old_and_before_its_new_value() {
        assert!(!passes(0, 0, 10), "nobody waits");
        assert!(passes(1, 0, 1), "waits for the first entry");
        assert!(passes(5, 3, 5) && passes(4, 3, 5));
        assert!(!passes(4, 4, 5), "passed before");
        assert!(!passes(6, 3, 5), "not reached yet");
        assert!(!passes(4, 3, 3), "nothing moves");
    }
}
