//! Every fault meets every request it can meet.
//!
//! A generator finds combinations that nobody thought of, but not surely all of them. Here each
//! request code of the conversation meets each fault of the catalogue in a tiny scenario of its own.
//! All invariants judge it, and the trace must show that the fault really happened.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fmt::Write as _;
use std::sync::Arc;

use dst_engine::{EndCause, EngineEvent};
use rmq_sim::catalogue::{self, Row, Site};
use rmq_sim::fault::{Engine, FaultEvent, FaultKind};
use rmq_sim::run::{Run, run};
use rmq_sim::scenario::Scenario;
use rmq_sim::trace::What;
use rmq_sim::verdict::Class;

/// What brokers are asked: heartbeats, sends, the goodbye of a client.
const OF_BROKERS: [&str; 3] = ["HEART_BEAT", "SEND_MESSAGE_V2", "UNREGISTER_CLIENT"];
/// What name servers are asked: routes, registrations, the goodbye of a broker.
const OF_NAME_SERVERS: [&str; 3] = [
    "GET_ROUTEINFO_BY_TOPIC",
    "REGISTER_BROKER",
    "UNREGISTER_BROKER",
];

/// Two brokers, one of which leaves in order; a topic that is there and one that is not.
const CLUSTER: &str = r#"
format = 1
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

/// The values that the keys of a kind need.
fn values(row: &Row) -> String {
    let mut text = String::new();
    for key in row.parameters {
        let value = match (*key, row.example.name()) {
            ("step", _) => "\"5ms\"",
            ("by", "clock-jump") => "\"-90s\"",
            ("by", _) => "\"300ms\"",
            ("per-mille", "loss") => "300",
            ("latency", _) => "{ ms = 100 }",
            ("bytes-per-ms" | "bytes", _) => "3",
            ("code", "answer") => "\"SYSTEM_BUSY\"",
            ("code", _) => "\"FLUSH_DISK_TIMEOUT\"",
            ("broker", _) => "\"broker-a\"",
            ("without", _) => "\"ns-1\"",
            _ => continue,
        };
        let _ = writeln!(text, "{key} = {value}");
    }
    text
}

/// The scenario with one fault more, of this kind.
fn with(row: &Row, on: &str, rest: &str) -> Run {
    let kind = row.example.name();
    let text = format!(
        "{CLUSTER}[[fault]]\ndo = \"{kind}\"\non = \"{on}\"\n{}{rest}",
        values(row)
    );
    let parsed = Scenario::parse("matrix.toml", &text, &|_| Ok(String::new()));
    let scenario = parsed.unwrap_or_else(|error| panic!("{error}\n{text}"));
    let run = run(&Arc::new(scenario), 1, Engine::Event).expect("a run");
    let findings: Vec<&str> = run.verdict.findings.iter().map(|it| &*it.text).collect();
    assert_eq!(run.verdict.class, Class::Pass, "{findings:?}\n{text}");
    assert!(fired(&run, &row.example), "it never happened\n{text}");
    run
}

/// Whether the trace shows the second fault of the plan at work.
fn fired(run: &Run, kind: &FaultKind) -> bool {
    let happened = |test: &dyn Fn(&What) -> bool| run.trace.records.iter().any(|it| test(&it.what));
    let on = happened(&|what| matches!(what, What::Fault(FaultEvent::On { fault: 2, .. })));
    let ended = |cause: EndCause| {
        happened(
            &|what| matches!(what, What::Engine(EngineEvent::Closed { cause: it, .. }) if *it == cause),
        )
    };
    on && match kind {
        FaultKind::Rule(_) => happened(&|what| match what {
            What::Broker(rmq_mock_broker::event::Event::Ruled { rule, .. })
            | What::NameServer(rmq_mock_namesrv::event::Event::Ruled { rule, .. }) => {
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
    // The one that says goodbye to the name server is broker-b.
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
    for row in catalogue::all().iter().filter(|row| row.is_rule()) {
        let FaultKind::Rule(rule) = &row.example else {
            continue;
        };
        for (server, codes) in servers(row.site) {
            for code in codes {
                let is_route = code == "GET_ROUTEINFO_BY_TOPIC";
                if rule.then.is_about_routes() && !is_route {
                    continue;
                }
                with(row, server, &format!("request = \"{code}\"\ntimes = 2\n"));
                runs += 1;
            }
        }
    }
    assert!(runs >= 80, "{runs} combinations");
}

#[test]
fn every_request_meets_every_fault_of_its_server() {
    for row in catalogue::all() {
        if row.is_rule() || !matches!(row.site, Site::Node | Site::Server) {
            continue;
        }
        for (server, codes) in servers(row.site) {
            for code in codes {
                let at = format!("at = {{ received = \"{code}\", n = 1 }}\nfor = \"900ms\"\n");
                with(&row, server, &at);
            }
        }
    }
}

#[test]
fn every_fault_of_a_producer_strikes_in_time_and_at_a_send() {
    let rows = catalogue::all().into_iter();
    for row in rows.filter(|row| row.site == Site::Producer) {
        for at in ["\"1800ms\"", "{ send = 2 }", "{ send = 1, workload = 2 }"] {
            with(&row, "p1", &format!("at = {at}\nfor = \"900ms\"\n"));
        }
    }
}

#[test]
fn every_fault_of_a_link_strikes_both_kinds_of_server_and_both_directions() {
    for row in catalogue::all() {
        let link = matches!(row.site, Site::Link | Site::LinkOrPair);
        let pair = matches!(row.site, Site::Pair | Site::LinkOrPair);
        let lasts = if row.example.is_at_once() {
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
                // A flipped byte of a message makes evidence and testimony disagree; one of the
                // frame's length does not.
                with(&row, &place, &format!("at = \"1800ms\"\n{lasts}"));
            }
        }
    }
}
