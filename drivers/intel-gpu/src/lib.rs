// SPDX-License-Identifier: BSD-2-Clause
//! Core of the Intel GPU driver: GGTT, PPGTT, engines, contexts, submission; knows nothing of seL4.
#![cfg_attr(not(test), no_std)]
