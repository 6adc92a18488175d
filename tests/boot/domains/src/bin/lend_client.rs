// SPDX-License-Identifier: BSD-2-Clause
//! Lends its pages to the driver, takes them back in every way there is, lies about them, and has the driver's
//! capabilities counted by the kernel after each step. The judge.
#![no_std]
#![no_main]

use boot_domains::region;
use gpu_client::microkit::ChannelTransport;
use gpu_client::symbols::Memory;
use gpu_client::{
    Access, Context, Errno, Error, Frames, Gpu, Lendable, Object, TakenBack, Transport, UsedObject, memory,
    transport,
};
use gpu_protocol::{Grant, GrantFlags, Operation, PageRequest, UserptrCreate, UserptrFlags};
use microkit_ext::cap::{self, CapRights, Slot};
use microkit_ext::wait;
use sel4_microkit::{Channel, MessageInfo, NullHandler, debug_println, get_mr, protection_domain, var};
use window::Window;
use zerocopy::IntoBytes;

const DRIVER: Channel = Channel::new(0);
const PEER: Channel = Channel::new(1);
/// The driver's number of the channel of the other client.
const PEER_AT_DRIVER: u32 = 2;
const AUDITOR: Channel = Channel::new(5);
/// `<cspace>` slots.
const BATCH: usize = 1;
const DATA: usize = 2;
const CONSTANT: usize = 3;
const PRIVATE: usize = 4;
const LIES: usize = 5;
const ROOT: usize = 6;
const DATA_BITS: u8 = 2;
const PAIR_BITS: u8 = 1;
/// The blitter's slot of a context without an engine map.
const BLITTER: u32 = 3;
const BATCH_ADDRESS: u64 = 0x10_0000;
const DATA_ADDRESS: u64 = 0x20_0000;
const PAGE: u64 = 0x1000;

/// The frame capabilities that the driver holds, as the kernel counts them, and the pages that it says are lent.
fn audit() -> (u64, u64) {
    let answer = AUDITOR.pp_call(MessageInfo::new(0, 0));
    assert_eq!((answer.label(), answer.count()), (0, 2));
    (get_mr(0), get_mr(1))
}

struct Client {
    gpu: Gpu<ChannelTransport>,
    context: Context,
    code: Window,
    words: Window,
    batch: Object,
    data: Object,
    data_pages: Lendable,
}

impl Client {
    /// Has the GPU store a word into the data, and checks it with the CPU.
    fn store(&mut self, at: u32, value: u32) {
        let address = DATA_ADDRESS + u64::from(at);
        // CAST: below 4 GiB.
        #[allow(clippy::cast_possible_truncation)]
        let dwords = [0x1000_0002, address as u32, 0, value, 0x0500_0000, 0];
        for (index, dword) in dwords.into_iter().enumerate() {
            self.code.write(4 * index, dword);
        }
        let fence = self.submit().expect("the batch runs");
        self.gpu.wait(fence);
        assert_eq!(self.words.read::<u32>(at as usize), value, "at {at:#x}");
    }

    fn submit(&mut self) -> Result<gpu_client::Fence, Error> {
        let used = |object, address, access| UsedObject { object, address, access };
        let batch = used(&self.batch, BATCH_ADDRESS, Access::Read);
        let data = [used(&self.data, DATA_ADDRESS, Access::Write)];
        self.gpu.submit(&self.context, BLITTER, batch, 0..24, &data)
    }

    fn data_range(&self) -> core::ops::Range<u64> {
        self.data_pages.address..self.data_pages.address + self.data_pages.size
    }

    /// Pages go when they are taken back, and come again when they are used.
    fn take_back(&mut self) {
        assert_eq!(audit(), (0, 0), "creation takes no pages");
        self.store(0x10, 0x1111);
        assert_eq!(audit(), (5, 5));
        assert_eq!(self.gpu.take_back(self.data_range()), Ok(TakenBack::Done { dirty: 4 }));
        assert_eq!(audit(), (1, 1), "the commands are not in the range");
        self.store(0x3ff0, 0x2222);
        assert_eq!(audit(), (5, 5));
        assert_eq!(self.gpu.take_back(0..1 << 47), Ok(TakenBack::Done { dirty: 4 }));
        assert_eq!(audit(), (0, 0), "after an invalidation the driver holds nothing");
        debug_println!("lend_client: taken back: the driver holds no capability");
    }

    /// Each lie is refused with its error, and nothing of it is kept.
    fn lies(&mut self, fixed: Lendable, own: Lendable) {
        let pair = |frames| Lendable { size: 2 * PAGE, frames, ..own };
        let lie = |cnode: u64, bits: u32| Frames::Capabilities { cnode, bits, page_bits: 12 };
        let place = |index| cap::place(LIES, PAIR_BITS, index);
        let liar = cap::cnode(LIES).cptr().bits();
        let first = cap::place(DATA, DATA_BITS, 0);

        // Not in the grant table.
        self.refused(own, &[Errno::Perm]);
        // In it for reading only.
        self.refused(fixed, &[Errno::Perm]);
        // No CNode at all, and one of another size.
        self.refused(pair(lie(0, 1)), &[Errno::Inval, Errno::Fault]);
        self.refused(pair(lie(cap::cnode(DATA).cptr().bits(), 9)), &[Errno::Inval, Errno::Fault]);
        // Empty, half empty, the same frame twice, something that is no frame.
        self.refused(pair(lie(liar, 1)), &[Errno::Fault]);
        place(0).copy_from(first, CapRights::READ_WRITE).expect("a copy");
        self.refused(pair(lie(liar, 1)), &[Errno::Fault]);
        place(1).copy_from(first, CapRights::READ_WRITE).expect("a copy");
        self.refused(pair(lie(liar, 1)), &[Errno::Fault]);
        place(1).delete().expect("the copy goes");
        // The capabilities of this domain's own endpoint, which nobody ever answers at, of the driver's, and of the
        // other client's notification; and a CNode is no frame either.
        for no_frame in
            [1, 74 + DRIVER.index() as u64, 10 + PEER.index() as u64, cap::cnode(DATA).cptr().bits()]
        {
            let from = Slot::new(cap::cnode(ROOT), no_frame, 64);
            place(1).copy_from(from, CapRights::READ_WRITE).expect("a copy");
            self.refused(pair(lie(liar, 1)), &[Errno::Fault]);
            place(1).delete().expect("the copy goes");
        }
        debug_println!("lend_client: every lie is refused and nothing kept");
    }

    fn refused(&mut self, lendable: Lendable, errors: &[Errno]) {
        let before = audit();
        let object = self.gpu.create_userptr(lendable).expect("creation does not look at pages");
        let used = UsedObject { object: &object, address: 0x100_0000, access: Access::Read };
        let result = self.gpu.submit(&self.context, BLITTER, used, 0..24, &[]);
        assert!(
            matches!(result, Err(Error::Refused(errno)) if errors.contains(&errno)),
            "{result:?}, not {errors:?}"
        );
        assert_eq!(audit(), before, "something of it is kept");
        self.gpu.close(object).expect("it is there");
    }

    /// One page by the capability of its frame, for an object that wants it at its creation.
    fn lend_one_frame(&mut self, own: Lendable) {
        let create = |address| UserptrCreate {
            user_ptr: address,
            user_size: PAGE,
            flags: UserptrFlags::PROBE.bits(),
            handle: 0,
        };
        let before = audit();
        let wanted = create(own.address);
        let transport = self.gpu.transport();
        let call = |transport: &mut ChannelTransport, operation, bytes: &[u8], capability| {
            transport.write_area(0, bytes);
            transport.call(operation, [0, bytes.len() as u64], capability)
        };
        let reply = call(transport, Operation::UserptrCreate, wanted.as_bytes(), None);
        assert_eq!(reply.status, Err(Errno::Again));
        let request = call(transport, Operation::NextPageRequest, &[], None);
        let PageRequest { address, sequence, .. } =
            PageRequest::from_words(request.words).expect("the probe asks");
        let grant = Grant {
            address,
            sequence,
            first: 0,
            count: 1,
            page_bits: 12,
            cnode_bits: 0,
            flags: GrantFlags::WRITE.bits(),
            rsvd: 0,
        };
        let frame = |slot, bits, index| Some(cap::content(slot, bits, index).bits());
        // Not one that may be lent; not without asking.
        let reply = call(transport, Operation::GrantFrame, grant.as_bytes(), frame(PRIVATE, PAIR_BITS, 0));
        assert_eq!(reply.status, Err(Errno::Perm));
        let stray = Grant { sequence: sequence + 1, ..grant };
        let reply = call(transport, Operation::GrantFrame, stray.as_bytes(), frame(DATA, DATA_BITS, 3));
        assert_eq!(reply.status, Err(Errno::Again));
        assert_eq!(audit(), before);
        let transport = self.gpu.transport();
        let reply = call(transport, Operation::GrantFrame, grant.as_bytes(), frame(DATA, DATA_BITS, 3));
        assert_eq!((reply.status, reply.words[0]), (Ok(()), 1));
        let reply = call(transport, Operation::UserptrCreate, wanted.as_bytes(), None);
        assert_eq!(reply.status, Ok(()));
        assert_eq!(audit(), (before.0 + 1, before.1 + 1));
        assert_eq!(self.gpu.take_back(address..address + PAGE), Ok(TakenBack::Done { dirty: 0 }));
        assert_eq!(audit(), before);
        debug_println!("lend_client: a single frame was lent and taken back");
    }

    /// Behind the driver's back.
    fn revoke(&mut self) {
        self.store(0x20, 0x3333);
        assert_eq!(audit(), (5, 5));
        cap::place(DATA, DATA_BITS, 1).revoke().expect("the own capability is revoked");
        assert_eq!(audit(), (4, 5), "the kernel has taken it from the driver, which does not know");
        // One submission in eight looks at one page. Nothing of this touches the one that is gone.
        let mut tries = 0;
        while audit() != (5, 5) {
            self.store(0x30, 0x4000 + tries);
            tries += 1;
            assert!(tries <= 512, "the driver does not notice");
        }
        self.store(0x1010, 0x5555);
        debug_println!("lend_client: the driver noticed a revoked page after {tries} submissions");
    }

    /// The other client uses an object of this one in a batch without end while its page is taken back.
    fn share(&mut self, note: &mut Window) {
        self.store(0x40, 0x6666);
        let name = self.gpu.export(&self.data, PEER_AT_DRIVER).expect("there is such a client");
        note.write(0, name);
        PEER.notify();
        while note.read::<u64>(8) == 0 {
            let _ = wait::notified();
        }
        let before = audit();
        let mut taken = self.gpu.take_back(self.data_range()).expect("a range");
        assert_eq!(audit(), before, "the other client's batch uses it: it stays until that is over");
        let dirty = loop {
            match taken {
                TakenBack::Done { dirty } => break dirty,
                TakenBack::Pending(ticket) => {
                    self.gpu.transport().sleep();
                    taken = self.gpu.look_at(ticket).expect("a ticket");
                }
            }
        };
        assert_eq!(dirty, 4);
        assert_eq!(audit(), (before.0 - 4, before.1 - 4));
        // It is the other one's to say how it went for it.
        while note.read::<u64>(8) != 2 {
            let _ = wait::notified();
        }
        debug_println!("lend_client: taken back from the other client, whose batch did not end");
        self.store(0x50, 0x7777);
    }
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> NullHandler {
    let Memory { window: code, lendable: code_pages } =
        memory!(batch, batch_size, batch_bits, batch_row, slot = BATCH);
    let Memory { window: words, lendable: data_pages } =
        memory!(data, data_size, data_bits, data_row, slot = DATA);
    let fixed = memory!(fixed, fixed_size, fixed_bits, fixed_row, slot = CONSTANT).lendable;
    let own = memory!(own, own_size, own_bits, own_row, slot = PRIVATE).lendable;
    let mut note = region(*var!(note: usize = 0), 4096);
    let mut gpu = Gpu::connect(transport!(DRIVER)).expect("there is a GPU");
    let vm = gpu.create_vm().expect("an address space");
    let context = gpu.create_context(&vm).expect("a context");
    let batch = gpu.create_userptr(code_pages).expect("an object");
    let data = gpu.create_userptr(data_pages).expect("an object");
    let mut client = Client { gpu, context, code, words, batch, data, data_pages };
    client.take_back();
    client.lies(fixed, own);
    client.lend_one_frame(own);
    client.revoke();
    client.share(&mut note);
    boot_domains::pass()
}
