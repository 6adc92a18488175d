// SPDX-License-Identifier: BSD-2-Clause
//! What goes into the kernel, register by register. The numbers were measured on Microkit 2.3.0 with seL4
//! 16.0.0, board x86_64_generic, in its debug configuration.

use crate::abi::recorder::{Answer, record};
use crate::abi::transfer::Call;
use crate::cap::{Endpoint, IoPort, IrqHandler, Notification, Tcb};
use crate::{CPtr, Error, IpcBuffer, MessageInfo, Reply, UserContext, with_ipc_buffer, with_ipc_buffer_mut};

const INPUT: Endpoint = Endpoint::from_cptr(CPtr::new(1));
const REPLY: Reply = Reply::from_cptr(CPtr::new(4));

/// Calls that `program` makes with these words in the IPC buffer, and what it returned.
#[allow(unsafe_code, reason = "gives the test an IPC buffer")]
fn calls<T>(words: [u64; 5], answer: Answer, program: impl FnOnce() -> T) -> (T, Vec<Call>) {
    // SAFETY: the memory is never freed, and the state is this test's own.
    unsafe { crate::set_ipc_buffer(Box::into_raw(Box::new(IpcBuffer::new()))) };
    with_ipc_buffer_mut(|buffer| buffer.words_mut()[..5].copy_from_slice(&words));
    record(answer, program)
}

/// The one call that `program` makes.
fn call<T>(words: [u64; 5], program: impl FnOnce() -> T) -> Call {
    let (_, calls) = calls(words, Answer::default(), program);
    assert_eq!(calls.len(), 1);
    calls[0]
}

const WORDS: [u64; 5] = [11, 12, 13, 14, 15];
const FIRST: [u64; 4] = [11, 12, 13, 14];

fn info(label: u64, caps: u64, length: u64) -> u64 {
    label << 12 | caps << 7 | length
}

#[test]
fn a_message_word_is_label_capabilities_and_length() {
    assert_eq!(MessageInfo::new(31, 0, 2, 5).bits(), info(31, 2, 5));
    let widest = MessageInfo::new(u64::MAX >> 12, 0, 0, 0);
    assert_eq!((widest.label(), widest.bits()), (u64::MAX >> 12, u64::MAX << 12));
}

#[test]
fn receiving_names_endpoint_and_reply_object() {
    let call = call([0; 5], || INPUT.recv(REPLY));
    assert_eq!(call, Call { number: -7, cap: 1, info: 0, words: [0; 4], reply: 4, to: 0 });
}

#[test]
fn answering_and_receiving_is_one_call_with_the_answer_in_registers() {
    let message = MessageInfo::new(3, 0, 0, 5);
    let call = call(WORDS, || INPUT.reply_recv(message, REPLY));
    assert_eq!(call, Call { number: -2, cap: 1, info: info(3, 0, 5), words: FIRST, reply: 4, to: 0 });
}

#[test]
fn sending_to_one_place_and_receiving_from_another_is_one_call() {
    let call = call([0; 5], || INPUT.nb_send_recv(CPtr::new(10), MessageInfo::new(0, 0, 0, 0), REPLY));
    assert_eq!(call, Call { number: -3, cap: 1, info: 0, words: [0; 4], reply: 4, to: 10 });
}

#[test]
fn signals_sends_and_calls_have_their_numbers() {
    let message = MessageInfo::new(9, 0, 0, 2);
    let endpoint = Endpoint::from_cptr(CPtr::new(74));
    let notification = Notification::from_cptr(CPtr::new(10));
    for (call, number, cap, info) in [
        (call([0; 5], || notification.signal()), -5, 10, 0),
        (call(WORDS, || endpoint.send(message)), -5, 74, info(9, 0, 2)),
        (call(WORDS, || endpoint.nb_send(message)), -6, 74, info(9, 0, 2)),
        (call(WORDS, || endpoint.call(message)), -1, 74, info(9, 0, 2)),
        (call(WORDS, || REPLY.send(message)), -5, 4, info(9, 0, 2)),
        (call([0; 5], || notification.wait()), -9, 10, 0),
        (call([0; 5], || notification.poll()), -10, 10, 0),
        (call([0; 5], crate::yield_now), -11, 0, 0),
    ] {
        assert_eq!((call.number, call.cap, call.info), (number, cap, info));
    }
}

#[test]
fn what_is_received_lies_in_the_ipc_buffer() {
    let answer = Answer { badge: 1 << 63 | 2, info: info(7, 0, 3), words: [21, 22, 23, 24] };
    let ((message, badge), _) = calls(WORDS, answer, || INPUT.recv(REPLY));
    assert_eq!((message.label(), message.length(), badge), (7, 3, 1 << 63 | 2));
    assert_eq!(with_ipc_buffer(|buffer| buffer.words()[..5].to_vec()), [21, 22, 23, 24, 15]);
}

/// Label 31 in a debug kernel.
#[test]
fn acknowledging_an_interrupt_is_a_call_on_its_handler() {
    let handler = IrqHandler::from_cptr(CPtr::new(138));
    let call = call(WORDS, || handler.ack());
    assert_eq!((call.number, call.cap, call.info), (-1, 138, info(31, 0, 0)));
    assert_eq!(IrqHandler::ACK_MESSAGE.bits(), info(31, 0, 0));
}

/// Labels from 58 in a debug kernel.
#[test]
fn io_port_accesses_carry_port_and_value() {
    let port = IoPort::from_cptr(CPtr::new(394));
    let (read, calls) =
        calls(WORDS, Answer { words: [0xab, 0, 0, 0], ..Answer::default() }, || port.in8(0x61));
    assert_eq!(read, Ok(0xab));
    assert_eq!((calls[0].number, calls[0].cap, calls[0].info), (-1, 394, info(58, 0, 1)));
    assert_eq!(calls[0].words[0], 0x61);
    let written = call(WORDS, || port.out32(0xcf8, 0x8000_1000));
    assert_eq!((written.info, written.words[..2].to_vec()), (info(63, 0, 2), vec![0xcf8, 0x8000_1000]));
}

#[test]
fn a_refused_invocation_is_an_error_with_what_the_kernel_says_of_it() {
    let refusal = Answer { info: info(4, 0, 2), words: [1, 9, 0, 0], ..Answer::default() };
    let (refused, _) = calls(WORDS, refusal, || IoPort::from_cptr(CPtr::new(394)).in8(0x61));
    assert_eq!(refused, Err(Error::Range { min: 1, max: 9 }));
}

/// 20 registers here, one more than the embedded kernel's.
#[test]
fn writing_registers_sends_twenty_behind_flags_and_count() {
    let tcb = Tcb::from_cptr(CPtr::new(202));
    let context = UserContext { rip: 0x20_0000, rsp: 0x7fff_ffff_d000, ..UserContext::default() };
    let call = call([0; 5], || tcb.write_registers(true, &context));
    assert_eq!((call.cap, call.info), (202, info(3, 0, 22)));
    assert_eq!(call.words, [1, 20, 0x20_0000, 0x7fff_ffff_d000]);
}

/// Microkit's tool puts the channel into the low bits and marks calls with the highest bit.
#[test]
fn badges_have_room_for_the_marks_of_microkit() {
    assert_eq!(crate::BADGE_BITS, 64);
}
