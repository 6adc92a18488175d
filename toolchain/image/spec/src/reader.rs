// SPDX-License-Identifier: BSD-2-Clause
//! Reading a specification.

use core::fmt;
use core::marker::PhantomData;

use crate::check;
use crate::codec::Field;
use crate::header::{HEADER_SIZE, Header, MAGIC, Section, VERSION};
use crate::records::{
    CapEntry, Fill, IoMap, IoRange, IrqBinding, Map, Name, NamedObject, PagingTable, Thread,
};

/// Why bytes are not a specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecError {
    /// Shorter than the header, or than the header says.
    Truncated,
    /// Does not start with the magic number.
    Magic,
    /// Of another version than this reader's.
    Version(u32),
    /// A section does not lie within the specification.
    Section(&'static str),
    /// A record cannot be decoded, or refers to something that does not exist or is of another kind.
    Record {
        /// The section.
        section: &'static str,
        /// The record's position in it.
        index: u32,
        /// What is wrong.
        problem: &'static str,
    },
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => write!(f, "the specification is cut short"),
            Self::Magic => write!(f, "this is no system specification"),
            Self::Version(version) => {
                write!(f, "the specification has version {version}, this program reads version {VERSION}")
            }
            Self::Section(name) => write!(f, "the section of {name} lies outside the specification"),
            Self::Record { section, index, problem } => {
                write!(f, "entry {index} of the section of {section}: {problem}")
            }
        }
    }
}

impl core::error::Error for SpecError {}

/// A table of records.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a, R> {
    bytes: &'a [u8],
    records: PhantomData<R>,
}

#[expect(private_bounds, reason = "only the record types of this crate are fields")]
impl<'a, R: Field> Table<'a, R> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, records: PhantomData }
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.bytes.len() / R::SIZE).unwrap_or(u32::MAX)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The record at a position.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<R> {
        let start = usize::try_from(index).ok()?.checked_mul(R::SIZE)?;
        R::get(&mut self.bytes.get(start..start.checked_add(R::SIZE)?)?)
    }

    /// All records in order.
    #[must_use]
    pub fn iter(&self) -> Records<'a, R> {
        Records { bytes: self.bytes, records: PhantomData }
    }
}

/// Iterator over the records of a [`Table`].
#[derive(Clone, Debug)]
pub struct Records<'a, R> {
    bytes: &'a [u8],
    records: PhantomData<R>,
}

impl<R: Field> Iterator for Records<'_, R> {
    type Item = R;

    fn next(&mut self) -> Option<R> {
        R::get(&mut self.bytes)
    }
}

/// A specification whose every bound and reference has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Spec<'a> {
    header: Header,
    strings: &'a [u8],
    data: &'a [u8],
    objects: Table<'a, NamedObject>,
    fills: Table<'a, Fill>,
    tables: Table<'a, PagingTable>,
    maps: Table<'a, Map>,
    caps: Table<'a, CapEntry>,
    irqs: Table<'a, IrqBinding>,
    io_ranges: Table<'a, IoRange>,
    io_maps: Table<'a, IoMap>,
    threads: Table<'a, Thread>,
}

fn section<'a>(
    bytes: &'a [u8],
    section: Section,
    record: usize,
    name: &'static str,
) -> Result<&'a [u8], SpecError> {
    let place = || {
        let start = usize::try_from(section.offset).ok()?;
        let len = usize::try_from(section.count).ok()?.checked_mul(record)?;
        bytes.get(start..start.checked_add(len)?)
    };
    place().ok_or(SpecError::Section(name))
}

fn table<'a, R: Field>(
    bytes: &'a [u8],
    place: Section,
    name: &'static str,
) -> Result<Table<'a, R>, SpecError> {
    let table = Table::<R>::new(section(bytes, place, R::SIZE, name)?);
    match (0..table.len()).find(|&index| table.get(index).is_none()) {
        None => Ok(table),
        Some(index) => Err(SpecError::Record { section: name, index, problem: "not a valid record" }),
    }
}

impl<'a> Spec<'a> {
    /// Reads and checks a specification. `bytes` may be longer than it.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SpecError> {
        let head = bytes.get(..HEADER_SIZE).ok_or(SpecError::Truncated)?;
        if u64::get(&mut &head[..]) != Some(MAGIC) {
            return Err(SpecError::Magic);
        }
        match u32::get(&mut &head[u64::SIZE..]) {
            Some(VERSION) => {}
            other => return Err(SpecError::Version(other.unwrap_or(0))),
        }
        let header = Header::get(&mut &head[..]).ok_or(SpecError::Record {
            section: "header",
            index: 0,
            problem: "not a valid record",
        })?;
        let total = usize::try_from(header.total).map_err(|_| SpecError::Truncated)?;
        let bytes = bytes.get(..total).ok_or(SpecError::Truncated)?;
        let spec = Self {
            strings: section(bytes, header.strings, 1, "strings")?,
            data: section(bytes, header.data, 1, "frame contents")?,
            objects: table(bytes, header.objects, "objects")?,
            fills: table(bytes, header.fills, "fills")?,
            tables: table(bytes, header.tables, "paging tables")?,
            maps: table(bytes, header.maps, "maps")?,
            caps: table(bytes, header.caps, "capabilities")?,
            irqs: table(bytes, header.irqs, "interrupts")?,
            io_ranges: table(bytes, header.io_ranges, "I/O ranges")?,
            io_maps: table(bytes, header.io_maps, "I/O maps")?,
            threads: table(bytes, header.threads, "threads")?,
            header,
        };
        check::check(&spec)?;
        Ok(spec)
    }

    /// The text of a name.
    #[must_use]
    pub fn name(&self, name: Name) -> &'a str {
        self.lookup(name).unwrap_or("")
    }

    pub(crate) fn lookup(&self, name: Name) -> Option<&'a str> {
        let start = usize::try_from(name.offset).ok()?;
        let text = self.strings.get(start..start.checked_add(usize::from(name.len))?)?;
        core::str::from_utf8(text).ok()
    }

    /// The bytes of a fill.
    #[must_use]
    pub fn contents(&self, fill: &Fill) -> &'a [u8] {
        self.data_range(fill).unwrap_or(&[])
    }

    pub(crate) fn data_range(&self, fill: &Fill) -> Option<&'a [u8]> {
        let start = usize::try_from(fill.data).ok()?;
        self.data.get(start..start.checked_add(usize::try_from(fill.len).ok()?)?)
    }

    /// The name of an object, for messages.
    #[must_use]
    pub fn object_name(&self, index: u32) -> &'a str {
        self.objects.get(index).map_or("", |entry| self.name(entry.name))
    }

    /// Number of capabilities that all objects have together.
    #[must_use]
    pub fn cap_count(&self) -> u32 {
        match self.objects.len().checked_sub(1).and_then(|last| self.objects.get(last)) {
            Some(last) => last.first_cap.saturating_add(last.object.cap_count()),
            None => 0,
        }
    }

    /// Object index of the endpoint that the monitor receives faults on.
    #[must_use]
    pub fn monitor_endpoint(&self) -> u32 {
        self.header.monitor_endpoint
    }

    /// The objects.
    #[must_use]
    pub fn objects(&self) -> Table<'a, NamedObject> {
        self.objects
    }

    /// The contents of frames.
    #[must_use]
    pub fn fills(&self) -> Table<'a, Fill> {
        self.fills
    }

    /// The paging structures.
    #[must_use]
    pub fn tables(&self) -> Table<'a, PagingTable> {
        self.tables
    }

    /// The mappings.
    #[must_use]
    pub fn maps(&self) -> Table<'a, Map> {
        self.maps
    }

    /// The contents of CNodes.
    #[must_use]
    pub fn caps(&self) -> Table<'a, CapEntry> {
        self.caps
    }

    /// The destinations of interrupts.
    #[must_use]
    pub fn irqs(&self) -> Table<'a, IrqBinding> {
        self.irqs
    }

    /// The I/O addresses that need page tables.
    #[must_use]
    pub fn io_ranges(&self) -> Table<'a, IoRange> {
        self.io_ranges
    }

    /// The mappings in I/O address spaces.
    #[must_use]
    pub fn io_maps(&self) -> Table<'a, IoMap> {
        self.io_maps
    }

    /// The threads.
    #[must_use]
    pub fn threads(&self) -> Table<'a, Thread> {
        self.threads
    }
}
