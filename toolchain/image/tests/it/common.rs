// SPDX-License-Identifier: BSD-2-Clause
//! A workbench for the image tool: a folder with small programs in which descriptions are built.

use std::fs;
use std::path::{Path, PathBuf};

use image::{Image, Request, build};
use tempfile::TempDir;

/// A static executable in the making.
#[derive(Clone)]
pub(crate) struct Elf {
    pub(crate) entry: u64,
    pub(crate) kind: u16,
    pub(crate) machine: u16,
    /// {address, flags, bytes in the file, bytes in memory}
    pub(crate) segments: Vec<(u64, u32, Vec<u8>, u64)>,
    /// {name, address, size}
    pub(crate) symbols: Vec<(String, u64, u64)>,
    /// Whether it names a dynamic linker.
    pub(crate) interpreter: bool,
}

/// Flags of segments.
pub(crate) const RX: u32 = 5;
pub(crate) const RW: u32 = 6;
/// Where a program's data lies.
pub(crate) const DATA: u64 = 0x40_2000;

impl Elf {
    /// A program with the runtime's variables, code at 0x400000 and data at [`DATA`], of which the second half is
    /// not in the file. Further symbols of {name, size} follow the runtime's.
    pub(crate) fn program(more: &[(&str, u64)]) -> Self {
        let runtime = [
            ("microkit_name", 64),
            ("microkit_passive", 1),
            ("microkit_irqs", 8),
            ("microkit_notifications", 8),
            ("microkit_pps", 8),
            ("microkit_ioports", 8),
        ];
        let mut symbols = Vec::new();
        let mut at = DATA;
        for &(name, size) in runtime.iter().chain(more) {
            symbols.push((name.to_owned(), at, size));
            at += size.next_multiple_of(8);
        }
        let size = (at - DATA).max(0x200);
        Self {
            entry: 0x40_0010,
            kind: 2,
            machine: 62,
            segments: vec![(0x40_0000, RX, vec![0x90; 0x40], 0x40), (DATA, RW, vec![0xdd; 8], size)],
            symbols,
            interpreter: false,
        }
    }

    /// Stands in for the initialiser.
    pub(crate) fn initialiser() -> Self {
        let mut elf = Self::program(&[]);
        elf.symbols = vec![("image_spec_place".into(), DATA, 24), ("image_board_file".into(), DATA + 24, 88)];
        elf
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut strings = vec![0];
        let mut symtab = vec![0; 24];
        for (name, address, size) in &self.symbols {
            symtab.extend((strings.len() as u32).to_le_bytes());
            strings.extend(name.bytes().chain([0]));
            symtab.extend([0x11, 0]); // a global object
            symtab.extend(1u16.to_le_bytes());
            symtab.extend(address.to_le_bytes());
            symtab.extend(size.to_le_bytes());
        }
        let count = self.segments.len() + usize::from(self.interpreter);
        let mut headers = Vec::new();
        let mut body = Vec::new();
        let base = 64 + 56 * count as u64;
        let mut header =
            |kind: u32, flags: u32, vaddr: u64, bytes: &[u8], memory: u64, body: &mut Vec<u8>| {
                headers.extend(kind.to_le_bytes());
                headers.extend(flags.to_le_bytes());
                for word in [base + body.len() as u64, vaddr, vaddr, bytes.len() as u64, memory, 0x1000] {
                    headers.extend(word.to_le_bytes());
                }
                body.extend_from_slice(bytes);
            };
        if self.interpreter {
            header(3, 4, 0, b"/lib/ld.so\0", 11, &mut body);
        }
        for (vaddr, flags, bytes, memory) in &self.segments {
            header(1, *flags, *vaddr, bytes, *memory, &mut body);
        }
        let symtab_at = base + body.len() as u64;
        body.extend(&symtab);
        let strings_at = base + body.len() as u64;
        body.extend(&strings);
        let sections_at = base + body.len() as u64;
        // {type, offset, size, link, info, entry size}: none, symbols, strings.
        let sections: [[u64; 6]; 3] = [
            [0; 6],
            [2, symtab_at, symtab.len() as u64, 2, 1, 24],
            [3, strings_at, strings.len() as u64, 0, 0, 0],
        ];
        for [kind, offset, size, link, info, entry] in sections {
            body.extend(0u32.to_le_bytes());
            body.extend((kind as u32).to_le_bytes());
            for word in [0, 0, offset, size] {
                body.extend(word.to_le_bytes());
            }
            body.extend((link as u32).to_le_bytes());
            body.extend((info as u32).to_le_bytes());
            body.extend(1u64.to_le_bytes());
            body.extend(entry.to_le_bytes());
        }

        let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
        file.resize(16, 0);
        file.extend(self.kind.to_le_bytes());
        file.extend(self.machine.to_le_bytes());
        file.extend(1u32.to_le_bytes());
        for word in [self.entry, 64, sections_at] {
            file.extend(word.to_le_bytes());
        }
        file.extend(0u32.to_le_bytes());
        for half in [64, 56, count as u16, 64, 3, 2] {
            file.extend(half.to_le_bytes());
        }
        file.extend(headers);
        file.extend(body);
        file
    }
}

/// A board with 64 MiB for regions, of which the tests can reckon every address.
pub(crate) const BOARD: &str = r#"
name = "bench"
memory = 0x1000_0000
image_start = 0x40_0000
failure_exit = { port = 0xf4, value = 125 }
ram = [{ start = 0x800_0000, end = 0xc00_0000 }]
device = [{ start = 0xf000_0000, end = 0xf100_0000 }]
"#;

/// A folder with the programs `a.elf` and `b.elf`, the board and the initialiser.
pub(crate) struct Bench {
    _folder: TempDir,
    path: PathBuf,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        // Its name is in images, with that of the board file.
        let path = folder.path().join("bench");
        fs::create_dir(&path).unwrap();
        let bench = Self { _folder: folder, path };
        bench.file("board.toml", BOARD.as_bytes());
        bench.elf("initialiser", &Elf::initialiser());
        let symbols: Vec<_> = ["x", "y", "z"].map(|name| (name, 8)).to_vec();
        bench.elf("a.elf", &Elf::program(&symbols));
        bench.elf("b.elf", &Elf::program(&symbols));
        bench
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path().join(name), bytes).unwrap();
    }

    pub(crate) fn elf(&self, name: &str, elf: &Elf) {
        self.file(name, &elf.bytes());
    }

    pub(crate) fn request(&self) -> Request {
        Request {
            system: self.path().join("system.xml"),
            search_paths: vec![self.path().to_owned()],
            board: self.path().join("board.toml"),
            initialiser: self.path().join("initialiser"),
        }
    }

    /// Builds a description; errors come with the file's name alone.
    pub(crate) fn build_whole(&self, xml: &str) -> Result<Image, String> {
        self.file("system.xml", xml.as_bytes());
        let folder = format!("{}/", self.path().display());
        build(&self.request()).map_err(|error| error.to_string().replace(&folder, ""))
    }

    /// Builds what stands inside `<system>`, which starts in line 2.
    pub(crate) fn build(&self, body: &str) -> Result<Image, String> {
        self.build_whole(&format!("<system>\n{body}\n</system>\n"))
    }

    /// The message that refuses a body, all lines.
    pub(crate) fn refusal(&self, body: &str) -> String {
        match self.build(body) {
            Ok(_) => panic!("this is accepted:\n{body}"),
            Err(message) => message,
        }
    }
}

/// A domain around `inside`, all in one line except for what `inside` brings.
pub(crate) fn domain(name: &str, priority: u8, inside: &str) -> String {
    format!(
        "<protection_domain name=\"{name}\" priority=\"{priority}\"><program_image path=\"a.elf\"/>{inside}\
         </protection_domain>"
    )
}

/// Checks what a body is refused with, in a fresh bench.
#[track_caller]
pub(crate) fn refused(body: &str, message: &str) {
    let found = Bench::new().refusal(body);
    assert_eq!(found, message, "for\n{body}");
}

/// A bench with everything that the golden system needs.
pub(crate) fn golden_bench() -> Bench {
    let bench = Bench::new();
    bench.file("table.bin", &table());
    let symbols = [("x", 8), ("y", 8), ("z", 8), ("q", 8), ("grants", 128), ("count", 8)];
    let mut elf = Elf::program(&symbols);
    // All of it is in the file, as an SDK's tool needs it.
    let size = usize::try_from(elf.segments[1].3).unwrap();
    elf.segments[1].2.resize(size, 0);
    bench.elf("a.elf", &elf);
    bench
}

/// The system with one of everything.
pub(crate) fn golden() -> Image {
    golden_bench().build_whole(include_str!("golden/system.xml")).unwrap()
}

/// What its region `table` is filled with: five bytes more than two pages, nothing of it zero.
pub(crate) fn table() -> Vec<u8> {
    (0..0x2005u32).map(|index| (index % 251) as u8 + 1).collect()
}
