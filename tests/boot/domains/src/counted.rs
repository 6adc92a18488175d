// SPDX-License-Identifier: BSD-2-Clause
//! A client's transport that counts the client's system calls.

use gpu_client::microkit::ChannelTransport;
use gpu_client::{Operation, Reply, Transport, Words};

/// The transport, counting.
#[derive(Debug)]
pub struct Counted {
    inner: ChannelTransport,
    /// System calls so far: calls of the driver, notifications, sleeps.
    pub calls: u64,
}

impl Counted {
    /// Counts what goes over a transport.
    #[must_use]
    pub const fn new(inner: ChannelTransport) -> Self {
        Self { inner, calls: 0 }
    }
}

impl Transport for Counted {
    fn call(&mut self, operation: Operation, arguments: [u64; 2], capability: Option<u64>) -> Reply {
        self.calls += 1;
        self.inner.call(operation, arguments, capability)
    }

    fn area_len(&self) -> usize {
        self.inner.area_len()
    }

    fn write_area(&mut self, offset: usize, bytes: &[u8]) {
        self.inner.write_area(offset, bytes);
    }

    fn read_area(&self, offset: usize, bytes: &mut [u8]) {
        self.inner.read_area(offset, bytes);
    }

    fn completed_point(&self, timeline: u32) -> u64 {
        self.inner.completed_point(timeline)
    }

    fn rings(&self) -> Option<&dyn Words> {
        self.inner.rings()
    }

    fn notify(&mut self) {
        self.calls += 1;
        self.inner.notify();
    }

    fn sleep(&mut self) {
        self.calls += 1;
        self.inner.sleep();
    }
}
