//! Every kind of the catalogue can be described in a test.

use std::collections::BTreeSet;

use super::*;
use crate::fault::catalogue;

const MS: Duration = Duration::from_millis(1);

#[test]
fn every_kind_of_the_catalogue_has_a_constructor() {
    let (a, b) = ("broker-a", "broker-b");
    let mut faults: Vec<Fault> = Vec::new();
    faults.extend([crash(a), stop(a), power_loss(a)].map(Fault::from));
    let nodes = [
        freeze(a),
        slow(a, MS),
        refuse(a),
        swallow_dials(a),
        stop_reading(a),
        clock_jump(a, -1),
        name_server_list("p", "ns-1"),
        read_only(a),
        resize(a, "orders", 1),
    ];
    faults.extend(nodes.map(Fault::from));
    let links = [
        partition(a, b),
        partition_one_way(a, b),
        hold(a, b),
        loss(a, b, 1),
        latency(a, b, MS, MS),
        bandwidth(a, b, 1),
        slice(a, b, 1),
        corrupt(a, b, 1),
    ];
    faults.extend(links.map(Fault::from));
    let once = [
        black_hole(a, b),
        reset(a, b),
        reset_at_byte(a, b, 1),
        half_open(a, b),
    ];
    faults.extend(once.map(Fault::from));
    let with = [
        answer(a, 2),
        store_then_answer(a, 10),
        delay_replies(a, MS),
        delay_requests(a, MS),
        partial_route("ns-1", b),
    ];
    faults.extend(with.map(Fault::from));
    let rules = [
        drop_requests,
        drop_replies,
        close_before,
        close_after,
        answer_then_close,
        reset_before,
        reset_after,
        reply_twice,
        unknown_opaque,
        half_frame,
        half_frame_close,
        garbage,
        empty_answer,
        tls_alert,
        stale_route,
        permuted_route,
        bare_id_route,
        text_number_route,
        null_route,
        empty_route,
        ordered_route,
        static_route,
    ];
    faults.extend(rules.map(|rule| Fault::from(rule(a))));
    let constructed: BTreeSet<&str> = faults.iter().map(|it| it.kind.name()).collect();
    let all: BTreeSet<&str> = catalogue::all().map(|kind| kind.name).collect();
    assert_eq!(constructed, all);
}
