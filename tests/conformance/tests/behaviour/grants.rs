// SPDX-License-Identifier: BSD-2-Clause
//! Page requests and their answers, honest and not.

use conformance::wire::{reads, refusal, whole_grant, writes};
use conformance::{Capability, Frame, Region, Rig, Settings, batch};
use gpu_protocol::{Errno, Grant, Operation, PageRequest, Refuse, UserptrCreate};
use intel_gpu::uapi::{ClientLimits, DriverConfig};

const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;
const BLITTER: u32 = 3;

/// A client that has asked for the pages of an object of `pages` pages, and fetched the request.
struct Asked {
    rig: Rig,
    context: u32,
    region: Region,
    object: u32,
    request: PageRequest,
}

impl Asked {
    fn with(settings: Settings, pages: u32) -> Self {
        let mut rig = Rig::with(settings);
        let context = rig.context_create(0, 0, &[]).unwrap();
        let region = rig.region(0, pages);
        let object = rig.userptr(0, region);
        let again = rig.submit(0, context, BLITTER, &[reads(object, CODE)], &[]);
        assert_eq!(again, Err(Errno::Again));
        assert_eq!(rig.domain.held(), 0);
        let request = rig.next_request(0).expect("a request");
        assert_eq!((request.address, request.size), (region.address, region.size));
        assert_eq!(rig.next_request(0), None, "one request an object");
        Self { rig, context, region, object, request }
    }

    fn new(pages: u32) -> Self {
        Self::with(Settings::new("tgl"), pages)
    }

    fn grant(&self) -> Grant {
        whole_grant(self.request, self.region)
    }

    /// The grant is refused, changes nothing, and the request is still open for an honest answer.
    fn lie(&mut self, grant: Grant, cnode: Option<u64>, errno: Errno) {
        self.rig.refused_with(0, Operation::GrantCnode, &grant, cnode, errno);
    }

    fn honest(mut self) {
        self.rig.poke(self.region.physical, &[batch::END, 0]);
        let (grant, cnode) = (self.grant(), self.region.cnode);
        assert_eq!(self.rig.grant(0, &grant, cnode), Ok(u64::from(self.region.pages())));
        self.rig.submit(0, self.context, BLITTER, &[reads(self.object, CODE)], &[]).unwrap();
        self.rig.settle();
        self.rig.check();
    }
}

#[test]
fn a_use_asks_for_the_pages_and_the_next_try_after_the_grant_runs() {
    for platform in ["skl", "tgl"] {
        let mut asked = Asked::with(Settings::new(platform), 5);
        // Until the grant every use is EAGAIN, and asks nobody again.
        let again = asked.rig.submit(0, asked.context, BLITTER, &[reads(asked.object, CODE)], &[]);
        assert_eq!(again, Err(Errno::Again));
        assert_eq!(asked.rig.next_request(0), None);
        asked.honest();
    }
}

#[test]
fn all_missing_objects_of_a_submission_are_asked_for_at_once_in_address_order() {
    let mut rig = Rig::new("tgl");
    let context = rig.context_create(0, 0, &[]).unwrap();
    let regions: Vec<_> = (0..8).map(|_| rig.region(0, 2)).collect();
    let objects: Vec<_> = regions.iter().map(|region| rig.userptr(0, *region)).collect();
    let list: Vec<_> = (0..8).map(|at| reads(objects[at], CODE + ((at as u64) << 16))).collect();
    assert_eq!(rig.submit(0, context, BLITTER, &list, &[]), Err(Errno::Again));
    let requests: Vec<_> = std::iter::from_fn(|| rig.next_request(0)).collect();
    let addresses: Vec<_> = requests.iter().map(|request| request.address).collect();
    assert_eq!(addresses, regions.iter().map(|region| region.address).collect::<Vec<_>>());
    let mut sequences: Vec<_> = requests.iter().map(|request| request.sequence).collect();
    sequences.sort_unstable();
    sequences.dedup();
    assert_eq!(sequences.len(), 8, "each has a number of its own");
    rig.poke(regions[7].physical, &[batch::END, 0]);
    for (request, region) in requests.iter().zip(&regions) {
        rig.grant(0, &whole_grant(*request, *region), region.cnode).unwrap();
    }
    assert!(rig.submit(0, context, BLITTER, &list, &[]).is_ok());
    rig.settle();
    rig.check();
}

#[test]
fn pages_may_come_in_several_grants_in_order() {
    let mut asked = Asked::new(7);
    let all = asked.grant();
    for (first, count) in [(0, 1), (1, 3), (4, 2), (6, 1)] {
        let part = Grant { first, count, address: all.address + (u64::from(first) << 12), ..all };
        // A piece that comes twice or too early is not the next one.
        if first < 6 {
            let early = Grant { first: first + 1, count: 1, address: part.address + 4096, ..all };
            asked.lie(early, Some(asked.region.cnode), Errno::Inval);
        }
        assert_eq!(asked.rig.grant(0, &part, asked.region.cnode), Ok(u64::from(count)));
        assert_eq!(asked.rig.domain.held(), (first + count) as usize);
    }
    asked.rig.poke(asked.region.physical, &[batch::END, 0]);
    assert!(asked.rig.submit(0, asked.context, BLITTER, &[reads(asked.object, CODE)], &[]).is_ok());
    asked.rig.settle();
    // The object is complete: nothing more is asked for.
    asked.lie(all, Some(asked.region.cnode), Errno::Again);
    asked.rig.check();
}

#[test]
fn a_grant_with_malformed_fields_is_einval() {
    let mut asked = Asked::new(4);
    let (good, cnode) = (asked.grant(), Some(asked.region.cnode));
    asked.lie(Grant { rsvd: 1, ..good }, cnode, Errno::Inval);
    asked.lie(Grant { flags: 2, ..good }, cnode, Errno::Inval);
    asked.lie(Grant { flags: u32::MAX, ..good }, cnode, Errno::Inval);
    asked.lie(Grant { count: 0, ..good }, cnode, Errno::Inval);
    for page_bits in [0, 11, 13, 21, 30, u32::MAX] {
        asked.lie(Grant { page_bits, ..good }, cnode, Errno::Inval);
    }
    // More pages than the object has, or not where the next page goes.
    asked.lie(Grant { count: 5, ..good }, cnode, Errno::Inval);
    asked.lie(Grant { count: u32::MAX, ..good }, cnode, Errno::Inval);
    asked.lie(Grant { address: good.address + 4096, count: 3, ..good }, cnode, Errno::Inval);
    asked.lie(Grant { address: good.address - 4096, ..good }, cnode, Errno::Inval);
    asked.lie(Grant { address: good.address + 1, count: 1, ..good }, cnode, Errno::Inval);
    asked.lie(Grant { address: u64::MAX - 4095, ..good }, cnode, Errno::Inval);
    asked.honest();
}

#[test]
fn a_grant_that_answers_no_open_request_is_eagain() {
    let mut asked = Asked::new(4);
    let (good, cnode) = (asked.grant(), Some(asked.region.cnode));
    for sequence in [0, good.sequence + 1, u64::MAX] {
        asked.lie(Grant { sequence, ..good }, cnode, Errno::Again);
    }
    asked.lie(Grant { address: 0x1000, ..good }, cnode, Errno::Again);
    asked.lie(Grant { address: good.address + good.count as u64 * 4096, ..good }, cnode, Errno::Again);
    asked.honest();
}

#[test]
fn a_grant_of_a_closed_object_is_eagain_also_when_its_range_is_used_again() {
    let mut asked = Asked::new(2);
    let (stale, cnode) = (asked.grant(), Some(asked.region.cnode));
    asked.rig.close(0, asked.object).unwrap();
    // While the owner has the request, the range is not free.
    let create = UserptrCreate { user_ptr: asked.region.address, user_size: 4096, flags: 0, handle: 0 };
    asked.rig.refused(0, Operation::UserptrCreate, &create, Errno::Again);
    assert_eq!(asked.rig.grant(0, &stale, asked.region.cnode), Err(Errno::Again));
    assert_eq!((asked.rig.domain.held(), asked.rig.driver.census().objects), (0, 0));
    asked.lie(stale, cnode, Errno::Again);
    asked.object = asked.rig.userptr(0, asked.region);
    asked.lie(stale, cnode, Errno::Again);
    let list = [reads(asked.object, CODE)];
    assert_eq!(asked.rig.submit(0, asked.context, BLITTER, &list, &[]), Err(Errno::Again));
    asked.lie(stale, cnode, Errno::Again);
    asked.request = asked.rig.next_request(0).expect("a new request");
    assert_ne!(asked.request.sequence, stale.sequence);
    asked.honest();
}

#[test]
fn closing_a_half_granted_object_gives_its_pages_back() {
    let mut asked = Asked::new(4);
    let part = Grant { count: 3, ..asked.grant() };
    asked.rig.grant(0, &part, asked.region.cnode).unwrap();
    assert_eq!(asked.rig.domain.held(), 3);
    asked.rig.close(0, asked.object).unwrap();
    assert_eq!((asked.rig.domain.held(), asked.rig.driver.census().objects), (0, 1));
    // What was left of the request is answered, and only then the object is gone.
    let rest = Grant { first: 3, count: 1, address: part.address + 3 * 4096, ..part };
    assert_eq!(asked.rig.grant(0, &rest, asked.region.cnode), Err(Errno::Again));
    assert_eq!((asked.rig.domain.held(), asked.rig.driver.census().objects), (0, 0));
}

#[test]
fn a_message_without_a_cnode_or_with_another_depth_is_einval() {
    let mut asked = Asked::new(4);
    let (good, cnode) = (asked.grant(), asked.region.cnode);
    asked.lie(good, None, Errno::Inval);
    asked.lie(good, Some(999), Errno::Inval);
    for cnode_bits in [0, good.cnode_bits - 1, good.cnode_bits + 1, 64, u32::MAX] {
        asked.lie(Grant { cnode_bits, ..good }, Some(cnode), Errno::Inval);
    }
    asked.honest();
}

#[test]
fn a_slot_without_a_frame_is_efault_and_what_was_taken_before_it_goes_back() {
    let mut asked = Asked::new(4);
    let own = asked.region.physical;
    let frame = |page: u64| {
        let physical = own + page * 4096;
        Some(Capability::Frame(Frame { physical, writable: true }))
    };
    let (hole, other) = (
        vec![frame(0), frame(1), None, frame(3)],
        vec![frame(0), frame(1), frame(2), Some(Capability::Other)],
    );
    for slots in [hole, other] {
        let (cnode, cnode_bits) = asked.rig.cnode(slots);
        asked.lie(Grant { cnode_bits, ..asked.grant() }, Some(cnode), Errno::Fault);
    }
    // Beyond the CNode.
    let good = asked.grant();
    asked.lie(Grant { first: 2, ..good }, Some(asked.region.cnode), Errno::Fault);
    let beyond = asked.rig.op_with(
        0,
        Operation::GrantCnode,
        &Grant { first: u32::MAX - 1, ..good },
        Some(asked.region.cnode),
    );
    assert!(matches!(beyond, Err(Errno::Fault | Errno::Inval)), "{beyond:?}");
    assert_eq!(asked.rig.domain.held(), 0);
    asked.honest();
}

#[test]
fn frames_outside_the_clients_rows_of_the_grant_table_are_eperm() {
    let mut asked = Asked::new(4);
    let foreign = asked.rig.region(1, 4);
    let own = asked.region.physical;
    let driver = conformance::BASE;
    for (stranger, place) in [(foreign.physical, 0), (foreign.physical, 3), (driver, 2), (0, 1), (!0xfff, 3)]
    {
        let slots = (0..4_u64).map(|page| {
            let physical = if page == place { stranger } else { own + page * 4096 };
            Some(Capability::Frame(Frame { physical, writable: true }))
        });
        let slots = slots.collect();
        let (cnode, cnode_bits) = asked.rig.cnode(slots);
        asked.lie(Grant { cnode_bits, ..asked.grant() }, Some(cnode), Errno::Perm);
    }
    // Whatever capability comes, also a read-only row is not for the GPU to write.
    let read_only = asked.rig.read_only_region(0, 4);
    let slots: Vec<_> = (0..4_u64)
        .map(|page| {
            let physical = read_only.physical + page * 4096;
            Some(Capability::Frame(Frame { physical, writable: true }))
        })
        .collect();
    let (cnode, cnode_bits) = asked.rig.cnode(slots);
    asked.lie(Grant { cnode_bits, ..asked.grant() }, Some(cnode), Errno::Perm);
    // A grant for reading does not do where the request is for writing.
    asked.lie(Grant { flags: 0, ..asked.grant() }, Some(asked.region.cnode), Errno::Perm);
    asked.honest();
}

#[test]
fn a_lie_behind_hundreds_of_frames_gives_all_of_them_back() {
    let pages = 230;
    let mut asked = Asked::new(pages);
    let (own, foreign) = (asked.region.physical, asked.rig.region(1, 1).physical);
    let good = asked.grant();
    let last = u64::from(pages) - 1;
    for place in [0, 100, last] {
        let lies = [
            (None, Errno::Fault),
            (Some(Capability::Other), Errno::Fault),
            (Some(Capability::Frame(Frame { physical: foreign, writable: true })), Errno::Perm),
            // The frame of another page, which is lent before or after this one.
            (
                Some(Capability::Frame(Frame { physical: own + (last / 2) * 4096, writable: true })),
                Errno::Fault,
            ),
        ];
        for (lie, errno) in lies {
            let frame = |page| Capability::Frame(Frame { physical: own + page * 4096, writable: true });
            let slots = (0..=last).map(|page| if page == place { lie } else { Some(frame(page)) });
            let slots = slots.collect();
            let (cnode, cnode_bits) = asked.rig.cnode(slots);
            asked.lie(Grant { cnode_bits, ..good }, Some(cnode), errno);
        }
    }
    let cnode = asked.region.cnode;
    for maps in [0, 1, 100, pages - 1] {
        asked.rig.limit_maps(maps);
        asked.lie(good, Some(cnode), Errno::Fault);
    }
    asked.rig.limit_maps(u32::MAX);
    asked.honest();
}

#[test]
fn frames_that_cannot_be_mapped_for_the_device_are_efault() {
    let mut asked = Asked::new(4);
    let (good, cnode) = (asked.grant(), asked.region.cnode);
    for maps in 0..4 {
        asked.rig.limit_maps(maps);
        asked.lie(good, Some(cnode), Errno::Fault);
    }
    asked.rig.limit_maps(u32::MAX);
    asked.honest();
}

#[test]
fn a_frame_that_is_lent_already_is_efault() {
    let mut asked = Asked::new(4);
    // The same frame twice in one grant.
    let physical = asked.region.physical;
    let same = Some(Capability::Frame(Frame { physical, writable: true }));
    let (cnode, cnode_bits) = asked.rig.cnode(vec![same; 4]);
    asked.lie(Grant { cnode_bits, ..asked.grant() }, Some(cnode), Errno::Fault);
    asked.honest();
}

#[test]
fn a_limit_of_lent_pages_is_enomem() {
    let mut settings = Settings::new("tgl");
    settings.limits[0] = ClientLimits { lent_pages: 3, ..ClientLimits::DEFAULT };
    let mut asked = Asked::with(settings, 4);
    let (good, cnode) = (asked.grant(), Some(asked.region.cnode));
    asked.lie(good, cnode, Errno::NoMem);
    // What fits is taken; the rest never will be, and the object can still be closed.
    asked.rig.grant(0, &Grant { count: 3, ..good }, asked.region.cnode).unwrap();
    let rest = Grant { first: 3, count: 1, address: good.address + 3 * 4096, ..good };
    asked.lie(rest, cnode, Errno::NoMem);
    asked.rig.close(0, asked.object).unwrap();
    assert_eq!(asked.rig.domain.held(), 0);
}

#[test]
fn a_pool_of_lent_pages_that_is_too_small_is_enomem() {
    let mut settings = Settings::new("tgl");
    settings.driver = DriverConfig { lent_pages: 3, ..DriverConfig::DEFAULT };
    let mut asked = Asked::with(settings, 4);
    let (good, cnode) = (asked.grant(), Some(asked.region.cnode));
    asked.lie(good, cnode, Errno::NoMem);
}

#[test]
fn a_refusal_is_reported_once_and_the_next_use_asks_again() {
    let mut asked = Asked::new(4);
    asked.rig.grant(0, &Grant { count: 2, ..asked.grant() }, asked.region.cnode).unwrap();
    asked.rig.refuse(0, asked.request, Errno::Fault).unwrap();
    assert_eq!(asked.rig.domain.held(), 0, "what came before the refusal goes back");
    let list = [reads(asked.object, CODE)];
    assert_eq!(asked.rig.submit(0, asked.context, BLITTER, &list, &[]), Err(Errno::Fault));
    assert_eq!(asked.rig.submit(0, asked.context, BLITTER, &list, &[]), Err(Errno::Again));
    let request = asked.rig.next_request(0).expect("a new request");
    assert_ne!(request.sequence, asked.request.sequence);
    let late = asked.grant();
    asked.lie(late, Some(asked.region.cnode), Errno::Again);
    asked.request = request;
    asked.honest();
}

#[test]
fn every_error_that_an_owner_reports_reaches_the_client() {
    let mut asked = Asked::new(1);
    for errno in Errno::ALL {
        if errno == Errno::Again {
            continue;
        }
        asked.rig.refuse(0, asked.request, errno).unwrap();
        let list = [reads(asked.object, CODE)];
        assert_eq!(asked.rig.submit(0, asked.context, BLITTER, &list, &[]), Err(errno));
        assert_eq!(asked.rig.submit(0, asked.context, BLITTER, &list, &[]), Err(Errno::Again));
        asked.request = asked.rig.next_request(0).unwrap();
    }
    asked.honest();
}

#[test]
fn a_malformed_refusal_is_einval_and_one_of_no_open_request_eagain() {
    let mut asked = Asked::new(2);
    let good = refusal(asked.request, Errno::Fault);
    for errno in [0, 3, u32::from(Errno::Again.number()), 1 << 16 | 14, u32::MAX] {
        asked.rig.refused(0, Operation::Refuse, &Refuse { errno, ..good }, Errno::Inval);
    }
    asked.rig.refused(0, Operation::Refuse, &Refuse { rsvd: 1, ..good }, Errno::Inval);
    for sequence in [0, good.sequence + 1] {
        asked.rig.refused(0, Operation::Refuse, &Refuse { sequence, ..good }, Errno::Again);
    }
    asked.rig.refused(0, Operation::Refuse, &Refuse { address: 0, ..good }, Errno::Again);
    asked.rig.refused(1, Operation::Refuse, &good, Errno::Again);
    asked.honest();
}

#[test]
fn a_submission_with_a_refused_object_leaves_the_others_asked_for() {
    let mut rig = Rig::new("tgl");
    let context = rig.context_create(0, 0, &[]).unwrap();
    let (data, code) = (rig.region(0, 1), rig.region(0, 1));
    let objects = [rig.userptr(0, data), rig.userptr(0, code)];
    rig.poke(code.physical, &batch::store(DATA, 5));
    let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
    assert_eq!(rig.submit(0, context, BLITTER, &list, &[]), Err(Errno::Again));
    let request = rig.next_request(0).unwrap();
    rig.refuse(0, request, Errno::NoMem).unwrap();
    assert_eq!(rig.submit(0, context, BLITTER, &list, &[]), Err(Errno::NoMem));
    rig.run(0, context, BLITTER, &list, &[], &[data, code]).unwrap();
    rig.settle();
    assert_eq!(rig.peek(data.physical), 5);
    rig.check();
}
