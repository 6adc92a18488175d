// SPDX-License-Identifier: BSD-2-Clause
//! Serves QEMU's accesses with the model until QEMU closes the socket.

use std::collections::VecDeque;
use std::io::Write;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use crate::memory::GuestRam;
use crate::memory::vtd::{Registers, Vtd};
use crate::sys::Region;
use crate::{Gpu, Msi};
use anyhow::{Context as _, Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::fstat;

use super::link::{Incoming, Link};
use super::message::{MemoryRange, Request};
use super::qtest::{Connector, Qtest};
use crate::record::Recorder;

/// Units of work between two looks at the socket.
const SLICE: u64 = 20_000;
/// Pause before waiting engines look at memory again.
const POLL_NS: i64 = 200_000;
/// How long an idle server waits for an access before it looks after the IOMMU's registers.
const IDLE_NS: i64 = 5_000_000;
/// Interrupts that wait for the qtest socket at most. A guest that takes none of its interrupts has lost itself.
const MESSAGES: usize = 4096;
/// Slot 2, pin A of q35.
const GSI: u32 = 22;

/// The server.
#[derive(Debug)]
pub struct Server {
    gpu: Gpu,
    link: Link,
    qtest: Option<Qtest>,
    connector: Option<Connector>,
    iommu: Arc<Registers>,
    /// Memory map as it is mapped: ranges and the files' identities.
    map: Vec<(MemoryRange, u64, u64)>,
    intx: bool,
    accesses: u64,
    undecoded: u64,
    recorder: Option<Recorder>,
    /// Messages that are to be sent.
    messages: VecDeque<Msi>,
    /// Messages that were taken from the model.
    taken: u64,
}

/// What is left when QEMU has closed the socket.
#[derive(Debug)]
pub struct Served {
    /// The model, with all that it saw.
    pub gpu: Gpu,
    /// Whether interrupts and the IOMMU's state always found their way. If not, the guest saw a machine that no hardware is,
    /// and neither good nor bad that it did says anything.
    pub delivery: Result<()>,
}

impl Server {
    /// Serves `gpu` on `link`; `connector` leads to the socket that carries interrupts.
    #[must_use]
    pub fn new(mut gpu: Gpu, link: Link, connector: Option<Connector>, iommu: Arc<Registers>) -> Self {
        // QEMU's proxy device sizes the BARs once when it is created, dword by dword, and takes each for a 32-bit
        // one; until its first reset the upper halves are hidden from it.
        gpu.hide_upper_bar_halves(true);
        let qtest = None;
        Self {
            gpu,
            link,
            qtest,
            connector,
            iommu,
            map: Vec::new(),
            intx: false,
            accesses: 0,
            undecoded: 0,
            recorder: None,
            messages: VecDeque::new(),
            taken: 0,
        }
    }

    /// Records every access.
    #[must_use]
    pub fn record(mut self, out: Box<dyn Write + Send>) -> Self {
        self.recorder = Some(self.gpu.record(out));
        self.gpu.hide_upper_bar_halves(true);
        self
    }

    /// Serves until QEMU closes the socket.
    ///
    /// # Errors
    /// The socket fails or speaks another protocol.
    pub fn run(mut self) -> Result<Served> {
        loop {
            self.connect()?;
            match self.receive()? {
                Incoming::Request(request, descriptors) => self.serve(&request, descriptors)?,
                Incoming::Nothing => self.refresh(),
                Incoming::Closed => break,
            }
            self.interrupts();
            for report in self.gpu.log_mut().take_fresh() {
                eprintln!("gpu-model: {report}");
            }
        }
        eprintln!(
            "gpu-model: {} accesses, {} interrupts, {} rules broken",
            self.accesses,
            self.gpu.msi_count(),
            self.gpu.log().total()
        );
        if let Some(recorder) = &self.recorder {
            recorder.flush()?;
        }
        if self.undecoded > 0 {
            eprintln!("gpu-model: {} accesses outside of the BARs as programmed", self.undecoded);
        }
        let delivery = self.delivery();
        Ok(Served { gpu: self.gpu, delivery })
    }

    /// Ends the connection to qtest; see [`Served`]. A model that was given none has no interrupts to lose.
    fn delivery(&mut self) -> Result<()> {
        let refused = match (self.qtest.take(), &self.connector) {
            (None, None) => return Ok(()),
            (qtest, _) => qtest.is_some_and(Qtest::finish),
        };
        let lost = self.gpu.msi_count().saturating_sub(self.taken);
        ensure!(!refused, "QEMU refused a qtest command, or did not read it: interrupts may be lost");
        ensure!(lost == 0, "{lost} interrupts are lost: more waited to be sent than there is room for");
        Ok(())
    }

    /// Tries to reach qtest if that is still to be done.
    fn connect(&mut self) -> Result<()> {
        if let Some(connector) = &self.connector
            && let Some(qtest) = connector.attempt()?
        {
            (self.qtest, self.connector) = (Some(qtest), None);
        }
        Ok(())
    }

    /// Waits at most `ns` for the socket. An error or an early return only means another look.
    fn pause(&self, ns: i64) {
        let mut fds = [PollFd::new(&self.link, PollFlags::IN)];
        let _ = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: ns }));
    }

    /// The next request. While engines have work, it does not wait; while they wait for memory, not for long. An idle
    /// server waits for as long as it has nobody to ask for the IOMMU's state.
    fn receive(&mut self) -> Result<Incoming> {
        let unsent = self.qtest.as_ref().is_some_and(Qtest::has_unsent);
        if self.link.has_request() {
            return self.link.receive(false);
        }
        if !(self.gpu.is_busy() || self.connector.is_some() || unsent) {
            if self.qtest.is_none() {
                return self.link.receive(true);
            }
            self.pause(IDLE_NS);
            return self.link.receive(false);
        }
        let incoming = self.link.receive(false)?;
        if matches!(incoming, Incoming::Nothing) && self.step() == 0 {
            self.pause(POLL_NS);
        }
        Ok(incoming)
    }

    fn serve(&mut self, request: &Request, descriptors: Vec<OwnedFd>) -> Result<()> {
        let mut value = 0;
        match *request {
            Request::Memory(ref ranges) => self.map_memory(ranges, &descriptors)?,
            Request::ConfigWrite { offset, len, value } => self.gpu.config_write(offset, len, value),
            Request::ConfigRead { offset, len } => value = u64::from(self.gpu.config_read(offset, len)),
            Request::BarWrite { address, size, value, memory } => match self.gpu.decode(address, memory) {
                Some((bar, offset)) => self.gpu.bar_write(bar, offset, size, value),
                None => self.undecoded += 1,
            },
            Request::BarRead { address, size, memory } => match self.gpu.decode(address, memory) {
                Some((bar, offset)) => value = self.gpu.bar_read(bar, offset, size),
                None => {
                    self.undecoded += 1;
                    value = u64::MAX;
                }
            },
            Request::Irqfd => {}
            Request::Reset => {
                self.gpu.reset();
                self.gpu.hide_upper_bar_halves(false);
            }
        }
        if request.wants_answer() {
            self.accesses += 1;
            // Interrupts go out before the access is answered, so that "instant" work is seen at once.
            self.interrupts();
            self.link.answer(value)?;
            self.refresh();
        }
        Ok(())
    }

    /// Asks for the IOMMU's registers where the last answer is old. The guest may switch translation on without any access
    /// to the GPU, so this happens whatever the GPU does.
    fn refresh(&mut self) {
        if let Some(qtest) = &mut self.qtest {
            qtest.refresh();
        }
    }

    /// Collects the messages that the model raised.
    fn collect(&mut self) {
        while let Some(msi) = self.gpu.take_msi() {
            if self.messages.len() < MESSAGES {
                self.messages.push_back(msi);
                self.taken += 1;
            }
        }
    }

    /// Gives the engines time; answers the work done.
    fn step(&mut self) -> u64 {
        self.gpu.step(SLICE)
    }

    /// Sends what the model raised.
    fn interrupts(&mut self) {
        self.collect();
        let Some(qtest) = &mut self.qtest else {
            // Without a socket to come they are lost; else they wait for it.
            if self.connector.is_none() {
                self.messages.clear();
            }
            return;
        };
        qtest.flush();
        while let Some(msi) = self.messages.pop_front() {
            qtest.msi(msi);
        }
        let level = self.gpu.intx();
        if level != self.intx {
            self.intx = level;
            qtest.intx(GSI, level);
        }
    }

    /// Takes the guest's memory map; the same map arrives again and again and is then left alone.
    fn map_memory(&mut self, ranges: &[MemoryRange], descriptors: &[OwnedFd]) -> Result<()> {
        let mut map = Vec::new();
        for (range, fd) in ranges.iter().zip(descriptors) {
            let stat = fstat(fd).context("looking at a guest memory file")?;
            map.push((*range, stat.st_dev, stat.st_ino));
        }
        if map == self.map {
            return Ok(());
        }
        let mut regions = Vec::new();
        for (range, fd) in ranges.iter().zip(descriptors) {
            let len = usize::try_from(range.size).context("size of a guest memory range")?;
            let region =
                Region::file(fd.as_fd(), range.offset, len).with_context(|| format!("mapping {range:x?}"))?;
            regions.push((range.start, region));
        }
        let mut ram = GuestRam::new();
        ram.replace(regions);
        // The function is 0:2.0 of the guest.
        self.gpu.set_memory(Box::new(Vtd::new(ram, Arc::clone(&self.iommu), 0, 2, 0)));
        self.map = map;
        Ok(())
    }
}
