// SPDX-License-Identifier: BSD-2-Clause
//! Board files out of dumps: written in the formats, with figures of machines that were posted.

use std::fs;

use super::*;
use crate::board::Board;

/// `lspci -vvv -xxx` as root: two functions, the second of which is the GPU.
const LSPCI: &str = "\
00:00.0 Host bridge: Intel Corporation Device 9a14 (rev 01)
\tControl: I/O- Mem+ BusMaster+
\tRegion 0: Memory at dead0000 (64-bit, non-prefetchable) [size=4K]
00: 86 80 14 9a 06 00 90 20 01 00 00 06 00 00 00 00

00:02.0 VGA compatible controller: Intel Corporation Device 9a49 (rev 01) (prog-if 00 [VGA controller])
\tSubsystem: Dell Device 0991
\tRegion 0: Memory at 603c000000 (64-bit, non-prefetchable) [size=16M]
\tRegion 2: Memory at 4000000000 (64-bit, prefetchable) [size=256M]
\tRegion 4: I/O ports at 3000 [size=64]
\tCapabilities: [ac] MSI: Enable+ Count=1/1 Maskable- 64bit-
00: 86 80 49 9a 07 04 10 00 01 00 00 03 00 00 00 00
10: 04 00 00 3c 60 00 00 00 0c 00 00 00 40 00 00 00
20: 01 30 00 00 00 00 00 00 00 00 00 00 28 10 91 09
30: 00 00 00 00 40 00 00 00 00 00 00 00 ff 01 00 00
40: 09 70 0c 01 00 00 00 00 00 00 00 00 00 00 00 00
50: c1 02 00 00 00 00 00 00 00 00 00 00 01 00 80 6c
";

const IOMEM: &str = "\
00000000-00000fff : Reserved
00001000-0009efff : System RAM
0009f000-000fffff : Reserved
00100000-5f72afff : System RAM
  22000000-22c00fff : Kernel code
5f72b000-63510fff : Reserved
63fff000-63ffffff : System RAM
69000000-707fffff : Reserved
  6c800000-707fffff : Graphics Stolen Memory
70800000-bfffffff : PCI Bus 0000:00
fec00000-fec003ff : IOAPIC 0
fed90000-fed90fff : dmar0
fed91000-fed91fff : dmar1
100000000-88f7fffff : System RAM
4000000000-7fffffffff : PCI Bus 0000:00
  4000000000-400fffffff : 0000:00:02.0
  603c000000-603cffffff : 0000:00:02.0
";

/// The log of the same machine, in both forms that Linux has had for BARs.
const LOG: &str = "\
[    0.000000] BIOS-e820: [mem 0x0000000000001000-0x000000000009efff] usable
[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000005f72afff] usable
[    0.000000] BIOS-e820: [mem 0x000000005f72b000-0x0000000063510fff] reserved
[    0.000000] BIOS-e820: [mem 0x0000000063fff000-0x0000000063ffffff] usable
[    0.000000] BIOS-e820: [mem 0x0000000100000000-0x000000088f7fffff] usable
[    0.000000] DMI: Dell Inc. XPS 13 9310/0F7M4C, BIOS 1.1.1 10/05/2020
[    0.046187] Reserving Intel graphics memory at [mem 0x6c800000-0x707fffff]
[    0.119000] DMAR: dmar0: reg_base_addr fed90000 ver 4:0 cap 1c0000c40660462 ecap 69e2ff0505e
[    0.119001] DMAR: dmar1: reg_base_addr fed91000 ver 1:0 cap d2008c40660462 ecap f050da
[    0.506292] pci 0000:00:02.0: [8086:9a49] type 00 class 0x030000
[    0.506300] pci 0000:00:02.0: reg 0x10: [mem 0x603c000000-0x603cffffff 64bit]
[    0.506304] pci 0000:00:02.0: BAR 2 [mem 0x4000000000-0x400fffffff 64bit pref]
[    0.507214] pci 0000:00:04.0: reg 0x10: [mem 0x603d180000-0x603d19ffff 64bit]
";

fn board(facts: &Facts) -> Board {
    let text = facts.board_file(Some("test"), 5).unwrap();
    Board::parse(&text).unwrap_or_else(|error| panic!("{error} in\n{text}"))
}

#[test]
fn a_dump_of_lspci_and_one_of_iomem_make_a_board() {
    let mut facts = Facts::default();
    facts.add_lspci(LSPCI);
    facts.add_iomem(IOMEM);
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
    from_log.add_kernel_log(LOG);
    assert_eq!(from_log.name.as_deref(), Some("Dell Inc. XPS 13 9310"));
    let mut from_dumps = Facts::default();
    from_dumps.add_lspci(LSPCI);
    from_dumps.add_iomem(IOMEM);
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
    from_dumps.add_lspci(LSPCI);
    from_dumps.add_iomem(IOMEM);
    assert_eq!(facts.board_file(Some("test"), 5), from_dumps.board_file(Some("test"), 5));
}

#[test]
fn what_is_missing_is_told_with_where_to_find_it() {
    let mut facts = Facts::default();
    let error = |facts: &Facts| facts.board_file(None, 5).unwrap_err();
    assert!(error(&facts).contains("lspci -vvv -xxx"), "{}", error(&facts));
    facts.add_lspci(LSPCI);
    assert!(error(&facts).contains("/proc/iomem"), "{}", error(&facts));
    // As everybody but root sees it.
    facts.add_iomem("00000000-00000000 : System RAM\n  00000000-00000000 : Kernel code\n");
    assert!(error(&facts).contains("as root"), "{}", error(&facts));
    let absent = Facts::read_running(Path::new("/nonexistent")).unwrap_err();
    assert!(absent.contains("resource"), "{absent}");
}

/// Every board file of the tree is one that the tool takes, with a GPU whose registers can be mapped.
#[test]
fn the_boards_of_the_tree_are_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards");
    let mut names = vec![];
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
    names.sort();
    assert_eq!(names, ["Dell Inc. XPS 13 9310", "HP EliteBook, board 8079", "qemu-q35"]);
}
