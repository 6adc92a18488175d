// SPDX-License-Identifier: BSD-2-Clause
//! The data path: requests and answers through shared memory, with honest clients and others.

use std::sync::atomic::Ordering;

use conformance::wire::{self, reads, writes};
use conformance::{Link, Region, Rig, RingMemory, Settings, Shared, batch};
use gpu_client::{Access, Context, Error, Fence, Gpu, Object, Queued, UsedObject, Vm};
use gpu_model::Timing;
use gpu_protocol::{
    Errno, RING_ANSWER_WORDS, RING_REQUEST_WORDS, RingAnswer, RingFlags, RingRequest, SubmitObject,
};
use gpu_ring::{Consumer, Pair, Producer, Words};
use intel_gpu::uapi::ClientLimits;
use proptest::prelude::*;

pub(crate) const CODE: u64 = 0x40_0000;
pub(crate) const DATA: u64 = 0x20_0000;
pub(crate) const BLITTER: u32 = 3;

/// A client with the library: every entry of `code` is a batch that stores its number.
struct Client {
    gpu: Gpu<Link>,
    context: Context,
    _vm: Vm,
    code: Object,
    data: Object,
    memory: Region,
}

/// Bytes between one batch and the next.
const BATCH: u32 = 32;

impl Client {
    fn new(shared: &Shared, client: usize) -> Self {
        let mut gpu = Gpu::connect(shared.link(client)).unwrap();
        let vm = gpu.create_vm().unwrap();
        let context = gpu.create_context(&vm).unwrap();
        let (code, memory) = {
            let mut rig = shared.rig();
            (rig.region(client, 1), rig.region(client, 1))
        };
        for number in 0..4096 / BATCH {
            let batch = batch::store(DATA + 4 * u64::from(number), number + 1);
            shared.rig().poke(code.physical + u64::from(number * BATCH), &batch);
        }
        let code = gpu.create_userptr(code.into()).unwrap();
        let data = gpu.create_userptr(memory.into()).unwrap();
        Self { gpu, context, _vm: vm, code, data, memory }
    }

    fn enqueue(&mut self, number: u32) -> Result<(), Error> {
        let queued = Queued {
            context: &self.context,
            engine: BLITTER,
            batch: UsedObject { object: &self.code, address: CODE, access: Access::Read },
            start: number * BATCH,
            length: 24,
            objects: &[UsedObject { object: &self.data, address: DATA, access: Access::Write }],
            after: &[],
            tag: u64::from(number),
        };
        self.gpu.enqueue(&queued)
    }

    /// Makes the driver have the pages.
    fn warm(&mut self) {
        self.enqueue(0).unwrap();
        self.gpu.wait_answers(1).unwrap();
        let answer = self.gpu.next_answer().unwrap().unwrap();
        assert_eq!(answer.result, Err(Errno::Again), "nobody has lent the pages yet");
        let used = |object, address| UsedObject { object, address, access: Access::Write };
        self.gpu.lend_for(&[used(&self.code, CODE), used(&self.data, DATA)]).unwrap();
        self.enqueue(0).unwrap();
        self.gpu.wait_answers(1).unwrap();
        assert!(self.gpu.next_answer().unwrap().unwrap().result.is_ok());
        assert_eq!(self.gpu.next_answer(), Ok(None));
    }

    fn stored(&self, shared: &Shared, number: u32) -> u32 {
        shared.rig().peek(self.memory.physical + 4 * u64::from(number))
    }
}

#[test]
fn a_full_ring_of_batches_runs_for_one_notification_each_way_and_no_call() {
    for platform in ["skl", "tgl"] {
        let shared = Shared::new(Rig::unconnected(Settings::new(platform)));
        let mut client = Client::new(&shared, 0);
        client.warm();
        shared.rig().set_timing(Timing::Deferred);
        let calls = client.gpu.transport().calls;
        let (sent, woken) = (client.gpu.transport().notifications, shared.rig().notified(0));
        let capacity = u32::try_from(client.gpu.queue_capacity()).unwrap();
        assert_eq!(capacity, 32);
        for number in 1..=capacity {
            client.enqueue(number).unwrap();
        }
        assert_eq!(client.enqueue(0), Err(Error::QueueFull));
        client.gpu.wait_answers(capacity.into()).unwrap();
        let mut tags = vec![];
        while let Some(answer) = client.gpu.next_answer().unwrap() {
            assert!(answer.result.is_ok(), "{answer:?}");
            tags.push(answer.tag);
        }
        assert_eq!(tags, (1..=u64::from(capacity)).collect::<Vec<_>>(), "in the order of the context");
        for number in 1..=capacity {
            assert_eq!(client.stored(&shared, number), number + 1);
        }
        assert_eq!(client.gpu.transport().calls, calls);
        assert_eq!(client.gpu.transport().notifications - sent, 1, "to the driver");
        assert_eq!(shared.rig().notified(0) - woken, 1, "to the client");
        shared.rig().check();
    }
}

/// As the guide says: `lend_for` with the batch's own objects, then the batch once more.
#[test]
fn batches_of_different_objects_are_answered_and_lent_for_one_after_the_other() {
    let shared = Shared::new(Rig::unconnected(Settings::new("tgl")));
    let mut gpu = Gpu::connect(shared.link(0)).unwrap();
    let regions: Vec<Region> = (0..4).map(|_| shared.rig().region(0, 1)).collect();
    for region in &regions {
        shared.rig().poke(region.physical, &[batch::END, 0]);
    }
    let objects: Vec<Object> =
        regions.iter().map(|region| gpu.create_userptr((*region).into()).unwrap()).collect();
    let used = |index: usize| {
        let address = CODE + 0x1000 * index as u64;
        UsedObject { object: &objects[index], address, access: Access::Read }
    };
    let queued = |index: usize| Queued {
        context: &Context::DEFAULT,
        engine: BLITTER,
        batch: used(index),
        start: 0,
        length: 8,
        objects: &[],
        after: &[],
        tag: index as u64,
    };
    for index in 0..objects.len() {
        gpu.enqueue(&queued(index)).unwrap();
    }
    let mut done = vec![];
    let mut tries = 0;
    while done.len() < objects.len() {
        gpu.wait_answers(1).unwrap();
        while let Some(answer) = gpu.next_answer().unwrap() {
            match answer.result {
                Ok(_) => done.push(answer.tag),
                Err(Errno::Again) => {
                    let index = usize::try_from(answer.tag).unwrap();
                    gpu.lend_for(&[used(index)]).unwrap();
                    gpu.enqueue(&queued(index)).unwrap();
                }
                Err(errno) => panic!("batch {} is answered {errno:?}", answer.tag),
            }
        }
        tries += 1;
        assert!(tries < 64, "only {done:?} are done");
    }
    shared.rig().check();
}

#[test]
fn a_client_that_waits_for_its_answers_sleeps() {
    let shared = Shared::new(Rig::unconnected(Settings::new("tgl")));
    let mut client = Client::new(&shared, 0);
    client.warm();
    shared.rig().set_timing(Timing::Deferred);
    let sleeps = client.gpu.transport().sleeps;
    client.enqueue(7).unwrap();
    client.gpu.wait_answers(1).unwrap();
    assert_eq!(client.gpu.transport().sleeps - sleeps, 1);
    let answer = client.gpu.next_answer().unwrap().unwrap();
    let fence: Fence = answer.result.unwrap();
    assert!(client.gpu.is_complete(fence), "the page of completed points says the same");
    client.gpu.wait_answers(1).unwrap();
    assert_eq!(client.gpu.transport().sleeps - sleeps, 1, "nothing is on its way: nothing to wait for");
}

#[test]
fn a_client_with_an_event_loop_is_notified_of_the_answers_that_it_asks_for_and_does_not_sleep() {
    let shared = Shared::new(Rig::unconnected(Settings::new("tgl")));
    let mut client = Client::new(&shared, 0);
    client.warm();
    shared.rig().set_timing(Timing::Deferred);
    let (sleeps, woken) = (client.gpu.transport().sleeps, shared.rig().notified(0));
    assert_eq!(client.gpu.ask_for_answers(1), Ok(false), "nothing is on its way: nothing would come");
    for number in 1..=4 {
        client.enqueue(number).unwrap();
    }
    assert_eq!(client.gpu.ask_for_answers(4), Ok(true));
    assert!(shared.rig().wait(60_000_000_000, |rig| rig.notified(0) > woken), "nobody notifies it");
    let mut tags = vec![];
    while !client.gpu.ask_for_answers(1).unwrap() {
        let Some(answer) = client.gpu.next_answer().unwrap() else { break };
        tags.push(answer.tag);
    }
    assert_eq!(tags, [1, 2, 3, 4]);
    assert_eq!((client.gpu.transport().sleeps, shared.rig().notified(0)), (sleeps, woken + 1));
    shared.rig().check();
}

#[test]
fn connecting_again_empties_the_rings_and_old_answers_do_not_come() {
    let shared = Shared::new(Rig::unconnected(Settings::new("tgl")));
    let mut client = Client::new(&shared, 0);
    client.warm();
    shared.rig().set_timing(Timing::Deferred);
    client.enqueue(3).unwrap();
    client.gpu.flush().unwrap();
    let mut again = Gpu::connect(shared.link(0)).unwrap();
    shared.rig().settle();
    assert_eq!(client.stored(&shared, 3), 4, "the batch ran all the same");
    assert_eq!(again.next_answer(), Ok(None));
    assert_eq!(again.queued(), 0);
    shared.rig().check();
}

/// A client that writes into the rings by itself.
pub(crate) struct Raw {
    rings: RingMemory,
    requests: Producer<RING_REQUEST_WORDS>,
    answers: Consumer<RING_ANSWER_WORDS>,
    pub(crate) context: u32,
    /// What its batch stores into, and the batch.
    pub(crate) list: [SubmitObject; 2],
    pub(crate) regions: [Region; 2],
    client: usize,
}

impl Raw {
    /// A connected client with a batch that stores 1, its pages lent.
    pub(crate) fn new(rig: &mut Rig, client: usize) -> Self {
        let rings = rig.rings(client);
        let pair = Pair::in_region(rings.len() * 8, RING_REQUEST_WORDS, RING_ANSWER_WORDS).unwrap();
        let vm = rig.vm_create(client).unwrap();
        let context = rig.context(client, vm);
        let (data, code) = (rig.region(client, 1), rig.region(client, 1));
        rig.poke(code.physical, &batch::store(DATA, 1));
        let list = [writes(rig.userptr(client, data), DATA), reads(rig.userptr(client, code), CODE)];
        rig.run(client, context, BLITTER, &list, &[], &[data, code]).unwrap();
        rig.settle();
        Self {
            rings,
            requests: Producer::new(pair.requests),
            answers: Consumer::new(pair.answers),
            context,
            list,
            regions: [data, code],
            client,
        }
    }

    fn request(&self, rig: &mut Rig, user: u64) -> RingRequest {
        let submit = rig.write_submit(self.client, self.context, BLITTER, &self.list, &[]);
        RingRequest { submit, user, flags: 0, rsvd: 0 }
    }

    pub(crate) fn push(&mut self, request: RingRequest) -> bool {
        let pushed = self.requests.push(&self.rings, &zerocopy::transmute!(request)).is_ok();
        // The tests look at the ring without being notified, and so does the driver.
        let _ = self.requests.publish(&self.rings);
        pushed
    }

    pub(crate) fn answers(&mut self) -> Vec<RingAnswer> {
        let mut found = vec![];
        while let Some(entry) = self.answers.pop(&self.rings).unwrap() {
            found.push(zerocopy::transmute!(entry));
        }
        found
    }

    /// Gives the driver the slots of the answers that were taken out.
    pub(crate) fn release(&mut self) {
        // The tests look at the rings without being notified, and so does the driver.
        let _ = self.answers.release(&self.rings);
    }
}

#[test]
fn a_refused_request_is_answered_with_the_errno_of_the_call_and_changes_nothing() {
    let mut rig = Rig::new("tgl");
    let mut raw = Raw::new(&mut rig, 0);
    let good = raw.request(&mut rig, 5);
    let submit = good.submit;
    let before = rig.snapshot();
    for (request, errno) in [
        (RingRequest { flags: 2, ..good }, Errno::Inval),
        (RingRequest { rsvd: 1, ..good }, Errno::Inval),
        (RingRequest { submit: gpu_protocol::Submit { rsvd: 1, ..submit }, ..good }, Errno::Inval),
        (RingRequest { submit: gpu_protocol::Submit { context: 77, ..submit }, ..good }, Errno::NoEnt),
        (RingRequest { submit: gpu_protocol::Submit { objects: 1 << 40, ..submit }, ..good }, Errno::Fault),
        (RingRequest { submit: gpu_protocol::Submit { object_count: 0, ..submit }, ..good }, Errno::Inval),
    ] {
        assert!(raw.push(request));
        rig.notify_driver();
        let refused = RingAnswer { user: 5, point: 0, timeline: 0, errno: errno.number().into(), rsvd: 0 };
        assert_eq!(raw.answers(), [refused], "{request:?}");
    }
    assert_eq!(rig.snapshot(), before);
    rig.check();
}

#[test]
fn an_early_answer_names_the_fence_before_it_is_reached() {
    let mut rig = Rig::new("tgl");
    let mut raw = Raw::new(&mut rig, 0);
    rig.set_timing(Timing::Deferred);
    let request = raw.request(&mut rig, 9);
    assert!(raw.push(RingRequest { flags: RingFlags::ANSWER_EARLY.bits(), ..request }));
    rig.notify_driver();
    let answers = raw.answers();
    let [answer] = answers[..] else { panic!("{answers:?}") };
    let fence = gpu_protocol::Fence { timeline: answer.timeline, flags: 0, point: answer.point };
    assert!((answer.user, answer.errno) == (9, 0) && !rig.reached(0, fence));
    let woken = rig.notified(0);
    rig.settle();
    assert!(rig.reached(0, fence));
    assert_eq!(rig.notified(0), woken + 1, "as after a call");
    assert_eq!(raw.answers(), []);
}

#[test]
fn a_client_that_does_not_read_its_answers_is_served_no_more_and_others_are() {
    let mut rig = Rig::new("tgl");
    let (mut lazy, mut other) = (Raw::new(&mut rig, 0), Raw::new(&mut rig, 1));
    let capacity = 32;
    let mut accepted = 0;
    for _ in 0..4 {
        let request = lazy.request(&mut rig, 1);
        while lazy.push(request) {
            accepted += 1;
        }
        rig.notify_driver();
        rig.settle();
    }
    assert_eq!(accepted, 2 * capacity, "one ring of answers, and one of requests that wait");
    let request = other.request(&mut rig, 2);
    assert!(other.push(request));
    rig.notify_driver();
    rig.settle();
    assert_eq!(other.answers().len(), 1);
    // Having read them, it goes on.
    assert_eq!(lazy.answers().len(), capacity);
    assert!(lazy.answers.release(&lazy.rings), "the driver wants to know that there is room");
    rig.notify_driver();
    rig.settle();
    assert_eq!(lazy.answers().len(), capacity);
    rig.check();
}

#[test]
fn a_turn_takes_no_more_of_a_client_than_its_budget_and_serves_everybody() {
    let limits = ClientLimits { ring_budget: 3, ..ClientLimits::DEFAULT };
    let mut rig = Rig::with(Settings { limits: vec![limits, ClientLimits::DEFAULT], ..Settings::new("tgl") });
    let (mut greedy, mut modest) = (Raw::new(&mut rig, 0), Raw::new(&mut rig, 1));
    let (many, one) = (greedy.request(&mut rig, 1), modest.request(&mut rig, 2));
    for _ in 0..8 {
        assert!(greedy.push(many));
    }
    assert!(modest.push(one));
    for (taken, full) in [(3, false), (6, false), (8, true)] {
        rig.notify_driver();
        assert_eq!(rig.served_in_full, full);
        rig.settle();
        assert_eq!(modest.answers().len(), usize::from(taken == 3), "served in the first turn");
        assert_eq!(greedy.answers().len(), if taken == 8 { 2 } else { 3 });
    }
    rig.check();
}

#[test]
fn a_context_is_as_urgent_as_its_client_may_be_and_no_more() {
    let limits = ClientLimits { priority_ceiling: 100, ..ClientLimits::DEFAULT };
    let mut rig = Rig::with(Settings { limits: vec![limits, ClientLimits::DEFAULT], ..Settings::new("tgl") });
    for (client, priority, result) in
        [(0, 100, Ok(())), (0, 101, Err(Errno::Perm)), (1, 1, Err(Errno::Perm)), (1, -1, Ok(()))]
    {
        let vm = rig.vm_create(client).unwrap();
        let context = rig.context(client, vm);
        let value = i64::from(priority).cast_unsigned();
        assert_eq!(
            rig.set(client, context, gpu_protocol::ContextParam::PRIORITY, value).map(drop),
            result,
            "client {client}, priority {priority}"
        );
    }
}

#[test]
fn a_request_that_is_stopped_is_answered_with_eio() {
    let mut settings = Settings::new("tgl");
    // A batch without end executes less of it a step.
    settings.options.instant_budget = 2_000;
    let mut rig = Rig::with(settings);
    let mut raw = Raw::new(&mut rig, 0);
    let code = rig.region(0, 1);
    rig.poke(code.physical, &batch::endless(0x90_0000));
    let endless = rig.userptr(0, code);
    let list = [reads(endless, 0x90_0000)];
    assert_eq!(rig.submit(0, raw.context, BLITTER, &list, &[]), Err(Errno::Again));
    assert_eq!(rig.serve(0, &[code]), 1);
    let submit = rig.write_submit(0, raw.context, BLITTER, &list, &[]);
    assert!(raw.push(RingRequest { submit, user: 4, flags: 0, rsvd: 0 }));
    rig.notify_driver();
    let mut answers = vec![];
    let answered = rig.wait(60_000_000_000, |_| {
        answers.extend(raw.answers());
        !answers.is_empty()
    });
    assert!(answered, "the hang is never noticed");
    assert_eq!(answers.iter().map(|answer| (answer.user, answer.errno)).collect::<Vec<_>>(), [(4, 5)]);
}

#[test]
fn a_ring_that_contradicts_itself_is_left_alone_until_its_client_connects_again() {
    let mut rig = Rig::new("tgl");
    let (mut liar, mut other) = (Raw::new(&mut rig, 0), Raw::new(&mut rig, 1));
    let before = rig.snapshot();
    liar.rings.store(0, 1 << 40, Ordering::Release);
    rig.notify_driver();
    assert!(rig.served_in_full);
    liar.rings.store(0, 1, Ordering::Release);
    rig.notify_driver();
    assert_eq!(rig.snapshot(), before, "it is not served any more");
    let request = other.request(&mut rig, 2);
    assert!(other.push(request));
    rig.notify_driver();
    rig.settle();
    assert_eq!(other.answers().len(), 1);
    liar.requests.reset(&liar.rings);
    liar.answers.reset(&liar.rings);
    rig.connect(0);
    let request = liar.request(&mut rig, 3);
    assert!(liar.push(request));
    rig.notify_driver();
    rig.settle();
    assert_eq!(liar.answers().len(), 1);
    rig.check();
}

#[test]
fn a_client_that_has_not_connected_is_not_served() {
    let mut rig = Rig::unconnected(Settings::new("tgl"));
    let rings = rig.rings(0);
    let pair = Pair::in_region(rings.len() * 8, RING_REQUEST_WORDS, RING_ANSWER_WORDS).unwrap();
    let mut requests = Producer::<RING_REQUEST_WORDS>::new(pair.requests);
    requests.push(&rings, &[0; RING_REQUEST_WORDS]).unwrap();
    assert!(!requests.publish(&rings), "nobody asked to be notified");
    rig.notify_driver();
    assert_eq!(Consumer::<RING_ANSWER_WORDS>::new(pair.answers).pop(&rings), Ok(None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_client_writes_into_its_rings_the_other_client_is_served(
        scribbles in prop::collection::vec(
            (prop_oneof![Just(0_usize), Just(8), Just(16), 0_usize..448],
             prop_oneof![any::<u64>(), 0_u64..70]), 1..60),
    ) {
        let mut rig = Rig::new("tgl");
        let mut victim = Raw::new(&mut rig, 1);
        let liar = Raw::new(&mut rig, 0);
        let good = liar.request(&mut rig, 1);
        let words: [u64; RING_REQUEST_WORDS] = zerocopy::transmute!(good);
        for slot in 0..32 {
            for (word, value) in words.iter().enumerate() {
                liar.rings.store(32 + slot * RING_REQUEST_WORDS + word, *value, Ordering::Relaxed);
            }
        }
        for (turn, (index, value)) in scribbles.into_iter().enumerate() {
            liar.rings.store(index, value, Ordering::Relaxed);
            let request = victim.request(&mut rig, turn as u64);
            prop_assert!(victim.push(request));
            rig.notify_driver();
            rig.settle();
            let answers = victim.answers();
            prop_assert_eq!(answers.len(), 1);
            prop_assert_eq!((answers[0].user, answers[0].errno), (turn as u64, 0));
            let _ = victim.answers.release(&victim.rings);
        }
        rig.check();
    }
}

#[test]
fn words_of_a_submission_are_the_same_in_the_ring_and_in_the_call() {
    let mut rig = Rig::new("tgl");
    let raw = Raw::new(&mut rig, 0);
    let request = raw.request(&mut rig, 0x1122);
    let words: [u64; RING_REQUEST_WORDS] = zerocopy::transmute!(request);
    assert_eq!(words[0], u64::from(raw.context) | u64::from(BLITTER) << 32);
    assert_eq!((words[1], words[6], words[7]), (wire::PAYLOAD as u64, 0x1122, 0));
}
