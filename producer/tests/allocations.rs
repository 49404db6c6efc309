//! What a name server's answer may cost, counted in bytes allocated: a program of its own, because
//! it counts every allocation of its process.

use std::alloc::System;
use std::fmt::Write;

use rmq_producer::Policy;
use rmq_producer::decide::route::{read, readdress};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MIB: usize = 1024 * 1024;

/// The bytes that reading an answer allocates, and whether it is usable.
fn cost(body: &str) -> (usize, bool) {
    let strict = Policy::strict();
    let region = Region::new(COUNTED);
    let usable = read(&strict, body.as_bytes(), false).is_ok();
    (region.change().bytes_allocated, usable)
}

/// A route with so many brokers that have so many queues each.
fn route(brokers: usize, queues: u32, rest: &str) -> String {
    let mut text = "{brokerDatas:[".to_owned();
    for number in 0..brokers {
        let _ = write!(
            text,
            "{{brokerAddrs:{{0:'h{number}:1'}},brokerName:'b{number}'}},"
        );
    }
    text.push_str("],queueDatas:[");
    for number in 0..brokers {
        let _ = write!(
            text,
            "{{brokerName:'b{number}',perm:6,writeQueueNums:{queues}}},"
        );
    }
    let _ = write!(text, "]{rest}}}");
    text
}

#[test]
fn no_answer_becomes_more_than_its_limits_and_the_cost_is_linear_in_its_length() {
    let order = format!(",orderTopicConf:'{}'", "b0:65536;".repeat(400));
    let mapping = |count: usize| {
        let mut text = ",topicQueueMappingByBroker:{".to_owned();
        for number in 0..count {
            let _ = write!(text, "b{number}:{{currIdMap:{{0:0,1:1,2:2}},x:[[[]]]}},");
        }
        text.push('}');
        text
    };
    let deep = format!(",x:{}{}", "[".repeat(MIB), "]".repeat(MIB));
    for (what, body) in [
        ("an order of 26 million queues", route(1, 1, &order)),
        (
            "200 brokers with 65,536 queues each",
            route(200, 65_536, ""),
        ),
        ("16,000 brokers", route(16_000, 4, "")),
        ("a mapping of 60,000 brokers", route(1, 1, &mapping(60_000))),
        ("a million lists in each other", route(1, 1, &deep)),
        (
            "a name of a million letters",
            route(1, 1, "").replace("b0", &"b".repeat(MIB)),
        ),
        ("more bytes than the limit", " ".repeat(5 * MIB)),
    ] {
        let (bytes, _) = cost(&body);
        assert!(
            bytes <= 16 * MIB,
            "{what}: {bytes} bytes for {}",
            body.len()
        );
    }

    let (small, usable) = cost(&route(2_000, 8, ""));
    assert!(usable);
    let (double, usable) = cost(&route(4_000, 8, ""));
    assert!(usable);
    assert!(double <= small * 5 / 2, "{small} bytes, then {double}");

    // What is compared and moved is linear, too: no list is searched for each of another one.
    let strict = Policy::strict();
    let known = read(&strict, route(4_000, 1, "").as_bytes(), false).unwrap();
    let newer = route(4_000, 1, "").replace(":1'", ":2'");
    let newer = read(&strict, newer.as_bytes(), false).unwrap();
    let region = Region::new(COUNTED);
    let moved = readdress(&known, &newer);
    let bytes = region.change().bytes_allocated;
    assert_eq!(moved.addresses, newer.addresses);
    assert!(bytes <= 2 * MIB, "{bytes} bytes");
}
