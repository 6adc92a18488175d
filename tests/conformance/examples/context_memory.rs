// SPDX-License-Identifier: BSD-2-Clause
//! Prints what contexts take of the driver's memory, for `make bench`.

use conformance::cost::{Kind, Maker};
use gpu_client::Error;

fn main() -> Result<(), Error> {
    for platform in ["skl", "icl", "tgl"] {
        let mut maker = Maker::new(platform)?;
        for (kind, name) in Kind::ALL.into_iter().zip(["plain", "own space", "clone of everything"]) {
            let cost = maker.life(kind)?;
            println!(
                "context on {platform}, {name}: {} KiB when created, {} KiB after a batch on the copy engine, \
                 {} KiB after one on the render engine, too; {} KiB when destroyed",
                4 * cost.created,
                4 * cost.copied,
                4 * cost.rendered,
                4 * cost.destroyed
            );
        }
    }
    Ok(())
}
