//! A hostile broker beside two healthy ones.

use crate::peers;
use crate::stage::{Role, beside};

macro_rules! harmless {
    ($($test:ident: $peer:ident,)*) => {$(
        #[test]
        fn $test() {
            beside(Role::Broker, peers::$peer).assert_harmless();
        }
    )*};
}

harmless! {
    a_broker_that_says_garbage_costs_no_send: garbage,
    a_broker_that_speaks_http_costs_no_send: http,
    a_broker_that_announces_a_frame_beyond_the_limit_costs_no_send: oversized,
    a_broker_that_announces_a_negative_length_costs_no_send: negative_length,
    a_broker_whose_header_is_longer_than_its_frame_costs_no_send: long_header,
    a_broker_with_a_third_form_of_headers_costs_no_send: third_form,
    a_broker_with_an_empty_header_costs_no_send: empty_header,
    a_broker_with_a_null_header_costs_no_send: null_header,
    a_broker_whose_binary_header_overruns_costs_no_send: overrunning,
    a_broker_that_begins_a_frame_and_never_ends_it_costs_no_send: half_frame,
    a_broker_that_answers_by_halves_costs_no_send: half_answers,
    a_broker_that_closes_at_once_costs_no_send: close_at_once,
    a_broker_that_closes_at_each_request_costs_no_send: close_at_request,
    a_broker_that_is_silent_costs_no_send: silent,
    a_broker_that_never_reads_costs_no_send: deaf,
    a_broker_that_asks_without_end_and_never_reads_costs_no_send: endless_requests,
    a_broker_that_answers_nobody_without_end_costs_no_send: endless_answers,
    a_broker_that_notifies_without_end_costs_no_send: endless_notices,
    a_broker_with_a_remark_of_megabytes_costs_no_send: huge_remark,
    a_broker_with_a_body_of_megabytes_costs_no_send: huge_body,
    a_broker_that_answers_under_other_ids_costs_no_send: wrong_opaque,
    a_broker_that_answers_without_ids_costs_no_send: no_opaque,
    a_broker_that_sends_requests_back_costs_no_send: mirror,
    a_broker_that_answers_a_thousand_times_costs_no_send: a_thousand_times,
    a_broker_that_answers_byte_by_byte_costs_no_send: byte_by_byte,
}

/// What cannot be understood may have stored the message: another attempt would make a copy, so it
/// ends its own send, and no other.
#[test]
fn a_success_at_no_place_is_no_success_and_ends_its_own_send_alone() {
    for (peer, why) in [
        (peers::negative_queue as peers::Peer, "below 0"),
        (peers::empty_success, "is missing"),
    ] {
        let seen = beside(Role::Broker, peer);
        assert!(!seen.failed.is_empty(), "somebody was told a success");
        let understood = seen.failed.iter().all(|error| error.contains(why));
        assert!(understood, "{:?}", seen.failed);
        assert_eq!(seen.broken_beside, 0);
    }
}

/// A refusal that no table knows is final in Java, and here: it ends its own send and no other.
#[test]
fn a_code_that_no_table_has_ends_its_own_send_alone() {
    let seen = beside(Role::Broker, peers::unknown_code);
    assert!(!seen.failed.is_empty(), "somebody was refused");
    let by_code = seen
        .failed
        .iter()
        .all(|error| error.contains("-2147483648"));
    assert!(by_code, "{:?}", seen.failed);
    assert_eq!(seen.broken_beside, 0);
}
