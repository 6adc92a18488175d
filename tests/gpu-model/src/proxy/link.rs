// SPDX-License-Identifier: BSD-2-Clause
//! The proxy socket: bytes and descriptors in, messages out.

use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg, send};

use super::message::{Parsed, Request, answer, parse};

/// Bytes read at once.
const BUFFER: usize = 4096;

/// What came in.
#[derive(Debug)]
pub enum Incoming {
    /// A request with its descriptors.
    Request(Request, Vec<OwnedFd>),
    /// Nothing at the moment.
    Nothing,
    /// QEMU closed the socket.
    Closed,
}

/// One end of the socket pair.
#[derive(Debug)]
pub struct Link {
    socket: OwnedFd,
    bytes: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Link {
    /// Speaks on `socket`.
    #[must_use]
    pub const fn new(socket: OwnedFd) -> Self {
        Self { socket, bytes: Vec::new(), descriptors: VecDeque::new() }
    }

    /// A whole request is already here.
    #[must_use]
    pub fn has_request(&self) -> bool {
        matches!(parse(&self.bytes), Parsed::Message(..))
    }

    /// Takes the next request; reads the socket once if none is here yet.
    ///
    /// # Errors
    /// The socket fails, or what arrives is not the protocol.
    pub fn receive(&mut self, wait: bool) -> Result<Incoming> {
        loop {
            match parse(&self.bytes) {
                Parsed::Message(request, len) => {
                    self.bytes.drain(..len);
                    let count = request.descriptors();
                    ensure!(self.descriptors.len() >= count, "{request:?} came without its descriptors");
                    return Ok(Incoming::Request(request, self.descriptors.drain(..count).collect()));
                }
                Parsed::Malformed(what) => bail!("QEMU's proxy device sent {what}"),
                Parsed::Incomplete => match self.fill(wait || !self.bytes.is_empty())? {
                    Some(0) => return Ok(Incoming::Closed),
                    Some(_) => {}
                    None => return Ok(Incoming::Nothing),
                },
            }
        }
    }

    /// Reads what is there; `None` if that is nothing.
    fn fill(&mut self, wait: bool) -> Result<Option<usize>> {
        let mut buffer = [0; BUFFER];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | if wait { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
        let received = loop {
            match recvmsg(&self.socket, &mut [IoSliceMut::new(&mut buffer)], &mut ancillary, flags) {
                Ok(received) => break received.bytes,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return Ok(None),
                Err(rustix::io::Errno::CONNRESET) => return Ok(Some(0)),
                Err(error) => return Err(error).context("reading the proxy socket"),
            }
        };
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        self.bytes.extend_from_slice(&buffer[..received]);
        Ok(Some(received))
    }

    /// Answers a request.
    ///
    /// # Errors
    /// The socket fails.
    pub fn answer(&self, value: u64) -> Result<()> {
        let bytes = answer(value);
        let sent = send(&self.socket, &bytes, SendFlags::NOSIGNAL).context("answering QEMU")?;
        ensure!(sent == bytes.len(), "QEMU took {sent} bytes of an answer");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{
        AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SocketFlags, SocketType, sendmsg,
        socketpair,
    };
    use std::io::IoSlice;

    #[test]
    fn requests_descriptors_and_the_end_arrive_in_order() {
        let (ours, qemu) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        let mut link = Link::new(ours);
        assert!(matches!(link.receive(false).unwrap(), Incoming::Nothing));

        // A configuration read, then the irqfd message with two descriptors, glued in one stream.
        let mut read = vec![3u8, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0];
        read.extend([0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(send(&qemu, &read, SendFlags::empty()), Ok(28));
        let irqfd = [6u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let fds = [qemu.as_fd(), qemu.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&fds)));
        sendmsg(&qemu, &[IoSlice::new(&irqfd)], &mut ancillary, SendFlags::empty()).unwrap();

        let Incoming::Request(first, none) = link.receive(true).unwrap() else { panic!("no request") };
        assert_eq!((first, none.len()), (Request::ConfigRead { offset: 0, len: 2 }, 0));
        let Incoming::Request(second, two) = link.receive(true).unwrap() else { panic!("no request") };
        assert_eq!((second, two.len()), (Request::Irqfd, 2));
        drop(two);
        link.answer(0x1912_8086).unwrap();
        let mut answer = [0; 24];
        assert_eq!(rustix::io::read(&qemu, &mut answer), Ok(24));
        assert_eq!(answer[16..20], [0x86, 0x80, 0x12, 0x19]);
        drop(qemu);
        assert!(matches!(link.receive(true).unwrap(), Incoming::Closed));
    }
}
