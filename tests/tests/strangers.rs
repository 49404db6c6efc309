//! Programs that people write, in the laboratory: it must accuse none of them.
//!
//! Each test is a correct program that uses documented interfaces in an ordinary way, and that no author of
//! a checker had in mind. It runs without faults, under a crash, lost answers and a slow link, and under faults
//! that each seed draws from the whole catalogue. A wrong
//! accusation is the worst that a laboratory can do: whoever meets one believes no other.
//!
//! So many seeds each run with every test; a nightly job runs more of them:
//! `ROCKETMQ_SIM_SEEDS=10000 cargo test --release -p rmq-tests --test strangers`.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "programs of strangers use all of Tokio"
)]

use std::sync::Arc;
use std::time::Duration;

use rmq_producer::{Client, Config, Message, Meter, Policy, Producer, Sent};
use rmq_sim::simulation::{
    CheckError, Cluster, Sim, Simulation, crash, delay_replies, drop_replies, generated, latency,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

const SEEDS: u64 = 200;
const MS: Duration = Duration::from_millis(1);

fn healthy() -> Simulation {
    Simulation::new(Cluster::new().brokers(2).topic("orders", 4)).seeds(0..SEEDS)
}

/// The same cluster while a broker goes away, answers are lost, and one way is long.
fn troubled() -> Simulation {
    let cluster = Cluster::new().brokers(3).name_servers(2).topic("orders", 4);
    Simulation::new(cluster)
        .latency(2, 3)
        .fault(
            crash("broker-a")
                .at(Duration::from_millis(1_010))
                .down_for_secs(4),
        )
        .fault(drop_replies("broker-b").per_mille(200))
        .fault(delay_replies("broker-c", Duration::from_millis(400)).per_mille(100))
        .fault(latency("broker-b", "ns-1", MS * 40, MS * 20))
        .faults_may_miss()
        .seeds(0..SEEDS)
}

/// The same cluster under whatever a seed draws.
fn drawn() -> Simulation {
    let cluster = Cluster::new().brokers(3).name_servers(2).topic("orders", 4);
    Simulation::new(cluster)
        .latency(2, 3)
        .faults(generated().nodes(["app"]))
        .seeds(0..SEEDS)
}

/// Runs a program in each of them.
fn passes(program: impl AsyncFn(Sim, Expect) -> Result<(), CheckError> + Sync) {
    healthy().check(async |sim| program(sim, Expect::Success).await);
    troubled().check(async |sim| program(sim, Expect::Anything).await);
    drawn().check(async |sim| program(sim, Expect::Anything).await);
}

/// What a program may ask of its sends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// The cluster is healthy.
    Success,
    /// A fault may make any send fail.
    Anything,
}

impl Expect {
    fn of<T, E: Into<CheckError>>(self, sent: Result<T, E>) -> Result<Option<T>, CheckError> {
        match sent {
            Ok(sent) => Ok(Some(sent)),
            Err(error) if self == Self::Success => Err(error.into()),
            Err(_) => Ok(None),
        }
    }
}

fn order(n: usize) -> Message {
    Message::new("orders", format!("order {n}"))
}

#[test]
fn a_program_has_an_observer_of_its_own() {
    passes(async |sim, expect| {
        let meter = Arc::new(Meter::default());
        let own = Arc::clone(&meter);
        let producer = sim
            .producer("app")
            .with(move |builder| builder.observer(own));
        let producer = producer.start().await?;
        for n in 0..5 {
            expect.of(producer.send(order(n)).await)?;
            sleep(Duration::from_millis(100)).await;
        }
        producer.stop().await;
        assert_eq!(
            meter.figures().calls,
            5,
            "the program's observer hears everything"
        );
        assert_eq!(sim.ledger().calls(), 5, "and so does the laboratory");
        Ok(())
    });
}

#[test]
fn a_program_builds_its_producer_as_in_production() {
    passes(async |sim, expect| {
        let config = Config::from_toml("group = \"app\"\nretries = 3")?;
        let builder = config.into_builder().host(sim.host("app"));
        let one = builder.name_servers(sim.name_servers()).start().await?;
        let builder = Producer::builder("reports").host(sim.host("reports"));
        let builder = builder.name_servers(sim.name_servers());
        let two = builder.policy(Policy::java_5_3()).start().await?;
        for n in 0..3 {
            expect.of(one.send(order(n)).await)?;
            expect.of(two.send(order(n)).await)?;
        }
        one.stop().await;
        two.stop().await;
        if expect == Expect::Success {
            assert_eq!(sim.ledger().bodies("orders").len(), 6);
            sim.ledger().assert_each_key_stored();
        }
        Ok(())
    });
}

#[test]
fn a_producer_is_deployed_again_ten_times() {
    passes(async |sim, expect| {
        for round in 0..10 {
            let producer = sim.producer("app").start().await?;
            expect.of(producer.send(order(round)).await)?;
            producer.stop().await;
        }
        Ok(())
    });
}

#[test]
fn replicas_of_a_service_have_machines_of_their_own() {
    passes(async |sim, expect| {
        let mut replicas = Vec::new();
        for n in 1..=3 {
            let builder = Producer::builder("app").host(sim.host(&format!("app-{n}")));
            replicas.push(builder.name_servers(sim.name_servers()).start().await?);
        }
        for n in 0..9 {
            expect.of(replicas[n % 3].send(order(n)).await)?;
        }
        for replica in replicas {
            replica.stop().await;
        }
        Ok(())
    });
}

#[test]
fn producers_of_one_group_share_a_machine() {
    passes(async |sim, expect| {
        let mut instances = Vec::new();
        for n in 1..=3 {
            let client = Client::builder()
                .host(sim.host("app"))
                .name_servers(sim.name_servers())
                .instance(format!("instance-{n}"));
            instances.push(Producer::builder("app").own_client(client).start().await?);
        }
        for n in 0..9 {
            expect.of(instances[n % 3].send(order(n)).await)?;
        }
        // The others do not notice.
        instances.remove(1).stop().await;
        for n in 9..13 {
            expect.of(instances[n % 2].send(order(n)).await)?;
        }
        for instance in instances {
            instance.stop().await;
        }
        Ok(())
    });
}

#[test]
fn a_message_is_sent_again_under_its_id() {
    passes(async |sim, expect| {
        let producer = sim.producer("app").retries(0).start().await?;
        let sent = expect.of(producer.send(order(1)).await)?;
        let id = sent.map_or_else(
            || "7F00000100002A18B4AAC20EF3A5B100".into(),
            |it: Sent| it.message_id,
        );
        let again = || order(1).with_id(&*id);
        expect.of(producer.send(again()?).await)?;
        expect.of(producer.send(again()?).await)?;
        producer.stop().await;
        let restarted = sim.producer("app").start().await?;
        expect.of(restarted.send(again()?).await)?;
        restarted.stop().await;
        Ok(())
    });
}

#[test]
fn producers_share_a_client_and_stop_in_any_order() {
    passes(async |sim, expect| {
        for owner_first in [true, false] {
            let one = sim.producer("app").start().await?;
            let client = one.client().clone();
            let builder = Producer::builder("other").client(client);
            let two = builder.start().await?;
            for n in 0..6 {
                expect.of(one.send(order(n)).await)?;
                expect.of(two.send(order(n)).await)?;
            }
            let (first, last) = if owner_first { (one, two) } else { (two, one) };
            first.stop().await;
            expect.of(last.send(order(6)).await)?;
            last.stop().await;
        }
        Ok(())
    });
}

#[test]
fn a_client_that_was_made_by_hand_outlives_its_producers() {
    passes(async |sim, expect| {
        let client = Client::builder().host(sim.host("app"));
        let client = client.name_servers(sim.name_servers()).build()?;
        for group in ["one", "two", "one"] {
            let builder = Producer::builder(group).client(client.clone());
            let producer = builder.start().await?;
            expect.of(producer.send(order(1)).await)?;
            producer.stop().await;
            sleep(Duration::from_secs(40)).await;
        }
        client.stop().await;
        Ok(())
    });
}

#[test]
fn a_timeout_may_be_shorter_than_a_round_trip() {
    passes(async |sim, _| {
        let hasty = sim.producer("hasty").send_timeout(Duration::from_millis(1));
        let hasty = hasty.start().await?;
        assert!(hasty.send(order(1)).await.is_err());
        hasty.stop().await;
        Ok(())
    });
}

#[test]
fn limits_of_one_send_and_no_retries() {
    passes(async |sim, expect| {
        let producer = sim.producer("app").retries(0);
        let producer = producer.with(|builder| builder.max_open_sends(1));
        let producer = producer.start().await?;
        let mut waiting = Vec::new();
        for n in 0..4 {
            waiting.push(producer.send_async(order(n)));
        }
        for one in waiting {
            expect.of(one.await)?;
        }
        producer.stop().await;
        assert!(producer.send(order(5)).await.is_err(), "too late");
        Ok(())
    });
}

#[test]
fn a_program_ends_without_stopping_anything() {
    passes(async |sim, expect| {
        let producer = sim.producer("app").start().await?;
        let mine = producer.clone();
        let _running = tokio::spawn(async move { mine.send(order(0)).await });
        expect.of(producer.send(order(1)).await)?;
        Ok(())
    });
}

#[test]
fn sends_begin_before_the_cluster_is_up() {
    let cluster = Cluster::new().brokers(2).topic("orders", 4);
    Simulation::new(cluster)
        .fault(crash("broker-a").down_for_secs(3))
        .fault(crash("broker-b").down_for_secs(3))
        .fault(crash("ns-1").down_for_secs(2))
        .seeds(0..SEEDS)
        .check(async |sim| {
            let producer = sim.producer("app").start().await?;
            let mut failed = 0;
            while producer.send(order(0)).await.is_err() {
                failed += 1;
                sleep(Duration::from_millis(100)).await;
                assert!(failed < 100, "the cluster has been up for long");
            }
            producer.stop().await;
            Ok(())
        });
}

#[test]
fn topics_are_created_while_sends_run() {
    passes(async |sim, expect| {
        let producer = sim.producer("app").start().await?;
        for n in 0..6 {
            let topic = format!("topic-{n}");
            expect.of(producer.send(Message::new(topic, "new")).await)?;
            expect.of(producer.send(order(n)).await)?;
        }
        producer.stop().await;
        Ok(())
    });
}

#[test]
fn sends_are_dropped_at_every_moment() {
    passes(async |sim, _| {
        let producer = sim.producer("app").start().await?;
        for n in 0..20 {
            let long = Duration::from_millis(n as u64 / 2);
            // Whether it is done by then is what the seed decides.
            let _ = timeout(long, producer.send(order(n))).await;
        }
        let (one, two) = (producer.send(order(20)), producer.send(order(21)));
        tokio::select! {
            biased;
            _ = one => {}
            _ = two => {}
        }
        producer.stop().await;
        Ok(())
    });
}

#[test]
fn tasks_of_the_program_send_through_channels_and_sets() {
    passes(async |sim, expect| {
        let producer = sim.producer("app").start().await?;
        let (queue, mut work) = tokio::sync::mpsc::channel(4);
        let sender = producer.clone();
        let actor = tokio::spawn(async move {
            let mut sent = Vec::new();
            while let Some(n) = work.recv().await {
                let began = Instant::now();
                sent.push((sender.send(order(n)).await, began.elapsed()));
            }
            sent
        });
        for n in 0..5 {
            sleep(Duration::from_secs(n as u64)).await;
            queue.send(n).await?;
        }
        drop(queue);
        for (sent, took) in actor.await? {
            expect.of(sent)?;
            let prompt = took < Duration::from_millis(50);
            assert!(prompt || expect == Expect::Anything, "{took:?}");
        }
        let mut set = JoinSet::new();
        for n in 5..15 {
            let mine = producer.clone();
            set.spawn(async move { mine.send(order(n)).await });
        }
        while let Some(sent) = set.join_next().await {
            expect.of(sent?)?;
        }
        let local = tokio::task::LocalSet::new();
        let mine = producer.clone();
        let sent = local.run_until(async {
            tokio::task::spawn_local(async move { mine.send(order(15)).await }).await
        });
        expect.of(sent.await?)?;
        producer.stop().await;
        Ok(())
    });
}
