// SPDX-License-Identifier: BSD-2-Clause
//! What the tool writes into a program image: the variables of Microkit's runtime, the description's `setvar`s
//! and the grant tables.

use image_spec::place::BOARD_NAME;

use crate::board::TOLD_KEYS;
use crate::diagnostic::{Place, Sink};
use crate::model::{DomainId, Grant, GrantTable, Owner, ProtectionDomain, SetvarValue, System};
use crate::program::{Program, Symbols};

/// Bytes of an entry of a grant table: four words.
///
/// ```text
///   channel            id of the channel over which this range may be lent
///   paddr              first physical address
///   size               bytes
///   rights and pages   bit 0 read, bit 1 write, bit 2 mapped for the device from the start,
///                      bits 15..8 log2 of the page size
/// ```
///
/// The row of a client has bit 63 of the last word alone, its owner's channel (all ones: nobody) where the address
/// is, and bit 0 of the size if it is privileged.
const GRANT_ENTRY: u64 = 32;
/// The last word of the row of a client.
const CLIENT_ROW: u64 = 1 << 63;

/// A program image with the place to blame and the table its symbols are looked up in.
pub(crate) struct Target<'a> {
    pub(crate) program: &'a mut Program,
    /// Symbols of another file that describes the same program.
    pub(crate) symbols: Option<&'a Symbols>,
    pub(crate) path: &'a str,
    pub(crate) sink: &'a Sink<'a>,
}

impl Target<'_> {
    /// Writes `bytes` to the start of a symbol whose size `fits`.
    fn write(&mut self, name: &str, bytes: &[u8], fits: impl Fn(u64) -> bool, wanted: &str, place: &Place) {
        let symbols = self.symbols.unwrap_or(&self.program.symbols);
        let written = symbols.find(name, fits, wanted).and_then(|symbol| self.program.write(symbol, bytes));
        if let Err(problem) = written {
            self.sink.error(place, format!("the program \"{}\" {problem}", self.path));
        }
    }

    fn word(&mut self, name: &str, value: u64, place: &Place) {
        self.write(name, &value.to_le_bytes(), |size| size == 8, "8", place);
    }
}

/// Writes everything that the description tells a domain.
pub(crate) fn patch(system: &System, id: DomainId, paddrs: &[u64], target: &mut Target<'_>) {
    let domain = &system.domains[id];
    runtime(system, id, target);
    for setvar in &domain.setvars {
        let region = |region: usize| &system.regions[region];
        let value = match setvar.value {
            SetvarValue::Number(number) => number,
            SetvarValue::RegionSize(id) => region(id).size,
            SetvarValue::RegionPaddr(id) => paddrs[id],
            SetvarValue::PrefillSize(id) => region(id).prefill.as_ref().map_or(0, |bytes| bytes.len() as u64),
            SetvarValue::CNodeBits(id) => u64::from(region(id).cnode_bits()),
        };
        target.word(&setvar.symbol.value, value, &setvar.symbol.place);
    }
    grant_rows(system, id, Grants::MappedWhenLent, target);
    constants(system, id, target);
    board_file(system, id, target);
    grant_tables(system, id, paddrs, Grants::MappedWhenLent, target);
}

/// Writes by which rows of a grant table a domain lends its regions; all ones where it does by capabilities.
pub(crate) fn grant_rows(system: &System, id: DomainId, grants: Grants, target: &mut Target<'_>) {
    for (symbol, region) in &system.domains[id].grant_rows {
        // That there is a row was checked.
        let row = system.grant_row(id, *region).filter(|(_, grant)| grants.are_mapped(grant));
        target.word(&symbol.value, row.map_or(u64::MAX, |(row, _)| row), &symbol.place);
    }
}

/// Writes the numbers that the description gives a domain itself.
pub(crate) fn constants(system: &System, id: DomainId, target: &mut Target<'_>) {
    for (symbol, value) in &system.domains[id].constants {
        target.word(&symbol.value, *value, &symbol.place);
    }
}

/// Writes which lines of the board file a domain's messages are to name.
pub(crate) fn board_file(system: &System, id: DomainId, target: &mut Target<'_>) {
    let Some(symbols) = &system.domains[id].board_file else { return };
    let name = file_name(system.board.file());
    let size = BOARD_NAME as u64;
    target.write(&symbols.name.value, &name, |found| found == size, &size.to_string(), &symbols.name.place);
    let lines = TOLD_KEYS.map(|key| u64::from(system.board.line(key)).to_le_bytes()).concat();
    let size = lines.len() as u64;
    target.write(
        &symbols.lines.value,
        &lines,
        |found| found == size,
        &size.to_string(),
        &symbols.lines.place,
    );
}

/// The bytes of a board file's name, filled up with zeros; of one that is too long the end, where what tells files apart
/// stands.
pub(crate) fn file_name(name: &str) -> [u8; BOARD_NAME] {
    let surplus = name.len().saturating_sub(BOARD_NAME);
    let start = (surplus..name.len()).find(|&at| name.is_char_boundary(at)).unwrap_or(name.len());
    let mut bytes = [0; BOARD_NAME];
    let shown = &name.as_bytes()[start..];
    bytes[..shown.len()].copy_from_slice(shown);
    bytes
}

/// When the device reaches what may be lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grants {
    /// The domain maps each page when it is lent, but for what the description has `mapped`.
    MappedWhenLent,
    /// It is mapped from the start, at its physical address; bit 2 of the rights says so.
    MappedFromTheStart,
}

impl Grants {
    fn are_mapped(self, grant: &Grant) -> bool {
        self == Self::MappedFromTheStart || grant.mapped
    }
}

/// Writes the grant tables of a domain.
pub(crate) fn grant_tables(
    system: &System,
    id: DomainId,
    paddrs: &[u64],
    grants: Grants,
    target: &mut Target<'_>,
) {
    for table in &system.domains[id].grant_tables {
        grant_table(system, table, paddrs, grants, target);
    }
}

/// The variables that Microkit's tool patches in every program (Microkit: `symbols.rs`).
fn runtime(system: &System, id: DomainId, target: &mut Target<'_>) {
    let domain: &ProtectionDomain = &system.domains[id];
    let place = &domain.program.place;
    let mut name = [0; 64];
    name[..domain.name.len()].copy_from_slice(domain.name.as_bytes());
    target.write("microkit_name", &name, |size| size == 64, "64", place);
    target.write("microkit_passive", &[0], |size| size == 1, "1", place);

    let ends = || system.channels.iter().flat_map(|channel| &channel.ends).filter(|end| end.domain == id);
    let mask = |ids: &mut dyn Iterator<Item = u8>| ids.fold(0, |mask, id| mask | 1u64 << id);
    for (symbol, value) in [
        ("microkit_irqs", mask(&mut domain.irqs.iter().map(|irq| irq.id))),
        ("microkit_notifications", mask(&mut ends().filter(|end| end.notify).map(|end| end.id))),
        ("microkit_pps", mask(&mut ends().filter(|end| end.pp).map(|end| end.id))),
        ("microkit_ioports", mask(&mut domain.ioports.iter().map(|port| port.id))),
    ] {
        target.word(symbol, value, place);
    }
}

fn grant_table(system: &System, table: &GrantTable, paddrs: &[u64], grants: Grants, target: &mut Target<'_>) {
    let mut bytes = Vec::new();
    for client in &table.clients {
        let channel = u64::from(client.channel.value);
        let owner = match &client.owner {
            Owner::Itself => channel,
            Owner::Channel(owner) => u64::from(owner.value),
            Owner::Nobody => u64::MAX,
        };
        let words = [channel, owner, u64::from(client.privileged), CLIENT_ROW];
        words.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
    }
    for grant in &table.grants {
        let region = &system.regions[grant.region];
        let mapped = u64::from(grants.are_mapped(grant)) << 2;
        let rights = u64::from(grant.perms.read) | u64::from(grant.perms.write) << 1 | mapped;
        let words = [
            u64::from(grant.channel.value),
            paddrs[grant.region],
            region.size,
            rights | u64::from(region.page_size.bits()) << 8,
        ];
        words.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
    }
    let (symbol, count) = (&table.symbol, &table.count_symbol);
    let needed = bytes.len() as u64;
    target.write(
        &symbol.value,
        &bytes,
        |size| size >= needed && size.is_multiple_of(GRANT_ENTRY),
        &format!("a multiple of {GRANT_ENTRY} and at least {needed}"),
        &symbol.place,
    );
    target.word(&count.value, (table.clients.len() + table.grants.len()) as u64, &count.place);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_that_is_too_long_keeps_its_end_and_whole_letters() {
        let shown = |name: &str| String::from_utf8(file_name(name).to_vec()).unwrap();
        assert_eq!(shown("boards/mine.toml").trim_end_matches('\0'), "boards/mine.toml");
        let long = format!("{}.toml", "x".repeat(100));
        assert_eq!(shown(&long), long[long.len() - 64..]);
        let umlauts = format!("{}.toml", "ä".repeat(50));
        assert_eq!(shown(&umlauts).trim_end_matches('\0'), format!("{}.toml", "ä".repeat(29)));
    }
}
