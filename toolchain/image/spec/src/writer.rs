// SPDX-License-Identifier: BSD-2-Clause
//! Writing a specification.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::codec::Field;
use crate::header::{HEADER_SIZE, Header, MAGIC, Section, VERSION};
use crate::records::{
    CapEntry, Fill, IoMap, IoRange, IrqBinding, Map, Name, NamedObject, Object, PagingTable, Thread,
};

/// The specification is larger than its 32-bit offsets reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the specification exceeds 4 GiB")
    }
}

impl core::error::Error for Overflow {}

/// Collects the records of a specification.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    /// Object index of the monitor's endpoint.
    pub monitor_endpoint: u32,
    strings: String,
    names: BTreeMap<String, Name>,
    data: Vec<u8>,
    objects: Vec<NamedObject>,
    next_cap: u32,
    /// Contents of frames.
    pub fills: Vec<Fill>,
    /// Paging structures.
    pub tables: Vec<PagingTable>,
    /// Mappings.
    pub maps: Vec<Map>,
    /// Contents of CNodes.
    pub caps: Vec<CapEntry>,
    /// Destinations of interrupts.
    pub irqs: Vec<IrqBinding>,
    /// I/O addresses that need page tables.
    pub io_ranges: Vec<IoRange>,
    /// Mappings in I/O address spaces.
    pub io_maps: Vec<IoMap>,
    /// Threads.
    pub threads: Vec<Thread>,
}

impl Builder {
    /// A specification of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a text into the string pool, once.
    ///
    /// # Errors
    /// The pool is full, or the text is longer than 64 KiB.
    pub fn name(&mut self, text: &str) -> Result<Name, Overflow> {
        if let Some(&name) = self.names.get(text) {
            return Ok(name);
        }
        let name = Name {
            offset: u32::try_from(self.strings.len()).map_err(|_| Overflow)?,
            len: u16::try_from(text.len()).map_err(|_| Overflow)?,
        };
        self.strings.push_str(text);
        self.names.insert(text.into(), name);
        Ok(name)
    }

    /// Adds an object and answers its index.
    ///
    /// # Errors
    /// There are too many objects or capabilities.
    pub fn object(&mut self, name: &str, object: Object) -> Result<u32, Overflow> {
        let index = u32::try_from(self.objects.len()).map_err(|_| Overflow)?;
        let name = self.name(name)?;
        self.objects.push(NamedObject { object, name, first_cap: self.next_cap });
        self.next_cap = self.next_cap.checked_add(object.cap_count()).ok_or(Overflow)?;
        Ok(index)
    }

    /// Number of capabilities of the objects so far.
    #[must_use]
    pub fn cap_count(&self) -> u32 {
        self.next_cap
    }

    /// The objects so far.
    #[must_use]
    pub fn objects(&self) -> &[NamedObject] {
        &self.objects
    }

    /// Lets frames start with these bytes at `offset`.
    ///
    /// # Errors
    /// The pool of contents is full.
    pub fn fill(&mut self, frames: u32, offset: u64, bytes: &[u8]) -> Result<(), Overflow> {
        let data = u32::try_from(self.data.len()).map_err(|_| Overflow)?;
        let len = u32::try_from(bytes.len()).map_err(|_| Overflow)?;
        self.data.extend_from_slice(bytes);
        self.fills.push(Fill { frames, offset, data, len });
        Ok(())
    }

    /// The finished bytes.
    ///
    /// # Errors
    /// They are more than 4 GiB.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Overflow> {
        let mut body = Vec::new();
        let objects = section(&mut body, &self.objects)?;
        let fills = section(&mut body, &self.fills)?;
        let tables = section(&mut body, &self.tables)?;
        let maps = section(&mut body, &self.maps)?;
        let caps = section(&mut body, &self.caps)?;
        let irqs = section(&mut body, &self.irqs)?;
        let io_ranges = section(&mut body, &self.io_ranges)?;
        let io_maps = section(&mut body, &self.io_maps)?;
        let threads = section(&mut body, &self.threads)?;
        let strings = pool(&mut body, self.strings.as_bytes())?;
        let data = pool(&mut body, &self.data)?;
        let header = Header {
            magic: MAGIC,
            version: VERSION,
            total: u32::try_from(HEADER_SIZE + body.len()).map_err(|_| Overflow)?,
            monitor_endpoint: self.monitor_endpoint,
            strings,
            data,
            objects,
            fills,
            tables,
            maps,
            caps,
            irqs,
            io_ranges,
            io_maps,
            threads,
        };
        let mut bytes = Vec::with_capacity(HEADER_SIZE + body.len());
        header.put(&mut bytes);
        bytes.append(&mut body);
        Ok(bytes)
    }
}

fn section<R: Field>(body: &mut Vec<u8>, records: &[R]) -> Result<Section, Overflow> {
    let place = place(body, records.len())?;
    for record in records {
        record.put(body);
    }
    Ok(place)
}

fn pool(body: &mut Vec<u8>, bytes: &[u8]) -> Result<Section, Overflow> {
    let place = place(body, bytes.len())?;
    body.extend_from_slice(bytes);
    Ok(place)
}

fn place(body: &[u8], count: usize) -> Result<Section, Overflow> {
    Ok(Section {
        offset: u32::try_from(HEADER_SIZE + body.len()).map_err(|_| Overflow)?,
        count: u32::try_from(count).map_err(|_| Overflow)?,
    })
}
