// SPDX-License-Identifier: BSD-2-Clause
//! What the initialiser has to know before it can read a specification.
//!
//! The image tool writes it over a variable of the initialiser, named [`SYMBOL`], of three words: address of the
//! specification, its length in bytes, and how to end after a failure.

/// Name of the variable.
pub const SYMBOL: &str = "image_spec_place";

/// Name of another variable, for messages about memory that the machine does not have: the name of the board file, and
/// three words, the lines of its `memory` and of the first of its `[[ram]]` and `[[device]]`, counted from 1.
pub const BOARD_SYMBOL: &str = "image_board_file";
/// Bytes of that name, filled up with zeros.
pub const BOARD_NAME: usize = 64;

/// What the initialiser does after it has reported that it cannot go on: it writes to an I/O port, by which a
/// virtual machine ends with an exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureExit {
    /// The port, 32 bits wide.
    pub port: u16,
    /// What to write.
    pub value: u32,
}

/// Set when there is such a port.
const PRESENT: u64 = 1 << 48;

impl FailureExit {
    /// The word that stands for it.
    #[must_use]
    pub fn to_word(exit: Option<Self>) -> u64 {
        exit.map_or(0, |Self { port, value }| PRESENT | u64::from(port) << 32 | u64::from(value))
    }

    /// What a word stands for.
    #[must_use]
    pub fn from_word(word: u64) -> Option<Self> {
        let [a, b, c, d, e, f, ..] = word.to_le_bytes();
        let (port, value) = (u16::from_le_bytes([e, f]), u32::from_le_bytes([a, b, c, d]));
        (word & PRESENT != 0).then_some(Self { port, value })
    }
}
