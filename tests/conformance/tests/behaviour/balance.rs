// SPDX-License-Identifier: BSD-2-Clause
//! Load-balanced engines and their bonds. Tiger Lake has two video engines to choose from.

use conformance::wire::{MAP_EXTENSIONS, PAYLOAD, bond, fence, load_balance, reads, set_param, writes};
use conformance::{Region, Rig, Settings, batch};
use gpu_protocol::{
    Bond, ContextCreate, ContextParam, EngineClassInstance, Errno, ExtensionHeader, Fence, LoadBalance,
    Operation, SubmitObject,
};
use zerocopy::IntoBytes;

const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;
const RENDER: EngineClassInstance = EngineClassInstance::new(0, 0);
const COPY: EngineClassInstance = EngineClassInstance::new(1, 0);
const VIDEO: [EngineClassInstance; 2] = [EngineClassInstance::new(2, 0), EngineClassInstance::new(2, 1)];
const HOLE: EngineClassInstance = EngineClassInstance::NONE;
const EITHER: EngineClassInstance = EngineClassInstance::new(2, EngineClassInstance::VIRTUAL);
/// Slots of [`Player::balanced`].
const ANY: u32 = 0;
const FIRST: u32 = 1;
const SECOND: u32 = 2;
const PICTURES: u32 = 3;

/// A map of four slots, the first of them either video engine, with bonds: master and engines.
pub(crate) fn write_balanced(
    rig: &mut Rig,
    context: u32,
    bonds: &[(EngineClassInstance, &[EngineClassInstance])],
) -> ContextParam {
    let size = size_of::<Bond>() + 8;
    let mut at = MAP_EXTENSIONS;
    let next = if bonds.is_empty() { 0 } else { (at + size_of::<LoadBalance>() + 8) as u64 };
    at = rig.write_extension(0, at, &load_balance(next, 0, 2), &VIDEO);
    for (index, (master, engines)) in bonds.iter().enumerate() {
        let next = if index + 1 == bonds.len() { 0 } else { (at + size) as u64 };
        let count = u16::try_from(engines.len()).unwrap();
        rig.write_extension(0, at, &bond(next, 0, *master, count), engines);
        at += size;
    }
    rig.write_engines(0, context, MAP_EXTENSIONS as u64, &[HOLE, VIDEO[0], VIDEO[1], RENDER])
}

/// A client whose batches pass a gate: each writes what it has reached.
struct Player {
    rig: Rig,
    data: Region,
    code: Region,
    list: [SubmitObject; 2],
    /// Batches written.
    used: u64,
}

impl Player {
    fn new() -> Self {
        let mut settings = Settings::new("tgl");
        settings.options.instant_budget = 2_000;
        let mut rig = Rig::with(settings);
        let (data, code) = (rig.region(0, 1), rig.region(0, 16));
        let objects = [rig.userptr(0, data), rig.userptr(0, code)];
        let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
        rig.poke(code.physical, &[batch::END, 0]);
        // The pages are lent beforehand.
        rig.run(0, 0, 3, &list, &[], &[data, code]).unwrap();
        rig.settle();
        Self { rig, data, code, list, used: 1 }
    }

    /// A context in the address space of the default one, whose first slot is either video engine.
    fn balanced(&mut self, bonds: &[(EngineClassInstance, &[EngineClassInstance])]) -> u32 {
        let vm = u32::try_from(self.rig.get(0, 0, ContextParam::VM).unwrap()).unwrap();
        let context = self.rig.context(0, vm);
        self.rig.vm_destroy(0, vm).unwrap();
        let map = write_balanced(&mut self.rig, context, bonds);
        self.rig.op(0, Operation::ContextSetParam, &map).unwrap();
        context
    }

    fn submit(&mut self, context: u32, slot: u32, commands: &[u32], fences: &[Fence]) -> Fence {
        let start = self.used * 0x100;
        self.used += 1;
        self.rig.poke(self.code.physical + start, commands);
        let list = self.list;
        let mut submit = self.rig.write_submit(0, context, slot, &list, fences);
        submit.batch_start = u32::try_from(start).unwrap();
        fence(self.rig.op(0, Operation::Submit, &submit).unwrap())
    }

    /// A batch that says that it has begun, in word `2 * number + 1`, and ends when word `2 * number` is 1.
    fn gated(&mut self, context: u32, slot: u32, number: u64, fences: &[Fence]) -> Fence {
        let gate = DATA + 16 * number;
        let mut commands = batch::store(gate + 8, 1)[..4].to_vec();
        commands.extend(batch::gated_store("tgl", gate, 1, gate + 12, 1));
        self.submit(context, slot, &commands, fences)
    }

    fn begun(&self, number: u64) -> bool {
        self.rig.peek(self.data.physical + 16 * number + 8) == 1
    }

    fn open(&self, number: u64) {
        self.rig.poke(self.data.physical + 16 * number, &[1]);
    }

    fn finish(&mut self, fences: &[Fence]) {
        let reached = |rig: &Rig| fences.iter().all(|fence| rig.reached(0, *fence));
        assert!(self.rig.wait(10_000_000_000, reached));
        self.rig.settle();
        self.rig.check();
    }
}

#[test]
fn two_batches_on_a_balanced_slot_run_at_a_time_on_two_engines() {
    let mut player = Player::new();
    let contexts = [player.balanced(&[]), player.balanced(&[])];
    let fences = [player.gated(contexts[0], ANY, 0, &[]), player.gated(contexts[1], ANY, 1, &[])];
    player.rig.settle();
    assert!(player.begun(0) && player.begun(1), "neither waits for the other");
    assert!(!player.rig.reached(0, fences[0]) && !player.rig.reached(0, fences[1]));
    player.open(0);
    player.open(1);
    player.finish(&fences);
}

#[test]
fn a_balanced_slot_is_the_engine_that_has_time() {
    for busy in [FIRST, SECOND] {
        let mut player = Player::new();
        let context = player.balanced(&[]);
        let occupant = player.balanced(&[]);
        let gated = player.gated(occupant, busy, 0, &[]);
        let free = player.submit(context, ANY, &batch::store(DATA + 0x800, 5), &[]);
        player.rig.settle();
        assert!(player.begun(0) && player.rig.reached(0, free));
        assert_eq!(player.rig.peek(player.data.physical + 0x800), 5);
        player.open(0);
        player.finish(&[gated]);
    }
}

#[test]
fn a_balanced_context_goes_on_on_the_other_engine_when_its_own_is_taken() {
    let mut player = Player::new();
    let context = player.balanced(&[]);
    let occupant = player.balanced(&[]);
    for round in 0..6 {
        let busy = if round % 2 == 0 { FIRST } else { SECOND };
        let gated = player.gated(occupant, busy, round, &[]);
        let value = u32::try_from(round).unwrap() + 1;
        let free = player.submit(context, ANY, &batch::store(DATA + 0x800, value), &[]);
        player.rig.settle();
        assert!(player.rig.reached(0, free), "round {round}");
        assert_eq!(player.rig.peek(player.data.physical + 0x800), value);
        player.open(round);
        player.finish(&[gated]);
    }
    assert!(player.rig.driver.gpu().statistics().migrations >= 5);
}

#[test]
fn two_batches_that_become_ready_together_do_not_both_go_to_the_first_engine_that_looks() {
    let mut player = Player::new();
    // More than a batch polls for on the GPU: it is not ready before the last of them is reached.
    let gates = [player.gated(0, 1, 2, &[]), player.gated(0, 3, 3, &[]), player.gated(0, 4, 4, &[])];
    let contexts = [player.balanced(&[]), player.balanced(&[])];
    let fences = [player.gated(contexts[0], ANY, 0, &gates), player.gated(contexts[1], ANY, 1, &gates)];
    player.rig.settle();
    // Without a look at the clock: no turn is over.
    for (number, gate) in (2..).zip(gates) {
        assert!(!player.begun(0) && !player.begun(1));
        player.open(number);
        player.rig.settle();
        assert!(player.rig.reached(0, gate));
    }
    assert!(player.begun(0) && player.begun(1), "one on each of the two idle engines");
    player.open(0);
    player.open(1);
    player.finish(&fences);
}

#[test]
fn batches_of_one_balanced_slot_stay_in_order() {
    let mut player = Player::new();
    let context = player.balanced(&[]);
    let first = player.gated(context, ANY, 0, &[]);
    let second = player.gated(context, ANY, 1, &[]);
    player.rig.settle();
    assert!(player.begun(0) && !player.begun(1));
    player.open(1);
    player.open(0);
    player.finish(&[first, second]);
}

#[test]
fn a_batch_does_not_begin_before_its_master_is_on_an_engine() {
    let mut player = Player::new();
    let contexts = [player.balanced(&[]), player.balanced(&[]), player.balanced(&[])];
    // Two in front of the master: the engine has one running and one behind it, and the master is third.
    let before = [player.gated(contexts[0], FIRST, 0, &[]), player.gated(contexts[1], FIRST, 1, &[])];
    let other = player.balanced(&[]);
    let master = player.gated(other, FIRST, 2, &[]);
    let follower = player.gated(contexts[2], ANY, 3, &[Fence { flags: Fence::START, ..master }]);
    player.rig.settle();
    assert!(player.begun(0) && !player.begun(2) && !player.begun(3), "though the second engine is idle");
    for gate in 0..3 {
        player.open(gate);
    }
    assert!(player.rig.wait(1_000_000_000, |rig| rig.reached(0, master)));
    player.rig.settle();
    assert!(player.begun(3));
    player.open(3);
    player.finish(&[before[0], before[1], master, follower]);
}

/// The second engine is taken; only a bond keeps the follower from the first one, which is idle.
#[test]
fn bonds_restrict_the_siblings_of_what_follows_their_master() {
    for bonded in [true, false] {
        let mut player = Player::new();
        let bonds: &[(EngineClassInstance, &[EngineClassInstance])] = &[(RENDER, &[VIDEO[1]])];
        let context = player.balanced(if bonded { bonds } else { &[] });
        let (occupant, conductor) = (player.balanced(&[]), player.balanced(&[]));
        let taken = player.gated(occupant, SECOND, 0, &[]);
        let master = player.gated(conductor, PICTURES, 1, &[]);
        let follower = player.gated(context, ANY, 2, &[Fence { flags: Fence::START, ..master }]);
        player.rig.settle();
        assert!(player.begun(0) && player.begun(1));
        assert_eq!(player.begun(2), !bonded);
        player.open(0);
        player.finish(&[taken]);
        assert!(player.begun(2));
        // What comes after it on the slot, without a master, may be on either again.
        let again = player.gated(occupant, SECOND, 3, &[]);
        player.open(1);
        player.open(2);
        player.finish(&[master, follower]);
        let free = player.submit(context, ANY, &batch::store(DATA + 0x800, 5), &[]);
        player.rig.settle();
        assert!(player.rig.reached(0, free));
        player.open(3);
        player.finish(&[again]);
    }
}

#[test]
fn a_bond_to_its_own_masters_engine_can_never_be_and_the_batch_is_skipped() {
    let mut player = Player::new();
    let context = player.balanced(&[(VIDEO[0], &[VIDEO[0]])]);
    let conductor = player.balanced(&[]);
    let master = player.gated(conductor, FIRST, 0, &[]);
    let start = Fence { flags: Fence::START, ..master };
    let follower = player.submit(context, ANY, &batch::store(DATA + 0x800, 5), &[start]);
    player.open(0);
    player.finish(&[master, follower]);
    assert_eq!(player.rig.peek(player.data.physical + 0x800), 0);
    // The next one runs.
    let next = player.submit(context, ANY, &batch::store(DATA + 0x800, 6), &[]);
    player.finish(&[next]);
    assert_eq!(player.rig.peek(player.data.physical + 0x800), 6);
}

#[test]
fn a_start_that_is_over_is_nothing_to_wait_for() {
    let mut player = Player::new();
    let context = player.balanced(&[(RENDER, &[VIDEO[1]])]);
    let master = player.submit(context, PICTURES, &[batch::END, 0], &[]);
    player.rig.settle();
    let start = Fence { flags: Fence::START, ..master };
    let follower = player.submit(context, ANY, &batch::store(DATA + 0x800, 7), &[start]);
    player.finish(&[follower]);
    assert_eq!(player.rig.peek(player.data.physical + 0x800), 7);
}

#[test]
fn a_clone_has_the_balanced_slots_and_the_bonds_of_its_source() {
    use conformance::wire::Link;
    use gpu_protocol::CLONE_ALL;
    let mut player = Player::new();
    let source = player.balanced(&[(RENDER, &[VIDEO[1]])]);
    let context = player.rig.context_with(0, 0, &[Link::Clone(source, CLONE_ALL)]).unwrap();
    player.rig.context_destroy(0, source).unwrap();
    assert_eq!(player.rig.engines(0, context), Some(vec![EITHER, VIDEO[0], VIDEO[1], RENDER]));
    let (occupant, conductor) = (player.balanced(&[]), player.balanced(&[]));
    let taken = player.gated(occupant, SECOND, 0, &[]);
    let master = player.gated(conductor, PICTURES, 1, &[]);
    let follower = player.gated(context, ANY, 2, &[Fence { flags: Fence::START, ..master }]);
    player.rig.settle();
    assert!(!player.begun(2));
    for gate in 0..3 {
        player.open(gate);
    }
    player.finish(&[taken, master, follower]);
}

#[test]
fn a_hang_on_a_balanced_slot_ends_and_the_next_batch_runs() {
    let mut player = Player::new();
    let context = player.balanced(&[]);
    let at = CODE + player.used * 0x100;
    let hung = player.submit(context, ANY, &batch::endless(at), &[]);
    let next = player.submit(context, ANY, &batch::store(DATA + 0x800, 8), &[]);
    assert!(player.rig.wait(60_000_000_000, |rig| rig.reached(0, hung) && rig.reached(0, next)));
    assert_eq!(player.rig.peek(player.data.physical + 0x800), 8);
    assert_eq!(player.rig.reset_stats(0, context), Ok([0, 1, 0]));
}

#[test]
fn a_balanced_map_reads_back_with_its_class_and_no_instance() {
    let mut rig = Rig::new("tgl");
    let map = write_balanced(&mut rig, 0, &[]);
    rig.op(0, Operation::ContextSetParam, &map).unwrap();
    assert_eq!(rig.engines(0, 0), Some(vec![EITHER, VIDEO[0], VIDEO[1], RENDER]));
}

/// Sets a map whose first slot is empty, with one extension.
fn extended<A: IntoBytes + zerocopy::Immutable>(
    rig: &mut Rig,
    extension: &A,
    engines: &[EngineClassInstance],
    map: &[EngineClassInstance],
) -> ContextParam {
    rig.write_extension(0, MAP_EXTENSIONS, extension, engines);
    rig.write_engines(0, 0, MAP_EXTENSIONS as u64, map)
}

#[test]
fn mistakes_in_a_load_balance_extension_have_i915s_errors() {
    let mut rig = Rig::new("tgl");
    let good = load_balance(0, 0, 2);
    let wrong: [(LoadBalance, &[EngineClassInstance], Errno); 9] = [
        (LoadBalance { engine_index: 2, ..good }, &VIDEO, Errno::Inval),
        (LoadBalance { engine_index: 1, ..good }, &VIDEO, Errno::Exist),
        // Taken comes before reserved, reserved before siblings.
        (LoadBalance { engine_index: 1, flags: 1, ..good }, &VIDEO, Errno::Exist),
        (LoadBalance { flags: 1, ..good }, &VIDEO, Errno::Inval),
        (LoadBalance { mbz: 1, ..good }, &VIDEO, Errno::Inval),
        (LoadBalance { num_siblings: 0, ..good }, &VIDEO, Errno::Inval),
        (good, &[VIDEO[0], VIDEO[0]], Errno::Inval),
        (good, &[VIDEO[0], RENDER], Errno::Inval),
        (good, &[VIDEO[0], EngineClassInstance::new(2, 2)], Errno::Inval),
    ];
    for (extension, engines, errno) in wrong {
        let map = extended(&mut rig, &extension, engines, &[HOLE, COPY]);
        rig.refused(0, Operation::ContextSetParam, &map, errno);
    }
    // Siblings outside the area.
    let end = rig.area_len(0) - size_of::<LoadBalance>();
    rig.write_area(0, end, good.as_bytes());
    let map = rig.write_engines(0, 0, end as u64, &[HOLE, COPY]);
    rig.refused(0, Operation::ContextSetParam, &map, Errno::Fault);
    // An unknown extension, and one that loops.
    let unknown = ExtensionHeader { next: 0, name: 2, flags: 0, rsvd: [0; 4] };
    let map = extended(&mut rig, &unknown, &[], &[HOLE, COPY]);
    rig.refused(0, Operation::ContextSetParam, &map, Errno::Inval);
    // The second time round the slot is taken.
    let map = extended(&mut rig, &load_balance(MAP_EXTENSIONS as u64, 0, 2), &VIDEO, &[HOLE, COPY]);
    rig.refused(0, Operation::ContextSetParam, &map, Errno::Exist);
    // One sibling is that engine.
    let map = extended(&mut rig, &load_balance(0, 0, 1), &VIDEO[1..], &[HOLE, COPY]);
    rig.op(0, Operation::ContextSetParam, &map).unwrap();
    assert_eq!(rig.engines(0, 0), Some(vec![VIDEO[1], COPY]));
}

#[test]
fn mistakes_in_a_bond_extension_have_i915s_errors() {
    let mut rig = Rig::new("tgl");
    let nobody = EngineClassInstance::new(2, 7);
    let good = bond(0, 0, RENDER, 1);
    let wrong: [(Bond, &[EngineClassInstance]); 7] = [
        (Bond { virtual_index: 2, ..good }, &VIDEO),
        (Bond { flags: 1, ..good }, &VIDEO),
        (Bond { mbz: [0, 0, 0, 1], ..good }, &VIDEO),
        (Bond { master: nobody, ..good }, &VIDEO),
        (good, &[nobody]),
        // An empty slot.
        (Bond { virtual_index: 1, ..good }, &VIDEO),
        // Not one of the slot's siblings.
        (good, &[RENDER]),
    ];
    for (extension, engines) in wrong {
        let at = MAP_EXTENSIONS + 64;
        rig.write_extension(0, MAP_EXTENSIONS, &load_balance(at as u64, 0, 2), &VIDEO);
        rig.write_extension(0, at, &extension, engines);
        let map = rig.write_engines(0, 0, MAP_EXTENSIONS as u64, &[HOLE, HOLE]);
        rig.refused(0, Operation::ContextSetParam, &map, Errno::Inval);
    }
    // A physical slot has nothing to choose: its bonds are only looked at.
    let map = extended(&mut rig, &good, &[VIDEO[1]], &[COPY]);
    rig.op(0, Operation::ContextSetParam, &map).unwrap();
    let map = extended(&mut rig, &good, &[nobody], &[COPY]);
    rig.refused(0, Operation::ContextSetParam, &map, Errno::Inval);
    // A loop of bonds, which say the same again and again.
    let map = extended(&mut rig, &bond(MAP_EXTENSIONS as u64, 0, RENDER, 1), &VIDEO, &[COPY]);
    rig.refused(0, Operation::ContextSetParam, &map, Errno::TooBig);
}

#[test]
fn a_bond_names_no_more_engines_than_there_are() {
    let mut rig = Rig::new("tgl");
    let context = rig.context_create(0, 0, &[]).unwrap();
    let engines = [VIDEO[1]; 8];
    for (count, expected) in [(5, Ok(())), (6, Err(Errno::Inval)), (u16::MAX, Err(Errno::Inval))] {
        let next = (MAP_EXTENSIONS + size_of::<LoadBalance>() + 8) as u64;
        let at = rig.write_extension(0, MAP_EXTENSIONS, &load_balance(next, 0, 2), &VIDEO);
        rig.write_extension(0, at, &bond(0, 0, RENDER, count), &engines);
        let map = rig.write_engines(0, context, MAP_EXTENSIONS as u64, &[HOLE]);
        let before = rig.domain.area_reads();
        assert_eq!(rig.op(0, Operation::ContextSetParam, &map).map(drop), expected, "{count} engines");
        assert!(rig.domain.area_reads() - before < 30, "it does not read what it refuses");
    }
}

/// A chain of maps with chains of their own would keep the driver from all other clients.
#[test]
fn one_call_reads_no_more_than_512_extensions_however_they_are_nested() {
    let mut rig = Rig::new("tgl");
    // A map whose only bond is followed by itself.
    let map = rig.write_engines(0, 0, MAP_EXTENSIONS as u64, &[RENDER; 64]);
    let engines = [RENDER; 5];
    for (next, count) in [(MAP_EXTENSIONS as u64, 1), (0, 511)] {
        rig.write_extension(0, MAP_EXTENSIONS, &bond(next, 0, COPY, 5), &engines);
        let create =
            ContextCreate { ctx_id: 0, flags: ContextCreate::USE_EXTENSIONS, extensions: PAYLOAD as u64 };
        // And a creation that sets this map again and again.
        rig.write_area(0, PAYLOAD, set_param(PAYLOAD as u64, map).as_bytes());
        let before = rig.domain.area_reads();
        rig.refused(0, Operation::ContextCreate, &create, Errno::TooBig);
        let reads = rig.domain.area_reads() - before;
        assert!(reads < 25_000, "{reads} reads with {count} maps");
    }
}

#[test]
fn a_part_with_one_video_engine_has_none_to_choose_from() {
    let mut rig = Rig::new("skl");
    let map = extended(&mut rig, &load_balance(0, 0, 2), &VIDEO, &[HOLE]);
    rig.refused(0, Operation::ContextSetParam, &map, Errno::Inval);
    let map = extended(&mut rig, &load_balance(0, 0, 1), &VIDEO, &[HOLE]);
    rig.op(0, Operation::ContextSetParam, &map).unwrap();
    assert_eq!(rig.engines(0, 0), Some(vec![VIDEO[0]]));
}
