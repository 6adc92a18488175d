// SPDX-License-Identifier: BSD-2-Clause
//! Blitter commands (command type 2): decoding and their rules. `raster` draws, `surface` knows the layouts.
//!
//! Executed: XY_COLOR_BLT, XY_SRC_COPY_BLT, XY_FAST_COPY_BLT, XY_BLOCK_COPY_BLT, and the clip rectangle of the
//! XY_SETUP commands. The other 2D commands of the PRM (patterns, text, monochrome sources) are skipped by their
//! length and reported. Sources: PRM vol 2a; the opcode map: PRM TGL vol 10; tiled pitches in dwords and
//! field positions: IGT intel_batchbuffer.c, intel_blt.c, intel_reg.h.

mod raster;
mod surface;

use super::bus::{CommandBus, EngineClass, Generation, TraceEvent};
use super::exec::{Exec, Flow, Result, Stop};
use super::outcome::ErrorKind;
use super::state::Clip;
use raster::{Blit, ROP_SOURCE, Rect, Source, uses_pattern, uses_source};
use surface::{Surface, Tiling};

/// Opcodes, header bits [28:22].
mod op {
    pub(super) const SETUP: u32 = 0x01;
    pub(super) const SETUP_CLIP: u32 = 0x03;
    pub(super) const SETUP_MONO_PATTERN: u32 = 0x11;
    pub(super) const BLOCK_COPY: u32 = 0x41;
    pub(super) const FAST_COPY: u32 = 0x42;
    pub(super) const COLOR: u32 = 0x50;
    pub(super) const SRC_COPY: u32 = 0x53;
}
/// Header bits of XY_COLOR_BLT and XY_SRC_COPY_BLT.
mod xy {
    pub(super) const WRITE_ALPHA: u32 = 1 << 21;
    pub(super) const WRITE_RGB: u32 = 1 << 20;
    pub(super) const SOURCE_TILED: u32 = 1 << 15;
    pub(super) const DESTINATION_TILED: u32 = 1 << 11;
    /// In dword 1.
    pub(super) const CLIPPING: u32 = 1 << 30;
    /// Dword 1 bits without meaning: 31 and [29:26].
    pub(super) const RESERVED: u32 = 1 << 31 | 0xf << 26;
    /// Length field.
    pub(super) const LENGTH: u32 = 0xff;
}
/// BCS_SWCTRL, relative to the engine: bit 0 source, bit 1 destination is Y-tiled.
const SWCTRL: u32 = 0x200;
const SWCTRL_SOURCE_Y: u32 = 1 << 0;
const SWCTRL_DESTINATION_Y: u32 = 1 << 1;
/// Tiled surfaces start at a page.
const TILED_ALIGNMENT: u32 = 0xfff;
/// Linear pitches of fast and block copies are multiples of 16 bytes.
const FAST_PITCH: i64 = 16;
const SOURCE: &str = "PRM, blitter";

/// Names of the 2D opcodes that exist, and since when (PRM TGL vol 10, 2D command map).
const fn name(opcode: u32, generation: Generation) -> Option<&'static str> {
    Some(match opcode {
        op::SETUP => "XY_SETUP_BLT",
        op::SETUP_CLIP => "XY_SETUP_CLIP_BLT",
        op::SETUP_MONO_PATTERN => "XY_SETUP_MONO_PATTERN_SL_BLT",
        0x24 => "XY_PIXEL_BLT",
        0x25 => "XY_SCANLINES_BLT",
        0x26 => "XY_TEXT_BLT",
        0x31 => "XY_TEXT_IMMEDIATE_BLT",
        0x40 => "COLOR_BLT",
        op::BLOCK_COPY if matches!(generation, Generation::Gen12) => "XY_BLOCK_COPY_BLT",
        op::FAST_COPY if !matches!(generation, Generation::Gen8) => "XY_FAST_COPY_BLT",
        0x43 => "SRC_COPY_BLT",
        0x44 if matches!(generation, Generation::Gen12) => "XY_FAST_COLOR_BLT",
        op::COLOR => "XY_COLOR_BLT",
        0x51 => "XY_PAT_BLT",
        0x52 => "XY_MONO_PAT_BLT",
        op::SRC_COPY => "XY_SRC_COPY_BLT",
        0x54 => "XY_MONO_SRC_COPY_BLT",
        0x55 => "XY_FULL_BLT",
        0x56 => "XY_FULL_MONO_SRC_BLT",
        0x57 => "XY_FULL_MONO_PATTERN_BLT",
        0x58 => "XY_FULL_MONO_PATTERN_MONO_SRC_BLT",
        0x59 => "XY_MONO_PAT_FIXED_BLT",
        0x71 => "XY_MONO_SRC_COPY_IMMEDIATE_BLT",
        0x72 => "XY_PAT_BLT_IMMEDIATE",
        0x73 => "XY_SRC_COPY_CHROMA_BLT",
        0x74 => "XY_FULL_IMMEDIATE_PATTERN_BLT",
        0x75 => "XY_FULL_MONO_SRC_IMMEDIATE_PATTERN_BLT",
        0x76 => "XY_PAT_CHROMA_BLT",
        0x77 => "XY_PAT_CHROMA_BLT_IMMEDIATE",
        _ => return None,
    })
}

/// Executes one command of type 2.
pub(super) fn execute<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    exec.name = "blitter command";
    if exec.engine.class != EngineClass::Copy {
        return Err(Stop::Error(ErrorKind::WrongEngine, "blitter commands run on the copy engine only"));
    }
    let opcode = exec.header >> 22 & 0x7f;
    let Some(name) = name(opcode, exec.generation) else {
        return Err(Stop::Error(
            ErrorKind::UnknownCommand,
            "this blitter opcode does not exist on this generation",
        ));
    };
    exec.name = name;
    exec.set_length((exec.header & xy::LENGTH) + 2)?;
    if exec.state.skipping {
        return Ok(Flow::Next);
    }
    match opcode {
        op::COLOR => color(exec)?,
        op::SRC_COPY => src_copy(exec)?,
        op::FAST_COPY => fast_copy(exec)?,
        op::BLOCK_COPY => block_copy(exec)?,
        op::SETUP_CLIP => {
            expect_length(exec, 3)?;
            let [upper, lower] = exec.operands()?;
            set_clip(exec, upper, lower);
        }
        op::SETUP | op::SETUP_MONO_PATTERN => {
            expect_length(exec, 10)?;
            let [_, upper, lower] = exec.operands()?;
            set_clip(exec, upper, lower);
            exec.unexecuted(
                "pattern and text blits are not part of the model; only the clip rectangle is kept",
            );
        }
        _ => exec.unexecuted("this blit is not part of the model"),
    }
    Ok(Flow::Next)
}

/// Too short hangs; too long is reported.
fn expect_length<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>, dwords: u32) -> Result<()> {
    if exec.length < dwords {
        return Err(Stop::Error(ErrorKind::BadLength, "the length field is too small for the command"));
    }
    if exec.length > dwords {
        let length = exec.length;
        rule(exec, false, "the length field exceeds the command", || format!("{length} dwords"));
    }
    Ok(())
}

/// Reports `text` unless `holds`.
fn rule<B: CommandBus + ?Sized>(
    exec: &mut Exec<'_, B>,
    holds: bool,
    text: &'static str,
    detail: impl FnOnce() -> String,
) {
    if !holds {
        exec.violation(text, SOURCE, detail());
    }
}

/// Signed coordinates: x in [15:0], y in [31:16].
const fn point(dword: u32) -> (i64, i64) {
    // CAST: the two signed halves.
    #[expect(clippy::cast_possible_truncation, reason = "CAST: the two signed halves")]
    let (x, y) = (dword as i16, (dword >> 16) as i16);
    (x as i64, y as i64)
}

const fn rect(upper: u32, lower: u32) -> Rect {
    let ((x1, y1), (x2, y2)) = (point(upper), point(lower));
    Rect { x1, y1, x2, y2 }
}

fn set_clip<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>, upper: u32, lower: u32) {
    let Rect { x1, y1, x2, y2 } = rect(upper, lower);
    exec.state.clip = Some(Clip { x1, y1, x2, y2 });
}

/// A surface of a legacy blit: pitch in bytes, or in dwords if tiled.
fn xy_surface<B: CommandBus + ?Sized>(
    exec: &mut Exec<'_, B>,
    address: (u32, u32),
    pitch: u32,
    tiled: bool,
    y_select: u32,
) -> Surface {
    // CAST: the signed pitch field.
    #[expect(clippy::cast_possible_truncation, reason = "CAST: the signed pitch field")]
    let field = i64::from((pitch as u16).cast_signed());
    let tiling = match tiled {
        false => Tiling::Linear,
        true if exec.engine_register(SWCTRL) & y_select != 0 => Tiling::Y,
        true => Tiling::X,
    };
    make_surface(exec, address, if tiled { field * 4 } else { field }, tiling)
}

/// Checks what holds for every surface.
fn make_surface<B: CommandBus + ?Sized>(
    exec: &mut Exec<'_, B>,
    (low, high): (u32, u32),
    pitch: i64,
    tiling: Tiling,
) -> Surface {
    let mut base = low;
    if tiling != Tiling::Linear {
        rule(exec, low & TILED_ALIGNMENT == 0, "tiled surfaces start at a page", || format!("{low:#x}"));
        base &= !TILED_ALIGNMENT;
        let (width, _) = tiling.tile();
        rule(
            exec,
            pitch > 0 && pitch % width == 0,
            "the pitch of a tiled surface is a positive multiple of the tile's width",
            || format!("{pitch} bytes, {tiling:?} tiles of {width}"),
        );
    }
    Surface { base: exec.address(base, high, 0), pitch, tiling }
}

/// Depth of a legacy blit, BR13 [25:24].
const fn xy_bytes(dword: u32) -> usize {
    match dword >> 24 & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => 4,
    }
}

/// Write enables of a legacy blit; they exist for 32 bits per pixel only.
fn write_enables<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>, bytes: usize) -> [bool; 16] {
    let mut enabled = [true; 16];
    if bytes == 4 {
        let rgb = exec.header & xy::WRITE_RGB != 0;
        enabled[..4].copy_from_slice(&[rgb, rgb, rgb, exec.header & xy::WRITE_ALPHA != 0]);
    }
    enabled
}

/// Reserved bits of header and dword 1 of a legacy blit.
fn check_reserved<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>, header_bits: u32, control: u32) {
    let reserved = exec.header & 0x003f_ffff & !(header_bits | xy::LENGTH);
    rule(exec, reserved == 0, "reserved header bits must be 0", || format!("bits {reserved:#x}"));
    rule(exec, control & xy::RESERVED == 0, "reserved bits of dword 1 must be 0", || format!("{control:#x}"));
}

/// Clips the destination, checks what tiled surfaces allow, draws.
fn draw<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>, mut blit: Blit, clipping: bool) -> Result<()> {
    let whole = blit.rect;
    if clipping {
        match exec.state.clip {
            Some(Clip { x1, y1, x2, y2 }) => blit.rect = whole.intersection(&Rect { x1, y1, x2, y2 }),
            None => rule(exec, false, "clipping needs a clip rectangle", String::new),
        }
    }
    let bytes = i64::try_from(blit.bytes).unwrap_or(1);
    if blit.destination.tiling != Tiling::Linear {
        let limits = Rect { x1: 0, y1: 0, x2: blit.destination.pitch / bytes, y2: i64::MAX };
        let inside = blit.rect.intersection(&limits);
        rule(
            exec,
            inside == blit.rect,
            "the rectangle must lie inside the pitch of a tiled destination",
            || format!("{whole:?}"),
        );
        blit.rect = inside;
    }
    if let Some(source) = &mut blit.source {
        source.x += blit.rect.x1 - whole.x1;
        source.y += blit.rect.y1 - whole.y1;
        let (width, height) = blit.rect.size();
        let (width, height) = (i64::try_from(width).unwrap_or(0), i64::from(height));
        let right = (source.x + width) * bytes;
        if source.surface.tiling != Tiling::Linear && width != 0 {
            let (x, y) = (source.x, source.y);
            let inside = x >= 0 && y >= 0 && right <= source.surface.pitch;
            rule(exec, inside, "the rectangle must lie inside the pitch of a tiled source", || {
                format!("from {x},{y} {width}x{height}")
            });
            if !inside {
                return Ok(());
            }
        }
    }
    let (width, height) = blit.rect.size();
    if width == 0 {
        return Ok(());
    }
    if exec.state.blit_row == 0 {
        let event = TraceEvent::Blit {
            at: exec.position,
            command: exec.name,
            pixels: width as u64 * u64::from(height),
        };
        exec.bus.trace(event);
    }
    blit.run(exec)
}

/// XY_COLOR_BLT.
fn color<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<()> {
    expect_length(exec, 7)?;
    let [control, upper, lower, low, high, colour] = exec.operands()?;
    check_reserved(exec, xy::WRITE_ALPHA | xy::WRITE_RGB | xy::DESTINATION_TILED, control);
    let tiled = exec.header & xy::DESTINATION_TILED != 0;
    let destination = xy_surface(exec, (low, high), control, tiled, SWCTRL_DESTINATION_Y);
    let bytes = xy_bytes(control);
    let rop = control.to_le_bytes()[2];
    rule(exec, !uses_source(rop), "the raster operation needs a source and there is none", || {
        format!("ROP {rop:#04x}")
    });
    let enabled = write_enables(exec, bytes);
    let blit = Blit { destination, rect: rect(upper, lower), bytes, rop, enabled, colour, source: None };
    draw(exec, blit, control & xy::CLIPPING != 0)
}

/// XY_SRC_COPY_BLT.
fn src_copy<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<()> {
    expect_length(exec, 10)?;
    let [control, upper, lower, low, high, from, from_pitch, from_low, from_high] = exec.operands()?;
    let bits = xy::WRITE_ALPHA | xy::WRITE_RGB | xy::DESTINATION_TILED | xy::SOURCE_TILED;
    check_reserved(exec, bits, control);
    rule(exec, from_pitch >> 16 == 0, "dword 7 holds nothing but the source pitch", || {
        format!("{from_pitch:#x}")
    });
    let tiled = exec.header & xy::DESTINATION_TILED != 0;
    let destination = xy_surface(exec, (low, high), control, tiled, SWCTRL_DESTINATION_Y);
    let tiled = exec.header & xy::SOURCE_TILED != 0;
    let surface = xy_surface(exec, (from_low, from_high), from_pitch, tiled, SWCTRL_SOURCE_Y);
    let bytes = xy_bytes(control);
    let rop = control.to_le_bytes()[2];
    rule(exec, !uses_pattern(rop), "the raster operation needs a pattern and there is none", || {
        format!("ROP {rop:#04x}")
    });
    let enabled = write_enables(exec, bytes);
    let (x, y) = point(from);
    let source = Some(Source { surface, x, y });
    let blit = Blit { destination, rect: rect(upper, lower), bytes, rop, enabled, colour: 0, source };
    draw(exec, blit, control & xy::CLIPPING != 0)
}

/// The parts of fast and block copies that are the same: no raster operation, no overlap, aligned pitches.
fn plain_copy<B: CommandBus + ?Sized>(
    exec: &mut Exec<'_, B>,
    destination: Surface,
    rect: Rect,
    bytes: usize,
    source: Source,
) -> Result<()> {
    for surface in [&destination, &source.surface] {
        let pitch = surface.pitch;
        rule(
            exec,
            surface.tiling != Tiling::Linear || pitch % FAST_PITCH == 0,
            "linear pitches are multiples of 16 bytes",
            || format!("{pitch} bytes"),
        );
    }
    let from = Rect {
        x1: source.x,
        y1: source.y,
        x2: source.x + rect.x2 - rect.x1,
        y2: source.y + rect.y2 - rect.y1,
    };
    rule(
        exec,
        destination != source.surface || !rect.intersects(&from),
        "source and destination must not overlap",
        || format!("{from:?} to {rect:?}"),
    );
    let blit = Blit {
        destination,
        rect,
        bytes,
        rop: ROP_SOURCE,
        enabled: [true; 16],
        colour: 0,
        source: Some(source),
    };
    draw(exec, blit, false)
}

/// Tiling code of a fast copy; `None` for Yf and 64 KiB tiles, which the model does not have.
const fn fast_tiling(code: u32, other_y: bool) -> Option<Tiling> {
    match (code, other_y) {
        (0, _) => Some(Tiling::Linear),
        (1, _) => Some(Tiling::X),
        (2, false) => Some(Tiling::Y),
        _ => None,
    }
}

/// XY_FAST_COPY_BLT, Gen9 and later.
fn fast_copy<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<()> {
    expect_length(exec, 10)?;
    let [control, upper, lower, low, high, from, from_pitch, from_low, from_high] = exec.operands()?;
    let bytes = match control >> 24 & 7 {
        0 => 1,
        1 => 2,
        3 => 4,
        4 => 8,
        5 => 16,
        _ => return Err(Stop::Error(ErrorKind::BadField, "colour depths 2, 6 and 7 do not exist")),
    };
    // Bits 31 (source) and 30 (destination) of dword 1 mean Yf instead of Y.
    let header = exec.header;
    let from_tiling = fast_tiling(header >> 20 & 3, control & 1 << 31 != 0);
    let to_tiling = fast_tiling(header >> 13 & 3, control & 1 << 30 != 0);
    let (Some(from_tiling), Some(to_tiling)) = (from_tiling, to_tiling) else {
        exec.unexecuted("Yf and 64 KiB tiles are not part of the model");
        return Ok(());
    };
    let bytes_of = |field: u32, tiling| {
        let field = i64::from(field & 0xffff);
        if tiling == Tiling::Linear { field } else { field * 4 }
    };
    let destination = make_surface(exec, (low, high), bytes_of(control, to_tiling), to_tiling);
    let surface = make_surface(exec, (from_low, from_high), bytes_of(from_pitch, from_tiling), from_tiling);
    let rect = rect(upper, lower);
    let (_, height) = rect.size();
    rule(
        exec,
        exec.generation != Generation::Gen11 || height > 8 || height % 4 != 3,
        "Gen11: heights of 3 and 7 rows corrupt (Wa_1209644611)",
        || format!("{height} rows"),
    );
    let (x, y) = point(from);
    plain_copy(exec, destination, rect, bytes, Source { surface, x, y })
}

/// XY_BLOCK_COPY_BLT, Gen12.
fn block_copy<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<()> {
    expect_length(exec, 12)?;
    let [control, upper, lower, low, high, offset, from, from_control, from_low, from_high, from_offset] =
        exec.operands()?;
    let bytes = match exec.header >> 19 & 7 {
        0 => 1,
        1 => 2,
        2 => 4,
        3 => 8,
        4 => 12,
        5 => 16,
        _ => return Err(Stop::Error(ErrorKind::BadField, "colour depths 6 and 7 do not exist")),
    };
    // Special mode, auxiliary surfaces, compression, control surfaces.
    let compressed = |control: u32| control >> 18 & 7 != 0 || control >> 28 & 3 != 0;
    if exec.header >> 12 & 3 != 0 || compressed(control) || compressed(from_control) {
        exec.unexecuted("resolves and compression are not part of the model");
        return Ok(());
    }
    // Tiling: 0 linear, 1 Y; the others are of later parts.
    let tiling = |control: u32| match control >> 30 {
        0 => Some(Tiling::Linear),
        1 => Some(Tiling::Y),
        _ => None,
    };
    let (Some(to_tiling), Some(from_tiling)) = (tiling(control), tiling(from_control)) else {
        return Err(Stop::Error(ErrorKind::BadField, "tilings 2 and 3 do not exist on Gen12.0"));
    };
    // The field is the pitch minus one, in bytes or dwords.
    let pitch = |control: u32, tiling| {
        let field = i64::from(control & 0x3_ffff) + 1;
        if tiling == Tiling::Linear { field } else { field * 4 }
    };
    let destination = make_surface(exec, (low, high), pitch(control, to_tiling), to_tiling);
    let surface = make_surface(exec, (from_low, from_high), pitch(from_control, from_tiling), from_tiling);
    let (dx, dy) = block_offset(offset);
    let mut rect = rect(upper, lower);
    rect = Rect { x1: rect.x1 + dx, y1: rect.y1 + dy, x2: rect.x2 + dx, y2: rect.y2 + dy };
    let (x, y) = point(from);
    let (dx, dy) = block_offset(from_offset);
    plain_copy(exec, destination, rect, bytes, Source { surface, x: x + dx, y: y + dy })
}

/// Offsets of a block copy: x in [13:0], y in [29:16].
fn block_offset(dword: u32) -> (i64, i64) {
    (i64::from(dword & 0x3fff), i64::from(dword >> 16 & 0x3fff))
}
