//! Every fault meets every request it can meet.
//!
//! A generator finds combinations that nobody thought of, but not surely all of them. Here each
//! request code of the conversation meets each fault of the catalogue in a tiny scenario of its own.
//! All invariants check it, and the trace must show that the fault really happened.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;

use dst_engine::{EndCause, EngineEvent};
use rmq_sim::fault::{EngineKind, FaultEvent, FaultKind, Kind, Site, catalogue};
use rmq_sim::run::{Run, run};
use rmq_sim::scenario::Scenario;
use rmq_sim::trace::NodeEvent;
use rmq_sim::verdict::Class;

/// What brokers are asked: heartbeats, sends, the unregistration of a client.
const OF_BROKERS: [&str; 3] = ["HEART_BEAT", "SEND_MESSAGE_V2", "UNREGISTER_CLIENT"];
/// What name servers are asked: routes, registrations, the unregistration of a broker.
const OF_NAME_SERVERS: [&str; 3] = [
    "GET_ROUTEINFO_BY_TOPIC",
    "REGISTER_BROKER",
    "UNREGISTER_BROKER",
];

/// Two brokers, one of which leaves in order; a topic that is there and one that is not.
const CLUSTER: &str = r#"
format = 2
seconds = 8
[cluster]
name-servers = 1
brokers = ["broker-a", "broker-b"]
topics = { orders = 2 }
[producer.p1]
timeout = "1s"
first-queue = 0
[[workload]]
producer = "p1"
topic = "orders"
sends = 8
every = "700ms"
[[workload]]
producer = "p1"
topic = "fresh"
mode = "async"
sends = 4
every = "500ms"
start = "1500ms"
[[fault]]
do = "stop"
on = "broker-b"
at = "5s"
for = "1s"
"#;

/// The scenario with one fault more, of this kind.
fn with(kind: &Kind, on: &str, rest: &str) -> Run {
    let Kind { name, sample, .. } = kind;
    let text = format!("{CLUSTER}[[fault]]\ndo = \"{name}\"\non = \"{on}\"\n{sample}{rest}");
    let parsed = Scenario::parse("matrix.toml", &text, &|_| Ok(String::new()));
    let scenario = parsed.unwrap_or_else(|error| panic!("{error}\n{text}"));
    let fault = scenario.faults[1].kind.clone();
    let run = run(&Arc::new(scenario), 1, EngineKind::Event).expect("a run");
    let findings: Vec<&str> = run.verdict.findings.iter().map(|it| &*it.text).collect();
    assert_eq!(run.verdict.class, Class::Pass, "{findings:?}\n{text}");
    assert!(fired(&run, &fault), "it never happened\n{text}");
    run
}

/// Whether the trace shows the second fault of the plan at work.
fn fired(run: &Run, kind: &FaultKind) -> bool {
    let happened =
        |test: &dyn Fn(&NodeEvent) -> bool| run.trace.records.iter().any(|it| test(&it.what));
    let on = happened(&|what| matches!(what, NodeEvent::Fault(FaultEvent::On { fault: 2, .. })));
    let ended = |cause: EndCause| {
        happened(
            &|what| matches!(what, NodeEvent::Engine(EngineEvent::Closed { cause: it, .. }) if *it == cause),
        )
    };
    on && match kind {
        FaultKind::Rule(_) => happened(&|what| match what {
            NodeEvent::Broker(rmq_mock_broker::event::Event::Ruled { rule, .. })
            | NodeEvent::NameServer(rmq_mock_namesrv::event::Event::Ruled { rule, .. }) => {
                **rule == *"fault 2"
            }
            _ => false,
        }),
        FaultKind::Reset { .. } => ended(EndCause::Reset),
        FaultKind::HalfOpen | FaultKind::PowerLoss(_) => ended(EndCause::Vanished),
        _ => true,
    }
}

/// What a kind of server is asked, and its name.
fn servers(site: Site) -> Vec<(&'static str, [&'static str; 3])> {
    let brokers = ("broker-a", OF_BROKERS);
    // The one that unregisters at the name server is broker-b.
    let name_servers = ("ns-1", OF_NAME_SERVERS);
    match site {
        Site::Broker => vec![brokers],
        Site::NameServer => vec![name_servers],
        _ => vec![brokers, name_servers],
    }
}

#[test]
fn every_request_meets_every_rule() {
    let mut runs = 0;
    for kind in catalogue::all().filter(|kind| kind.is_rule()) {
        for (server, codes) in servers(kind.site) {
            for code in codes {
                let is_route = code == "GET_ROUTEINFO_BY_TOPIC";
                if kind.site == Site::NameServer && !is_route {
                    continue;
                }
                with(kind, server, &format!("request = \"{code}\"\ntimes = 2\n"));
                runs += 1;
            }
        }
    }
    assert!(runs >= 80, "{runs} combinations");
}

#[test]
fn every_request_meets_every_fault_of_its_server() {
    for kind in catalogue::all() {
        if kind.is_rule() || !matches!(kind.site, Site::Node | Site::Server) {
            continue;
        }
        for (server, codes) in servers(kind.site) {
            for code in codes {
                let at = format!("at = {{ received = \"{code}\", n = 1 }}\nfor = \"900ms\"\n");
                with(kind, server, &at);
            }
        }
    }
}

#[test]
fn every_fault_of_a_producer_strikes_in_time_and_at_a_send() {
    for kind in catalogue::all().filter(|kind| kind.site == Site::Producer) {
        for at in ["\"1800ms\"", "{ send = 2 }", "{ send = 1, workload = 2 }"] {
            with(kind, "p1", &format!("at = {at}\nfor = \"900ms\"\n"));
        }
    }
}

#[test]
fn every_fault_of_a_link_strikes_both_kinds_of_server_and_both_directions() {
    for kind in catalogue::all() {
        let link = matches!(kind.site, Site::Link | Site::LinkOrPair);
        let pair = matches!(kind.site, Site::Pair | Site::LinkOrPair);
        let lasts = if kind.is_at_once {
            ""
        } else {
            "for = \"900ms\"\n"
        };
        for server in ["broker-a", "ns-1"] {
            let mut places = Vec::new();
            if link {
                places.extend([format!("p1 -> {server}"), format!("{server} -> p1")]);
            }
            if pair {
                places.push(format!("p1 <-> {server}"));
            }
            for place in places {
                // A flipped byte of a message makes evidence and client-side events disagree; one of the
                // frame's length does not.
                with(kind, &place, &format!("at = \"1800ms\"\n{lasts}"));
            }
        }
    }
}
