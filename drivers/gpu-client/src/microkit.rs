// SPDX-License-Identifier: BSD-2-Clause
//! The transport over a Microkit channel, and what a client is when it has done its work.

use gpu_protocol::{Errno, Operation, Reply};
use microkit_ext::cap;
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, MessageInfo, get_mr, set_mr};
use window::Window;

use gpu_ring::Words;

use crate::Transport;

/// A channel to the driver domain and the two memories shared with it. Only in a domain, where
/// [`transport!`](crate::transport) makes it out of what system.xml gives; the clients of the boot tests do.
///
/// ```ignore
/// let mut gpu = Gpu::connect(gpu_client::transport!(Channel::new(0)))?;
/// ```
#[derive(Debug)]
pub struct ChannelTransport {
    channel: Channel,
    area: Window,
    points: Window,
    rings: Option<Window>,
}

impl ChannelTransport {
    /// `area` is the message area (read-write), `points` the page of completed points (read-only).
    ///
    /// ```ignore
    /// let transport = ChannelTransport::new(Channel::new(0), area, points);
    /// ```
    #[must_use]
    pub const fn new(channel: Channel, area: Window, points: Window) -> Self {
        Self { channel, area, points, rings: None }
    }

    /// With the memory of the rings, which the domain shares with the driver (read-write).
    ///
    /// ```ignore
    /// let transport = ChannelTransport::new(Channel::new(0), area, points).with_rings(rings);
    /// ```
    #[must_use]
    pub fn with_rings(self, rings: Window) -> Self {
        Self { rings: Some(rings), ..self }
    }
}

impl Transport for ChannelTransport {
    fn call(&mut self, operation: Operation, arguments: [u64; 2], capability: Option<u64>) -> Reply {
        for (register, argument) in arguments.into_iter().enumerate() {
            set_mr(register, argument);
        }
        let message = MessageInfo::new(operation.label(), arguments.len());
        let answer = match capability {
            Some(capability) => cap::pp_call_with_caps(self.channel, message, &[cap::CPtr::new(capability)]),
            None => self.channel.pp_call(message),
        };
        let count = answer.count().min(4);
        let mut words = [0; 4];
        for (register, word) in words.iter_mut().take(count).enumerate() {
            *word = get_mr(register);
        }
        Reply { status: Errno::status(answer.label()), words, count }
    }

    fn area_len(&self) -> usize {
        self.area.len()
    }

    fn write_area(&mut self, offset: usize, bytes: &[u8]) {
        // The caller keeps inside; outside nothing is written.
        let _ = self.area.write_bytes(offset, bytes);
    }

    fn read_area(&self, offset: usize, bytes: &mut [u8]) {
        // As above; outside nothing is read.
        let _ = self.area.read_bytes(offset, bytes);
    }

    fn rings(&self) -> Option<&dyn Words> {
        self.rings.as_ref().map(|rings| rings as &dyn Words)
    }

    fn notify(&mut self) {
        self.channel.notify();
    }

    fn sleep(&mut self) {
        // Whose notification it was does not matter: what the caller waits for is looked at again.
        let _ = microkit_ext::wait::notified();
    }

    fn completed_point(&self, timeline: u32) -> u64 {
        self.points.read(timeline as usize * size_of::<u64>())
    }
}

/// The handler of a client that has nothing left to do. The driver may still tell of a completion that a wait has seen
/// already, or of pages that nobody waits for any more; that is no event.
///
/// ```ignore
/// #[protection_domain]
/// fn init() -> Finished {
///     paint();
///     Finished
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Finished;

impl Handler for Finished {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Self::Error> {
        Ok(())
    }
}
