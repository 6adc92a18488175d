// SPDX-License-Identifier: BSD-2-Clause
//! Random tests that can be repeated: the seed is printed, and taken from `CONFORMANCE_SEED`.

use std::hash::{BuildHasher, RandomState};

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// A runner with that many cases.
pub(crate) fn runner(cases: u32) -> TestRunner {
    let given = std::env::var("CONFORMANCE_SEED").ok();
    let given = given.map(|seed| seed.parse().expect("CONFORMANCE_SEED is a decimal number"));
    let seed: u64 = given.unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("CONFORMANCE_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}
