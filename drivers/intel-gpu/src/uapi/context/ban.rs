// SPDX-License-Identifier: BSD-2-Clause
//! Who is to blame for a hang, and what follows: i915's rules (`gt/intel_reset.c`, `mark_guilty`,
//! `client_mark_guilty`, `mark_innocent`; `gem/i915_gem_context_types.h`; `i915_drm_client.h`).
//!
//! Two things differ. Counts change when the driver notices that the request is over, at the latest when its point is
//! published; i915 counts at the reset. And a client that is banned stays so when it connects again: a client is a
//! protection domain of the system, not an open file that is replaced by opening it once more.

use gpu_protocol::{Errno, Reply, ResetStats};

use super::super::client::Client;
use super::super::domain::ClientId;
use super::super::driver::Driver;
use super::Context;
use crate::gpu::{Completion, Status};
use crate::handle::Id;
use crate::platform::Hardware;

/// Three hangs within this time ban a context (`CONTEXT_FAST_HANG_JIFFIES`).
const CONTEXT_FAST_HANG_NS: u64 = 120_000_000_000;
/// A hang this soon after the client's last one counts (`I915_CLIENT_FAST_HANG_JIFFIES`).
const CLIENT_FAST_HANG_NS: u64 = 60_000_000_000;
/// What it counts (`I915_CLIENT_SCORE_HANG_FAST`).
const SCORE_FAST_HANG: u32 = 1;
/// What a context's ban counts (`I915_CLIENT_SCORE_CONTEXT_BAN`).
const SCORE_CONTEXT_BAN: u32 = 3;
/// From here on a client is banned (`I915_CLIENT_SCORE_BANNED`).
const SCORE_BANNED: u32 = 9;

impl Context {
    /// Hangs that it was to blame for, and batches that were executed again for others'.
    pub(super) const fn blame(&self) -> (u32, u32) {
        (self.guilty, self.innocent)
    }

    /// A hang before this time bans it.
    pub(super) fn ban_before_ns(&self) -> u64 {
        if !self.value.flags.bannable {
            0
        } else if !self.value.flags.recoverable {
            u64::MAX
        } else {
            self.hangs[0].map_or(0, |hang| hang.saturating_add(CONTEXT_FAST_HANG_NS))
        }
    }

    /// Notes a hang. Returns whether it bans the context; `None` if the context is above that. The hardware half has
    /// decided when it saw the hang; two of them that were seen together are judged one after the other here.
    fn mark_guilty(&mut self, banned: bool, now_ns: u64) -> Option<bool> {
        self.guilty += 1;
        if !self.value.flags.bannable && !banned {
            return None;
        }
        let banned = banned || now_ns < self.ban_before_ns();
        self.hangs = [self.hangs[1], Some(now_ns)];
        Some(banned)
    }
}

impl Client {
    /// Whether it may make no more contexts.
    pub(crate) const fn is_banned(&self) -> bool {
        self.ban_score >= SCORE_BANNED
    }

    fn mark_guilty(&mut self, context_banned: bool, now_ns: u64) {
        let fast = now_ns < self.last_hang_ns.saturating_add(CLIENT_FAST_HANG_NS);
        self.last_hang_ns = now_ns;
        if context_banned {
            self.ban_score += SCORE_CONTEXT_BAN;
        }
        if fast {
            self.ban_score += SCORE_FAST_HANG;
        }
    }
}

impl<H: Hardware> Driver<H> {
    /// A request of a context has ended; draws the conclusions if that was not its own doing.
    #[inline]
    pub(crate) fn judge(&mut self, id: Id<Context>, completion: Completion) {
        if completion.status != Status::Done || completion.disturbed {
            self.keep_account(id, completion);
        }
    }

    #[cold]
    fn keep_account(&mut self, id: Id<Context>, completion: Completion) {
        let now = self.gpu.now_ns();
        // Of one that was destroyed meanwhile nobody keeps account.
        let Some(context) = self.contexts.get_mut(id) else {
            return;
        };
        if completion.disturbed {
            context.innocent += 1;
        }
        if completion.status != Status::Hang {
            self.tell_states(id);
            return;
        }
        self.clients[context.client].hangs += 1;
        if let Some(banned) = context.mark_guilty(completion.banned, now) {
            context.banned |= banned;
            self.clients[context.client].mark_guilty(banned, now);
        }
        self.tell_states(id);
    }

    /// Tells the hardware half what a hang would mean to a context, and what its record would say.
    pub(super) fn tell_states(&mut self, id: Id<Context>) {
        let Some(context) = self.contexts.get(id) else {
            return;
        };
        let (map, banned, before) = (context.value.map, context.banned, context.ban_before_ns());
        let (guilty, innocent) = context.blame();
        for index in 0..map.len() {
            let Some(state) = self.map_slot(&map, index).and_then(|slot| slot.state) else {
                continue;
            };
            // The handles are ours.
            let _ = self.gpu.context_ban_before(state.id, before);
            let _ = self.gpu.context_set_blame(state.id, guilty, innocent);
            if banned {
                let _ = self.gpu.context_ban(state.id);
            }
        }
    }

    pub(crate) fn reset_stats(&mut self, client: ClientId, stats: &ResetStats) -> Result<Reply, Errno> {
        if stats.flags != 0 || stats.pad != 0 {
            return Err(Errno::Inval);
        }
        let id = self.context_of(client, stats.ctx_id)?;
        let context = self.contexts.get(id).ok_or(Errno::NoEnt)?;
        let resets = if self.clients[client].privileged { self.gpu.statistics().gpu_resets } else { 0 };
        Ok(Reply::ok(&[resets, context.guilty.into(), context.innocent.into()]))
    }
}
