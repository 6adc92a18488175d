// SPDX-License-Identifier: BSD-2-Clause
//! Device model of Intel integrated graphics, independent of the driver.

pub mod commands;
