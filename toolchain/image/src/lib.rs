// SPDX-License-Identifier: BSD-2-Clause
//! Turns system.xml and ELF files into a bootable image for the embedded kernel.
