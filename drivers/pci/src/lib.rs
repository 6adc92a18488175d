// SPDX-License-Identifier: BSD-2-Clause
//! PCI configuration space, base address registers and the MSI capability.
#![cfg_attr(not(test), no_std)]
