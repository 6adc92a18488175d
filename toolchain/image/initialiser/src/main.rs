// SPDX-License-Identifier: BSD-2-Clause
//! Root task.
#![no_std]
#![no_main]
