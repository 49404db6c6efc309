//! Checks that would test nothing: each is an error that says what to write instead.
//!
//! A test that passes because its fault struck nobody is worse than none. What can be known before the first
//! seed is refused there; the rest when the seeds are through. The messages are a snapshot, for they are what
//! a person reads.

use std::fmt::Write as _;
use std::time::Duration;

use rmq_producer::Message;
use rmq_sim::fault::Fault;
use rmq_sim::simulation::{
    CheckFailure, Checked, Cluster, Generated, Simulation, answer, bare_id_route, black_hole,
    crash, delay_replies, drop_replies, drop_requests, freeze, generated, latency,
    name_server_list, partition, power_loss, read_only, refuse, resize, stale_route, stop,
};

const MS: Duration = Duration::from_millis(1);

/// What a check says that must not pass.
fn refusal(checked: Result<Checked, CheckFailure>) -> String {
    match checked {
        Ok(checked) => format!("IT PASSED: {checked}"),
        Err(failure) => without_place(&failure.to_string()),
    }
}

/// What was refused, without the place of the panic, which moves when this file changes, and without the trace.
fn without_place(said: &str) -> String {
    let told = said.split("\ntrace ").next().unwrap_or(said);
    let lines = told
        .lines()
        .map(|line| line.split(" (tests/").next().unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// One send on a cluster of two brokers.
fn run(simulation: Simulation) -> Result<Checked, CheckFailure> {
    simulation.try_check(async |sim| {
        let producer = sim.producer("app").start().await?;
        producer.send(Message::new("orders", "x")).await?;
        producer.stop().await;
        Ok(())
    })
}

fn healthy() -> Simulation {
    Simulation::new(Cluster::new().brokers(2).topic("orders", 4)).seeds(0..3)
}

fn with(fault: impl Into<Fault>) -> String {
    let simulation = healthy().fault(fault);
    refusal(run(simulation))
}

#[test]
fn a_fault_that_strikes_nobody_where_it_is_is_an_error_with_a_remedy() {
    let faults = [
        ("a broker with a typo", with(crash("broker-x").at_secs(1))),
        ("a name server that is not there", with(stale_route("ns-2"))),
        ("a power loss of nobody", with(power_loss("brokr-a"))),
        (
            "a producer that never comes",
            with(partition("prod", "broker-a").between_secs(0..20)),
        ),
        (
            "a link end that never comes",
            with(latency("app", "broker-x", MS, MS)),
        ),
        (
            "both ends are one node",
            with(partition("broker-a", "broker-a")),
        ),
        ("a broker's fault at a name server", with(read_only("ns-1"))),
        (
            "a name server's fault at a broker",
            with(bare_id_route("broker-a")),
        ),
        (
            "the list of a server",
            with(name_server_list("broker-a", "ns-1")),
        ),
    ];
    snapshot("places", &faults);
}

#[test]
#[expect(
    clippy::reversed_empty_ranges,
    reason = "this is one of the mistakes that people make"
)]
fn a_fault_for_no_time_or_no_request_is_an_error_with_a_remedy() {
    let faults = [
        (
            "an end before the start",
            with(drop_replies("broker-a").between_secs(30..10)),
        ),
        (
            "no length",
            with(freeze("broker-a").lasting(Duration::ZERO)),
        ),
        (
            "down for no time",
            with(crash("broker-a").down_for(Duration::ZERO)),
        ),
        (
            "five thousand of a thousand",
            with(drop_replies("broker-a").per_mille(5_000)),
        ),
        (
            "none of a thousand",
            with(drop_requests("broker-a").per_mille(0)),
        ),
        ("no time at all", with(answer("broker-a", 2).times(0))),
        (
            "a queue that is not there",
            with(drop_replies("broker-a").topic("orders").queue(4)),
        ),
        (
            "the stored message number 0",
            with(crash("broker-a").after_stored(0)),
        ),
        (
            "the request number 0",
            with(stop("broker-a").at_request(310, 0)),
        ),
        (
            "a name server that stores",
            with(refuse("ns-1").after_stored(3)),
        ),
        (
            "a start behind the end",
            with(crash("broker-a").at(Duration::from_secs(9_999))),
        ),
        (
            "a position that never comes",
            with(crash("broker-a").after_stored(5_000)),
        ),
        (
            "a moment that never comes",
            with(freeze("broker-a").at_secs(500).for_secs(1)),
        ),
        (
            "nothing to be cut",
            with(black_hole("ns-1", "broker-b").at(MS * 900)),
        ),
        ("an acceptance that is none", with(answer("broker-a", 10))),
        (
            "a topic that nobody has",
            with(resize("broker-a", "ordrs", 1).at_secs(0)),
        ),
        (
            "a request that never comes",
            with(delay_replies("broker-a", MS).request(999)),
        ),
    ];
    snapshot("faults", &faults);
}

#[test]
fn a_check_without_seeds_or_with_an_impossible_cluster_is_an_error_with_a_remedy() {
    let of = |cluster: Cluster| refusal(run(Simulation::new(cluster).seeds(0..3)));
    let cluster = Cluster::new;
    let long = "o".repeat(128);
    let plans = [
        ("no seed", refusal(run(healthy().seeds(5..5)))),
        ("no broker", of(cluster().brokers(0))),
        ("too many brokers", of(cluster().brokers(200))),
        ("no name server", of(cluster().name_servers(0))),
        (
            "a topic twice",
            of(cluster().topic("orders", 4).topic("orders", 8)),
        ),
        ("a topic with a blank", of(cluster().topic("new orders", 4))),
        ("a topic without a name", of(cluster().topic("", 4))),
        ("a topic with a long name", of(cluster().topic(&long, 4))),
        ("a topic without queues", of(cluster().topic("orders", 0))),
    ];
    snapshot("plans", &plans);
}

#[test]
fn generated_faults_of_no_kind_are_an_error_with_a_remedy() {
    let of = |faults: Generated| refusal(run(healthy().faults(faults)));
    let drawn = [
        ("a typo", of(generated().only(["drop-replys"]))),
        ("a word of its own", of(generated().except(["explosion"]))),
        (
            "a kind that is never drawn",
            of(generated().only(["corrupt"])),
        ),
        ("nothing left", of(generated().at_most(0))),
    ];
    snapshot("drawn", &drawn);
}

#[test]
fn an_oracle_that_saw_nothing_is_an_error_with_a_remedy() {
    let nothing_sent = healthy().try_check(async |sim| {
        sim.ledger().assert_each_key_stored();
        Ok(())
    });
    snapshot("oracle", &[("nothing was sent", refusal(nothing_sent))]);
}

#[tokio::test]
async fn a_simulation_within_a_runtime_says_which_attribute_to_write() {
    let text = refusal(run(healthy()));
    snapshot("runtime", &[("inside #[tokio::test]", text)]);
}

#[test]
fn forty_brokers_have_names_and_a_fault_that_may_miss_is_none() {
    let cluster = Cluster::new().brokers(40).topic("orders", 1);
    let never = crash("broker-40").after_stored(5_000).may_miss();
    let checked = run(Simulation::new(cluster).fault(never).seeds(0..1));
    assert_eq!(
        checked.map(|it| it.seeds).map_err(|it| it.to_string()),
        Ok(1)
    );
}

fn snapshot(name: &str, cases: &[(&str, String)]) {
    let mut text = String::new();
    for (case, said) in cases {
        assert!(said.contains("remedy: "), "{case}: {said}");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{case}\n    {}\n", said.replace('\n', "\n    "));
    }
    insta::assert_snapshot!(name, text);
}
