// SPDX-License-Identifier: BSD-2-Clause
//! The registers that Linux's i915 leaves written on a part are written by this driver with the same
//! value, or stand in a table with the reason why not. So are those that it writes with commands of a
//! ring, into the state that every context starts from. And what only this driver writes is there with the
//! reason, too.
//!
//! The recordings (`tests/data/oracle-*.txt`) are of the stock driver of Debian 12 on the same device
//! model, from loading until its first work is done; `linux-6.1-i915-tgl-probe.txt` is another one of
//! Tiger Lake, which ends with the GPU suspended.

mod machine;

use std::collections::BTreeMap;

use machine::Rig;

const EXCEPTIONS: &str = include_str!("data/parity-exceptions.txt");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Register {
    writes: u32,
    last: u64,
}

/// Registers by whether a command of a ring wrote them, and offset.
type Listing = BTreeMap<(bool, u64), Register>;

fn number(text: &str) -> u64 {
    let digits = text.strip_prefix("0x").expect("0x");
    u64::from_str_radix(digits, 16).expect("a hexadecimal number")
}

/// Begins a line of a register that commands of a ring wrote.
const BY_COMMANDS: &str = "# command ";

/// Lines `0xOFFSET reads=N writes=N last=0xVALUE`, and comments, of which `# command 0xOFFSET writes=N last=0xVALUE` are
/// read, too.
fn listing(text: &str) -> Listing {
    let lines = text.lines().filter(|line| !line.starts_with('#') || line.starts_with(BY_COMMANDS));
    lines
        .map(|whole| {
            let rest = whole.strip_prefix(BY_COMMANDS);
            let fields: Vec<&str> = rest.unwrap_or(whole).split_whitespace().collect();
            let value = |name: &str| {
                fields.iter().find_map(|field| field.strip_prefix(name)).expect("each line has the field")
            };
            let writes = value("writes=").parse().expect("a number");
            ((rest.is_some(), number(fields[0])), Register { writes, last: number(value("last=")) })
        })
        .collect()
}

/// What this driver leaves in a register that Linux leaves otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ours {
    /// Not written.
    Nothing,
    /// This value.
    Value(u64),
    /// In the bits of the mask what Linux leaves; the others are a choice of each driver.
    Like(u64),
}

impl Ours {
    fn holds(self, linux: Register, ours: Option<Register>) -> bool {
        match (self, ours) {
            (Self::Nothing, ours) => ours.is_none(),
            (Self::Value(value), Some(ours)) => ours.last == value,
            (Self::Like(mask), Some(ours)) => ours.last & mask == linux.last & mask,
            (_, None) => false,
        }
    }
}

/// One line of the table.
#[derive(Debug)]
struct Exception {
    line: &'static str,
    /// It is about registers that Linux does not write.
    alone: bool,
    command: bool,
    registers: (u64, u64),
    ours: Ours,
    reason: &'static str,
}

/// The lines for a recording. Registers are said as `0xOFFSET`, `0xFIRST-0xLAST` or, written by commands,
/// `command:0xOFFSET`; those that only this driver writes have `alone:` before that.
fn exceptions(recording: &str) -> Vec<Exception> {
    let lines = EXCEPTIONS.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .filter_map(|line| {
            let mut fields = line.splitn(4, ' ');
            let mut next = || fields.next().expect("four fields");
            let (recordings, registers, ours, reason) = (next(), next(), next(), next());
            assert!(reason.len() > 10 && reason.ends_with(')'), "{line}: a reason and (its source)");
            let (alone, registers) = match registers.strip_prefix("alone:") {
                Some(rest) => (true, rest),
                None => (false, registers),
            };
            let (command, registers) = match registers.strip_prefix("command:") {
                Some(rest) => (true, rest),
                None => (false, registers),
            };
            let (first, last) = registers.split_once('-').unwrap_or((registers, registers));
            let ours = match (ours, ours.strip_prefix("like:")) {
                ("-", _) => Ours::Nothing,
                (_, Some(mask)) => Ours::Like(number(mask)),
                _ => Ours::Value(number(ours)),
            };
            let here = recordings.split(',').any(|name| name == recording);
            here.then(|| Exception {
                line,
                alone,
                command,
                registers: (number(first), number(last)),
                ours,
                reason,
            })
        })
        .collect()
}

/// Compares what this driver leaves on a part with a recording, and gives how many registers are alike.
fn compare(part: &str, recording: &str, text: &str) -> usize {
    println!();
    let linux = listing(text);
    let mut rig = Rig::new(part);
    // Linux's GPU was idle, too, when the recording ended.
    rig.gpu.power_down();
    let ours = listing(&rig.model().register_listing());
    let exceptions = exceptions(recording);
    let mut used = vec![false; exceptions.len()];
    let mut unexplained = Vec::new();
    let (mut same, mut different) = (0, 0);
    for (&(command, offset), &register) in linux.iter().filter(|(_, register)| register.writes != 0) {
        let mine = ours.get(&(command, offset)).copied().filter(|mine| mine.writes != 0);
        if mine.is_some_and(|mine| mine.last == register.last) {
            same += 1;
            continue;
        }
        different += 1;
        let explains = |exception: &Exception| {
            exception.command == command
                && !exception.alone
                && (exception.registers.0..=exception.registers.1).contains(&offset)
                && exception.ours.holds(register, mine)
        };
        let found = exceptions.iter().position(explains);
        let shown = mine.map_or("not written".to_owned(), |mine| format!("{:#x}", mine.last));
        let reason = found.map_or("UNEXPLAINED", |found| exceptions[found].reason);
        let by = if command { " by command" } else { "" };
        println!("0x{offset:06x}{by} on {recording}: linux {:#x}, ours {shown}: {reason}", register.last);
        match found {
            Some(found) => used[found] = true,
            None => unexplained.push(format!("{offset:#08x}{by}: linux {:#x}, ours {shown}", register.last)),
        }
    }
    // What Linux leaves alone and ours writes.
    let written = |register: &&Register| register.writes != 0;
    let tells_of_commands = linux.keys().any(|(command, _)| *command);
    for (&(command, offset), &mine) in ours.iter().filter(|(_, register)| register.writes != 0) {
        if linux.get(&(command, offset)).filter(written).is_some() || command && !tells_of_commands {
            continue;
        }
        different += 1;
        let explains = |exception: &Exception| {
            exception.command == command
                && exception.alone
                && (exception.registers.0..=exception.registers.1).contains(&offset)
                && exception.ours.holds(mine, Some(mine))
        };
        let found = exceptions.iter().position(explains);
        let reason = found.map_or("UNEXPLAINED", |found| exceptions[found].reason);
        let by = if command { " by command" } else { "" };
        println!("0x{offset:06x}{by} on {recording}: linux not written, ours {:#x}: {reason}", mine.last);
        match found {
            Some(found) => used[found] = true,
            None => unexplained.push(format!("{offset:#08x}{by}: linux not written, ours {:#x}", mine.last)),
        }
    }
    println!("{recording}: {same} registers alike, {different} different, {} unexplained", unexplained.len());
    assert!(unexplained.is_empty(), "{recording}: unexplained: {unexplained:#?}");
    let stale: Vec<_> =
        exceptions.iter().zip(&used).filter(|(_, used)| !**used).map(|(row, _)| row.line).collect();
    assert!(stale.is_empty(), "{recording}: these lines explain nothing: {stale:#?}");
    same
}

macro_rules! parts {
    ($($test:ident: $part:literal, $recording:literal, $file:literal, at least $least:literal;)*) => {$(
        #[test]
        fn $test() {
            let same = compare($part, $recording, include_str!(concat!("data/", $file)));
            assert!(same >= $least, "{same}");
        }
    )*
        #[test]
        fn every_exception_is_for_a_recording_that_exists() {
            let known = [$($recording),*];
            for line in EXCEPTIONS.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
                let recordings = line.split(' ').next().expect("a field");
                assert!(recordings.split(',').all(|name| known.contains(&name)), "{line}");
            }
        }
    };
}

parts! {
    broadwell_is_left_as_linux_leaves_it_or_explained: "bdw", "bdw", "oracle-bdw.txt", at least 140;
    skylake_is_left_as_linux_leaves_it_or_explained: "skl", "skl", "oracle-skl.txt", at least 450;
    kaby_lake_is_left_as_linux_leaves_it_or_explained: "kbl", "kbl", "oracle-kbl.txt", at least 450;
    gemini_lake_is_left_as_linux_leaves_it_or_explained: "glk", "glk", "oracle-glk.txt", at least 430;
    ice_lake_is_left_as_linux_leaves_it_or_explained: "icl", "icl", "oracle-icl.txt", at least 600;
    tiger_lake_is_left_as_linux_leaves_it_or_explained: "tgl", "tgl", "oracle-tgl.txt", at least 340;
    rocket_lake_is_left_as_linux_leaves_it_or_explained: "rkl", "rkl", "oracle-rkl.txt", at least 315;
    alder_lake_is_left_as_linux_leaves_it_or_explained: "adls", "adls", "oracle-adls.txt", at least 340;
    a_suspended_tiger_lake_is_left_as_linux_leaves_it_or_explained:
        "tgl", "tgl-suspended", "linux-6.1-i915-tgl-probe.txt", at least 330;
}

#[test]
fn what_commands_wrote_is_read_from_its_comments_and_no_other_comment_is() {
    let found =
        listing("# a head\n0x000d00 reads=1 writes=0 last=0xe\n# command 0x002600 writes=9 last=0x1\n");
    let found: Vec<_> = found.iter().map(|(place, register)| (*place, register.last)).collect();
    assert_eq!(found, [((false, 0xd00), 0xe), ((true, 0x2600), 1)]);
    // The driver's own listing has both kinds, too.
    let ours = listing(&Rig::new("tgl").model().register_listing());
    assert!([false, true].iter().all(|kind| ours.keys().any(|(command, _)| command == kind)));
}

#[test]
fn an_exception_holds_for_what_it_says_of_ours_and_nothing_else() {
    let register = |last| Register { writes: 1, last };
    let linux = register(0x1051d);
    assert!(Ours::Nothing.holds(linux, None) && !Ours::Nothing.holds(linux, Some(register(0))));
    assert!(
        Ours::Value(7).holds(linux, Some(register(7))) && !Ours::Value(7).holds(linux, Some(register(8)))
    );
    assert!(!Ours::Value(0).holds(linux, None));
    assert!(Ours::Like(0xfff).holds(linux, Some(register(0x2051d))));
    assert!(!Ours::Like(0xfff).holds(linux, Some(register(0x2051c))) && !Ours::Like(0).holds(linux, None));
}
