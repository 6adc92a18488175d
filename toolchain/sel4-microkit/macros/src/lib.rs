// SPDX-License-Identifier: BSD-2-Clause
//! The protection_domain attribute of sel4-microkit.
