// SPDX-License-Identifier: BSD-2-Clause
//! Translation caches, one per engine, that keep what they have until they are told to forget it.
//!
//! A real TLB forgets by chance; this one does not, so that a missing invalidation always shows. Entries belong
//! to an address space: the GGTT, or the tables that a context names. They stay when the tables change, when the
//! context is switched out, and when its tables are freed. Absent entries are not cached.

use std::collections::HashMap;

use crate::ppgtt::Root;

/// Entries of the first, direct-mapped level.
const FRONT: usize = 256;
/// More cached pages than this, and the TLB starts afresh.
const LIMIT: usize = 1 << 18;
/// More address spaces than this, and the TLB starts afresh.
pub(crate) const SPACES: usize = 4096;
/// Address space number of the GGTT.
const GGTT: u32 = 0;

/// A cached translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// DMA address of the 4 KiB page.
    pub page: u64,
    /// Writes are allowed.
    pub writable: bool,
}

/// Number of an address space in a TLB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpaceId(u32);

impl SpaceId {
    /// The GGTT.
    pub const GGTT: Self = Self(GGTT);
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    key: u64,
    entry: Entry,
}

const EMPTY: Slot = Slot { key: u64::MAX, entry: Entry { page: 0, writable: false } };

/// One engine's TLB.
#[derive(Clone, Debug)]
pub struct Tlb {
    front: Box<[Slot; FRONT]>,
    all: HashMap<u64, Entry>,
    roots: HashMap<Root, u32>,
}

impl Default for Tlb {
    fn default() -> Self {
        Self { front: Box::new([EMPTY; FRONT]), all: HashMap::new(), roots: HashMap::new() }
    }
}

const fn key(space: SpaceId, page: u64) -> u64 {
    (space.0 as u64) << 36 | (page & 0xf_ffff_ffff)
}

/// Slot of a key in the first level.
#[expect(clippy::cast_possible_truncation, reason = "CAST: below FRONT")]
const fn front(key: u64) -> usize {
    ((key ^ (key >> 36)) % FRONT as u64) as usize
}

impl Tlb {
    /// Number of the address space that `root` describes. A stream may load its page directory registers with anything
    /// as often as it likes, so the spaces are bounded: the one that is too many makes the TLB forget all others with
    /// their entries, and numbers given before are void.
    pub fn space(&mut self, root: &Root) -> SpaceId {
        if let Some(number) = self.roots.get(root) {
            return SpaceId(*number);
        }
        if self.roots.len() >= SPACES {
            self.clear();
            self.roots.clear();
        }
        // CAST: at most SPACES.
        let number = u32::try_from(self.roots.len() + 1).unwrap_or(u32::MAX);
        self.roots.insert(*root, number);
        SpaceId(number)
    }

    /// Looks up page number `page` (address >> 12).
    #[inline]
    pub fn find(&mut self, space: SpaceId, page: u64) -> Option<Entry> {
        let key = key(space, page);
        let slot = &mut self.front[front(key)];
        if slot.key == key {
            return Some(slot.entry);
        }
        let entry = *self.all.get(&key)?;
        *slot = Slot { key, entry };
        Some(entry)
    }

    /// Caches a translation.
    pub fn insert(&mut self, space: SpaceId, page: u64, entry: Entry) {
        if self.all.len() >= LIMIT {
            self.clear();
        }
        self.all.insert(key(space, page), entry);
    }

    /// Forgets everything. Address spaces keep their numbers.
    pub fn clear(&mut self) {
        self.front.fill(EMPTY);
        self.all.clear();
    }

    /// Forgets the GGTT's entries.
    pub fn clear_ggtt(&mut self) {
        self.front.fill(EMPTY);
        self.all.retain(|key, _| key >> 36 != u64::from(GGTT));
    }

    /// Forgets one page of the GGTT.
    pub fn forget_ggtt(&mut self, page: u64) {
        if self.all.remove(&key(SpaceId::GGTT, page)).is_some() {
            self.front.fill(EMPTY);
        }
    }

    /// DMA addresses of the pages that are cached for address spaces other than the GGTT.
    pub fn ppgtt_pages(&self) -> impl Iterator<Item = u64> + '_ {
        let front = self.front.iter().map(|slot| (slot.key, slot.entry));
        let all = self.all.iter().map(|(key, entry)| (*key, *entry));
        let used = all.chain(front.filter(|(key, _)| *key != EMPTY.key));
        used.filter(|(key, _)| key >> 36 != u64::from(GGTT)).map(|(_, entry)| entry.page)
    }

    /// The address spaces that contexts of the engine have had, some thousands at most.
    pub fn roots(&self) -> impl Iterator<Item = &Root> + '_ {
        self.roots.keys()
    }

    /// Number of cached pages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Nothing is cached.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: Entry = Entry { page: 0x9000, writable: true };

    #[test]
    fn entries_stay_until_they_are_invalidated() {
        let mut tlb = Tlb::default();
        let space = tlb.space(&Root::Four(0x1000));
        tlb.insert(space, 7, ENTRY);
        assert_eq!(tlb.find(space, 7), Some(ENTRY));
        assert_eq!(tlb.find(SpaceId::GGTT, 7), None);
        let other = tlb.space(&Root::Four(0x2000));
        assert_eq!(tlb.find(other, 7), None);
        assert_eq!(tlb.space(&Root::Four(0x1000)), space, "the same tables are the same space");
        tlb.clear();
        assert_eq!(tlb.find(space, 7), None);
    }

    #[test]
    fn any_number_of_address_spaces_takes_bounded_memory_and_mixes_none_of_them_up() {
        let mut tlb = Tlb::default();
        tlb.insert(SpaceId::GGTT, 7, ENTRY);
        for n in 1..=3 * SPACES as u64 {
            let space = tlb.space(&Root::Four(n << 12));
            assert_eq!(tlb.find(space, 7), None, "root {n} inherited an entry");
            tlb.insert(space, 7, Entry { page: n << 12, writable: true });
            assert!(tlb.roots().count() <= SPACES && tlb.len() <= SPACES + 1);
        }
        let last = tlb.space(&Root::Four((3 * SPACES as u64) << 12));
        assert_eq!(tlb.find(last, 7).map(|entry| entry.page), Some((3 * SPACES as u64) << 12));
    }

    #[test]
    fn clearing_the_ggtt_keeps_ppgtt_entries() {
        let mut tlb = Tlb::default();
        let space = tlb.space(&Root::Four(0x1000));
        tlb.insert(space, 7, ENTRY);
        tlb.insert(SpaceId::GGTT, 7, ENTRY);
        assert_eq!(tlb.find(SpaceId::GGTT, 7), Some(ENTRY));
        tlb.clear_ggtt();
        assert_eq!(tlb.find(SpaceId::GGTT, 7), None);
        assert_eq!(tlb.find(space, 7), Some(ENTRY));
    }
}
