// SPDX-License-Identifier: BSD-2-Clause
//! The wire interface between the GPU driver domain and its clients.
#![cfg_attr(not(test), no_std)]
