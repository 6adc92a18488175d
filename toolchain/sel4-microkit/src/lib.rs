// SPDX-License-Identifier: BSD-2-Clause
//! Runtime of a Microkit protection domain.
#![cfg_attr(not(test), no_std)]
