// SPDX-License-Identifier: BSD-2-Clause
//! The driver as clients see it: one dispatcher over the operations of `gpu-protocol`.

use alloc::boxed::Box;
use alloc::vec::Vec;

use gpu_protocol::{
    Connect, ContextCreate, ContextDestroy, ContextParam, Errno, GemClose, GemExport, GemImport, GetParam,
    Grant, GrantEntry, GrantRegion, Invalidate, InvalidateStatus, Operation, Param, ReadErrorState, Refuse,
    Reply, ResetStats, Submit, UserptrCreate, VERSION, VmCreate, VmDestroy,
};

use super::area::{self, Argument};
use super::client::{Client, ClientLimits, Share};
use super::context::Context;
use super::context::map::{Block, Slot, default_slots};
use super::domain::{ClientId, Domain};
use super::grants::{Carrier, Regions};
use super::interval::IntervalPool;
use super::job::{Job, Use};
use super::lent::LentPages;
use super::object::Object;
use super::placing::Objects;
use super::space::{AddressSpace, Binding};
use crate::gpu::RequestId;
use crate::handle::{Id, Slab};
use crate::index::Index;
use crate::platform::Hardware;
use crate::trace::Event;
use crate::{Error, Gpu};

/// A client as the system description has it.
#[derive(Clone, Copy, Debug)]
pub struct ClientConfig {
    /// Its channel, as rows of the grant table name it.
    pub channel: u64,
    /// What it may have.
    pub limits: ClientLimits,
    /// It may do what Linux asks `CAP_SYS_ADMIN` or `CAP_SYS_NICE` for: be more urgent than others, be above
    /// bans, learn of resets that do not concern it.
    pub privileged: bool,
}

/// Sizes of what all clients share, equally: none can take another's part.
#[derive(Clone, Copy, Debug)]
pub struct DriverConfig {
    /// Pages that all clients together can lend: also the number of capabilities that the domain can
    /// keep.
    pub lent_pages: u32,
    /// Bindings of objects in address spaces.
    pub bindings: u32,
    /// Requests in flight.
    pub jobs: u32,
    /// How long an invalidation waits for requests that use its pages before they are stopped.
    pub invalidate_ns: u64,
}

impl DriverConfig {
    /// For a small system. Half a second is shorter than the 640 ms that i915 gives a batch to be preempted.
    pub const DEFAULT: Self =
        Self { lent_pages: 8192, bindings: 2048, jobs: 1024, invalidate_ns: 500_000_000 };
}

/// The driver: the GPU and everything that clients have of it.
#[derive(Debug)]
pub struct Driver<H: Hardware> {
    pub(crate) gpu: Gpu<H>,
    pub(crate) clients: Vec<Client>,
    pub(crate) grants: Vec<GrantEntry>,
    pub(crate) spaces: Slab<AddressSpace>,
    pub(crate) contexts: Slab<Context>,
    /// What their maps of engines are made of.
    pub(crate) map_blocks: Slab<Block>,
    /// The map of a context that was given none.
    pub(crate) default_slots: [Slot; 5],
    pub(crate) objects: Slab<Object>,
    pub(crate) bindings: Slab<Binding>,
    /// Finds what is bound of an object in an address space.
    pub(crate) bound: Index<Binding>,
    pub(crate) jobs: Slab<Job>,
    pub(crate) uses: Slab<Use>,
    /// Ranges of objects in clients' address spaces.
    pub(crate) ranges: IntervalPool<Id<Object>>,
    pub(crate) lent: LentPages,
    /// Whose request the error state is of.
    pub(crate) hung: Option<ClientId>,
    /// Where the list of the submission that is being served is kept; none while one is served.
    pub(crate) listed: Option<Box<Objects>>,
    /// Which pages are lent of what is mapped from the start.
    pub(crate) regions: Regions,
    /// How long an invalidation waits.
    pub(crate) invalidate_ns: u64,
    /// Room for the requests that are stopped at a deadline.
    pub(crate) stopping: Vec<RequestId>,
    /// How often a capability was looked at, and how many objects had one that was revoked.
    pub(crate) looked: u64,
    pub(crate) revoked: u64,
    /// A client may have to be woken, or to be shown something in its rings.
    pub(crate) untold: bool,
    /// The call that is being served has put its client among those that are told of pages.
    pub(crate) waiter_remembered: bool,
    /// Address spaces that nothing refers to any more, but that the hardware still has. Never longer than
    /// `spaces`, for which there is room.
    pub(crate) dying: Vec<Id<AddressSpace>>,
    /// Objects whose pages are to go and that the GPU has not confirmed to have forgotten. Never longer than `objects`.
    pub(crate) unconfirmed: Vec<Id<Object>>,
}

/// Objects that a request in flight can name, on average; a longer list takes from the same pool.
const USES_PER_JOB: u32 = 8;

/// What all clients together can have of each kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Totals {
    pub(super) contexts: u32,
    /// Every context may have an address space that no handle names.
    pub(super) spaces: u32,
    pub(super) map_blocks: u32,
    pub(super) objects: u32,
    pub(super) uses: u32,
}

/// Blocks of contexts' maps of engines that a client can have.
const fn map_blocks(limits: &ClientLimits) -> u32 {
    limits.contexts.saturating_mul(2).saturating_add(9)
}

impl Totals {
    pub(super) fn of(config: &DriverConfig, clients: &[ClientConfig]) -> Self {
        let total = |limit: fn(&ClientLimits) -> u32| {
            clients.iter().fold(0_u32, |sum, client| sum.saturating_add(limit(&client.limits)))
        };
        // Every client has one context more than it makes.
        let contexts = total(|limits| limits.contexts.saturating_add(1));
        Self {
            contexts,
            spaces: total(|limits| limits.spaces).saturating_add(contexts),
            map_blocks: total(map_blocks),
            // An object's place is part of its requests' numbers.
            objects: total(|limits| limits.objects).min(super::pages::MAX_OBJECTS),
            uses: config.jobs.saturating_mul(USES_PER_JOB),
        }
    }
}

impl<H: Hardware> Driver<H> {
    /// Puts the clients' side on top of a GPU that is up. Every pool is allocated here.
    ///
    /// # Errors
    /// [`Error`] if the GPU's pools cannot hold the clients' accounts and their first contexts.
    pub fn new(
        mut gpu: Gpu<H>,
        config: DriverConfig,
        clients: &[ClientConfig],
        grants: &[GrantEntry],
    ) -> Result<Self, Error> {
        let totals = Totals::of(&config, clients);
        let part = |all: u32| all / u32::try_from(clients.len().max(1)).unwrap_or(u32::MAX);
        let share = Share {
            bindings: part(config.bindings),
            jobs: part(config.jobs),
            uses: part(totals.uses),
            map_blocks: 0,
        };
        let mut states = Vec::with_capacity(clients.len());
        for client in clients {
            let account = gpu.account_create(client.limits.driver_pages)?;
            let share = Share { map_blocks: map_blocks(&client.limits), ..share };
            states.push(Client::new(client.channel, client.limits, client.privileged, share, account));
        }
        connect_owners(&mut states, grants);
        for client in 0..states.len() {
            let lends = |state: &&Client| state.owner == Some(client);
            let most = states.iter().filter(lends).map(|state| state.limits.objects).sum::<u32>();
            let own = states[client].limits.objects;
            states[client].requests.reserve_exact(most.max(own) as usize);
        }
        let default_slots = default_slots(&gpu);
        let mut driver = Self {
            gpu,
            regions: Regions::new(grants),
            invalidate_ns: config.invalidate_ns,
            stopping: Vec::with_capacity(config.jobs as usize),
            looked: 0,
            revoked: 0,
            untold: false,
            waiter_remembered: false,
            clients: states,
            grants: grants.to_vec(),
            spaces: Slab::new(totals.spaces),
            contexts: Slab::new(totals.contexts),
            map_blocks: Slab::new(totals.map_blocks),
            default_slots,
            objects: Slab::new(totals.objects),
            bindings: Slab::new(config.bindings),
            bound: Index::new(config.bindings),
            jobs: Slab::new(config.jobs),
            uses: Slab::new(totals.uses),
            ranges: IntervalPool::with_capacity(totals.objects),
            lent: LentPages::with_capacity(config.lent_pages),
            hung: None,
            listed: Some(Box::new(Objects::with_room())),
            dying: Vec::with_capacity(totals.spaces as usize),
            unconfirmed: Vec::with_capacity(totals.objects as usize),
        };
        for client in 0..driver.clients.len() {
            driver.context_create_default(client).map_err(|_| Error::NoMemory)?;
        }
        Ok(driver)
    }

    /// The hardware half.
    pub const fn gpu(&mut self) -> &mut Gpu<H> {
        &mut self.gpu
    }

    /// Serves one protected call of a client: the message's label and its first two registers.
    pub fn call<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        label: u64,
        arguments: [u64; 2],
    ) -> Reply {
        let argument = Argument { offset: arguments[0], len: arguments[1] };
        let result = match Operation::from_label(label) {
            None => Err(Errno::Inval),
            Some(_) if client >= self.clients.len() => Err(Errno::Perm),
            Some(Operation::Connect) => {
                let reply = self.connect(domain, client, argument);
                self.wake_clients(domain);
                return reply;
            }
            Some(_) if !self.clients[client].connected => Err(Errno::Inval),
            Some(operation) => self.dispatch(domain, client, operation, argument),
        };
        // Whatever the call completed on the way is told before its reply.
        self.wake_clients(domain);
        result.unwrap_or_else(Reply::error)
    }

    fn dispatch<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        operation: Operation,
        argument: Argument,
    ) -> Result<Reply, Errno> {
        match operation {
            // Served before a client is connected, see `call`.
            Operation::Connect => Err(Errno::Inval),
            Operation::GetParam => self.get_param(&area::read::<GetParam, D>(domain, client, argument)?),
            Operation::VmCreate => {
                self.vm_create(client, &area::read::<VmCreate, D>(domain, client, argument)?)
            }
            Operation::VmDestroy => {
                self.vm_destroy(client, &area::read::<VmDestroy, D>(domain, client, argument)?)
            }
            Operation::ContextCreate => {
                let create = area::read::<ContextCreate, D>(domain, client, argument)?;
                self.context_create(domain, client, &create)
            }
            Operation::ContextDestroy => {
                self.context_destroy(client, &area::read::<ContextDestroy, D>(domain, client, argument)?)
            }
            Operation::ContextSetParam => {
                let param = area::read::<ContextParam, D>(domain, client, argument)?;
                self.context_set_param(domain, client, &param)
            }
            Operation::ContextGetParam => {
                let param = area::read::<ContextParam, D>(domain, client, argument)?;
                self.context_get_param(domain, client, &param)
            }
            Operation::ContextResetStats => {
                self.reset_stats(client, &area::read::<ResetStats, D>(domain, client, argument)?)
            }
            Operation::UserptrCreate => {
                let create = area::read::<UserptrCreate, D>(domain, client, argument)?;
                self.userptr_create(domain, client, &create)
            }
            Operation::GemClose => {
                let close = area::read::<GemClose, D>(domain, client, argument)?;
                self.gem_close(domain, client, &close)
            }
            Operation::Submit => {
                let submit = area::read::<Submit, D>(domain, client, argument)?;
                self.waiter_remembered = false;
                match self.submit(domain, client, &submit) {
                    Ok((timeline, point)) => Ok(Reply::ok(&[timeline as u64, point])),
                    Err(Errno::Again) if self.waiter_remembered => {
                        Ok(Reply { words: [1, 0, 0, 0], count: 1, ..Reply::error(Errno::Again) })
                    }
                    Err(errno) => Err(errno),
                }
            }
            Operation::ErrorState => {
                let read = area::read::<ReadErrorState, D>(domain, client, argument)?;
                self.read_error_state(domain, client, &read)
            }
            Operation::GemCreate
            | Operation::GemRead
            | Operation::GemWrite
            | Operation::GemBusy
            | Operation::GemWait => self.dispatch_buffers(domain, client, operation, argument),
            Operation::GemExport
            | Operation::GemImport
            | Operation::NextPageRequest
            | Operation::GrantCnode
            | Operation::GrantFrame
            | Operation::GrantRegion
            | Operation::Refuse
            | Operation::Invalidate
            | Operation::InvalidateStatus => self.dispatch_lending(domain, client, operation, argument),
        }
    }

    /// Operations of lending pages and taking them back, most of them those of owners.
    fn dispatch_lending<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        operation: Operation,
        argument: Argument,
    ) -> Result<Reply, Errno> {
        match operation {
            Operation::GemExport => {
                let export = area::read::<GemExport, D>(domain, client, argument)?;
                self.gem_export(domain, client, &export)
            }
            Operation::GemImport => {
                self.gem_import(client, &area::read::<GemImport, D>(domain, client, argument)?)
            }
            Operation::NextPageRequest => Ok(self.next_page_request(client)),
            Operation::GrantCnode | Operation::GrantFrame => {
                let carrier =
                    if operation == Operation::GrantFrame { Carrier::Frame } else { Carrier::CNode };
                let grant = area::read::<Grant, D>(domain, client, argument)?;
                self.grant(domain, client, &grant, carrier)
            }
            Operation::GrantRegion => {
                let grant = area::read::<GrantRegion, D>(domain, client, argument)?;
                self.grant_region(domain, client, &grant)
            }
            Operation::Refuse => {
                let refuse = area::read::<Refuse, D>(domain, client, argument)?;
                self.refuse_pages(domain, client, &refuse)
            }
            Operation::Invalidate => {
                let invalidate = area::read::<Invalidate, D>(domain, client, argument)?;
                self.invalidate(domain, client, &invalidate)
            }
            Operation::InvalidateStatus => {
                let status = area::read::<InvalidateStatus, D>(domain, client, argument)?;
                self.invalidate_status(client, &status)
            }
            _ => Err(Errno::Inval),
        }
    }

    /// Writes down what happens.
    #[inline(always)] // It is a test where nobody reads.
    pub(crate) fn note(&mut self, event: impl FnOnce() -> Event) {
        self.gpu.hardware_mut().note(event);
    }

    fn connect<D: Domain>(&mut self, domain: &mut D, client: ClientId, argument: Argument) -> Reply {
        let connect = match area::read::<Connect, D>(domain, client, argument) {
            Ok(connect) => connect,
            Err(errno) => return Reply::error(errno),
        };
        if connect.version != VERSION || connect.flags & !Connect::AFRESH != 0 {
            // The client can say which version it should have been built against.
            return Reply { words: [u64::from(VERSION), 0, 0, 0], count: 1, ..Reply::error(Errno::Inval) };
        }
        if self.gpu.is_wedged() {
            if connect.flags & Connect::AFRESH != 0 {
                // It gets nothing new, but what it had is taken down all the same.
                let _ = self.start_over(domain, client);
            }
            return Reply::error(Errno::Io);
        }
        if connect.flags & Connect::AFRESH != 0
            && let Err(errno) = self.start_over(domain, client)
        {
            return Reply::error(errno);
        }
        if self.clients[client].default_context.is_none() {
            // It is still being taken down.
            return Reply::error(Errno::Again);
        }
        self.clients[client].connected = true;
        if !self.clients[client].requests.is_empty() {
            // A notification of them may have been its life's before.
            self.clients[client].wake = true;
            self.untold = true;
        }
        self.clients[client].last_hang_ns = self.gpu.now_ns();
        self.open_rings(domain, client);
        let engines = self.gpu.engines().count() as u64;
        Reply::ok(&[u64::from(VERSION), domain.area_len(client) as u64, engines])
    }

    fn get_param(&mut self, get: &GetParam) -> Result<Reply, Errno> {
        let value = match Param::from_number(get.param).ok_or(Errno::Inval)? {
            Param::ChipsetId => u64::from(self.gpu.identity().device),
            Param::HasLlc => u64::from(self.gpu.platform().has_llc),
            // Complete and private address spaces.
            Param::HasPpgtt => 2,
            Param::Revision => u64::from(self.gpu.identity().revision),
            // Enabled, with priorities, and with preemption exactly where persistence can be switched off (i915:
            // `I915_SCHEDULER_CAP_*`, `__context_set_persistence`).
            Param::HasScheduler => 0b11 | u64::from(self.gpu.platform().preempts_batches) << 2,
            Param::CsTimestampFrequency => u64::from(self.gpu.fuses().timestamp_hz),
        };
        Ok(Reply::ok(&[value]))
    }
}

/// Lets every client know its owner: itself, unless the grant table says otherwise.
fn connect_owners(clients: &mut [Client], grants: &[GrantEntry]) {
    for client in 0..clients.len() {
        let channel = clients[client].channel;
        let entry = grants.iter().find_map(|row| row.client().filter(|entry| entry.channel == channel));
        let owner = match entry {
            None => Some(client),
            // An owner that is no client of the driver cannot call: nobody invalidates.
            Some(entry) => {
                entry.owner.and_then(|owner| clients.iter().position(|other| other.channel == owner))
            }
        };
        clients[client].owner = owner;
        clients[client].privileged |= entry.is_some_and(|entry| entry.privileged);
    }
}
