// SPDX-License-Identifier: BSD-2-Clause
//! The headers say what the library has: sizes, offsets, numbers, functions. A C compiler is asked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod functions;
mod numbers;

use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Lets a C compiler do something with a source.
fn compile(name: &str, source: &str, what: &[&str]) {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, source).unwrap();
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let output = Command::new(compiler)
        .args(["-pedantic", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(folder().join("include"))
        .arg("-I")
        .arg(folder().join("microkit"))
        .arg(&file)
        .args(what)
        .output()
        .expect("a C compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Lets a C compiler look at a source.
fn accepts(name: &str, source: &str, standard: &str) {
    compile(name, source, &[standard, "-fsyntax-only"]);
}

/// What a C program prints.
fn printed(name: &str, source: &str) -> String {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    compile(&format!("{name}.c"), source, &["-std=c11", "-o", program.to_str().unwrap()]);
    let output = Command::new(program).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_headers_are_c_that_a_compiler_takes_without_a_warning() {
    let program = "#include \"gpu_microkit.h\"\nGPU_MICROKIT_SYMBOLS;\nGPU_MEMORY_SYMBOLS(picture);\n\
        static struct gpu_microkit link;\nstatic struct gpu gpu;\n\
        void init(void) { struct gpu_transport transport = gpu_microkit(&link, 0);\n\
        struct gpu_memory memory = GPU_MEMORY(picture, 1); struct gpu_object object;\n\
        if (gpu_connect(&gpu, &transport) == 0) (void)gpu_userptr_create(&gpu, &memory, &object); }\n\
        void notified(microkit_channel channel) { (void)channel; }\n";
    accepts("program.c", program, "-std=c11");
    accepts("program17.c", program, "-std=c17");
}

#[test]
fn the_code_in_the_documentation_is_c_that_a_compiler_takes_without_a_warning() {
    let page = std::fs::read_to_string(folder().join("../../docs/microkit.md")).unwrap();
    let blocks: Vec<_> =
        page.split("\n```c\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let [block] = blocks[..] else { panic!("one block: {blocks:?}") };
    let before = "#include \"gpu_microkit.h\"\nstatic struct gpu gpu;\nint make(uint32_t vm, uint32_t *made)\n\
        { uint32_t context; int error;\n";
    accepts("page.c", &format!("{before}{block}\n*made = context; return error; }}\n"), "-std=c11");
}

/// As `gpu_client::memory!` has it: a CNode with fewer slots than the memory has pages of 4 KiB is one of larger frames.
#[test]
fn memory_that_system_xml_gives_has_frames_of_the_size_that_its_cnode_is_for() {
    let program = r#"
        #include <stdio.h>
        #include "gpu_microkit.h"
        static void show(uint64_t size, uint64_t bits, uint64_t row)
        {
            const struct gpu_memory memory = gpu_microkit_memory(0x40000000, size, bits, 3, row);
            printf("%u %u %u %d\n", memory.page_bits, memory.cnode_bits, (unsigned)memory.cnode, memory.row == row);
        }
        int main(void)
        {
            show(0x10000, 4, GPU_NO_ROW);
            show(0x13000, 5, GPU_NO_ROW);
            show(0x1000000, 3, GPU_NO_ROW);
            show(0x200000, 0, GPU_NO_ROW);
            show(0x1000, 64, GPU_NO_ROW);
            show(0x1000, 0, 7);
            return 0;
        }
    "#;
    let lines = ["12 4 515 1", "12 5 515 1", "21 3 515 1", "21 0 515 1", "12 64 515 1", "12 0 0 1", ""];
    assert_eq!(printed("memory", program), lines.join("\n"));
}
