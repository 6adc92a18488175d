// SPDX-License-Identifier: BSD-2-Clause
//! Empty: this package exists for its dependency (see Cargo.toml).
