// SPDX-License-Identifier: BSD-2-Clause
//! What the driver does for its clients, one sentence a test.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests stop at what is not as it should be")]

mod balance;
mod ban;
mod buffers;
mod builder;
mod clients;
mod clone;
mod completion;
mod connect;
mod contexts;
mod cost;
mod error_state;
mod fuzz;
mod grants;
mod hang;
mod hanging;
mod invalidate;
mod lending;
mod library;
mod lies;
mod memory;
mod owners;
mod params;
mod placing;
mod probe;
mod property;
mod property_contexts;
mod restart;
mod rings;
mod runs;
mod runs_meanwhile;
mod seed;
mod seeing;
mod server;
mod spaces;
mod statistics;
mod storm;
mod submit;
mod userptr;
