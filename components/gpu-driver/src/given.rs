// SPDX-License-Identifier: BSD-2-Clause
//! The clients that system.xml gives the driver, by the names of their symbols.
//!
//! Client `N` calls on channel `N + 1`. It is there if a region is mapped as `client_N_message`; what else it has is
//! optional: a page of points (`client_N_points`; an owner that submits nothing needs none), rings
//! (`client_N_rings`), and limits, each a `<constant>`. Who owns its address space and whether it is privileged stands
//! in its row of the grant table.

use alloc::vec::Vec;
use core::ptr::NonNull;

use intel_gpu::uapi::{ClientConfig, ClientLimits};
use sel4_microkit::{Channel, var};
use window::Window;

use crate::clients::Link;

/// A region's address, and its size.
type Region = (usize, usize);

/// What the symbols of one client say; 0 is what system.xml does not give.
struct Given {
    message: Region,
    points: usize,
    rings: Region,
    ring_budget: u64,
    priority_ceiling: u64,
    contexts: u64,
    spaces: u64,
    objects: u64,
    lent_pages: u64,
    driver_pages: u64,
}

macro_rules! given {
    ($message:ident $message_size:ident $points:ident $rings:ident $rings_size:ident $ring_budget:ident
     $priority_ceiling:ident $contexts:ident $spaces:ident $objects:ident $lent_pages:ident $driver_pages:ident) => {
        Given {
            message: (*var!($message: usize = 0), *var!($message_size: usize = 0)),
            points: *var!($points: usize = 0),
            rings: (*var!($rings: usize = 0), *var!($rings_size: usize = 0)),
            ring_budget: *var!($ring_budget: u64 = 0),
            priority_ceiling: *var!($priority_ceiling: u64 = 0),
            contexts: *var!($contexts: u64 = 0),
            spaces: *var!($spaces: u64 = 0),
            objects: *var!($objects: u64 = 0),
            lent_pages: *var!($lent_pages: u64 = 0),
            driver_pages: *var!($driver_pages: u64 = 0),
        }
    };
}

/// Clients that there can be.
const MAX_CLIENTS: usize = 4;

/// All that there is room for. Symbols cannot be put together, so each is written out.
fn all() -> [Given; MAX_CLIENTS] {
    [
        given!(client_0_message client_0_message_size client_0_points client_0_rings client_0_rings_size
               client_0_ring_budget client_0_priority_ceiling client_0_contexts client_0_spaces client_0_objects
               client_0_lent_pages client_0_driver_pages),
        given!(client_1_message client_1_message_size client_1_points client_1_rings client_1_rings_size
               client_1_ring_budget client_1_priority_ceiling client_1_contexts client_1_spaces client_1_objects
               client_1_lent_pages client_1_driver_pages),
        given!(client_2_message client_2_message_size client_2_points client_2_rings client_2_rings_size
               client_2_ring_budget client_2_priority_ceiling client_2_contexts client_2_spaces client_2_objects
               client_2_lent_pages client_2_driver_pages),
        given!(client_3_message client_3_message_size client_3_points client_3_rings client_3_rings_size
               client_3_ring_budget client_3_priority_ceiling client_3_contexts client_3_spaces client_3_objects
               client_3_lent_pages client_3_driver_pages),
    ]
}

/// A limit as system.xml sets it, or the usual one.
fn limit(given: u64, usual: u32) -> u32 {
    u32::try_from(given).ok().filter(|given| *given > 0).unwrap_or(usual)
}

impl Given {
    fn limits(&self) -> ClientLimits {
        let usual = ClientLimits::DEFAULT;
        ClientLimits {
            contexts: limit(self.contexts, usual.contexts),
            spaces: limit(self.spaces, usual.spaces),
            objects: limit(self.objects, usual.objects),
            lent_pages: limit(self.lent_pages, usual.lent_pages),
            driver_pages: limit(self.driver_pages, usual.driver_pages),
            ring_budget: limit(self.ring_budget, usual.ring_budget),
            // Beyond 1023 there is no priority.
            priority_ceiling: i16::try_from(self.priority_ceiling)
                .unwrap_or(usual.priority_ceiling)
                .min(1023),
        }
    }
}

/// A region that system.xml gives, if it does.
fn window((base, size): Region) -> Option<Window> {
    NonNull::new(base as *mut u8).map(|base| crate::region(base, size))
}

/// The clients of this system: how to reach each, and what it may have.
pub(crate) fn clients() -> (Vec<Link>, Vec<ClientConfig>) {
    let (mut links, mut configs) = (Vec::with_capacity(MAX_CLIENTS), Vec::with_capacity(MAX_CLIENTS));
    for (number, given) in all().into_iter().enumerate() {
        let Some(area) = window(given.message) else { continue };
        let channel = Channel::new(number + 1);
        let points = window((given.points, 4096));
        links.push(Link { channel, area, points, rings: window(given.rings) });
        // Whether it is privileged, its row of the grant table says.
        let channel = channel.index() as u64;
        configs.push(ClientConfig { channel, limits: given.limits(), privileged: false });
    }
    (links, configs)
}
