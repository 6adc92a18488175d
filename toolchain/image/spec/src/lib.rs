// SPDX-License-Identifier: BSD-2-Clause
//! The binary system specification that the image tool writes and the initialiser reads.
#![cfg_attr(not(test), no_std)]
