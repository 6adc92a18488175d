// SPDX-License-Identifier: BSD-2-Clause
//! The qtest socket: interrupts into the guest, and the IOMMU's registers back.
//!
//! Commands are lines, answered in order by lines. They are written without blocking from the thread that serves
//! accesses (what does not fit waits for the next call); a second thread reads the answers.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Msi;
use crate::memory::vtd::Registers;
use anyhow::{Context as _, Result};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

/// VT-d global status register of q35's IOMMU; bit 31: translation enabled.
const GSTS: u64 = 0xfed9_001c;
/// VT-d root table address register.
const RTADDR: u64 = 0xfed9_0020;
/// How often the registers are read while translation is off, and while it is on.
const REFRESH_OFF: Duration = Duration::from_millis(1);
const REFRESH_ON: Duration = Duration::from_millis(20);
/// Bytes of commands that wait for room in the socket at most; QEMU does not read any more then.
const UNSENT: usize = 1 << 16;
/// Unanswered refreshes after which no more are sent.
const OUTSTANDING: usize = 4;

/// What an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Done,
    Status,
    Root,
}

/// State that both threads use.
#[derive(Debug, Default)]
struct Shared {
    expected: Mutex<VecDeque<Expected>>,
    status: Mutex<u64>,
    /// A command was refused.
    failed: AtomicBool,
}

/// The connection.
#[derive(Debug)]
pub struct Qtest {
    stream: UnixStream,
    reader: JoinHandle<()>,
    shared: Arc<Shared>,
    registers: Arc<Registers>,
    unsent: Vec<u8>,
    refreshed: Option<Instant>,
}

/// A connection that is being made: QEMU's socket may appear later than the model.
#[derive(Debug)]
pub struct Connector {
    path: PathBuf,
    deadline: Instant,
    registers: Arc<Registers>,
}

impl Connector {
    /// Will connect to QEMU's `-qtest unix:PATH,server=on,wait=off`, within `patience`.
    #[must_use]
    pub fn new(path: &Path, patience: Duration, registers: Arc<Registers>) -> Self {
        Self { path: path.to_owned(), deadline: Instant::now() + patience, registers }
    }

    /// Tries once, without waiting; `None` if nobody listens there yet.
    ///
    /// # Errors
    /// Nobody listened there until the deadline.
    pub fn attempt(&self) -> Result<Option<Qtest>> {
        match UnixStream::connect(&self.path) {
            Ok(stream) => Qtest::on(stream, Arc::clone(&self.registers)).map(Some),
            Err(error) if Instant::now() >= self.deadline => {
                Err(error).with_context(|| format!("connecting to qtest at {}", self.path.display()))
            }
            Err(_) => Ok(None),
        }
    }
}

impl Qtest {
    fn on(stream: UnixStream, registers: Arc<Registers>) -> Result<Self> {
        let mut reader = BufReader::new(stream.try_clone().context("second handle of the qtest socket")?);
        let shared = Arc::new(Shared::default());
        let (state, target) = (Arc::clone(&shared), Arc::clone(&registers));
        let reader = std::thread::Builder::new()
            .name("qtest".to_owned())
            .spawn(move || {
                let mut line = String::new();
                // What ends without its newline is no answer: QEMU ended.
                while reader.read_line(&mut line).is_ok() && line.ends_with('\n') {
                    state.answer(line.trim_end(), &target);
                    line.clear();
                }
            })
            .context("starting the qtest reader")?;
        Ok(Self { stream, reader, shared, registers, unsent: Vec::new(), refreshed: None })
    }

    /// Sends a message-signalled interrupt.
    pub fn msi(&mut self, msi: Msi) {
        self.command(Expected::Done, &format!("writel {:#x} {:#x}\n", msi.address, msi.data));
    }

    /// Sets the level of a pin of q35's I/O APIC.
    pub fn intx(&mut self, gsi: u32, level: bool) {
        let level = u32::from(level);
        self.command(
            Expected::Done,
            &format!("set_irq_in /machine/q35/ioapic unnamed-gpio-in {gsi} {level}\n"),
        );
    }

    /// Asks for the IOMMU's registers if the last answer is old.
    pub fn refresh(&mut self) {
        let interval = if self.registers.enabled() { REFRESH_ON } else { REFRESH_OFF };
        if self.refreshed.is_some_and(|last| last.elapsed() < interval) {
            return self.flush();
        }
        let waiting = self
            .shared
            .expected
            .lock()
            .map_or(0, |expected| expected.iter().filter(|entry| **entry == Expected::Root).count());
        if waiting < OUTSTANDING {
            self.refreshed = Some(Instant::now());
            self.command(Expected::Status, &format!("readl {GSTS:#x}\n"));
            self.command(Expected::Root, &format!("readq {RTADDR:#x}\n"));
        }
    }

    /// Ends the connection. Answers whether QEMU refused a command, or one was dropped because it read none; those that it did
    /// not come to answer before its end are neither.
    #[must_use]
    pub fn finish(self) -> bool {
        // What has arrived can still be read; then the reader ends.
        let _ = self.stream.shutdown(Shutdown::Both);
        let died = self.reader.join().is_err();
        died || self.shared.failed.load(Ordering::Relaxed)
    }

    fn command(&mut self, expected: Expected, line: &str) {
        if self.unsent.len() + line.len() > UNSENT {
            self.shared.failed.store(true, Ordering::Relaxed);
            return self.flush();
        }
        if let Ok(mut queue) = self.shared.expected.lock() {
            queue.push_back(expected);
        }
        self.unsent.extend_from_slice(line.as_bytes());
        self.flush();
    }

    /// Commands wait for room in the socket.
    #[must_use]
    pub const fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Writes what is waiting, as far as the socket takes it at once.
    pub fn flush(&mut self) {
        while !self.unsent.is_empty() {
            // Not a non-blocking socket: the reader has a handle of the same one.
            match send(&self.stream, &self.unsent, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(0) | Err(Errno::AGAIN) => break,
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(Errno::INTR) => {}
                // QEMU is gone; the proxy socket says so too.
                Err(_) => self.unsent.clear(),
            }
        }
    }
}

impl Shared {
    /// An answer line arrived.
    fn answer(&self, line: &str, registers: &Registers) {
        let expected = self.expected.lock().ok().and_then(|mut queue| queue.pop_front());
        let Some(value) = line.strip_prefix("OK") else {
            self.failed.store(true, Ordering::Relaxed);
            return;
        };
        let value = u64::from_str_radix(value.trim().trim_start_matches("0x"), 16).unwrap_or(0);
        match expected {
            Some(Expected::Status) => {
                if let Ok(mut status) = self.status.lock() {
                    *status = value;
                }
            }
            Some(Expected::Root) => {
                let status = self.status.lock().map_or(0, |status| *status);
                // All ones: there is no IOMMU at that address.
                let enabled = status & (1 << 31) != 0 && status & 0xffff_ffff != 0xffff_ffff;
                registers.set(enabled, value);
            }
            Some(Expected::Done) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn interrupts_are_written_as_the_guest_programmed_them() {
        let (ours, qemu) = UnixStream::pair().unwrap();
        let mut qtest = Qtest::on(ours, Arc::default()).unwrap();
        qtest.msi(Msi { address: 0xfee0_1004, data: 0x26 });
        qtest.intx(22, true);
        let mut lines = BufReader::new(qemu).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "writel 0xfee01004 0x26");
        assert_eq!(lines.next().unwrap().unwrap(), "set_irq_in /machine/q35/ioapic unnamed-gpio-in 22 1");
    }

    #[test]
    fn the_iommu_registers_come_back_asynchronously() {
        let (shared, registers) = (Shared::default(), Registers::default());
        let expect = |what: &[Expected]| shared.expected.lock().unwrap().extend(what);
        expect(&[Expected::Status, Expected::Done, Expected::Root]);
        for line in ["OK 0xc0000000", "OK", "OK 0x0000000000012000"] {
            shared.answer(line, &registers);
        }
        assert_eq!((registers.enabled(), registers.root()), (true, 0x1_2000));
        expect(&[Expected::Status, Expected::Root]);
        for line in ["OK 0xffffffff", "OK 0xffffffffffffffff"] {
            shared.answer(line, &registers);
        }
        assert!(!registers.enabled(), "all ones: no IOMMU");
    }

    #[test]
    fn a_reader_that_is_stuck_costs_bounded_memory_and_is_noticed() {
        let (ours, _qemu) = UnixStream::pair().unwrap();
        let mut qtest = Qtest::on(ours, Arc::default()).unwrap();
        for n in 0..100_000 {
            qtest.intx(22, n % 2 == 0);
        }
        assert!(qtest.unsent.len() <= UNSENT, "{}", qtest.unsent.len());
        assert!(qtest.finish());
    }

    #[test]
    fn a_refused_command_is_noticed_and_one_that_the_end_of_qemu_left_unanswered_is_not() {
        for (answers, refused) in [("OK\nFAIL unknown command\n", true), ("OK\nO", false), ("", false)] {
            let (ours, mut qemu) = UnixStream::pair().unwrap();
            let mut qtest = Qtest::on(ours, Arc::default()).unwrap();
            qtest.intx(22, true);
            qtest.intx(22, false);
            qemu.write_all(answers.as_bytes()).unwrap();
            drop(qemu);
            assert_eq!(qtest.finish(), refused, "{answers:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_lines_of_the_socket_are_taken(lines in proptest::collection::vec("(OK ?(0x)?)?\\PC{0,20}", 0..20)) {
            let (shared, registers) = (Shared::default(), Registers::default());
            for (line, expected) in lines.iter().zip([Expected::Status, Expected::Root, Expected::Done].iter().cycle()) {
                shared.expected.lock().unwrap().push_back(*expected);
                shared.answer(line, &registers);
            }
            let refused = lines.iter().any(|line| !line.starts_with("OK"));
            proptest::prop_assert_eq!(shared.failed.load(Ordering::Relaxed), refused);
        }
    }

    #[test]
    fn connecting_gives_up_at_its_deadline() {
        let path = std::env::temp_dir().join("gpu-model-nobody-listens-here");
        let patient = Connector::new(&path, Duration::from_secs(60), Arc::default());
        assert!(patient.attempt().unwrap().is_none());
        let error = Connector::new(&path, Duration::ZERO, Arc::default()).attempt().unwrap_err();
        assert!(error.to_string().contains("connecting to qtest"));
    }
}
