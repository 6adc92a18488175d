// SPDX-License-Identifier: BSD-2-Clause
//! Every order of events within the bounds, by the driver's rules and by broken ones.

use intel_gpu::uapi::invalidate::{Rules, Sound};
use lending::{Bounds, INVARIANT, Lending, NO_FAULT};
use stateright::{Checker, HasDiscoveries, Model};

fn find<R: Rules + Clone + std::fmt::Debug + Send + Sync + 'static>(property: &'static str) -> bool {
    let failed = HasDiscoveries::AnyFailures;
    let checker = Lending::<R>::new(Bounds::DEFAULT).checker().finish_when(failed).spawn_bfs().join();
    checker.discovery(property).is_some()
}

#[test]
fn in_every_order_of_events_nothing_reaches_pages_that_were_taken_back() {
    let checker = Lending::<Sound>::new(Bounds::DEFAULT).checker().spawn_bfs().join();
    println!("{} states, {} of them different", checker.state_count(), checker.unique_state_count());
    checker.assert_properties();
    assert!(checker.is_done(), "explored to the end");
    assert!(checker.unique_state_count() > 100_000, "the exploration is not trivial");
}

macro_rules! mutation {
    ($test:ident, $rule:ident, $property:expr) => {
        #[test]
        fn $test() {
            #[derive(Clone, Debug)]
            struct Broken;
            impl Rules for Broken {
                const $rule: bool = false;
            }
            assert!(find::<Broken>($property));
        }
    };
}

mutation!(leaving_out_the_tlb_flush_is_found, FLUSH_BEFORE_DROP, INVARIANT);
mutation!(leaving_out_the_check_of_sequence_numbers_is_found, SEQUENCES_MUST_MATCH, INVARIANT);
mutation!(answering_done_too_early_is_found, DONE_WHEN_LEFT, INVARIANT);
mutation!(dropping_a_page_before_it_is_unbound_is_found, UNBIND_BEFORE_DROP, INVARIANT);
mutation!(taking_pages_out_under_a_running_batch_is_found, WAIT_FOR_USES, NO_FAULT);
