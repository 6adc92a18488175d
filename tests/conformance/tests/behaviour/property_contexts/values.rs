// SPDX-License-Identifier: BSD-2-Clause
//! Contexts as plain values: what every operation on them does, and why it is refused.

use std::collections::{BTreeMap, BTreeSet};

use gpu_protocol::{CloneFlags, ContextParam, EngineClassInstance, Errno};
use intel_gpu::uapi::ClientLimits;

pub(super) const LIMITS: ClientLimits =
    ClientLimits { contexts: 4, spaces: 4, driver_pages: 4096, ..ClientLimits::DEFAULT };
/// Blocks of eight slots that the maps of so many contexts may have (`Driver::new`).
pub(super) const MAP_BLOCKS: usize = LIMITS.contexts as usize * 2 + 9;
pub(super) const RENDER: EngineClassInstance = EngineClassInstance::new(0, 0);
pub(super) const COPY: EngineClassInstance = EngineClassInstance::new(1, 0);
pub(super) const VIDEO: [EngineClassInstance; 2] =
    [EngineClassInstance::new(2, 0), EngineClassInstance::new(2, 1)];
pub(super) const ENHANCE: EngineClassInstance = EngineClassInstance::new(3, 0);
pub(super) const MISSING: EngineClassInstance = EngineClassInstance::new(1, 1);
pub(super) const HOUR_US: u64 = 3_600_000_000;

#[derive(Clone, Debug)]
pub(super) enum Step {
    VmCreate,
    VmDestroy(u32),
    /// Asks for a handle of a context's address space.
    GetVm(u32),
    Create {
        single: bool,
        chain: Vec<Extension>,
        end: End,
    },
    Set(u32, Param),
    Destroy(u32),
    /// A batch that stores a number; it may wait for the last ones.
    Submit {
        context: u32,
        engine: u32,
        wait: bool,
    },
    /// Batches are accepted and do not end, or do.
    Busy(bool),
}

/// What a part has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) name: &'static str,
    /// The second video engine.
    pub(super) two_videos: bool,
    /// Subslices that the render engine of a context can be given; empty: that cannot be chosen.
    pub(super) subslices: &'static [u64],
    pub(super) preempts_batches: bool,
    pub(super) privileged: bool,
}

pub(super) const BROADWELL: Part =
    Part { name: "bdw", two_videos: false, subslices: &[], preempts_batches: false, privileged: false };
pub(super) const ICE_LAKE: Part = Part {
    name: "icl",
    two_videos: true,
    subslices: &[0x0f, 0xf0, 0xff],
    preempts_batches: true,
    privileged: true,
};
pub(super) const TIGER_LAKE: Part =
    Part { name: "tgl", two_videos: true, subslices: &[], preempts_batches: true, privileged: false };

/// What a slot of a map is asked to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Hole,
    One(EngineClassInstance),
    /// Either video engine, by an extension.
    Either,
    /// An engine, and by an extension either video engine.
    Both,
}

use Wanted::{Both, Either, Hole, One};

pub(super) const MAPS: [&[Wanted]; 8] = [
    &[],
    &[One(RENDER)],
    &[Hole, One(COPY), One(RENDER)],
    &[Either, One(VIDEO[0]), One(COPY)],
    &[One(COPY); 20],
    &[One(RENDER), One(COPY), One(VIDEO[0]), Hole, One(ENHANCE)],
    &[One(COPY), One(MISSING)],
    &[One(RENDER), Both],
];

/// One parameter and what it is set to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Param {
    Priority(i64),
    /// Error capture off, bannable, recoverable, persistent.
    Flag(usize, bool),
    Watchdog(u64),
    Space(u32),
    /// One of [`MAPS`].
    Engines(usize),
    DefaultEngines,
    /// A slot, or the engine that the default map has there, and its subslices.
    Sseu {
        slot: u16,
        indexed: bool,
        subslices: u64,
    },
    Unknown,
    /// A number with a size.
    Sized(u64),
    /// A structure without its size.
    Short(u64),
}

pub(super) const FLAGS: [u64; 4] = [
    ContextParam::NO_ERROR_CAPTURE,
    ContextParam::BANNABLE,
    ContextParam::RECOVERABLE,
    ContextParam::PERSISTENCE,
];

#[derive(Clone, Copy, Debug)]
pub(super) enum Extension {
    Set(Param),
    Clone { source: u32, flags: u32, rsvd: u64 },
}

/// What a chain of extensions ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Zero,
    Loop,
    Unknown,
    Outside,
}

/// What a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// As it is read back; `NONE` for a hole.
    pub(super) engine: EngineClassInstance,
    pub(super) subslices: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Map {
    /// The context is being made and nobody has asked yet.
    Unset,
    Default(Vec<Slot>),
    User(Vec<Slot>),
}

impl Map {
    pub(super) fn slots(&self) -> &[Slot] {
        match self {
            Self::Unset => &[],
            Self::Default(slots) | Self::User(slots) => slots,
        }
    }

    pub(super) fn blocks(&self) -> usize {
        self.slots().len().div_ceil(8)
    }
}

/// Names an address space or a timeline for ever.
pub(super) type Key = u32;

#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) map: Map,
    pub(super) flags: [bool; 4],
    pub(super) priority: i64,
    pub(super) watchdog: u64,
    pub(super) timeline: Option<Key>,
    pub(super) space: Option<Key>,
}

#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) value: Value,
    /// The timeline of each slot that was used.
    pub(super) states: BTreeMap<usize, Key>,
    pub(super) in_flight: bool,
}

/// A client's contexts and address spaces.
#[derive(Debug)]
pub(super) struct Values {
    pub(super) part: Part,
    pub(super) contexts: BTreeMap<u32, Context>,
    /// Handles of address spaces.
    pub(super) spaces: BTreeMap<u32, Key>,
    /// Address spaces that batches in flight use.
    pub(super) held: BTreeSet<Key>,
    pub(super) keys: Key,
}

pub(super) fn lowest_free<V>(taken: &BTreeMap<u32, V>, limit: u32) -> Option<u32> {
    (1..=limit).find(|handle| !taken.contains_key(handle))
}

impl Values {
    pub(super) const fn new(part: Part) -> Self {
        Self { part, contexts: BTreeMap::new(), spaces: BTreeMap::new(), held: BTreeSet::new(), keys: 0 }
    }

    /// A new address space: every context may have one that no handle names.
    pub(super) fn new_space(&mut self) -> Result<Key, Errno> {
        let most = (LIMITS.spaces + LIMITS.contexts + 1) as usize;
        if self.live_spaces().len() >= most { Err(Errno::NoMem) } else { Ok(self.key()) }
    }

    pub(super) fn key(&mut self) -> Key {
        self.keys += 1;
        self.keys
    }

    pub(super) fn default_value() -> Value {
        Value {
            map: Map::Unset,
            flags: [false, true, true, true],
            priority: 0,
            watchdog: 0,
            timeline: None,
            space: None,
        }
    }

    pub(super) fn slot(&self, engine: EngineClassInstance) -> Slot {
        // What a slot has until somebody chooses, where that can be read.
        Slot { engine, subslices: self.part.subslices.last().copied().unwrap_or(0) }
    }

    pub(super) fn default_slots(&self) -> Vec<Slot> {
        let second = if self.part.two_videos { VIDEO[1] } else { EngineClassInstance::NONE };
        [RENDER, COPY, VIDEO[0], second, ENHANCE].map(|engine| self.slot(engine)).to_vec()
    }

    /// The slots of one of [`MAPS`].
    pub(super) fn user_slots(&self, map: usize) -> Result<Vec<Slot>, Errno> {
        let mut slots = Vec::new();
        for wanted in MAPS[map] {
            let engine = match wanted {
                One(MISSING) => return Err(Errno::NoEnt),
                One(engine) => *engine,
                Both => COPY,
                Hole => EngineClassInstance::NONE,
                Either => EngineClassInstance::new(2, EngineClassInstance::VIRTUAL),
            };
            slots.push(self.slot(engine));
        }
        for wanted in MAPS[map] {
            match wanted {
                Both => return Err(Errno::Exist),
                Either if !self.part.two_videos => return Err(Errno::Inval),
                _ => {}
            }
        }
        Ok(slots)
    }

    pub(super) fn blocks(&self) -> usize {
        self.contexts.values().map(|context| context.value.map.blocks()).sum()
    }

    /// Room for a map, with those of all contexts and that of the value that is being made.
    pub(super) fn has_room(&self, value: &Value, live: bool, more: usize) -> Result<(), Errno> {
        let own = if live { 0 } else { value.map.blocks() };
        if self.blocks() + own + more > MAP_BLOCKS { Err(Errno::NoMem) } else { Ok(()) }
    }

    pub(super) fn default_map(&self, value: &mut Value) -> Result<(), Errno> {
        if value.map == Map::Unset {
            self.has_room(value, false, 1)?;
            value.map = Map::Default(self.default_slots());
        }
        Ok(())
    }

    /// What setting a parameter does to a value: of `live`, or of one that is being made. Returns whether the
    /// logical states are gone.
    pub(super) fn apply(
        &self,
        value: &mut Value,
        live: Option<&Context>,
        param: Param,
    ) -> Result<bool, Errno> {
        let busy = live.is_some_and(|context| context.in_flight);
        match param {
            Param::Unknown | Param::Sized(_) | Param::Short(_) => return Err(Errno::Inval),
            Param::Priority(priority) => {
                if !(-1023..=1023).contains(&priority) {
                    return Err(Errno::Inval);
                }
                if priority > 0 && !self.part.privileged {
                    return Err(Errno::Perm);
                }
                value.priority = priority;
            }
            Param::Flag(flag, on) => {
                if flag == 1 && !on && !self.part.privileged {
                    return Err(Errno::Perm);
                }
                if flag == 3 && !on && value.flags[3] && !self.part.preempts_batches {
                    return Err(Errno::NoDev);
                }
                value.flags[flag] = on;
            }
            Param::Watchdog(us) => {
                if us > HOUR_US {
                    return Err(Errno::Inval);
                }
                value.watchdog = us;
            }
            Param::Space(handle) => {
                let space = *self.spaces.get(&handle).ok_or(Errno::NoEnt)?;
                if busy && value.space != Some(space) {
                    return Err(Errno::Busy);
                }
                value.space = Some(space);
            }
            Param::Engines(map) => {
                let slots = self.user_slots(map)?;
                if busy {
                    return Err(Errno::Busy);
                }
                self.has_room(value, live.is_some(), slots.len().div_ceil(8))?;
                value.map = Map::User(slots);
                return Ok(true);
            }
            Param::DefaultEngines => {
                if !matches!(value.map, Map::User(_)) {
                    return Ok(false);
                }
                if busy {
                    return Err(Errno::Busy);
                }
                self.has_room(value, live.is_some(), 1)?;
                value.map = Map::Default(self.default_slots());
                return Ok(true);
            }
            Param::Sseu { slot, indexed, subslices } => self.apply_sseu(value, slot, indexed, subslices)?,
        }
        Ok(false)
    }

    pub(super) fn apply_sseu(
        &self,
        value: &mut Value,
        slot: u16,
        indexed: bool,
        subslices: u64,
    ) -> Result<(), Errno> {
        if self.part.subslices.is_empty() {
            return Err(Errno::NoDev);
        }
        self.default_map(value)?;
        if indexed != matches!(value.map, Map::User(_)) {
            return Err(Errno::Inval);
        }
        let (Map::Default(slots) | Map::User(slots)) = &mut value.map else { unreachable!() };
        let slot = slots.get_mut(usize::from(slot)).ok_or(Errno::Inval)?;
        if slot.engine == EngineClassInstance::NONE {
            return Err(Errno::Inval);
        }
        if slot.engine != RENDER {
            return Err(Errno::NoDev);
        }
        if !self.part.subslices.contains(&subslices) {
            return Err(Errno::Inval);
        }
        slot.subslices = subslices;
        Ok(())
    }

    /// What a clone does to a value.
    pub(super) fn apply_clone(
        &self,
        value: &mut Value,
        source: u32,
        flags: u32,
        rsvd: u64,
    ) -> Result<(), Errno> {
        let flags = CloneFlags::from_bits(flags).ok_or(Errno::Inval)?;
        if rsvd != 0 {
            return Err(Errno::Inval);
        }
        let theirs = &self.contexts.get(&source).ok_or(Errno::NoEnt)?.value;
        if flags.contains(CloneFlags::ENGINES) {
            if theirs.map.blocks() != value.map.blocks() {
                self.has_room(value, false, theirs.map.blocks())?;
            }
            let fresh = theirs.map.slots().iter().map(|slot| self.slot(slot.engine)).collect();
            value.map =
                if matches!(theirs.map, Map::User(_)) { Map::User(fresh) } else { Map::Default(fresh) };
        }
        if flags.contains(CloneFlags::FLAGS) {
            value.flags = theirs.flags;
        }
        if flags.contains(CloneFlags::SCHEDATTR) {
            (value.priority, value.watchdog) = (theirs.priority, theirs.watchdog);
        }
        if flags.contains(CloneFlags::SSEU) {
            self.default_map(value)?;
            let (Map::Default(mine) | Map::User(mine)) = &mut value.map else { unreachable!() };
            let theirs = theirs.map.slots();
            let alike = mine.len() == theirs.len()
                && mine.iter().zip(theirs).all(|(mine, theirs)| mine.engine.class == theirs.engine.class);
            if !alike {
                return Err(Errno::Inval);
            }
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                mine.subslices = theirs.subslices;
            }
        }
        if flags.contains(CloneFlags::TIMELINE) {
            value.timeline = theirs.timeline.or(value.timeline);
        }
        if flags.contains(CloneFlags::VM) {
            value.space = theirs.space;
        }
        Ok(())
    }

    /// The value that a creation makes.
    pub(super) fn build(&mut self, single: bool, chain: &[Extension], end: End) -> Result<Value, Errno> {
        if lowest_free(&self.contexts, LIMITS.contexts).is_none() {
            return Err(Errno::NoMem);
        }
        let mut value = Self::default_value();
        if single {
            value.timeline = Some(self.key());
        }
        // A chain that loops is cut off in the end; what it does the second time it does every time.
        for _ in 0..if end == End::Loop { 3 } else { 1 } {
            for extension in chain {
                match *extension {
                    Extension::Set(param) => {
                        self.apply(&mut value, None, param)?;
                    }
                    Extension::Clone { source, flags, rsvd } => {
                        self.apply_clone(&mut value, source, flags, rsvd)?;
                    }
                }
            }
        }
        match end {
            End::Loop if !chain.is_empty() => return Err(Errno::TooBig),
            End::Outside => return Err(Errno::Fault),
            End::Unknown => return Err(Errno::Inval),
            End::Loop | End::Zero => {}
        }
        self.default_map(&mut value)?;
        if value.space.is_none() {
            value.space = Some(self.new_space()?);
        }
        Ok(value)
    }

    /// Timelines that contexts and their states use.
    pub(super) fn timelines(&self) -> BTreeSet<Key> {
        let contexts = self.contexts.values();
        contexts
            .flat_map(|context| context.value.timeline.into_iter().chain(context.states.values().copied()))
            .collect()
    }

    pub(super) fn live_spaces(&self) -> BTreeSet<Key> {
        let contexts = self.contexts.values().filter_map(|context| context.value.space);
        contexts.chain(self.spaces.values().copied()).chain(self.held.iter().copied()).collect()
    }
}
