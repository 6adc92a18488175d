// SPDX-License-Identifier: BSD-2-Clause
//! What the driver does for its clients, one sentence a test.

mod clients;
mod completion;
mod connect;
mod contexts;
mod fuzz;
mod grants;
mod hang;
mod library;
mod property;
mod seed;
mod spaces;
mod submit;
mod userptr;
