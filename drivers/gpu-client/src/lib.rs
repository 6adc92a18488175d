// SPDX-License-Identifier: BSD-2-Clause
//! What a client domain links: safe access to the GPU driver domain.
#![cfg_attr(not(test), no_std)]
