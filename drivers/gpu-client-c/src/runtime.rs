// SPDX-License-Identifier: BSD-2-Clause
//! What a domain in C calls the kernel by, with the names of Microkit's library (`microkit/microkit.h`), for systems
//! that are not built with a Microkit SDK; and where such a domain starts: `init`, then `notified` for each channel.
#![allow(unsafe_code, reason = "functions that C calls and is called by, with its pointers")]
#![allow(clippy::missing_safety_doc, reason = "microkit.h says what each pointer has to be")]

use core::ffi::{CStr, c_char};

use microkit_ext::cap::{self, CPtr};
use microkit_ext::ioport::IoPort;
use sel4_microkit::{
    Channel, ChannelSet, Handler, Infallible, MessageInfo, debug_print, get_mr, protection_domain, set_mr,
};

unsafe extern "C" {
    fn init();
    fn notified(channel: u32);
}

/// A domain in C.
struct Domain;

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Self::Error> {
        for channel in channels.iter() {
            // SAFETY: the program's function; there is one thread. A channel's number is small.
            unsafe { notified(u32::try_from(channel.index()).unwrap_or(u32::MAX)) };
        }
        Ok(())
    }
}

#[protection_domain]
fn start() -> Domain {
    // SAFETY: as above.
    unsafe { init() };
    Domain
}

/// `microkit_msginfo`: the label above, the number of registers in the lowest bits (seL4: `seL4_MessageInfo_t`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CMessageInfo {
    words: [u64; 1],
}

/// Bits below the label.
const LABEL_SHIFT: u32 = 12;
/// Bits of the number of registers.
const COUNT: u64 = 0x7f;

impl CMessageInfo {
    fn info(self) -> MessageInfo {
        let [word] = self.words;
        // CAST: seven bits.
        MessageInfo::new(word >> LABEL_SHIFT, (word & COUNT) as usize)
    }

    fn of(info: &MessageInfo) -> Self {
        Self { words: [info.label() << LABEL_SHIFT | info.count() as u64 & COUNT] }
    }
}

fn channel(number: u32) -> Channel {
    Channel::new(number as usize)
}

/// See `microkit.h`.
#[unsafe(no_mangle)]
pub extern "C" fn microkit_ppcall(number: u32, message: CMessageInfo) -> CMessageInfo {
    CMessageInfo::of(&channel(number).pp_call(message.info()))
}

/// See `microkit.h`.
#[unsafe(no_mangle)]
pub extern "C" fn microkit_ext_ppcall_with_cap(
    number: u32,
    message: CMessageInfo,
    capability: u64,
) -> CMessageInfo {
    CMessageInfo::of(&cap::pp_call_with_caps(channel(number), message.info(), &[CPtr::new(capability)]))
}

/// See `microkit.h`.
#[unsafe(no_mangle)]
pub extern "C" fn microkit_notify(number: u32) {
    channel(number).notify();
}

/// See `microkit.h`.
#[unsafe(no_mangle)]
pub extern "C" fn microkit_ext_sleep() {
    // Whose notification it was does not matter: who sleeps looks again at what he waits for.
    let _ = microkit_ext::wait::notified();
}

/// See `microkit.h`.
#[unsafe(no_mangle)]
pub extern "C" fn microkit_mr_set(register: u8, value: u64) {
    set_mr(register.into(), value);
}

/// See `microkit.h`.
#[unsafe(no_mangle)]
pub extern "C" fn microkit_mr_get(register: u8) -> u64 {
    get_mr(register.into())
}

/// See `microkit.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn microkit_dbg_puts(text: *const c_char) {
    if !text.is_null() {
        // SAFETY: the caller's string, with a zero at its end.
        let text = unsafe { CStr::from_ptr(text) };
        for piece in text.to_bytes().utf8_chunks() {
            debug_print!("{}", piece.valid());
        }
    }
}

/// See `microkit.h`.
#[unsafe(no_mangle)]
pub extern "C" fn microkit_x86_ioport_write_32(id: u64, port: u64, value: u32) {
    if let (Ok(id), Ok(port)) = (usize::try_from(id), u16::try_from(port)) {
        // A port that system.xml does not give is refused by the kernel, which prints so.
        let _ = IoPort::new(id).out32(port, value);
    }
}
