// SPDX-License-Identifier: BSD-2-Clause
//! Builds the pieces of a system, boots it in QEMU with the device model attached, and watches it.
