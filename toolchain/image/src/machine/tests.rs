// SPDX-License-Identifier: BSD-2-Clause
//! Board files out of dumps: written in the formats, with figures of machines that were posted.

use std::fs;

use super::*;
use crate::board::Board;

/// `lspci -vvv -xxx` as root: two functions, the second of which is the GPU.
const LSPCI: &str = include_str!("../../tests/data/lspci.txt");

const IOMEM: &str = include_str!("../../tests/data/iomem.txt");

/// The log of the same machine, in both forms that Linux has had for BARs.
const LOG: &str = include_str!("../../tests/data/kernel-log.txt");

fn board(facts: &Facts) -> Board {
    let text = facts.board_file(Some("test"), 5).unwrap();
    Board::parse(&text).unwrap_or_else(|error| panic!("{error} in\n{text}"))
}

#[test]
fn a_dump_of_lspci_and_one_of_iomem_make_a_board() {
    let mut facts = Facts::default();
    facts.add_lspci(LSPCI).unwrap();
    facts.add_iomem(IOMEM).unwrap();
    let board = board(&facts);
    let gpu = board.gpu.as_ref().unwrap();
    assert_eq!((gpu.device, gpu.pci.as_str(), gpu.vector), (0x9a49, "0:2.0", 5));
    assert_eq!((gpu.registers.start, gpu.registers.end), (0x60_3c00_0000, 0x60_3d00_0000));
    assert_eq!(gpu.aperture.map(|span| (span.start, span.end)), Some((0x40_0000_0000, 0x40_1000_0000)));
    assert_eq!(gpu.stolen.map(|span| (span.start, span.end)), Some((0x6c80_0000, 0x7080_0000)));
    assert_eq!(gpu.gtt, 8 << 20);
    assert!(board.is_device(gpu.registers.start, 0x100_0000), "the registers can be mapped");
    // 128 MiB, and 16 MiB below the end of the memory, in steps of 2 MiB.
    assert_eq!(
        board.ram.iter().map(|span| (span.start, span.end)).collect::<Vec<_>>(),
        [(0x800_0000, 0x5e60_0000)]
    );
    assert!(!board.is_device(0x2000_0000, 0x1000), "memory is no device");
    for kept in [0xfec0_0000, 0xfed9_0000, 0xfed9_1000, 0xfee0_0000] {
        assert!(!board.is_device(kept, 0x1000), "{kept:#x} is the kernel's");
    }
    assert!(board.is_device(0xfed0_0000, 0x1000), "the HPET is a device");
}

#[test]
fn a_kernel_log_makes_the_same_board() {
    let mut from_log = Facts::default();
    from_log.add_kernel_log(LOG).unwrap();
    assert_eq!(from_log.name.as_deref(), Some("Dell Inc. XPS 13 9310"));
    let mut from_dumps = Facts::default();
    from_dumps.add_lspci(LSPCI).unwrap();
    from_dumps.add_iomem(IOMEM).unwrap();
    // All but where the size of the GTT comes from.
    from_dumps.ggc = None;
    assert_eq!(from_log.board_file(Some("test"), 5), from_dumps.board_file(Some("test"), 5));
}

/// The folders that a running Linux has, in another place.
#[test]
fn a_running_linux_makes_the_same_board() {
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let mut config = vec![0; 256];
    config[..4].copy_from_slice(&[0x86, 0x80, 0x49, 0x9a]);
    config[0x0b] = 3;
    config[0x50..0x52].copy_from_slice(&[0xc1, 0x02]);
    write("sys/bus/pci/devices/0000:00:02.0/config", &config);
    let resource = "0x000000603c000000 0x000000603cffffff 0x0000000000140204\n\
                    0x0000000000000000 0x0000000000000000 0x0000000000000000\n\
                    0x0000004000000000 0x000000400fffffff 0x000000000014220c\n";
    write("sys/bus/pci/devices/0000:00:02.0/resource", resource.as_bytes());
    write("proc/iomem", IOMEM.as_bytes());
    write("sys/class/dmi/id/sys_vendor", b"Dell Inc.\n");
    write("sys/class/dmi/id/product_name", b"XPS 13 9310\n");
    let facts = Facts::read_running(root.path()).unwrap();
    assert_eq!(facts.name.as_deref(), Some("Dell Inc. XPS 13 9310"));
    let mut from_dumps = Facts::default();
    from_dumps.add_lspci(LSPCI).unwrap();
    from_dumps.add_iomem(IOMEM).unwrap();
    assert_eq!(facts.board_file(Some("test"), 5), from_dumps.board_file(Some("test"), 5));
}

#[test]
fn what_is_missing_is_told_with_where_to_find_it() {
    let mut facts = Facts::default();
    let error = |facts: &Facts| facts.board_file(None, 5).unwrap_err();
    assert!(error(&facts).contains("-xxx"), "{}", error(&facts));
    facts.add_lspci(LSPCI).unwrap();
    assert!(error(&facts).contains("/proc/iomem"), "{}", error(&facts));
    let absent = Facts::read_running(Path::new("/nonexistent")).unwrap_err();
    assert!(absent.contains("no PCI function at 00:02.0"), "{absent}");
    // Without -xxx, and without -vvv.
    let mut facts = Facts::default();
    let texts: String = LSPCI
        .lines()
        .filter(|line| !line.contains("0: "))
        .fold(String::new(), |text, line| text + line + "\n");
    facts.add_lspci(&texts).unwrap();
    assert!(error(&facts).contains("lspci has it with -xxx"), "{}", error(&facts));
    let mut facts = Facts::default();
    facts.add_lspci(&LSPCI.replace("\tRegion", "\tNothing")).unwrap();
    assert!(error(&facts).contains("lspci has it with -vvv"), "{}", error(&facts));
}

#[test]
fn a_dump_that_is_none_is_told() {
    let told = |result: Result<(), String>, what: &str| {
        let problem = result.unwrap_err();
        assert!(problem.contains(what), "{problem}");
    };
    let mut facts = Facts::default();
    for other in ["", IOMEM, "\u{fffd}\u{0}ELF", &LSPCI.replace("00:02.0", "00:03.0")] {
        told(facts.add_lspci(other), "no output of lspci -vvv -xxx with a GPU");
    }
    told(
        facts.add_lspci(&LSPCI.replace("00: 86 80 49 9a", "00: de 10 49 9a")),
        "no Intel GPU, but 10de:9a49",
    );
    told(
        facts.add_lspci(&LSPCI.replace("01 00 00 03 00 00 00 00\n10: 04", "01 00 04 06 00 00 00 00\n10: 04")),
        "8086:9a49 of class 0x06",
    );
    told(facts.add_iomem(LSPCI), "no /proc/iomem");
    // As everybody but root sees it.
    told(
        facts.add_iomem("00000000-00000000 : System RAM\n  00000000-00000000 : Kernel code\n"),
        "read /proc/iomem as root",
    );
    told(
        facts.add_kernel_log("[12345.678901] usb 1-4: new high-speed USB device\n"),
        "no kernel log from the start",
    );
}

/// A dump that was not taken as root ends before GGC.
#[test]
fn a_size_of_the_gtt_that_is_guessed_is_marked_as_such() {
    let guessed = "# What BAR 0 has room for";
    let mut facts = Facts::default();
    facts.add_iomem(IOMEM).unwrap();
    facts.add_lspci(LSPCI).unwrap();
    assert!(!facts.board_file(None, 5).unwrap().contains(guessed));
    let mut cut = Facts::default();
    cut.add_iomem(IOMEM).unwrap();
    cut.add_lspci(LSPCI.split("40: ").next().unwrap()).unwrap();
    let text = cut.board_file(None, 5).unwrap();
    assert!(text.contains(guessed) && text.contains("gtt = 0x800000"), "{text}");
}

/// Every board file of the tree is one that the tool takes, with a GPU whose registers can be mapped.
#[test]
fn the_boards_of_the_tree_are_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards");
    let mut names: Vec<String> = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let board = Board::read(&entry.unwrap().path()).unwrap();
        let gpu = board.gpu.as_ref().unwrap();
        assert!(
            board.is_device(gpu.registers.start, gpu.registers.end - gpu.registers.start),
            "{}",
            board.name
        );
        if let Some(stolen) = gpu.stolen {
            assert!(!board.is_ram(stolen.start, 0x1000), "{}: stolen memory is given away", board.name);
        }
        names.push(board.name);
    }
    // Others may have been added: `make board BOARD=NAME` writes them there.
    for name in ["Dell Inc. XPS 13 9310", "HP EliteBook, board 8079", "qemu-q35"] {
        assert!(names.iter().any(|found| found == name), "{name} is not among {names:?}");
    }
}
