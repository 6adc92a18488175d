// SPDX-License-Identifier: BSD-2-Clause
//! The owner of a client's memory: answers page requests out of regions.

use gpu_protocol::{Errno, Fence, SubmitObject};

use crate::rig::{Region, Rig, channel};
use crate::wire::whole_grant;

impl Rig {
    /// Grants every open request of a client whose pages are in one of `regions`, and refuses the others
    /// with `EFAULT`. Returns the number of requests.
    ///
    /// # Panics
    /// The driver refuses an answer.
    pub fn serve(&mut self, client: usize, regions: &[Region]) -> usize {
        let mut served = 0;
        while let Some(request) = self.next_request(client) {
            served += 1;
            let region = regions.iter().find(|region| {
                request.address >= region.address
                    && request.address + request.size <= region.address + region.size
            });
            let answer = match region {
                Some(region) => self.grant(client, &whole_grant(request, *region), region.cnode).map(drop),
                None => self.refuse(client, request, Errno::Fault),
            };
            assert_eq!(answer, Ok(()), "{request:x?}");
        }
        served
    }

    /// A memory server ([`Settings::served`](crate::Settings::served)) lends its own frames for every request that there
    /// is; one region of it for each client. Returns the number of requests.
    ///
    /// # Panics
    /// The driver refuses a grant.
    pub fn serve_clients(&mut self, server: usize, frames: [Region; 2]) -> usize {
        let mut served = 0;
        while let Some(request) = self.next_request(server) {
            let client = usize::from(u64::from(request.space) != channel(0));
            assert_eq!(u64::from(request.space), channel(client), "{request:x?}");
            let region = Region { address: request.address, ..frames[client] };
            let granted = self.grant(server, &whole_grant(request, region), region.cnode).map(drop);
            assert_eq!(granted, Ok(()), "{request:x?}");
            served += 1;
        }
        served
    }

    /// Submits; where pages are missing, lends them out of `regions` and submits again.
    ///
    /// # Errors
    /// What the driver answers to the last try.
    pub fn run(
        &mut self,
        client: usize,
        context: u32,
        engine: u32,
        objects: &[SubmitObject],
        fences: &[Fence],
        regions: &[Region],
    ) -> Result<Fence, Errno> {
        match self.submit(client, context, engine, objects, fences) {
            Err(Errno::Again) if self.serve(client, regions) > 0 => {
                self.submit(client, context, engine, objects, fences)
            }
            result => result,
        }
    }

    /// Whether a client's fence is reached, as its page of points says.
    #[must_use]
    pub fn reached(&self, client: usize, fence: Fence) -> bool {
        self.point(client, u64::from(fence.timeline)) >= fence.point
    }
}
