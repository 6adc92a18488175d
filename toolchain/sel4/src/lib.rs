// SPDX-License-Identifier: BSD-2-Clause
//! seL4 capabilities, system calls and invocations.
#![cfg_attr(not(test), no_std)]
