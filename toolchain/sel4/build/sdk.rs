// SPDX-License-Identifier: BSD-2-Clause
//! The numbers of a Microkit SDK's kernel, for one board and configuration: a debug kernel has more
//! invocations than a release kernel, and so other numbers.
//!
//! ```text
//! $MICROKIT_SDK/board/$MICROKIT_BOARD/$MICROKIT_CONFIG/
//!     invocations_all.json            invocation labels
//!     include/sel4/syscall.h          system calls
//!     include/kernel/gen_config.json  whether it is MCS, and a debug kernel
//! ```
//!
//! Without an SDK the crate builds for the host only, with the numbers that `published.json` keeps for the
//! tests: a domain with numbers that are not its kernel's would do something else than it says.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::tables::{Table, render_module};

/// The folder of the SDK.
pub(crate) const SDK: &str = "MICROKIT_SDK";
/// The board, as the SDK calls it.
const BOARD: &str = "MICROKIT_BOARD";
/// The configuration, as the SDK calls it.
const CONFIG: &str = "MICROKIT_CONFIG";

/// What is said of a kernel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    labels: Table,
    syscalls: Table,
    is_debug: bool,
}

/// The SDK's folder, if there is one.
pub(crate) fn folder() -> Result<Option<PathBuf>, String> {
    let named = std::env::var_os(SDK).filter(|name| !name.is_empty()).map(PathBuf::from);
    match named {
        // Cargo runs this in the crate's folder, which is not where it was typed.
        Some(relative) if relative.is_relative() => {
            Err(format!("{SDK} is {}: an absolute path is expected", relative.display()))
        }
        named => Ok(named),
    }
}

/// The module with the numbers, and whether the kernel is a debug build.
pub(crate) fn interface() -> Result<(String, bool), String> {
    for variable in [BOARD, CONFIG] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let config = std::env::var(CONFIG).unwrap_or_else(|_| "debug".into());
    let numbers = match folder()? {
        Some(sdk) => {
            let board = std::env::var(BOARD).unwrap_or_else(|_| "x86_64_generic".into());
            let folder = sdk.join("board").join(board).join(&config);
            println!("cargo::rerun-if-changed={}", folder.display());
            of_sdk(&folder)?
        }
        None if is_domain() => {
            return Err(format!("the feature `mcs` needs the kernel's numbers: {SDK} names no Microkit SDK"));
        }
        None => published(&config)?,
    };
    Ok((numbers.render()?, numbers.is_debug))
}

/// Whether what is built is to run on seL4.
fn is_domain() -> bool {
    std::env::var_os("CARGO_CFG_SEL4_DOMAIN").is_some()
        || std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "none")
}

/// Reads the numbers of one configuration of one board.
pub(crate) fn of_sdk(folder: &Path) -> Result<Numbers, String> {
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).map_err(|error| {
            format!("{SDK}: cannot read {}: {error}; is this the SDK's folder?", path.display())
        })
    };
    let configuration = json(&read("include/kernel/gen_config.json")?)?;
    let is_set = |option: &str| configuration[option] == Value::Bool(true);
    if !is_set("KERNEL_MCS") || configuration["SEL4_ARCH"] != "x86_64" {
        return Err(format!("{SDK}: the kernel in {} is not MCS on x86-64", folder.display()));
    }
    Ok(Numbers {
        labels: labels(&json(&read("invocations_all.json")?)?)?,
        syscalls: syscalls(&read("include/sel4/syscall.h")?)?,
        is_debug: is_set("DEBUG_BUILD") && is_set("PRINTING"),
    })
}

/// The numbers that are kept for host tests.
pub(crate) fn published(config: &str) -> Result<Numbers, String> {
    let all = json(include_str!("published.json"))?;
    let labels = labels(&all[config]["labels"])?;
    let syscalls = all["syscalls"].as_object().ok_or("published.json has no system calls")?;
    let number = |value: &Value| value.as_i64().ok_or("published.json: a system call without number");
    Ok(Numbers {
        labels,
        syscalls: syscalls
            .iter()
            .map(|(name, value)| Ok((name.clone(), number(value)?)))
            .collect::<Result<_, String>>()?,
        is_debug: config == "debug",
    })
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{SDK}: {error}"))
}

/// Name and number of each invocation.
fn labels(file: &Value) -> Result<Table, String> {
    let table = file.as_object().ok_or_else(|| format!("{SDK}: the list of invocations is no object"))?;
    let entry = |(name, number): (&String, &Value)| match number.as_i64() {
        Some(number) => Ok((name.clone(), number)),
        None => Err(format!("{SDK}: the invocation {name} has no number")),
    };
    table.iter().map(entry).collect()
}

/// The lines `seL4_SysNAME = NUMBER,` of the header. A number does not depend on the conditions around it.
fn syscalls(header: &str) -> Result<Table, String> {
    let mut table = Table::new();
    for line in header.lines() {
        let Some((name, number)) =
            line.trim().strip_prefix("seL4_Sys").and_then(|line| line.split_once(" = "))
        else {
            continue;
        };
        let number = number.trim_end_matches(',').parse();
        table.push((name.to_owned(), number.map_err(|_| format!("{SDK}: syscall.h: {line}"))?));
    }
    if table.is_empty() {
        return Err(format!("{SDK}: syscall.h defines no system call"));
    }
    Ok(table)
}

impl Numbers {
    fn render(&self) -> Result<String, String> {
        let mut text = String::new();
        render_module(&mut text, "label", "u64", &self.labels)
            .and_then(|()| render_module(&mut text, "syscall", "i64", &self.syscalls))
            .and_then(|()| writeln!(text))
            .map_err(|error| error.to_string())?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// As much of an SDK as is read, written by hand.
    fn sdk(mcs: bool, debug: bool) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("invocations_all.json", r#"{"UntypedRetype": 1, "IRQAckIRQ": 31}"#);
        write(
            "include/sel4/syscall.h",
            "typedef enum {\n       seL4_SysCall = -1,\n#if defined(CONFIG_PRINTING)\n       \
             seL4_SysDebugPutChar = -12,\n#endif\n    SEL4_FORCE_LONG_ENUM(seL4_Syscall_ID)\n}\n",
        );
        write(
            "include/kernel/gen_config.json",
            &format!(
                r#"{{"KERNEL_MCS": {mcs}, "SEL4_ARCH": "x86_64", "DEBUG_BUILD": {debug}, "PRINTING": {debug}}}"#
            ),
        );
        folder
    }

    #[test]
    fn labels_and_system_calls_are_the_sdks() {
        let numbers = of_sdk(sdk(true, true).path()).unwrap();
        assert_eq!(numbers.labels, [("IRQAckIRQ".into(), 31), ("UntypedRetype".into(), 1)]);
        assert_eq!(numbers.syscalls, [("Call".into(), -1), ("DebugPutChar".into(), -12)]);
        assert!(numbers.is_debug);
        assert!(!of_sdk(sdk(true, false).path()).unwrap().is_debug);
        let text = numbers.render().unwrap();
        assert!(text.contains("pub(crate) const IRQAckIRQ: u64 = 31;"), "{text}");
        assert!(text.contains("pub(crate) const DebugPutChar: i64 = -12;"), "{text}");
    }

    #[test]
    fn a_folder_that_is_no_sdk_is_an_error_that_names_what_is_missing() {
        let error = of_sdk(Path::new("/nonexistent/board/x86_64_generic/debug")).unwrap_err();
        assert!(error.contains("gen_config.json") && error.contains("is this the SDK's folder?"), "{error}");
    }

    #[test]
    fn a_kernel_that_is_not_mcs_is_refused() {
        let error = of_sdk(sdk(false, true).path()).unwrap_err();
        assert!(error.contains("not MCS"), "{error}");
    }

    /// Measured on Microkit 2.3.0 with seL4 16.0.0, board x86_64_generic.
    #[test]
    fn the_numbers_kept_for_host_tests_are_those_that_were_measured() {
        let numbers = |config| published(config).unwrap();
        let label = |config, name: &str| {
            numbers(config).labels.iter().find(|(known, _)| known == name).map(|(_, number)| *number)
        };
        assert_eq!([label("debug", "IRQAckIRQ"), label("release", "IRQAckIRQ")], [Some(31), Some(27)]);
        assert_eq!([label("debug", "X86IOPortIn8"), label("release", "X86IOPortIn8")], [Some(58), Some(54)]);
    }

    /// Where there is an SDK, what is kept for the tests must be what it says.
    #[cfg(feature = "mcs")]
    #[test]
    #[cfg_attr(not(microkit_sdk), ignore = "skipped: no MICROKIT_SDK")]
    fn the_numbers_kept_for_host_tests_are_the_sdks() {
        let sdk = std::env::var_os(SDK).expect("the build script saw it");
        for config in ["debug", "release"] {
            let real = of_sdk(&PathBuf::from(&sdk).join("board/x86_64_generic").join(config)).unwrap();
            let kept = published(config).unwrap();
            assert_eq!(kept.labels, real.labels, "{config}");
            assert_eq!(kept.is_debug, real.is_debug, "{config}");
            for call in &kept.syscalls {
                assert!(real.syscalls.contains(call), "{config}: {call:?}");
            }
        }
    }
}
