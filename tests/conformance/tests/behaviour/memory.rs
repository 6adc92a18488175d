// SPDX-License-Identifier: BSD-2-Clause
//! Where an address space ends, when it is full, who pays for its page tables, and how accesses are cached.

use conformance::wire::{handle, reads, writes};
use conformance::{BASE, Capability, DRIVER_PAGES, Frame, Region, Rig, Settings, batch, channel};
use gpu_protocol::{
    Errno, Grant, GrantEntry, GrantFlags, ObjectFlags, Operation, SubmitObject, UserptrCreate, UserptrFlags,
};
use intel_gpu::uapi::ClientLimits;
use zerocopy::FromBytes;

const BLITTER: u32 = 3;
const CODE: u64 = 0x10_0000;
const PAGE: u64 = 4096;
/// Frames of 2 MiB that no memory is behind: nothing reads or writes them here.
const LARGE_FRAMES: u64 = 0x10_0000_0000;
/// Platforms, and whether their address spaces have three levels.
const SPACES: [(&str, bool); 4] = [("bdw", true), ("skl", false), ("icl", false), ("tgl", false)];

/// A client with a context and an object for batches.
struct World {
    rig: Rig,
    context: u32,
    code: Region,
    code_object: u32,
    regions: Vec<Region>,
}

impl World {
    fn new(settings: Settings) -> Self {
        let mut rig = Rig::with(settings);
        let context = rig.context_create(0, 0, &[]).unwrap();
        let code = rig.region(0, 1);
        let code_object = rig.userptr(0, code);
        Self { rig, context, code, code_object, regions: vec![code] }
    }

    fn of(platform: &'static str, three_level: bool) -> Self {
        let mut settings = Settings::new(platform);
        settings.config.three_level = three_level;
        Self::new(settings)
    }

    fn object(&mut self, pages: u32) -> (Region, u32) {
        let region = self.rig.region(0, pages);
        self.regions.push(region);
        (region, self.rig.userptr(0, region))
    }

    /// Runs a batch to its end; `list` ends with its object.
    fn run(&mut self, dwords: &[u32], list: &[SubmitObject]) -> Result<(), Errno> {
        self.rig.poke(self.code.physical, dwords);
        let fence = self.rig.run(0, self.context, BLITTER, list, &[], &self.regions)?;
        self.rig.settle();
        assert!(self.rig.reached(0, fence));
        Ok(())
    }

    fn refused(&mut self, list: &[SubmitObject], errno: Errno) {
        let submit = self.rig.write_submit(0, self.context, BLITTER, list, &[]);
        self.rig.refused(0, Operation::Submit, &submit, errno);
    }

    fn close(&mut self, object: u32) {
        self.rig.close(0, object).unwrap();
        self.rig.settle();
    }

    /// Pages of the driver's memory that the client pays for.
    fn charged(&self) -> u32 {
        self.rig.driver.census().clients[0].driver_pages
    }
}

/// An address as clients write it: its highest bit repeated.
const fn canonical(address: u64) -> u64 {
    if address >> 47 == 1 { address | 0xffff_0000_0000_0000 } else { address }
}

#[test]
fn the_last_page_of_an_address_space_is_usable_and_a_fixed_place_beyond_it_is_einval() {
    for (platform, bits) in [("bdw", 32), ("bdw", 48), ("skl", 48), ("icl", 48), ("tgl", 47), ("rkl", 47)] {
        let mut world = World::of(platform, bits == 32);
        let ((one, one_object), (_, two_object)) = (world.object(1), world.object(2));
        let (end, code) = (1_u64 << bits, reads(world.code_object, CODE));
        let last = canonical(end - PAGE);
        // The second page would be outside; no page is asked for either.
        world.refused(&[writes(two_object, last), code], Errno::Inval);
        // Not an address, not aligned, or beyond the end; at 48 bits what follows the last page is no address either.
        for address in [end, end + PAGE, last + 1, 1 << 47, 1 << 63, !0xfff_u64 >> 1] {
            world.refused(&[writes(one_object, address), code], Errno::Inval);
        }
        assert_eq!(world.rig.next_request(0), None, "{platform}");
        world.run(&batch::store(last, 0x51), &[writes(one_object, last), code]).unwrap();
        assert_eq!(world.rig.peek(one.physical), 0x51, "{platform}");
        world.rig.check();
    }
}

/// Bytes of an object that does not fit between the walls, and frames of it.
const HUGE: u64 = 256 << 20;
const HUGE_FRAMES: u32 = 128;

/// Sixteen fixed pages in the lower 4 GiB with [`HUGE`] less a page between them. The first is the batch.
fn walls(world: &mut World) -> Vec<SubmitObject> {
    let mut list: Vec<_> = (2..=16).map(|wall| writes(world.object(1).1, wall * HUGE - PAGE)).collect();
    list.push(reads(world.code_object, HUGE - PAGE));
    list
}

/// An object of [`HUGE`] bytes, asked for by a submission that lists it, and granted.
fn lend_huge(world: &mut World, list: impl Fn(u32) -> Vec<SubmitObject>) -> u32 {
    let address = 1_u64 << 42;
    let object = world.rig.userptr_create(0, address, HUGE).unwrap();
    assert_eq!(world.rig.submit(0, world.context, BLITTER, &list(object), &[]), Err(Errno::Again));
    let frames = (0..u64::from(HUGE_FRAMES)).map(|frame| LARGE_FRAMES + (frame << 21));
    let frames = frames.map(|physical| Some(Capability::Large(Frame { physical, writable: true })));
    let (cnode, cnode_bits) = world.rig.cnode(frames.collect());
    let request = world.rig.next_request(0).unwrap();
    assert_eq!((request.address, request.size), (address, HUGE));
    let grant = Grant {
        address,
        sequence: request.sequence,
        first: 0,
        count: HUGE_FRAMES,
        page_bits: 21,
        cnode_bits,
        flags: GrantFlags::WRITE.bits(),
        rsvd: 0,
    };
    assert_eq!(world.rig.grant(0, &grant, cnode), Ok(u64::from(HUGE_FRAMES)));
    object
}

#[test]
fn an_object_for_which_no_room_is_left_is_enospc_and_gets_some_when_there_is() {
    for (platform, three_level) in SPACES {
        let mut settings = Settings::new(platform);
        settings.config.three_level = three_level;
        settings.limits[0] = ClientLimits { lent_pages: 1 << 17, ..ClientLimits::DEFAULT };
        let rights = 3 | 21 << 8;
        settings.rows = vec![GrantEntry { channel: channel(0), paddr: LARGE_FRAMES, size: HUGE, rights }];
        let mut world = World::new(settings);
        let walls = walls(&mut world);
        world.run(&[batch::END, 0], &walls).unwrap();
        let code = reads(world.code_object, HUGE - PAGE);
        let list = |object, wide: bool| {
            let flags = if wide { ObjectFlags::SUPPORTS_48B_ADDRESS.bits() } else { 0 };
            vec![SubmitObject { handle: object, flags, address: 0 }, code]
        };
        let object = lend_huge(&mut world, |object| list(object, false));
        world.refused(&list(object, false), Errno::NoSpc);
        if three_level {
            world.refused(&list(object, true), Errno::NoSpc);
        } else {
            world.run(&[batch::END, 0], &list(object, true)).unwrap();
            // Used by somebody who cannot reach it there, it would have to come down, and stays.
            world.refused(&list(object, false), Errno::NoSpc);
        }
        // One of the walls goes.
        world.close(walls[7].handle);
        world.run(&[batch::END, 0], &list(object, false)).unwrap();
        let bytes = world.rig.read_area(0, conformance::wire::PAYLOAD, size_of::<SubmitObject>());
        let place = SubmitObject::read_from_bytes(bytes).unwrap().address;
        // The wall was in the middle of this hole.
        assert!((8 * HUGE..10 * HUGE - PAGE - HUGE).contains(&place), "{platform}: {place:#x}");
        world.close(object);
        world.rig.check();
    }
}

#[test]
fn page_tables_are_charged_to_the_client_and_given_back_when_they_are_empty() {
    for (platform, three_level) in SPACES {
        let mut world = World::of(platform, three_level);
        let code = reads(world.code_object, CODE);
        let objects = [world.object(1).1, world.object(1).1];
        world.run(&[batch::END, 0], &[code]).unwrap();
        let before = world.charged();
        // A page table, and with four levels the two directories above it.
        let tables = if three_level { 1 } else { 3 };
        let far = if three_level { 3 << 30 } else { 1 << 46 };
        world.run(&[batch::END, 0], &[writes(objects[0], far), code]).unwrap();
        assert_eq!(world.charged(), before + tables, "{platform}");
        // The other one shares them; it costs nothing until the first one is elsewhere, and then keeps them alone.
        world.run(&[batch::END, 0], &[writes(objects[1], far + PAGE), code]).unwrap();
        assert_eq!(world.charged(), before + tables, "{platform}");
        world.run(&[batch::END, 0], &[writes(objects[0], CODE + PAGE), code]).unwrap();
        assert_eq!(world.charged(), before + tables, "{platform}");
        world.close(objects[1]);
        assert_eq!(world.charged(), before, "{platform}");
        world.close(objects[0]);
        assert_eq!(world.charged(), before, "{platform}: the batch needs its table still");
        world.close(world.code_object);
        assert_eq!(world.charged(), before - tables, "{platform}");
        world.rig.check();
    }
}

#[test]
fn beyond_its_quota_of_page_tables_a_client_gets_enomem_and_nobody_else_notices() {
    for (platform, three_level) in SPACES {
        let mut settings = Settings::new(platform);
        settings.config.three_level = three_level;
        let mut world = World::new(settings.clone());
        let code = reads(world.code_object, CODE);
        world.run(&[batch::END, 0], &[code]).unwrap();
        // A quota for two far places beside what this has taken.
        let tables = if three_level { 1 } else { 3 };
        settings.limits[0].driver_pages = world.charged() + 3 * tables - 1;
        let mut world = World::new(settings);
        let code = reads(world.code_object, CODE);
        let objects: Vec<_> = (0..3).map(|_| world.object(1)).collect();
        let far = |index: u64| if three_level { index << 28 } else { index << 39 };
        let at = |index: usize, place| writes(objects[index].1, far(place));
        // All three have their pages, and are bound where tables are.
        let near = |index: usize| writes(objects[index].1, CODE + PAGE * (1 + index as u64));
        world.run(&[batch::END, 0], &[near(0), near(1), near(2), code]).unwrap();
        world.run(&[batch::END, 0], &[at(0, 1), at(1, 2), code]).unwrap();
        let charged = world.charged();
        world.refused(&[at(2, 3), code], Errno::NoMem);
        // Nor with another of the list that moves: it stays where it was.
        world.refused(&[at(0, 4), at(1, 2), at(2, 3), code], Errno::NoMem);
        world.run(&batch::store(CODE + 3 * PAGE, 7), &[near(2), code]).unwrap();
        assert_eq!((world.charged(), world.rig.peek(objects[2].0.physical)), (charged, 7), "{platform}");
        // The other client has its own.
        let (context, region) = (world.rig.context_create(1, 0, &[]).unwrap(), world.rig.region(1, 1));
        let object = world.rig.userptr(1, region);
        world.rig.poke(region.physical, &[batch::END, 0]);
        world.rig.run(1, context, BLITTER, &[reads(object, far(3))], &[], &[region]).unwrap();
        world.rig.settle();
        // What goes makes room.
        world.close(objects[0].1);
        world.run(&batch::store(far(3), 8), &[at(2, 3), code]).unwrap();
        assert_eq!(world.rig.peek(objects[2].0.physical), 8, "{platform}");
        world.rig.check();
    }
}

/// The entries in the driver's memory, where all page tables are, that name one of `pages`.
fn entries_of(rig: &Rig, pages: &[u64]) -> Vec<(u64, u64)> {
    const ADDRESS: u64 = 0x3fff_ffff_f000;
    let words = (0..u64::from(DRIVER_PAGES) * PAGE / 8).map(|word| BASE + 8 * word);
    let entries = words.map(|at| u64::from(rig.peek(at + 4)) << 32 | u64::from(rig.peek(at)));
    let entries = entries.map(|entry| (entry & ADDRESS, entry));
    entries.filter(|(page, entry)| entry & 1 != 0 && pages.contains(page)).collect()
}

#[test]
fn the_gpus_accesses_to_an_object_are_cached_as_its_creator_says() {
    // Indices of the page attribute table: write-back or snooped, uncached, write-through or what stands for it.
    let parts =
        [("bdw", [4, 3, 2]), ("skl", [4, 3, 3]), ("glk", [4, 3, 3]), ("icl", [4, 3, 3]), ("tgl", [0, 3, 2])];
    let policies = [UserptrFlags::empty(), UserptrFlags::UNCACHED, UserptrFlags::WRITE_THROUGH];
    for (platform, indices) in parts {
        let mut world = World::of(platform, false);
        let both = policies[1] | policies[2];
        let region = world.rig.region(0, 1);
        let create = |region: Region, flags: UserptrFlags| UserptrCreate {
            user_ptr: region.address,
            user_size: region.size,
            flags: flags.bits(),
            handle: 0,
        };
        world.rig.refused(0, Operation::UserptrCreate, &create(region, both), Errno::Inval);
        let mut pages = vec![];
        for flags in policies {
            let region = world.rig.region(0, 1);
            world.regions.push(region);
            let object =
                world.rig.op(0, Operation::UserptrCreate, &create(region, flags)).map(handle).unwrap();
            // In two address spaces.
            for value in [0x77, 0x78] {
                let list = [writes(object, 0x20_0000), reads(world.code_object, CODE)];
                world.run(&batch::store(0x20_0000, value), &list).unwrap();
                assert_eq!(world.rig.peek(region.physical), value, "{platform}: {flags:?}");
                world.context = world.rig.context_create(0, 0, &[]).unwrap();
            }
            pages.push(region.physical);
        }
        let entries = entries_of(&world.rig, &pages);
        for ((page, index), flags) in pages.into_iter().zip(indices).zip(policies) {
            let bits = |entry: u64| entry >> 3 & 3 | entry >> 5 & 4;
            let found = entries.iter().filter(|(of, _)| *of == page).map(|(_, entry)| bits(*entry));
            assert_eq!(found.collect::<Vec<_>>(), [index; 2], "{platform}: {flags:?}");
        }
        world.rig.check();
    }
}
