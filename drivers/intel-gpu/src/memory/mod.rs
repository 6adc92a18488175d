// SPDX-License-Identifier: BSD-2-Clause
//! Memory: where pages come from (`pool`), where things lie (`ranges`), what translates them for the
//! engines (`ggtt`, `ppgtt`), how they are cached (`cache`), and when a removed translation is really
//! gone (`tlb`).

pub(crate) mod cache;
pub(crate) mod ggtt;
pub(crate) mod object;
pub(crate) mod pool;
pub(crate) mod ppgtt;
pub(crate) mod ranges;
pub(crate) mod tlb;

pub use cache::Cache;
pub use object::Object;
pub use pool::{Account, AccountId, Usage};
pub use ranges::Placement;
pub use tlb::{Released, Unbinding};
