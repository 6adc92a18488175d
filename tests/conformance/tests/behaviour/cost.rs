// SPDX-License-Identifier: BSD-2-Clause
//! What contexts cost in calls and in memory of the driver.

use conformance::cost::{Kind, Maker};
use gpu_client::Error;
use gpu_protocol::Errno;

#[test]
fn a_context_is_created_by_one_call_and_destroyed_by_one_whatever_it_is() {
    for platform in ["skl", "icl", "tgl"] {
        let mut maker = Maker::new(platform).unwrap();
        for kind in Kind::ALL {
            let cost = maker.life(kind).unwrap();
            assert_eq!((cost.creating_calls, cost.destroying_calls), (1, 1), "{platform} {kind:?}");
        }
    }
}

#[test]
fn a_clone_of_everything_takes_no_more_memory_than_a_plain_context_and_gives_all_of_it_back() {
    for platform in ["skl", "icl", "tgl"] {
        let mut maker = Maker::new(platform).unwrap();
        let [plain, own, clone] = Kind::ALL.map(|kind| maker.life(kind).unwrap());
        assert_eq!(clone, plain, "{platform}");
        // Before its first batch a context is a row in a table; its address space, if it has one of its own, is more.
        assert_eq!(plain.created, 0, "{platform}");
        assert!(own.created > 0 && plain.copied > 0 && plain.rendered > plain.copied, "{platform} {own:?}");
        assert_eq!(plain.destroyed, 0, "{platform}");
        assert_eq!(own.destroyed, 0, "{platform}");
    }
}

#[test]
fn what_a_context_takes_does_not_depend_on_how_many_others_there_are() {
    let mut maker = Maker::new("tgl").unwrap();
    let alone = Kind::ALL.map(|kind| maker.life(kind).unwrap());
    while let Ok(()) = maker.one_more() {}
    assert_eq!(maker.one_more(), Err(Error::Refused(Errno::NoMem)));
    assert_eq!(maker.others(), 63, "as many as a client may have, with the source");
    maker.one_less().unwrap();
    let among_many = Kind::ALL.map(|kind| maker.life(kind).unwrap());
    assert_eq!(among_many, alone);
}
