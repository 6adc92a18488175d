// SPDX-License-Identifier: BSD-2-Clause
//! `timeline`: what the driver has written down of a run, together with the device model's trace, as files for people.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use boot::{Trace, Workspace};
use clap::Args;

#[derive(Args)]
pub(crate) struct Options {
    /// The driver's trace: `events.bin` of a run, or a copy of the region `gpu_trace_log` from wherever the system ran
    #[arg(long, value_name = "FILE", default_value = "target/run/events.bin")]
    log: PathBuf,
    /// The device model's trace of the same run, if there is one
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
}

pub(crate) fn timeline(workspace: &Workspace, options: &Options) -> Result<String> {
    let trace = Trace::load(&options.log)?;
    let folder = options.log.parent().context("a file is in a folder")?;
    let files = trace.write(folder, options.model.as_deref())?;
    Ok(format!("timeline: ok: {}", line(workspace, &trace, &files)))
}

/// Makes the files of what a run left in its folder, and says which they are, if its system has a trace. What is wrong with the
/// trace is said, too, and is not what a run fails for.
pub(crate) fn tell(workspace: &Workspace, verb: &str, folder: &Path) {
    match Trace::of_folder(folder) {
        Ok(None) => {}
        Ok(Some((trace, files))) => println!("{verb}: {}", line(workspace, &trace, &files)),
        Err(error) => println!("{verb}: there is no timeline: {error:#}"),
    }
}

fn line(workspace: &Workspace, trace: &Trace, files: &[PathBuf; 3]) -> String {
    let [json, text, picture] = files.each_ref().map(|file| workspace.shown(file));
    let lost =
        if trace.lost > 0 { format!(" ({} earlier ones are lost)", trace.lost) } else { String::new() };
    format!("{} events of the driver{lost}: {json} (open in ui.perfetto.dev), {text}, {picture}", trace.len())
}
