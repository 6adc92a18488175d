// SPDX-License-Identifier: BSD-2-Clause
//! The registers that Linux's i915 leaves written on a Tiger Lake are written by this driver with the
//! same value, or stand in a table with the reason why not.
//!
//! The recording (`tests/data`) is of the stock driver of Debian 12 on the same device model, from
//! loading to the end of its initialisation.

mod machine;

use std::collections::BTreeMap;

use machine::Rig;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Register {
    writes: u32,
    last: u64,
}

fn number(text: &str) -> u64 {
    let digits = text.strip_prefix("0x").expect("hexadecimal");
    u64::from_str_radix(digits, 16).expect("hexadecimal")
}

/// Lines `0xOFFSET reads=N writes=N last=0xVALUE`.
fn listing(text: &str) -> BTreeMap<u64, Register> {
    let lines = text.lines().filter(|line| line.starts_with("0x"));
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let value = |index: usize| fields[index].split_once('=').expect("name=value").1;
            let register = Register { writes: value(2).parse().expect("a number"), last: number(value(3)) };
            (number(fields[0]), register)
        })
        .collect()
}

/// First offset, last offset, reason.
fn exceptions() -> Vec<(u64, u64, &'static str)> {
    let lines = include_str!("data/parity-exceptions.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut fields = line.splitn(3, ' ');
            let mut next = || fields.next().expect("three fields");
            (number(next()), number(next()), next())
        })
        .collect()
}

#[test]
fn every_register_that_linux_writes_on_tiger_lake_is_written_alike_or_explained() {
    let linux = listing(include_str!("data/linux-6.1-i915-tgl-probe.txt"));
    let mut rig = Rig::new("tgl");
    // Linux's GPU was idle, too, when the recording ended.
    rig.gpu.power_down();
    let ours = listing(&rig.model().register_listing());
    let exceptions = exceptions();
    let mut used = vec![false; exceptions.len()];
    let mut unexplained = Vec::new();
    let (mut same, mut different) = (0, 0);
    for (offset, register) in linux.iter().filter(|(_, register)| register.writes != 0) {
        let mine = ours.get(offset).filter(|mine| mine.writes != 0);
        if mine.is_some_and(|mine| mine.last == register.last) {
            same += 1;
            continue;
        }
        different += 1;
        let found = exceptions.iter().position(|(first, last, _)| (first..=last).contains(&offset));
        let shown = mine.map_or("not written".to_owned(), |mine| format!("{:#x}", mine.last));
        let reason = found.map_or("UNEXPLAINED", |found| exceptions[found].2);
        println!("{offset:#08x}: linux {:#x}, ours {shown}: {reason}", register.last);
        match found {
            Some(found) => used[found] = true,
            None => unexplained.push(*offset),
        }
    }
    println!("{same} registers alike, {different} different, {} unexplained", unexplained.len());
    assert!(unexplained.is_empty(), "unexplained: {unexplained:#x?}");
    let idle: Vec<_> =
        exceptions.iter().zip(&used).filter(|(_, used)| !**used).map(|(line, _)| line).collect();
    assert!(idle.is_empty(), "these lines explain nothing: {idle:#x?}");
    assert!(same > 250, "{same}");
}
