// SPDX-License-Identifier: BSD-2-Clause
//! What the driver does for its clients, one sentence a test.

mod connect;
mod contexts;
mod grants;
mod spaces;
mod submit;
mod userptr;
