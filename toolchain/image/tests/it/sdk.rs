// SPDX-License-Identifier: BSD-2-Clause
//! Images with a Microkit SDK's tool, for which a script stands in here: what it is given, and what is refused
//! before it is asked.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use image::board::Board;
use image::sdk::{Sdk, SdkError, SdkImage, SdkRequest, build, description};
use object::{Object as _, ObjectSegment as _};
use tempfile::TempDir;

use crate::common::{BOARD, Bench, DATA, Elf, RX, domain, golden_bench};

/// A folder that looks like an SDK whose tool writes its arguments into the image and does what `script` says.
fn sdk_with(version: &str, script: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("bin")).unwrap();
    fs::create_dir_all(at("board/x86_64_generic/debug/elf")).unwrap();
    fs::create_dir_all(at("board/x86_64_generic/release/elf")).unwrap();
    fs::write(at("VERSION"), format!("{version}\n")).unwrap();
    fs::write(at("bin/microkit"), format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(at("bin/microkit"), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Writes its arguments to the file behind `-o`, one a line.
const NOTE_ARGUMENTS: &str = "for argument; do [ \"$last\" = -o ] && out=$argument; last=$argument; done\n\
                              for argument; do echo \"$argument\"; done > \"$out\"";

fn built(bench: &Bench, sdk: &TempDir, body: &str) -> Result<SdkImage, String> {
    bench.file("system.xml", format!("<system>\n{body}\n</system>\n").as_bytes());
    let request = SdkRequest {
        system: bench.path().join("system.xml"),
        search_paths: vec![bench.path().to_owned()],
        board: bench.path().join("board.toml"),
        sdk: Sdk::open(sdk.path(), "debug").map_err(|error| error.to_string())?,
        folder: bench.path().join("out"),
    };
    let folder = format!("{}/", bench.path().display());
    build(&request).map_err(|error| error.to_string().replace(&folder, ""))
}

#[test]
fn a_folder_that_is_no_sdk_is_refused_with_what_is_missing() {
    let empty = TempDir::new().unwrap();
    let error = Sdk::open(empty.path(), "debug").unwrap_err();
    assert!(error.to_string().ends_with("is no Microkit SDK: there is no VERSION in it"), "{error}");
    fs::write(empty.path().join("VERSION"), "2.3.0\n").unwrap();
    let error = Sdk::open(empty.path(), "debug").unwrap_err();
    assert!(matches!(&error, SdkError::NotAnSdk { missing: "bin/microkit", .. }), "{error}");
}

#[test]
fn a_folder_that_is_not_there_is_told_with_where_it_was_looked_for_and_what_it_has_to_be() {
    let told = |folder: &str| Sdk::open(Path::new(folder), "debug").unwrap_err().to_string();
    let expected = "what is expected has VERSION, bin and board in it";
    assert_eq!(told(""), format!("the name of the Microkit SDK's folder is empty; {expected}"));
    assert_eq!(told("/none"), format!("/none is no Microkit SDK: there is no such folder; {expected}"));
    let here = std::env::current_dir().unwrap();
    let base = here.display();
    assert_eq!(
        told("../none"),
        format!("../none is no Microkit SDK: there is no such folder in {base}; {expected}")
    );
    // One that is there may be relative.
    let sdk = sdk_with("2.3.0", "");
    let up = "../".repeat(here.components().count());
    let relative = format!("{up}{}", sdk.path().display().to_string().trim_start_matches('/'));
    let found = Sdk::open(Path::new(&relative), "debug").unwrap();
    assert!(found.folder().is_absolute() && found.tool().is_file());
}

#[test]
fn an_sdk_of_another_version_is_refused_with_both_versions() {
    for version in ["2.2.0", "2.3.1", "2.30", ""] {
        let error = Sdk::open(sdk_with(version, "").path(), "debug").unwrap_err().to_string();
        assert!(error.contains(&format!("is Microkit {version}; what is supported is 2.3.0")), "{error}");
    }
    assert_eq!(Sdk::open(sdk_with("2.3.0+local", "").path(), "debug").unwrap().version(), "2.3.0+local");
}

#[test]
fn a_missing_board_or_configuration_is_told_with_those_that_there_are() {
    let sdk = sdk_with("2.3.0", "");
    let error = Sdk::open(sdk.path(), "benchmark").unwrap_err().to_string();
    assert!(
        error.ends_with("no configuration benchmark of the board x86_64_generic; it has debug, release"),
        "{error}"
    );
    fs::rename(sdk.path().join("board/x86_64_generic"), sdk.path().join("board/odroidc4")).unwrap();
    let error = Sdk::open(sdk.path(), "debug").unwrap_err().to_string();
    assert!(error.ends_with("has no board x86_64_generic; it has odroidc4"), "{error}");
}

#[test]
fn the_tool_is_run_for_the_board_and_configuration_with_the_programs_as_prepared() {
    let (bench, sdk) = (Bench::new(), sdk_with("2.3.0", NOTE_ARGUMENTS));
    let image = built(&bench, &sdk, &domain("a", 1, "")).unwrap();
    let arguments = fs::read_to_string(&image.image).unwrap();
    let at = |name: &str| bench.path().join(name).display().to_string();
    let expected = [
        at("out/system.xml"),
        "--board".into(),
        "x86_64_generic".into(),
        "--config".into(),
        "debug".into(),
        "-o".into(),
        at("out/loader.img"),
        "-r".into(),
        at("out/microkit.txt"),
        "--search-path".into(),
        at("out/programs"),
        bench.path().display().to_string(),
    ];
    assert_eq!(arguments.lines().collect::<Vec<_>>(), expected);
    assert!(image.kernel.ends_with("board/x86_64_generic/debug/elf/sel4_32.elf"));
    assert!(image.report.to_json().contains("\"name\": \"a\""));
}

#[test]
fn what_the_tool_says_when_it_fails_is_the_error() {
    let (bench, sdk) = (Bench::new(), sdk_with("2.3.0", "echo \"error: it is Monday\" >&2; exit 1"));
    let error = built(&bench, &sdk, &domain("a", 1, "")).unwrap_err();
    assert!(error.ends_with("bin/microkit failed:\nerror: it is Monday"), "{error}");
}

fn refusal(elf: &Elf) -> String {
    let (bench, sdk) = (Bench::new(), sdk_with("2.3.0", "exit 1"));
    bench.elf("a.elf", elf);
    built(&bench, &sdk, &domain("a", 1, "")).unwrap_err()
}

/// Each of the variables that the tool writes, missing and of a wrong size.
#[test]
fn a_program_without_a_variable_that_the_tool_writes_is_refused_by_name() {
    for (name, size) in [
        ("microkit_name", 64),
        ("microkit_passive", 1),
        ("microkit_irqs", 8),
        ("microkit_notifications", 8),
        ("microkit_pps", 8),
        ("microkit_ioports", 8),
    ] {
        let mut elf = Elf::program(&[]);
        elf.symbols.retain(|(known, ..)| known != name);
        let message = refusal(&elf);
        assert!(message.ends_with(&format!("the program \"a.elf\" has no symbol \"{name}\"")), "{message}");

        let mut elf = Elf::program(&[]);
        elf.symbols.iter_mut().filter(|(known, ..)| known == name).for_each(|symbol| symbol.2 = size + 1);
        let expected = format!("has a symbol \"{name}\" of {} bytes; expected {size}", size + 1);
        let message = refusal(&elf);
        assert!(message.ends_with(&expected), "{message}");
    }
}

#[test]
fn a_variable_that_cannot_be_written_is_refused() {
    let mut elf = Elf::program(&[]);
    elf.segments[1].1 = RX;
    assert!(refusal(&elf).contains("has its symbol \"microkit_name\" in no writable segment"));
    let mut elf = Elf::program(&[]);
    elf.segments[1].0 = 0x40_0800;
    assert!(refusal(&elf).contains("share a page"));
}

const LENDING: &str = "\
<memory_region name=\"m\" size=\"0x2000\" page_size=\"0x1000\"/>
<memory_region name=\"own\" size=\"0x1000\" page_size=\"0x1000\"/>
<io_address_space name=\"gpu\" peripheral_id=\"0:2.0\" domain_id=\"1\">
    <iomap mr=\"own\" iovaddr=\"0x1000000000\" perms=\"rw\"/>
</io_address_space>
<protection_domain name=\"d\" priority=\"2\"><program_image path=\"driver.elf\"/>
    <!-- A comment that stays. -->
    <cspace>
        <cap_cspace_root slot=\"1\"/>
        <cap_io_space slot=\"2\" io_address_space=\"gpu\"/>
    </cspace>
    <grant_table symbol=\"grants\" count_symbol=\"count\">
        <grant channel=\"1\" mr=\"m\" perms=\"rw\"/>
    </grant_table>
</protection_domain>
<protection_domain name=\"c\" priority=\"1\"><program_image path=\"a.elf\"/>
    <map mr=\"m\" vaddr=\"0x1000000\"/>
    <cspace>
        <cap_frame_range slot=\"1\" mr=\"m\" perms=\"rw\" setvar_size_bits=\"x\"/>
        <cap_tcb slot=\"2\" pd=\"c\"/>
    </cspace>
</protection_domain>
<channel><end pd=\"d\" id=\"1\"/><end pd=\"c\" id=\"0\" pp=\"true\"/></channel>";

/// The lines that differ, and no other.
#[test]
fn the_description_for_the_tool_differs_where_it_must_and_nowhere_else() {
    let board = Board::parse(BOARD).unwrap();
    let text = format!("<system>\n{LENDING}\n</system>\n");
    let folder = TempDir::new().unwrap();
    let generated = description(&text, &[folder.path().to_owned()], &board).unwrap();
    let taken = |from: &str, of: &str| -> Vec<String> {
        let of: Vec<_> = of.lines().collect();
        from.lines().filter(|line| !of.contains(line)).map(|line| line.trim().to_owned()).collect()
    };
    assert_eq!(
        taken(&generated, &text),
        [
            "<memory_region phys_addr=\"0xbffe000\" name=\"m\" size=\"0x2000\" page_size=\"0x1000\"/>",
            "<iomap mr=\"m\" iovaddr=\"0xbffe000\" perms=\"rw\" />"
        ]
    );
    let gone = taken(&text, &generated);
    let gone: Vec<_> = gone.iter().map(|line| line.split([' ', '>']).next().unwrap()).collect();
    assert_eq!(
        gone,
        [
            "<memory_region",
            "<cap_cspace_root",
            "<cap_io_space",
            "<grant_table",
            "<grant",
            "</grant_table",
            "<cap_frame_range"
        ]
    );
    assert!(generated.contains("<cap_tcb slot=\"2\" pd=\"c\"/>"), "{generated}");
    assert_eq!(generated.matches("<cspace>").count(), 1, "an empty one goes:\n{generated}");
}

/// Self-closing elements and elements that share a line.
#[test]
fn the_description_for_the_tool_is_right_whatever_the_lines_look_like() {
    let board = Board::parse(BOARD).unwrap();
    let start = LENDING.find("<io_address_space").unwrap();
    let end = LENDING.find("</io_address_space>").unwrap() + "</io_address_space>".len();
    let closed = "<io_address_space name=\"gpu\" peripheral_id=\"0:2.0\" domain_id=\"1\" />";
    let body = format!("{}{closed}{}", &LENDING[..start], &LENDING[end..]);
    let own = "<memory_region name=\"own\" size=\"0x1000\" page_size=\"0x1000\"/>\n";
    for text in [body.replace(own, ""), body.replace(own, "").replace('\n', " "), LENDING.replace('\n', " ")]
    {
        let text = format!("<system>{text}</system>");
        let generated = description(&text, &[], &board).unwrap();
        let parsed = roxmltree::Document::parse(&generated).unwrap();
        let names: Vec<_> = parsed.descendants().map(|node| node.tag_name().name()).collect();
        for own in ["cap_frame_range", "cap_cnode", "cap_cspace_root", "cap_io_space", "grant_table", "grant"]
        {
            assert!(!names.contains(&own), "{own} in\n{generated}");
        }
        let space = parsed.descendants().find(|node| node.has_tag_name("io_address_space")).unwrap();
        assert!(
            space.children().any(|node| node.attribute("iovaddr") == Some("0xbffe000")),
            "no mapping of what is lent in\n{generated}"
        );
    }
}

/// The file on the disk, not only what is in memory here.
#[test]
fn the_grant_table_is_in_the_file_that_the_tool_gets() {
    let (bench, sdk) = (Bench::new(), sdk_with("2.3.0", NOTE_ARGUMENTS));
    let mut elf = Elf::program(&[("grants", 64), ("count", 8)]);
    elf.segments[1].2 = vec![0; 0x200];
    bench.elf("driver.elf", &elf);
    built(&bench, &sdk, LENDING).unwrap();

    let file = fs::read(bench.path().join("out/programs/driver.elf")).unwrap();
    let parsed = object::File::parse(&*file).unwrap();
    let data = parsed.segments().find(|segment| segment.address() == DATA).unwrap().data().unwrap();
    let word = |name: &str, index: u64| {
        let (_, at, _) = elf.symbols.iter().find(|(known, ..)| known == name).unwrap();
        let at = (at - DATA + index * 8) as usize;
        u64::from_le_bytes(data[at..at + 8].try_into().unwrap())
    };
    // Channel, address, size; readable, writable, mapped from the start, pages of 2^12.
    let row = [0, 1, 2, 3].map(|index| word("grants", index));
    assert_eq!(row, [1, 0xbff_e000, 0x2000, 0b111 | 12 << 8]);
    assert_eq!(word("count", 0), 1);
}

#[test]
fn the_lines_of_the_board_file_are_in_the_program_that_the_tool_gets() {
    let (bench, sdk) = (Bench::new(), sdk_with("2.3.0", NOTE_ARGUMENTS));
    let gpu = "[gpu]\npart = \"p\"\ndevice = 0\npci = \"0:2.0\"\n\n\
               registers = { start = 0xf000_0000, end = 0xf100_0000 }\ngtt = 0x80_0000\nvector = 5\n";
    bench.file("board.toml", format!("{BOARD}{gpu}").as_bytes());
    let mut elf = Elf::program(&[("file", 64), ("lines", 40)]);
    elf.segments[1].2 = vec![0; 0x200];
    bench.elf("a.elf", &elf);
    let element = "<board_file symbol=\"file\" lines_symbol=\"lines\"/>";
    let image = built(&bench, &sdk, &domain("a", 1, element)).unwrap();
    let description = fs::read_to_string(image.description).unwrap();
    assert!(!description.contains("board_file"), "{description}");

    let file = fs::read(bench.path().join("out/programs/a.elf")).unwrap();
    let parsed = object::File::parse(&*file).unwrap();
    let data = parsed.segments().find(|segment| segment.address() == DATA).unwrap().data().unwrap();
    let at = |name: &str| {
        let (_, at, _) = elf.symbols.iter().find(|(known, ..)| known == name).unwrap();
        usize::try_from(at - DATA).unwrap()
    };
    let name = String::from_utf8(data[at("file")..at("file") + 64].to_vec()).unwrap();
    assert_eq!(name.trim_end_matches('\0'), "bench/board.toml");
    let first = BOARD.lines().count() as u64 + 1;
    let lines = [0, 8, 16, 24, 32].map(|offset| {
        let at = at("lines") + offset;
        u64::from_le_bytes(data[at..at + 8].try_into().unwrap())
    });
    // pci, device, registers, gtt, vector
    assert_eq!(lines, [first + 3, first + 2, first + 5, first + 6, first + 7]);
}

/// The row is counted among those of the lender's own channel, as the driver counts.
#[test]
fn a_domain_learns_by_which_row_it_lends_a_region() {
    let system = |lent: &str| {
        format!(
            "{}<memory_region name=\"n\" size=\"0x1000\" page_size=\"0x1000\"/>
            <protection_domain name=\"d\" priority=\"2\"><program_image path=\"driver.elf\"/>
                <grant_table symbol=\"grants\" count_symbol=\"count\">
                    <grant channel=\"1\" mr=\"m\"/><grant channel=\"2\" mr=\"n\"/><grant channel=\"1\" mr=\"n\"/>
                </grant_table>
            </protection_domain>
            <protection_domain name=\"c\" priority=\"1\"><program_image path=\"a.elf\"/>
                <cspace><cap_frame_range slot=\"1\" mr=\"{lent}\" setvar_size_bits=\"x\" setvar_row=\"y\"/></cspace>
            </protection_domain>
            <protection_domain name=\"e\" priority=\"1\"><program_image path=\"b.elf\"/>
                <cspace><cap_frame_range slot=\"1\" mr=\"n\" setvar_row=\"z\"/></cspace>
            </protection_domain>
            <channel><end pd=\"c\" id=\"0\"/><end pd=\"d\" id=\"1\"/></channel>
            <channel><end pd=\"d\" id=\"2\"/><end pd=\"e\" id=\"1\"/></channel>
            <channel><end pd=\"c\" id=\"2\"/><end pd=\"e\" id=\"2\"/></channel>",
            "<memory_region name=\"m\" size=\"0x1000\" page_size=\"0x1000\"/>"
        )
    };
    let bench = || {
        let bench = Bench::new();
        for (name, symbols) in [
            ("driver.elf", &[("grants", 96), ("count", 8)][..]),
            ("a.elf", &[("x", 8), ("y", 8)]),
            ("b.elf", &[("z", 8)]),
        ] {
            let mut elf = Elf::program(symbols);
            elf.segments[1].2 = vec![0; 0x200];
            bench.elf(name, &elf);
        }
        bench
    };
    let (bench_of_m, sdk) = (bench(), sdk_with("2.3.0", NOTE_ARGUMENTS));
    let word = |bench: &Bench, program: &str, symbols: &[(&str, u64)], name: &str| {
        let file = fs::read(bench.path().join("out/programs").join(program)).unwrap();
        let parsed = object::File::parse(&*file).unwrap();
        let data = parsed.segments().find(|segment| segment.address() == DATA).unwrap().data().unwrap();
        let symbols = Elf::program(symbols).symbols;
        let (_, at, _) = symbols.iter().find(|(known, ..)| known == name).unwrap();
        let at = usize::try_from(at - DATA).unwrap();
        u64::from_le_bytes(data[at..at + 8].try_into().unwrap())
    };
    built(&bench_of_m, &sdk, &system("m")).unwrap();
    assert_eq!(word(&bench_of_m, "a.elf", &[("x", 8), ("y", 8)], "y"), 0);
    assert_eq!(word(&bench_of_m, "b.elf", &[("z", 8)], "z"), 0);
    let bench_of_n = bench();
    built(&bench_of_n, &sdk, &system("n")).unwrap();
    assert_eq!(word(&bench_of_n, "a.elf", &[("x", 8), ("y", 8)], "y"), 1);
    let ungranted = system("d").replace("mr=\"d\"", "mr=\"spare\"");
    let ungranted =
        format!("<memory_region name=\"spare\" size=\"0x1000\" page_size=\"0x1000\"/>{ungranted}");
    let message = built(&bench(), &sdk, &ungranted).unwrap_err();
    assert!(
        message.contains("no domain with a channel to this one has a <grant> of \"spare\" over it"),
        "{message}"
    );
}

/// The SDK's tool knows a program by its path.
#[test]
fn two_domains_with_one_program_and_different_constants_get_a_copy_each() {
    let (bench, sdk) = (Bench::new(), sdk_with("2.3.0", NOTE_ARGUMENTS));
    let mut elf = Elf::program(&[("x", 8)]);
    elf.segments[1].2 = vec![0; 0x200];
    bench.elf("a.elf", &elf);
    let constant = |value: u64| format!("<constant symbol=\"x\" value=\"{value}\"/>");
    let child = "<protection_domain name=\"child\" id=\"1\" priority=\"1\"><program_image path=\"a.elf\"/>";
    let body = [
        domain("one", 2, &format!("{}{child}{}</protection_domain>", constant(1), constant(2))),
        domain("three", 1, &constant(1)),
        domain("four", 1, &constant(4)),
    ]
    .concat();
    let image = built(&bench, &sdk, &body).unwrap();
    let description = fs::read_to_string(image.description).unwrap();
    let parsed = roxmltree::Document::parse(&description).unwrap();
    let programs: Vec<_> = parsed
        .descendants()
        .filter(|node| node.has_tag_name("program_image"))
        .map(|node| (node.parent().unwrap().attribute("name").unwrap(), node.attribute("path").unwrap()))
        .collect();
    let expected = [("one", "a.elf"), ("child", "a.elf.child"), ("three", "a.elf"), ("four", "a.elf.four")];
    assert_eq!(programs, expected);
    let (_, at, _) = elf.symbols.iter().find(|(name, ..)| name == "x").unwrap();
    let at = usize::try_from(at - DATA).unwrap();
    for (path, value) in [("a.elf", 1), ("a.elf.child", 2), ("a.elf.four", 4)] {
        let file = fs::read(bench.path().join("out/programs").join(path)).unwrap();
        let parsed = object::File::parse(&*file).unwrap();
        let data = parsed.segments().find(|segment| segment.address() == DATA).unwrap().data().unwrap();
        assert_eq!(u64::from_le_bytes(data[at..at + 8].try_into().unwrap()), value, "{path}");
    }
}

#[test]
fn a_grant_table_that_is_not_in_the_file_is_refused() {
    let (bench, sdk) = (Bench::new(), sdk_with("2.3.0", "exit 1"));
    bench.elf("driver.elf", &Elf::program(&[("grants", 64), ("count", 8)]));
    let message = built(&bench, &sdk, LENDING).unwrap_err();
    assert!(message.contains("that is not in its file"), "{message}");
}

/// The system with one of everything, through the same stages.
#[test]
fn whatever_the_embedded_kernel_takes_is_prepared_for_the_sdk() {
    let (bench, sdk) = (golden_bench(), sdk_with("2.3.0", NOTE_ARGUMENTS));
    let body = include_str!("golden/system.xml");
    fs::write(bench.path().join("system.xml"), body).unwrap();
    let request = SdkRequest {
        system: bench.path().join("system.xml"),
        search_paths: vec![bench.path().to_owned()],
        board: bench.path().join("board.toml"),
        sdk: Sdk::open(sdk.path(), "release").unwrap(),
        folder: bench.path().join("out"),
    };
    let image = build(&request).unwrap();
    let generated = fs::read_to_string(image.description).unwrap();
    assert!(!generated.contains("cap_frame_range") && generated.contains("phys_addr"), "{generated}");
    assert!(Path::new(&image.image).is_file());
}
