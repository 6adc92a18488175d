// SPDX-License-Identifier: BSD-2-Clause
//! Commands that move data between the stream, memory and registers.

use super::super::bus::{CommandBus, EngineClass, Level, Privilege, Space};
use super::super::exec::{Exec, Flow, REGISTER_OFFSET, Result, Stop};
use super::super::outcome::ErrorKind;
use super::{GGTT, PRIVILEGE, is_gen12, lenient_space, strict_space};

/// MI_STORE_DATA_IMM: store qwords.
const STORE_QWORD: u32 = 1 << 21;
/// MI_STORE_DATA_INDEX: per-process status page instead of the engine's.
const PER_PROCESS: u32 = 1 << 21;
/// MI_STORE_REGISTER_MEM: only if bit 0 of MI_PREDICATE_RESULT is set.
const PREDICATED: u32 = 1 << 21;
/// MI_COPY_MEM_MEM: destination in the GGTT; bit 22 is the source's.
const DESTINATION_GGTT: u32 = 1 << 21;
/// Register operand is relative to the engine's base; in MI_LOAD_REGISTER_REG the destination's.
const CS_RELATIVE: u32 = 1 << 19;
/// The same for the source of MI_LOAD_REGISTER_REG.
const CS_RELATIVE_SOURCE: u32 = 1 << 18;
/// Register operand is remapped to the executing instance (Gen12).
const REMAP: u32 = 1 << 17;
/// The same for the source of MI_LOAD_REGISTER_REG.
const REMAP_SOURCE: u32 = 1 << 16;
/// MI_PREDICATE_RESULT, relative to the engine.
const PREDICATE_RESULT: u32 = 0x418;
/// First status page dword that is not the hardware's, PRM vol 2c.
const FIRST_FREE_STATUS_DWORD: u32 = 0x30;
/// Registers of instance 0 of the classes that have a remapping table, and the size of one instance (PRM vol
/// 2c).
const VIDEO_0: u32 = 0x001c_0000;
const VIDEO_ENHANCE_0: u32 = 0x001c_8000;
const INSTANCE_SIZE: u32 = 0x4000;

/// MI_STORE_DATA_IMM: one or more consecutive dwords or qwords.
pub(super) fn data_imm<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    let [low, high, first] = exec.operands()?;
    let qword = exec.header & STORE_QWORD != 0;
    let address = exec.address(low, high, if qword { 7 } else { 3 });
    let payload = exec.length - 3;
    if qword && !payload.is_multiple_of(2) {
        return Err(Stop::Error(ErrorKind::BadLength, "qword stores need an even number of data dwords"));
    }
    let Some(space) = strict_space(exec, exec.header & GGTT != 0) else { return Ok(exec.deny()) };
    if qword {
        let mut value = u64::from(first);
        for index in (0..payload).step_by(2) {
            if index != 0 {
                value = u64::from(exec.operand(3 + index)?);
            }
            value |= u64::from(exec.operand(4 + index)?) << 32;
            exec.write_u64(space, address + u64::from(index) * 4, value)?;
        }
        return Ok(Flow::Next);
    }
    exec.write_u32(space, address, first)?;
    for index in 1..payload {
        let value = exec.operand(3 + index)?;
        exec.write_u32(space, address + u64::from(index) * 4, value)?;
    }
    Ok(Flow::Next)
}

/// MI_STORE_DATA_INDEX: a dword or qword to a status page.
pub(super) fn data_index<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    let [offset, low] = exec.operands()?;
    if exec.privilege() == Privilege::NonPrivileged {
        return Ok(exec.deny());
    }
    let qword = exec.length > 3;
    let reserved = offset & if qword { !0xff8 } else { !0xffc };
    if reserved != 0 {
        exec.violation(
            "dword 1 holds nothing but the aligned offset in bits [11:2]",
            "PRM, MI_STORE_DATA_INDEX",
            format!("{offset:#x}"),
        );
    }
    let offset = offset & 0xffc & if qword { !7 } else { !3 };
    let page = if exec.header & PER_PROCESS != 0 {
        exec.bus.process_status_page()
    } else {
        if offset < FIRST_FREE_STATUS_DWORD * 4 {
            exec.violation(
                "status page dwords below 0x30 belong to the hardware",
                "PRM, hardware status page layout",
                format!("byte {offset:#x}"),
            );
        }
        exec.bus.hardware_status_page()
    };
    let address = page + u64::from(offset);
    if qword {
        let high = exec.operand(3)?;
        exec.write_u64(Space::Ggtt, address, u64::from(low) | u64::from(high) << 32)?;
    } else {
        exec.write_u32(Space::Ggtt, address, low)?;
    }
    Ok(Flow::Next)
}

/// A register operand: checks reserved bits, applies base and remapping.
#[inline]
fn register<B: CommandBus + ?Sized>(
    exec: &mut Exec<'_, B>,
    operand: u32,
    relative: bool,
    remap: bool,
) -> u32 {
    if operand & !REGISTER_OFFSET != 0 {
        exec.violation(
            "register operands use bits [22:2] only",
            "PRM vol 2a, MI_LOAD_REGISTER_IMM",
            format!("{operand:#x}"),
        );
    }
    let offset = operand & REGISTER_OFFSET;
    if relative && exec.generation >= super::Generation::Gen11 {
        return offset.wrapping_add(exec.engine.base) & REGISTER_OFFSET;
    }
    if remap && is_gen12(exec) {
        let first = match exec.engine.class {
            EngineClass::Video => VIDEO_0,
            EngineClass::VideoEnhance => VIDEO_ENHANCE_0,
            // Render and compute share a table that leaves render registers alone on the render engine; the copy
            // engine has none.
            EngineClass::Render | EngineClass::Compute | EngineClass::Copy => return offset,
        };
        if (first..first + INSTANCE_SIZE).contains(&offset) {
            return offset - first + exec.engine.base;
        }
    }
    offset
}

/// Writes a register for a command, or raises the privilege violation.
#[inline]
fn store_register<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>, offset: u32, value: u32, mask: u32) {
    if exec.write_register(offset, value, mask, exec.privilege()).is_err() {
        exec.bus.privilege_violation(exec.header, exec.position);
    }
}

/// MI_LOAD_REGISTER_IMM.
pub(super) fn load_register_imm<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    if exec.length.is_multiple_of(2) {
        return Err(Stop::Error(ErrorKind::BadLength, "offsets and values come in pairs: length is 2n - 1"));
    }
    let header = exec.header;
    let (relative, remap) = (header & CS_RELATIVE != 0, header & REMAP != 0);
    let mask = byte_mask(header >> 8 & 0xf);
    for pair in 0..(exec.length - 1) / 2 {
        let operand = exec.operand(1 + 2 * pair)?;
        let value = exec.operand(2 + 2 * pair)?;
        let offset = register(exec, operand, relative, remap);
        store_register(exec, offset, value, mask);
        if exec.lost {
            break;
        }
    }
    Ok(Flow::Next)
}

/// Mask of the bytes that byte write disables leave.
const fn byte_mask(disables: u32) -> u32 {
    let mut mask = 0;
    let mut byte = 0;
    while byte < 4 {
        if disables & 1 << byte == 0 {
            mask |= 0xff << (8 * byte);
        }
        byte += 1;
    }
    mask
}

/// MI_STORE_REGISTER_MEM.
pub(super) fn store_register_mem<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    let [operand, low, high] = exec.operands()?;
    let header = exec.header;
    if header & PREDICATED != 0 && exec.engine_register(PREDICATE_RESULT) & 1 == 0 {
        return Ok(Flow::Next);
    }
    let offset = register(exec, operand, header & CS_RELATIVE != 0, header & REMAP != 0);
    let address = exec.address(low, high, 3);
    let Some(space) = strict_space(exec, header & GGTT != 0) else { return Ok(exec.deny()) };
    let Ok(value) = exec.read_register(offset, exec.privilege()) else { return Ok(exec.deny()) };
    exec.write_u32(space, address, value)?;
    Ok(Flow::Next)
}

/// MI_LOAD_REGISTER_MEM. The asynchronous mode of bit 21 only hides latency.
pub(super) fn load_register_mem<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    let [operand, low, high] = exec.operands()?;
    let header = exec.header;
    let offset = register(exec, operand, header & CS_RELATIVE != 0, header & REMAP != 0);
    let address = exec.address(low, high, 3);
    let Some(space) = strict_space(exec, header & GGTT != 0) else { return Ok(exec.deny()) };
    let value = exec.read_u32(space, address)?;
    store_register(exec, offset, value, u32::MAX);
    Ok(Flow::Next)
}

/// MI_LOAD_REGISTER_REG.
pub(super) fn load_register_reg<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    let [source, destination] = exec.operands()?;
    let header = exec.header;
    let source = register(exec, source, header & CS_RELATIVE_SOURCE != 0, header & REMAP_SOURCE != 0);
    let destination = register(exec, destination, header & CS_RELATIVE != 0, header & REMAP != 0);
    let Ok(value) = exec.read_register(source, exec.privilege()) else { return Ok(exec.deny()) };
    store_register(exec, destination, value, u32::MAX);
    Ok(Flow::Next)
}

/// MI_COPY_MEM_MEM: one dword.
pub(super) fn copy_mem_mem<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    let [to_low, to_high, from_low, from_high] = exec.operands()?;
    let to = exec.address(to_low, to_high, 3);
    let from = exec.address(from_low, from_high, 3);
    let Some(from_space) = strict_space(exec, exec.header & GGTT != 0) else { return Ok(exec.deny()) };
    let to_space = lenient_space(exec, exec.header & DESTINATION_GGTT != 0);
    let value = exec.read_u32(from_space, from)?;
    exec.write_u32(to_space, to, value)?;
    Ok(Flow::Next)
}

/// MI_UPDATE_GTT: consecutive GGTT entries from the page in dw1 [31:12], 64 bits each (PRM vol 2a).
pub(super) fn update_gtt<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    let [page] = exec.operands()?;
    if exec.privilege() == Privilege::NonPrivileged {
        return Ok(exec.deny());
    }
    if exec.position.level != Level::Ring {
        exec.violation("MI_UPDATE_GTT belongs into the ring", PRIVILEGE, String::new());
    }
    if !exec.length.is_multiple_of(2) {
        return Err(Stop::Error(ErrorKind::BadLength, "GGTT entries have two dwords"));
    }
    if page & 0xfff != 0 {
        exec.violation("dword 1 names a page: bits [11:0] are 0", "PRM, MI_UPDATE_GTT", format!("{page:#x}"));
    }
    for entry in 0..(exec.length - 2) / 2 {
        let low = exec.operand(2 + 2 * entry)?;
        let high = exec.operand(3 + 2 * entry)?;
        exec.bus.update_gtt(u64::from(page >> 12) + u64::from(entry), u64::from(low) | u64::from(high) << 32);
    }
    Ok(Flow::Next)
}
