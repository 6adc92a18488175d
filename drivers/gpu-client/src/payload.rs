// SPDX-License-Identifier: BSD-2-Clause
//! Places in the part of the message area that calls use.

use crate::Error;
use crate::queue::CALLS;

/// Hands out one place after the other, each for a structure and what follows it.
#[derive(Debug)]
pub(crate) struct Payload {
    next: usize,
}

impl Payload {
    /// Begins at an offset of the message area.
    pub(crate) const fn at(offset: usize) -> Self {
        Self { next: offset }
    }

    /// Where the next place will be.
    pub(crate) const fn here(&self) -> u64 {
        self.next as u64
    }

    /// A place of that many bytes, aligned to 8.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where the part that the queue uses would begin.
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<usize, Error> {
        let at = self.next;
        let end = at.checked_add(bytes).filter(|end| *end <= CALLS).ok_or(Error::TooLarge)?;
        self.next = end.next_multiple_of(8);
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_aligned_and_end_before_the_queues() {
        let mut payload = Payload::at(256);
        assert_eq!(payload.reserve(12), Ok(256));
        assert_eq!(payload.here(), 272);
        assert_eq!(payload.reserve(CALLS - 272), Ok(272));
        assert_eq!(payload.reserve(1), Err(Error::TooLarge));
        assert_eq!(Payload::at(256).reserve(usize::MAX), Err(Error::TooLarge));
    }
}
