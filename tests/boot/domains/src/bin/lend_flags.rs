// SPDX-License-Identifier: BSD-2-Clause
//! Objects made with each flag, and of frames of 2 MiB, by a client that is privileged, which is the judge, and by one that
//! is not. The driver's capabilities are counted by the kernel after each step.
#![no_std]
#![no_main]

use boot_domains::region;
use gpu_client::microkit::{ChannelTransport, Finished};
use gpu_client::symbols::Memory;
use gpu_client::{
    Access, Context, Errno, Error, Fence, Frames, Gpu, Lendable, Object, Param, TakenBack, UsedObject,
    UserptrFlags, memory, transport,
};
use microkit_ext::wait;
use sel4_microkit::{Channel, MessageInfo, debug_println, get_mr, protection_domain, var};
use window::Window;

const DRIVER: Channel = Channel::new(0);
const OTHER: Channel = Channel::new(1);
const AUDITOR: Channel = Channel::new(5);
/// The blitter's slot of a context without an engine map.
const BLITTER: u32 = 3;
const BATCH_ADDRESS: u64 = 0x10_0000;
const DATA_ADDRESS: u64 = 0x20_0000;
const LARGE_ADDRESS: u64 = 0x4000_0000;
const PAGE: u64 = 0x1000;
const LARGE: u64 = 0x20_0000;
/// The driver's number of the channel of the other client.
const OTHER_AT_DRIVER: u32 = 2;
/// Parts before Gen11 are told by their device's number (PCI ids of i915: `i915_pciids.h`).
const SKYLAKE: u64 = 0x1912;

/// The frame capabilities that the driver holds, as the kernel counts them, and the pages that it says are lent.
fn audit() -> (u64, u64) {
    let answer = AUDITOR.pp_call(MessageInfo::new(0, 0));
    assert_eq!((answer.label(), answer.count()), (0, 2));
    (get_mr(0), get_mr(1))
}

const fn refused(errno: Errno) -> Option<Error> {
    Some(Error::Refused(errno))
}

struct Client {
    gpu: Gpu<ChannelTransport>,
    context: Context,
    code: Window,
    batch: Object,
}

impl Client {
    /// Runs a batch that stores a word at a GPU address in an object, of which it is said what the batch does with it.
    fn store(&mut self, at: (&Object, u64, Access), offset: u64, value: u32) -> Result<Fence, Error> {
        let (object, address, access) = at;
        // CAST: below 4 GiB.
        #[allow(clippy::cast_possible_truncation)]
        let dwords = [0x1000_0002, (address + offset) as u32, 0, value, 0x0500_0000, 0];
        for (index, dword) in dwords.into_iter().enumerate() {
            self.code.write(4 * index, dword);
        }
        let batch = UsedObject { object: &self.batch, address: BATCH_ADDRESS, access: Access::Read };
        let used = [UsedObject { object, address, access }];
        let fence = self.gpu.submit(&self.context, BLITTER, batch, 0..24, &used)?;
        self.gpu.wait(fence);
        Ok(fence)
    }

    fn take_back(&mut self, memory: Lendable) -> u64 {
        let taken = self.gpu.take_back(memory.address..memory.address + memory.size).expect("a range");
        let TakenBack::Done { dirty } = taken else { unreachable!("nothing uses it") };
        dirty
    }

    /// Where the part can, the entry of the page tables keeps the GPU from writing; elsewhere there is no such object.
    fn read_only(&mut self, enforced: bool, Memory { window: words, lendable }: &mut Memory) {
        let made = self.gpu.create_userptr_with(*lendable, UserptrFlags::READ_ONLY);
        if !enforced {
            assert_eq!(made.err(), refused(Errno::NoDev));
            debug_println!("lend_flags: read-only pages are not to be had here");
            return;
        }
        let object = made.expect("the part has read-only pages");
        words.write(0x40, 0x5555_u32);
        let honest = self.store((&object, DATA_ADDRESS, Access::Write), 0x40, 1);
        assert_eq!(honest.err(), refused(Errno::Inval), "a batch that says that it writes");
        let before = audit();
        self.store((&object, DATA_ADDRESS, Access::Read), 0x40, 0x6666)
            .expect("one that does not say so runs");
        assert_eq!(audit().0, before.0 + lendable.size / PAGE, "frames that may only be read are lent");
        assert_eq!(words.read::<u32>(0x40), 0x5555, "the entry keeps the GPU from writing");
        self.gpu.close(object).expect("it is there");
        assert_eq!(audit(), before);
        debug_println!("lend_flags: the GPU does not write read-only pages");
    }

    /// Pages are there before the object is, or there is none.
    fn probe(&mut self, data: Lendable) {
        let before = audit();
        let nothing = Lendable { address: 0x7000_0000, size: 2 * PAGE, frames: Frames::Foreign };
        let made = self.gpu.create_userptr_with(nothing, UserptrFlags::PROBE);
        assert_eq!(made.err(), refused(Errno::Fault), "there are no pages");
        let object = self.gpu.create_userptr(nothing).expect("without a probe nobody looks");
        self.gpu.close(object).expect("it is there");
        assert_eq!(audit(), before);
        let object = self.gpu.create_userptr_with(data, UserptrFlags::PROBE).expect("there are pages");
        let pages = data.size / PAGE;
        assert_eq!(audit(), (before.0 + pages, before.1 + pages), "before any use");
        self.gpu.close(object).expect("it is there");
        assert_eq!(audit(), before);
        debug_println!("lend_flags: a probe has the pages or an error");
    }

    /// No invalidation takes its pages, until it is exported.
    fn unsynchronised(&mut self, Memory { window: words, lendable }: &mut Memory) {
        let object = self.gpu.create_userptr_with(*lendable, UserptrFlags::UNSYNCHRONIZED);
        let object = object.expect("this client is privileged");
        self.store((&object, DATA_ADDRESS, Access::Write), 0x80, 0x7777).expect("the batch runs");
        assert_eq!(words.read::<u32>(0x80), 0x7777);
        let before = audit();
        assert_eq!(self.take_back(*lendable), 0);
        assert_eq!(audit(), before, "it is not synchronised");
        self.gpu.export(&object, OTHER_AT_DRIVER).expect("the other client is there");
        let pages = lendable.size / PAGE;
        assert_eq!(self.take_back(*lendable), pages);
        assert_eq!(audit(), (before.0 - pages, before.1 - pages), "now it is");
        self.gpu.close(object).expect("it is there");
        debug_println!("lend_flags: an unsynchronised object keeps its pages until it is exported");
    }

    /// Frames of 2 MiB: one capability each. The last object stays bound, for the test to look at the page tables.
    fn large(&mut self, Memory { window: words, lendable }: &mut Memory) {
        let frames = lendable.size / LARGE;
        let before = audit();
        let object = self.gpu.create_userptr(*lendable).expect("an object");
        let bound = (&object, LARGE_ADDRESS, Access::Write);
        for (round, offset) in [0, LARGE - 4, LARGE, lendable.size - 4].into_iter().enumerate() {
            // CAST: four rounds; inside the window.
            #[allow(clippy::cast_possible_truncation)]
            let (value, at) = (0x8000 + round as u32, offset as usize);
            self.store(bound, offset, value).expect("the batch runs");
            assert_eq!(words.read::<u32>(at), value, "at {offset:#x}");
            assert_eq!(audit(), (before.0 + frames, before.1 + lendable.size / PAGE));
            if round % 2 == 1 {
                assert_eq!(self.take_back(*lendable), lendable.size / PAGE);
                assert_eq!(audit(), before);
            }
        }
        // As small ones they are not taken, and of a part of one no object gets its pages.
        let Frames::Capabilities { cnode, bits, page_bits: 21 } = lendable.frames else {
            unreachable!("the library takes them for {:?}", lendable.frames);
        };
        let lie = Frames::Capabilities { cnode, bits, page_bits: 12 };
        for (size, frames, errno) in [(PAGE, lie, Errno::Perm), (PAGE, lendable.frames, Errno::Inval)] {
            let address = lendable.address + 0x4000_0000;
            let part = self.gpu.create_userptr(Lendable { address, size, frames }).expect("an object");
            let used = self.store((&part, DATA_ADDRESS, Access::Write), 0, 1);
            assert_eq!(used.err(), refused(errno));
            self.gpu.close(part).expect("it is there");
        }
        assert_eq!(audit(), before);
        self.store(bound, 0, 0x9999).expect("the batch runs");
        debug_println!(
            "lend_flags: frames of 2 MiB were lent and taken back; gpu address {LARGE_ADDRESS:#x}"
        );
    }
}

/// A client without privileges may not do without invalidations.
fn unprivileged(gpu: &mut Gpu<ChannelTransport>, data: Lendable, mut note: Window) -> Finished {
    let made = gpu.create_userptr_with(data, UserptrFlags::UNSYNCHRONIZED);
    assert_eq!(made.err(), refused(Errno::Perm));
    let unknown = gpu.create_userptr_with(data, UserptrFlags::from_bits_retain(1 << 2));
    assert_eq!(unknown.err(), refused(Errno::Inval));
    debug_println!("lend_flags: an unprivileged client gets no unsynchronised object");
    note.write(0, 1_u64);
    OTHER.notify();
    Finished
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> Finished {
    let Memory { window: code, lendable } = memory!(batch, batch_size, batch_bits, batch_row, slot = 1);
    let mut gpu = Gpu::connect(transport!(DRIVER)).expect("there is a GPU");
    let note = region(*var!(note: usize = 0), 4096);
    if *var!(judge: u64 = 0) == 0 {
        return unprivileged(&mut gpu, lendable, note);
    }
    let enforced = gpu.param(Param::ChipsetId).expect("a known parameter") == SKYLAKE;
    let vm = gpu.create_vm().expect("an address space");
    let context = gpu.create_context(&vm).expect("a context");
    let batch = gpu.create_userptr(lendable).expect("an object");
    let mut client = Client { gpu, context, code, batch };
    let mut data = memory!(data, data_size, data_bits, data_row, slot = 2);
    // Its pages stay lent from here on.
    let warm = client.gpu.create_userptr(data.lendable).expect("an object");
    client.store((&warm, DATA_ADDRESS, Access::Write), 0, 1).expect("the batch runs");
    client.gpu.close(warm).expect("it is there");
    client.read_only(enforced, &mut memory!(fixed, fixed_size, fixed_bits, fixed_row, slot = 3));
    client.probe(data.lendable);
    client.unsynchronised(&mut data);
    client.large(&mut memory!(large, large_size, large_bits, large_row, slot = 4));
    while note.read::<u64>(0) == 0 {
        let _ = wait::notified();
    }
    boot_domains::pass()
}
