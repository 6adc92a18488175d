// SPDX-License-Identifier: BSD-2-Clause
//! Child processes that cannot outlive their parent.
//!
//! QEMU and the device model are started with descriptors that they inherit (guest memory, one end of the proxy
//! device's socket pair). Three things keep them from being left behind: [`Process`] kills and reaps its child when it
//! is dropped; the kernel kills the child when the thread that started it ends in any other way (`PR_SET_PDEATHSIG`);
//! and only the child named here gets the descriptors, as every other one in this process is close-on-exec.
//!
//! This is the crate's only unsafe code.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

/// How often a child that is about to end is looked at. There is no portable wait with a deadline; the processes here
/// live for seconds, and a wait of this length costs nothing.
const POLL: Duration = Duration::from_millis(2);

/// The numbers under which a child finds the descriptors that it inherits.
#[must_use]
pub(crate) fn number(descriptor: &OwnedFd) -> RawFd {
    descriptor.as_raw_fd()
}

/// A running child, killed and reaped on drop.
///
/// It also dies with the thread that started it, so that thread has to stay around for as long as the child is needed.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts `command`; the child inherits `descriptors` under their present [`number`]s, and this process no longer
    /// has them afterwards.
    pub(crate) fn start(mut command: Command, descriptors: Vec<OwnedFd>) -> io::Result<Self> {
        let parent = getpid();
        let before_exec = move || -> io::Result<()> {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // The parent may have ended before the line above: then the signal will never come.
            if getppid() != Some(parent) {
                return Err(Errno::SRCH.into());
            }
            for descriptor in &descriptors {
                fcntl_setfd(descriptor, FdFlags::empty())?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec only async-signal-safe work is allowed. The closure makes three kinds of direct
        // system calls (prctl, getppid, fcntl), allocates nothing and takes no lock; `io::Error` from an error number
        // does not allocate either.
        unsafe { command.pre_exec(before_exec) };
        Ok(Self { child: command.spawn()? })
    }

    /// Takes the reading end of the child's standard output, if that was piped and not yet taken.
    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// The exit status, if the child has ended.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits until the child has ended, no longer than until `deadline`.
    pub(crate) fn wait_until(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = self.ended()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            std::thread::sleep(POLL);
        }
    }

    /// Ends the child.
    pub(crate) fn end(&mut self) {
        // Both fail only when the child has already been reaped, and then there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::process::Stdio;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    fn is_running(pid: u32) -> bool {
        // A zombie still has a folder; its state says so.
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[test]
    fn a_child_inherits_the_descriptors_it_is_given_and_the_parent_loses_them() -> Outcome {
        let (mut ours, theirs) = UnixStream::pair()?;
        let theirs = OwnedFd::from(theirs);
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("echo hello >&{}", number(&theirs)));
        let mut child = Process::start(command, vec![theirs])?;
        let mut heard = String::new();
        // Ends only because no other copy of the child's end is left once the child has gone.
        ours.read_to_string(&mut heard)?;
        assert_eq!(heard, "hello\n");
        let status = child.wait_until(Instant::now() + Duration::from_secs(10))?;
        assert!(status.is_some_and(|status| status.success()));
        Ok(())
    }

    #[test]
    fn a_child_does_not_inherit_what_another_was_given() -> Outcome {
        let (mut ours, theirs) = UnixStream::pair()?;
        let theirs = OwnedFd::from(theirs);
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("echo hello >&{}", number(&theirs))).stderr(Stdio::null());
        let mut child = Process::start(command, vec![])?;
        let status = child.wait_until(Instant::now() + Duration::from_secs(10))?;
        assert!(status.is_some_and(|status| !status.success()));
        drop(theirs);
        let mut heard = String::new();
        ours.read_to_string(&mut heard)?;
        assert_eq!(heard, "");
        Ok(())
    }

    #[test]
    fn waiting_ends_at_the_deadline_and_dropping_kills() -> Outcome {
        let mut command = Command::new("sleep");
        command.arg("600");
        let mut child = Process::start(command, vec![])?;
        let pid = child.child.id();
        let start = Instant::now();
        assert_eq!(child.wait_until(start + Duration::from_millis(50))?, None);
        assert!(start.elapsed() >= Duration::from_millis(50));
        assert!(is_running(pid));
        drop(child);
        assert!(!is_running(pid));
        Ok(())
    }

    #[test]
    fn a_child_dies_with_the_thread_that_started_it() -> Outcome {
        let mut command = Command::new("cat");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let starter = std::thread::spawn(move || Process::start(command, vec![]));
        let mut child = starter.join().map_err(|_| "the starting thread panicked")??;
        // Kept open, so that the program does not end by itself.
        let input = child.child.stdin.take().ok_or("no standard input")?;
        let status = child.wait_until(Instant::now() + Duration::from_secs(10))?;
        assert!(status.is_some_and(|status| status.code().is_none()), "ended by a signal, not by itself");
        drop(input);
        Ok(())
    }
}
