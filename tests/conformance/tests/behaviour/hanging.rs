// SPDX-License-Identifier: BSD-2-Clause
//! Two clients that can hang contexts.

use conformance::wire::{param, reads, writes};
use conformance::{Region, Rig, Settings, batch};
use gpu_protocol::{ContextParam, Errno, Fence, Operation, SubmitObject};

pub(crate) const CODE: u64 = 0x10_0000;
pub(crate) const DATA: u64 = 0x20_0000;
pub(crate) const BLITTER: u32 = 3;
pub(crate) const RENDER: u32 = 1;
/// How long batches may run, in microseconds.
pub(crate) const WATCHDOG_US: u64 = 100_000;
pub(crate) const SECOND_NS: u64 = 1_000_000_000;

/// Two clients that can hang contexts and store numbers.
pub(crate) struct Bench {
    pub(crate) rig: Rig,
    /// For each client: data, code, objects.
    pub(crate) clients: Vec<(Region, Region, [SubmitObject; 2])>,
    pub(crate) stored: u32,
}

/// Batches of each client's object.
/// Ends when its gate opens; can be preempted.
pub(crate) const GATED: u32 = 0x300;
/// Never ends, and nothing preempts it.
pub(crate) const DEAF: u32 = 0x200;
pub(crate) const STORE: u32 = 0x400;

impl Bench {
    pub(crate) fn new(platform: &'static str) -> Self {
        Self::with(platform, false)
    }

    pub(crate) fn with(platform: &'static str, privileged: bool) -> Self {
        let mut settings = Settings { privileged, ..Settings::new(platform) };
        settings.options.instant_budget = 2_000;
        let mut rig = Rig::with(settings);
        let mut clients = Vec::new();
        for client in 0..2 {
            let (data, code) = (rig.region(client, 1), rig.region(client, 1));
            let objects = [rig.userptr(client, data), rig.userptr(client, code)];
            let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
            rig.poke(code.physical, &[batch::END, 0]);
            rig.run(client, 0, BLITTER, &list, &[], &[data, code]).unwrap();
            rig.settle();
            rig.poke(code.physical + u64::from(DEAF), &batch::endless(CODE + u64::from(DEAF)));
            let gated = batch::gated_store(platform, DATA + 0x80, 1, DATA + 0x84, 1);
            rig.poke(code.physical + u64::from(GATED), &gated);
            clients.push((data, code, list));
        }
        Self { rig, clients, stored: 0 }
    }

    /// A context in the default one's address space, with a watchdog.
    pub(crate) fn context(&mut self, client: usize, params: &[(u64, u64)]) -> u32 {
        let vm = self.rig.get(client, 0, ContextParam::VM).unwrap();
        let mut chain = vec![param(ContextParam::VM, vm), param(ContextParam::WATCHDOG, WATCHDOG_US)];
        chain.extend(params.iter().map(|(name, value)| param(*name, *value)));
        let context = self.rig.context_create(client, 0, &chain).unwrap();
        self.rig.vm_destroy(client, u32::try_from(vm).unwrap()).unwrap();
        context
    }

    pub(crate) fn try_batch(
        &mut self,
        client: usize,
        context: u32,
        engine: u32,
        start: u32,
    ) -> Result<Fence, Errno> {
        let list = self.clients[client].2;
        let mut submit = self.rig.write_submit(client, context, engine, &list, &[]);
        submit.batch_start = start;
        self.rig.op(client, Operation::Submit, &submit).map(conformance::wire::fence)
    }

    pub(crate) fn batch(&mut self, client: usize, context: u32, engine: u32, start: u32) -> Fence {
        self.try_batch(client, context, engine, start).unwrap()
    }

    pub(crate) fn wait(&mut self, client: usize, fence: Fence) {
        assert!(self.rig.wait(60 * SECOND_NS, |rig| rig.reached(client, fence)), "{fence:?}");
        self.rig.settle();
    }

    /// Hangs a context once.
    pub(crate) fn hang(&mut self, client: usize, context: u32) {
        let fence = self.batch(client, context, BLITTER, GATED);
        self.wait(client, fence);
    }

    /// Whether a context still executes batches.
    pub(crate) fn works(&mut self, client: usize, context: u32) -> bool {
        let (data, code, _) = self.clients[client];
        self.stored += 1;
        self.rig.poke(code.physical + u64::from(STORE), &batch::store(DATA, self.stored));
        match self.try_batch(client, context, BLITTER, STORE) {
            Ok(fence) => {
                self.wait(client, fence);
                assert_eq!(self.rig.peek(data.physical), self.stored);
                true
            }
            Err(errno) => {
                assert_eq!(errno, Errno::Io);
                false
            }
        }
    }

    pub(crate) fn later(&mut self, seconds: u64) {
        self.rig.model().advance(seconds * SECOND_NS);
    }
}
