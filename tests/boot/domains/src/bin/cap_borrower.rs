// SPDX-License-Identifier: BSD-2-Clause
//! Receives capabilities to pages of `cap_lender`, looks at them, and gives them to the `edu` device through the IOMMU.
//!
//! Its capability space: the root (slot 1), a CNode to keep frames in (slot 2), the device's I/O space (slot 3), and an
//! empty slot to receive into (4).
#![no_std]
#![no_main]
// The table that the image tool fills is a symbol in the program.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering};

use boot_domains::{edu::Edu, lending::*, pci::Function, region};
use microkit_ext::cap;
use microkit_ext::ioport::IoPort;
use sel4::cap::{Frame, IoSpace};
use sel4::{CapRights, Error, Slot};
use sel4_microkit::{Channel, Handler, Infallible, MessageInfo, protection_domain, var};

const ROOT: usize = 1;
const STORE: usize = 2;
const STORE_BITS: u8 = 4;
const IO_SPACE: IoSpace = IoSpace::from_cptr(cap::slot(3));
const RECEIVING: usize = 4;
const LENDER: Channel = Channel::new(6);
/// Slots of the root are found with six bits.
const ROOT_BITS: u8 = 6;
/// Where the page of `constant` is kept, behind those of `lent`.
const CONSTANT: usize = PAGES;

/// The two regions that may be lent: channel, physical address, size, rights and page size of each.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data")]
static grants: [[AtomicU64; 4]; 2] = [const { [const { AtomicU64::new(0) }; 4] }; 2];
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data")]
static grant_count: AtomicU64 = AtomicU64::new(0);

/// Where the frame of a page is kept.
fn kept(page: usize) -> Slot {
    cap::place(STORE, STORE_BITS, page)
}

/// That frame.
fn frame(page: usize) -> Frame {
    Frame::from_cptr(cap::content(STORE, STORE_BITS, page))
}

/// Where CNodes arrive.
fn receiving() -> Slot {
    cap::root_place(ROOT, RECEIVING)
}

/// The place `index` of a CNode of `bits` bits that has arrived: a path through the root.
fn received(index: usize, bits: u8) -> Slot {
    Slot::new(cap::cnode(ROOT), (RECEIVING << bits | index) as u64, ROOT_BITS + bits)
}

struct Borrower {
    edu: Edu,
    lent: u64,
    constant: u64,
}

#[protection_domain]
fn init() -> impl Handler<Error = Infallible> {
    let table: [[u64; 4]; 2] = core::array::from_fn(|row| {
        core::array::from_fn(|column| grants[row][column].load(Ordering::Relaxed))
    });
    assert_eq!(grant_count.load(Ordering::Relaxed), 2);
    let [lent, constant] = table;
    assert_eq!([lent[0], constant[0]], [LENDER.index() as u64; 2], "channels");
    assert_eq!([lent[2], constant[2]], [(PAGES * PAGE_BYTES) as u64, PAGE_BYTES as u64], "sizes");
    // Bit 0 is reading, bit 1 writing; from bit 8 on the page's bits.
    assert_eq!([lent[3], constant[3]], [0xc03, 0xc01], "rights and page sizes");

    let registers = region(*var!(edu_vaddr: usize = 0), PAGE_BYTES);
    let edu = Edu::new(Function::new(IoPort::new(1), 3), registers, *var!(edu_paddr: usize = 0));
    cap::set_receive_slot(receiving());
    Borrower { edu, lent: lent[1], constant: constant[1] }
}

impl Borrower {
    /// Takes a page out of what was received and maps it for the device at its own address.
    fn take(&self, from: Slot, number: usize, paddr: u64) {
        kept(number).copy_from(from, CapRights::READ_WRITE).expect("a frame is copied");
        assert_eq!(frame(number).address(), Ok(paddr), "page {number}");
        frame(number)
            .map_io(IO_SPACE, paddr, CapRights::READ_WRITE)
            .expect("a frame is mapped for the device");
    }

    fn page(&self, number: usize) -> u64 {
        self.lent + (number * PAGE_BYTES) as u64
    }
}

impl Handler for Borrower {
    type Error = Infallible;

    fn protected(&mut self, channel: Channel, message: MessageInfo) -> Result<MessageInfo, Infallible> {
        assert_eq!(channel, LENDER);
        let brings_cnode = [LEND_ALL, LEND_READ_ONLY].contains(&message.label());
        assert_eq!(cap::Received::of(&message).in_slot(), brings_cnode);
        match message.label() {
            LEND_ALL => {
                for number in 0..PAGES {
                    self.take(received(number, 2), number, self.page(number));
                }
                receiving().delete().expect("the received CNode is let go");
                self.edu.load(self.page(0), COPIED_BYTES);
                self.edu.store(self.page(1), COPIED_BYTES);
            }
            LEND_READ_ONLY => {
                self.take(received(0, 1), CONSTANT, self.constant);
                receiving().delete().expect("the received CNode is let go");
                self.edu.load(self.constant, COPIED_BYTES);
                self.edu.store(self.page(2), COPIED_BYTES);
                self.edu.load(self.page(0), COPIED_BYTES);
                self.edu.store(self.constant, COPIED_BYTES);
            }
            LAST_IS_GONE => {
                assert_eq!(frame(3).address(), Err(Error::InvalidCapability(0)), "the capability is gone");
                self.edu.load(self.page(0), COPIED_BYTES);
                self.edu.store(self.page(3), COPIED_BYTES);
            }
            GIVE_BACK_SECOND => {
                kept(1).delete().expect("the page is given back");
                self.edu.load(self.page(0), COPIED_BYTES);
                self.edu.store(self.page(1), COPIED_BYTES);
            }
            label => unreachable!("a call with label {label}"),
        }
        Ok(MessageInfo::new(DONE, 0))
    }
}
