// SPDX-License-Identifier: BSD-2-Clause
//! Which engines may execute a context: one, or any of several of a class (a load-balanced, or virtual, engine),
//! and which of these remain for a request that is bonded to one on another engine.

use super::{EngineIndex, Gpu, MAX_ENGINES};
use crate::device::EngineClass;
use crate::platform::Hardware;

/// A set of engines of one class, and its bonds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EngineSelection {
    /// Bit n: engine n.
    engines: u8,
    /// By the engine of the other request: the engines that remain, if it has a bond.
    bonds: [u8; MAX_ENGINES],
}

const _: () = assert!(MAX_ENGINES <= 8);

impl EngineSelection {
    /// No engine.
    pub const NONE: Self = Self { engines: 0, bonds: [0; MAX_ENGINES] };

    /// One engine.
    #[must_use]
    pub const fn one(engine: EngineIndex) -> Self {
        Self { engines: 1 << engine.0, ..Self::NONE }
    }

    /// Adds an engine. Returns false, and changes nothing, if it is in already.
    #[must_use]
    pub const fn add(&mut self, engine: EngineIndex) -> bool {
        let new = self.engines >> engine.0 & 1 == 0;
        self.engines |= 1 << engine.0;
        new
    }

    /// A request that follows one on `master` may be executed by `engine`. Returns false, and changes nothing, if
    /// that is not one of the set.
    #[must_use]
    pub fn bond(&mut self, master: EngineIndex, engine: EngineIndex) -> bool {
        let known = self.engines >> engine.0 & 1 != 0;
        if let Some(bond) = self.bonds.get_mut(master.get()).filter(|_| known) {
            *bond |= 1 << engine.0;
        }
        known
    }

    /// No engine is in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.engines == 0
    }

    /// There is a choice.
    #[must_use]
    pub const fn is_balanced(&self) -> bool {
        self.engines.count_ones() > 1
    }

    /// The first of its engines.
    #[must_use]
    pub const fn first(&self) -> Option<EngineIndex> {
        // CAST: below 8.
        #[expect(clippy::cast_possible_truncation)]
        if self.engines == 0 { None } else { Some(EngineIndex(self.engines.trailing_zeros() as u8)) }
    }

    /// Its engines, bit n for engine n.
    pub(super) const fn mask(&self) -> u8 {
        self.engines
    }

    /// The engines that may execute a request that was bonded to one that `master` executes: never that one, and
    /// only those of the bond if there is one (i915: `virtual_bond_execute`).
    pub(super) fn after(&self, master: usize) -> u8 {
        let bond = self.bonds.get(master).copied().filter(|bond| *bond != 0).unwrap_or(u8::MAX);
        self.engines & bond & !(1 << master)
    }
}

impl<H: Hardware> Gpu<H> {
    /// The class of a selection's engines.
    #[must_use]
    pub fn class_of(&self, engines: EngineSelection) -> Option<EngineClass> {
        engines.first().and_then(|engine| self.engines.get(engine.get())).map(|engine| engine.id.class)
    }
}
