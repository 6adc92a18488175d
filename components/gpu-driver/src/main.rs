// SPDX-License-Identifier: BSD-2-Clause
//! Protection domain.
#![no_std]
#![no_main]
