// SPDX-License-Identifier: BSD-2-Clause
//! Where the objects of a submission go: places that the client fixes, hints at, or leaves to the driver.

use conformance::wire::{reads, writes};
use conformance::{Region, Rig, batch};
use gpu_model::Timing;
use gpu_protocol::{Errno, Fence, ObjectFlags, Operation, SubmitObject};
use zerocopy::FromBytes;

const BLITTER: u32 = 3;
const PLATFORMS: [&str; 3] = ["bdw", "skl", "tgl"];
const BEYOND_4_GIB: u64 = 0x5_0000_0000;

/// An object that the driver puts somewhere, if it can at `address`.
const fn hinted(handle: u32, address: u64) -> SubmitObject {
    SubmitObject { handle, flags: ObjectFlags::WRITE.bits(), address }
}

/// As [`hinted`], for a batch.
const fn hinted_batch(handle: u32, address: u64) -> SubmitObject {
    SubmitObject { handle, flags: 0, address }
}

/// As [`hinted`], also beyond 4 GiB.
const fn hinted_wide(handle: u32, address: u64) -> SubmitObject {
    let flags = ObjectFlags::WRITE.bits() | ObjectFlags::SUPPORTS_48B_ADDRESS.bits();
    SubmitObject { handle, flags, address }
}

/// A client with a context, some objects of four pages, and one for batches.
struct World {
    rig: Rig,
    context: u32,
    regions: Vec<Region>,
    objects: Vec<u32>,
    code: Region,
    code_object: u32,
}

impl World {
    fn new(platform: &'static str, objects: usize) -> Self {
        let mut rig = Rig::new(platform);
        let context = rig.context_create(0, 0, &[]).unwrap();
        let regions: Vec<_> = (0..objects).map(|_| rig.region(0, 4)).collect();
        let code = rig.region(0, 1);
        let objects = regions.iter().map(|region| rig.userptr(0, *region)).collect();
        let code_object = rig.userptr(0, code);
        Self { rig, context, regions, objects, code, code_object }
    }

    /// Runs a batch with this list, the batch's object last, and returns where the driver says they are.
    fn run(&mut self, dwords: &[u32], list: &[SubmitObject]) -> Result<Vec<u64>, Errno> {
        self.start(dwords, list).map(|(_, places)| {
            self.rig.settle();
            places
        })
    }

    fn start(&mut self, dwords: &[u32], list: &[SubmitObject]) -> Result<(Fence, Vec<u64>), Errno> {
        self.rig.poke(self.code.physical, dwords);
        let mut regions = self.regions.clone();
        regions.push(self.code);
        let fence = self.rig.run(0, self.context, BLITTER, list, &[], &regions)?;
        Ok((fence, self.listed(list.len())))
    }

    /// The list as it is in the message area now.
    fn listed(&self, count: usize) -> Vec<u64> {
        let bytes = self.rig.read_area(0, conformance::wire::PAYLOAD, count * size_of::<SubmitObject>());
        let entries = bytes.chunks_exact(size_of::<SubmitObject>());
        entries.map(|entry| SubmitObject::read_from_bytes(entry).unwrap().address).collect()
    }

    /// Whether a store to `address` arrives at the start of object `index`; everything keeps its place.
    fn stores(&mut self, list: &[SubmitObject], index: usize, address: u64) -> bool {
        self.rig.poke(self.regions[index].physical, &[0]);
        let places = self.run(&batch::store(address, 0xabcd), list).unwrap();
        places[index] == address && self.rig.peek(self.regions[index].physical) == 0xabcd
    }

    fn refused(&mut self, list: &[SubmitObject], errno: Errno) {
        let submit = self.rig.write_submit(0, self.context, BLITTER, list, &[]);
        self.rig.refused(0, Operation::Submit, &submit, errno);
    }
}

#[test]
fn objects_without_a_place_get_one_each_keep_it_and_the_list_says_which() {
    for platform in PLATFORMS {
        let mut world = World::new(platform, 3);
        let mut list: Vec<_> = world.objects.iter().map(|object| hinted(*object, 0)).collect();
        list.push(hinted_batch(world.code_object, 0));
        let places = world.run(&[batch::END, 0], &list).unwrap();
        for (index, place) in places.iter().enumerate() {
            assert!(place.is_multiple_of(4096) && *place < 1 << 32, "{platform}");
            let apart = |other: &u64| place.abs_diff(*other) >= 4 << 12;
            assert!(places[..index].iter().all(apart), "{platform}: {places:x?}");
        }
        for (index, place) in places.into_iter().enumerate().take(3) {
            // The client still says 0 for all of them.
            assert!(world.stores(&list, index, place), "{platform}: {index}");
        }
        world.rig.check();
    }
}

#[test]
fn a_hint_is_followed_where_it_is_free_and_never_moves_what_is_bound() {
    for platform in PLATFORMS {
        let mut world = World::new(platform, 2);
        let [a, b] = [world.objects[0], world.objects[1]];
        let code = reads(world.code_object, 0x10_0000);
        let places = world.run(&[batch::END, 0], &[hinted(a, 0x123_4000), code]).unwrap();
        assert_eq!(places[0], 0x123_4000, "{platform}");
        // Taken, in part.
        let places = world.run(&[batch::END, 0], &[hinted(b, 0x123_6000), code]).unwrap();
        assert!(places[0].abs_diff(0x123_4000) >= 4 << 12, "{platform}");
        let elsewhere = hinted(a, 0x900_0000);
        assert!(world.stores(&[elsewhere, code], 0, 0x123_4000), "{platform}");
        world.rig.check();
    }
}

#[test]
fn what_cannot_be_an_address_is_no_hint() {
    let mut world = World::new("tgl", 1);
    let code = reads(world.code_object, 0x10_0000);
    for (index, address) in [0x123, 0x8000_0000_0000, u64::MAX, 0xffff_ffff_f000].into_iter().enumerate() {
        let list = [hinted_wide(world.objects[0], address), code];
        let places = world.run(&[batch::END, 0], &list).unwrap();
        assert!(places[0] < 1 << 32 && places[0].is_multiple_of(4096), "{index}: {places:x?}");
        world.rig.close(0, world.objects[0]).unwrap();
        world.rig.settle();
        world.objects[0] = world.rig.userptr(0, world.regions[0]);
    }
    world.rig.check();
}

#[test]
fn address_zero_is_as_good_as_any_other() {
    for platform in PLATFORMS {
        let mut world = World::new(platform, 1);
        let code = reads(world.code_object, 0x10_0000);
        for object in [writes(world.objects[0], 0), hinted(world.objects[0], 0)] {
            assert!(world.stores(&[object, code], 0, 0), "{platform}");
        }
        world.rig.check();
    }
}

#[test]
fn only_an_object_that_supports_it_goes_beyond_4_gib() {
    let mut world = World::new("tgl", 1);
    let object = world.objects[0];
    let code = reads(world.code_object, 0x10_0000);
    let places = world.run(&[batch::END, 0], &[hinted(object, BEYOND_4_GIB), code]).unwrap();
    assert!(places[0] < 1 << 32);
    world.rig.close(0, object).unwrap();
    world.rig.settle();
    world.objects[0] = world.rig.userptr(0, world.regions[0]);
    let wide = hinted_wide(world.objects[0], BEYOND_4_GIB);
    assert!(world.stores(&[wide, code], 0, BEYOND_4_GIB));
    // Used by somebody who does not, it comes down.
    let places = world.run(&[batch::END, 0], &[hinted(world.objects[0], BEYOND_4_GIB), code]).unwrap();
    assert!(places[0] < 1 << 32);
    world.rig.check();
}

#[test]
fn an_idle_object_that_nobody_fixed_makes_room_for_one_that_is_fixed() {
    for platform in PLATFORMS {
        let mut world = World::new(platform, 3);
        let [a, b, c] = [world.objects[0], world.objects[1], world.objects[2]];
        let code = reads(world.code_object, 0x10_0000);
        let list = [hinted(a, 0x200_0000), hinted(b, 0x200_4000), code];
        assert_eq!(world.run(&[batch::END, 0], &list).unwrap()[..2], [0x200_0000, 0x200_4000]);
        let bindings = world.rig.driver.census().bindings;
        // In the way of both.
        let list = [writes(c, 0x200_2000), code];
        world.rig.poke(world.regions[2].physical, &[0]);
        world.run(&batch::store(0x200_2000, 7), &list).unwrap();
        assert_eq!(world.rig.peek(world.regions[2].physical), 7, "{platform}");
        assert_eq!(world.rig.driver.census().bindings, bindings - 1, "{platform}");
        let list = [hinted(a, 0x200_0000), hinted(b, 0x200_4000), code];
        let places = world.run(&[batch::END, 0], &list).unwrap();
        assert!(places[..2].iter().all(|place| place.abs_diff(0x200_2000) >= 4 << 12), "{platform}");
        assert!(world.stores(&list, 0, places[0]) && world.stores(&list, 1, places[1]), "{platform}");
        world.rig.check();
    }
}

#[test]
fn an_unfixed_object_of_the_same_list_makes_room_too() {
    let mut world = World::new("tgl", 2);
    let [a, b] = [world.objects[0], world.objects[1]];
    let code = reads(world.code_object, 0x10_0000);
    world.run(&[batch::END, 0], &[hinted(a, 0x200_0000), code]).unwrap();
    let list = [hinted(a, 0x200_0000), writes(b, 0x200_0000), code];
    let places = world.run(&[batch::END, 0], &list).unwrap();
    assert!(places[0].abs_diff(0x200_0000) >= 4 << 12);
    assert!(world.stores(&list, 0, places[0]));
    world.rig.check();
}

#[test]
fn a_running_object_makes_no_room_and_a_fixed_one_neither() {
    let mut world = World::new("tgl", 3);
    let [a, b, c] = [world.objects[0], world.objects[1], world.objects[2]];
    let code = reads(world.code_object, 0x10_0000);
    // All pages are lent first.
    let list = [hinted(a, 0x200_0000), writes(b, 0x300_0000), hinted(c, 0x400_0000), code];
    world.run(&[batch::END, 0], &list).unwrap();
    world.refused(&[writes(c, 0x300_1000), code], Errno::Inval);
    world.rig.set_timing(Timing::Busy);
    world.start(&[batch::END, 0], &[hinted(a, 0), code]).unwrap();
    world.refused(&[writes(c, 0x200_1000), code], Errno::Busy);
    // A list whose second object cannot have its place leaves the first where it is.
    world.refused(&[hinted(c, 0), writes(b, 0x200_0000), code], Errno::Busy);
    world.rig.set_timing(Timing::Instant);
    world.rig.settle();
    // Once it was used without a place it is fixed no longer.
    world.run(&[batch::END, 0], &[hinted(b, 0), code]).unwrap();
    world.run(&[batch::END, 0], &[writes(c, 0x300_1000), code]).unwrap();
    world.rig.check();
}

#[test]
fn a_refused_submission_puts_back_what_had_made_room() {
    let mut world = World::new("tgl", 3);
    let [a, b, c] = [world.objects[0], world.objects[1], world.objects[2]];
    let code = reads(world.code_object, 0x10_0000);
    let list = [hinted(a, 0x200_0000), hinted(b, 0x200_4000), hinted(c, 0x400_0000), code];
    world.run(&[batch::END, 0], &list).unwrap();
    world.rig.set_timing(Timing::Busy);
    // The ring of the context fills up; the last submission is refused after everything was placed.
    let full = loop {
        match world.start(&[batch::END, 0], &[code]) {
            Ok(_) => {}
            Err(errno) => break errno,
        }
    };
    assert_eq!(full, Errno::Again);
    world.refused(&[writes(c, 0x200_2000), code], Errno::Again);
    world.rig.set_timing(Timing::Instant);
    world.rig.settle();
    let places = world.run(&[batch::END, 0], &list).unwrap();
    assert_eq!(places[..3], [0x200_0000, 0x200_4000, 0x400_0000]);
    for (index, place) in places.into_iter().enumerate().take(3) {
        assert!(world.stores(&list, index, place));
    }
    world.rig.check();
}

#[test]
fn an_object_that_only_runs_in_another_address_space_makes_room_in_this_one() {
    for platform in PLATFORMS {
        let mut world = World::new(platform, 2);
        let [a, b] = [world.objects[0], world.objects[1]];
        let code = reads(world.code_object, 0x10_0000);
        let everything = [hinted(a, 0x200_0000), hinted(b, 0x400_0000), code];
        world.run(&[batch::END, 0], &everything).unwrap();
        // A context has an address space of its own unless it is told otherwise.
        let here = world.context;
        world.context = world.rig.context_create(0, 0, &[]).unwrap();
        let elsewhere = world.context;
        world.rig.set_timing(Timing::Busy);
        let (fence, places) = world.start(&[batch::END, 0], &[hinted(a, 0x200_0000), code]).unwrap();
        assert_eq!(places[0], 0x200_0000, "{platform}");
        world.context = here;
        let (_, places) = world.start(&[batch::END, 0], &[writes(b, 0x200_1000), code]).unwrap();
        assert_eq!(places[0], 0x200_1000, "{platform}");
        assert!(!world.rig.reached(0, fence), "{platform}: it was in use all the time");
        world.rig.set_timing(Timing::Instant);
        world.rig.settle();
        let places = world.run(&[batch::END, 0], &[hinted(a, 0x200_0000), code]).unwrap();
        assert!(places[0].abs_diff(0x200_1000) >= 4 << 12, "{platform}: {places:x?}");
        world.context = elsewhere;
        let places = world.run(&[batch::END, 0], &[hinted(a, 0x700_0000), code]).unwrap();
        assert_eq!(places[0], 0x200_0000, "{platform}: it kept its place there");
        world.rig.check();
    }
}
