// SPDX-License-Identifier: BSD-2-Clause
//! Command type 3: the 3D, media and GPGPU pipelines of the render engine and the codec pipelines of the video
//! engines.
//!
//! The model has no such pipelines. State commands are skipped by their length; commands that start work are
//! skipped and reported as not executed. PIPE_CONTROL is executed.

use super::bus::{CommandBus, EngineClass};
use super::exec::{Exec, Flow, Result, Stop};
use super::mi;
use super::outcome::ErrorKind;
use super::render_table::{ANY, COMMANDS, Command, NO};

/// Header bits [28:16] of PIPE_CONTROL, PRM vol 2a.
const PIPE_CONTROL: u32 = 0x1a00;
const PIPE_CONTROL_DWORDS: u32 = 6;
/// Pipelines, header bits [28:27]: 0 common, 1 single dword, 2 media, 3 3D.
const SINGLE_DWORD: u32 = 1;
const MEDIA: u32 = 2;
/// Codec commands have 12 length bits (Mesa genxml, MFX/HCP/VDENC/SFC; media driver, VD_CONTROL_STATE).
const CODEC_LENGTH: u32 = 0xfff;
/// MFX_WAIT, the single-dword command of the video engines (Mesa genxml).
const MFX_WAIT: u32 = 0x0800;
/// Commands that start work, and are arbitration points (PRM, Command Stream Programming): 3DPRIMITIVE, 3DSTATE_WM_HZ_OP (clears
/// and resolves), MEDIA_OBJECT and its variants, GPGPU_OBJECT, GPGPU_WALKER.
const WORK: [u32; 8] = [0x1b00, 0x1852, 0x1100, 0x1102, 0x1103, 0x1104, 0x1105, 0x1106];

/// Executes one command of type 3.
pub(super) fn execute<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    exec.name = "render command";
    match exec.engine.class {
        EngineClass::Render | EngineClass::Compute => render(exec),
        EngineClass::Video | EngineClass::VideoEnhance => codec(exec),
        EngineClass::Copy => {
            Err(Stop::Error(ErrorKind::WrongEngine, "the copy engine has no 3D or media pipeline"))
        }
    }
}

fn render<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    let key = exec.header >> 16 & 0x1fff;
    let command = find(key);
    let dwords = match command {
        Some(command) => length(exec.header, command.length_bit),
        // Unknown: the pipeline says where the length field is.
        None if key >> 11 == SINGLE_DWORD => 1,
        None if key >> 11 == MEDIA => length(exec.header, 15),
        None => length(exec.header, 7),
    };
    exec.set_length(dwords)?;
    let expected = command.map_or(NO, |command| command.dwords[mi::column(exec.generation)]);
    exec.name = command.map_or("unknown render command", |command| command.name);
    if expected == NO {
        exec.violation(
            "this render command does not exist on this generation",
            "Mesa genxml",
            format!("bits [28:16] are {key:#06x}"),
        );
    } else if expected != ANY && u32::from(expected) != dwords {
        exec.violation(
            "the command has another length on this generation",
            "Mesa genxml",
            format!("{dwords} dwords, expected {expected}"),
        );
    }
    if exec.state.skipping {
        return Ok(Flow::Next);
    }
    if key == PIPE_CONTROL {
        if dwords < PIPE_CONTROL_DWORDS {
            return Err(Stop::Error(ErrorKind::BadLength, "PIPE_CONTROL has six dwords since Gen8"));
        }
        return mi::flush::pipe_control(exec);
    }
    if WORK.contains(&key) {
        exec.unexecuted("the model has no 3D, media or GPGPU pipeline");
        return Ok(Flow::Arbitrate);
    }
    Ok(Flow::Next)
}

fn codec<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    exec.name = "codec command";
    let key = exec.header >> 16 & 0x1fff;
    match key >> 11 {
        MEDIA => exec.set_length((exec.header & CODEC_LENGTH) + 2)?,
        SINGLE_DWORD if key == MFX_WAIT => {
            exec.name = "MFX_WAIT";
            exec.set_length(1)?;
            return Ok(Flow::Next);
        }
        _ => return Err(Stop::Error(ErrorKind::WrongEngine, "video engines have no 3D pipeline")),
    }
    if !exec.state.skipping {
        exec.unexecuted("the model has no codecs");
    }
    Ok(Flow::Next)
}

/// Total length out of a length field that ends at bit `high`.
const fn length(header: u32, high: u32) -> u32 {
    if high == 0 { 1 } else { (header & ((2 << high) - 1)) + 2 }
}

fn find(key: u32) -> Option<&'static Command> {
    COMMANDS.binary_search_by_key(&key, |command| command.key).ok().and_then(|index| COMMANDS.get(index))
}

#[cfg(test)]
mod tests {
    use super::{COMMANDS, PIPE_CONTROL, WORK, find};

    #[test]
    fn the_table_of_render_commands_is_sorted_by_key_without_duplicates() {
        assert!(COMMANDS.windows(2).all(|pair| pair[0].key < pair[1].key));
    }

    #[test]
    fn pipe_control_has_six_dwords_on_every_generation() {
        assert_eq!(find(PIPE_CONTROL).map(|command| command.dwords), Some([6; 4]));
    }

    #[test]
    fn commands_that_start_work_are_known_by_name() {
        for key in WORK.into_iter().filter(|&key| key != 0x1104) {
            assert!(find(key).is_some(), "{key:#x}");
        }
    }
}
