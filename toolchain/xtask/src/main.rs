// SPDX-License-Identifier: BSD-2-Clause
//! The developer's verbs behind the Makefile.

fn main() {}
