//! What becomes of clients at the mock brokers, which look at their heartbeats in virtual time.

use std::sync::Arc;
use std::time::Duration;

use rmq_producer::Policy;
use rmq_remoting::client::{ClientSettings, RemotingClient};
use rmq_remoting::command::{HeaderForm, Language};
use rmq_remoting::frame::Speaker;
use rmq_remoting::header::WithBody;
use rmq_remoting::observe::{Name, Silent};
use rmq_remoting::offset_id::OffsetId;
use rmq_remoting::request::{GetMaxOffset, HeartBeat};
use rmq_remoting::service::Unsupported;
use rmq_sim::simulation::Sim;
use tokio::time::Instant;

use crate::support::{brokers, message, play};

fn client(sim: &Sim) -> RemotingClient {
    let speaker = Speaker {
        form: HeaderForm::Json,
        language: Language::Rust,
        version: 479,
    };
    let (host, settings) = (sim.host("admin"), ClientSettings::new(speaker));
    RemotingClient::new(host, settings, Arc::new(Silent), Arc::new(Unsupported))
}

/// Asks something each 20 s for up to 200 s, and tells after how many its connection was closed.
async fn closed_after(sim: &Sim, client: &RemotingClient, broker: &Name) -> Option<u64> {
    let ask = GetMaxOffset {
        topic: "orders",
        queue_id: 0,
    };
    for second in 1..=200 {
        sim.sleep(Duration::from_secs(1)).await;
        if client.gauges().connections == 0 {
            return Some(second);
        }
        if second % 20 == 0 {
            let until = Instant::now() + Duration::from_secs(3);
            client.call(broker, &ask, until).await.unwrap();
        }
    }
    None
}

#[test]
fn a_client_that_stops_its_heartbeats_is_closed_although_it_goes_on_asking() {
    let (closed, _) = play(brokers(1), &Policy::strict(), async |sim, producer| {
        let sent = producer.send(message()).await.unwrap();
        let id: OffsetId = sent.offset_message_id.parse().unwrap();
        let broker = Name::from(id.host.to_string());
        let client = client(sim);
        let heartbeat = WithBody {
            header: HeartBeat,
            body: br#"{"clientID":"c","producerDataSet":[{"groupName":"g"}]}"#,
        };
        let until = Instant::now() + Duration::from_secs(3);
        client.call(&broker, &heartbeat, until).await.unwrap();
        let with_beat = closed_after(sim, &client, &broker).await;
        let until = Instant::now() + Duration::from_secs(3);
        let ask = GetMaxOffset {
            topic: "orders",
            queue_id: 0,
        };
        client.call(&broker, &ask, until).await.unwrap();
        let without = closed_after(sim, &client, &broker).await;
        client.stop().await;
        (with_beat, without)
    });
    let (with_beat, without) = closed;
    assert!(
        with_beat.is_some_and(|after| (120..=131).contains(&after)),
        "{with_beat:?}"
    );
    assert_eq!(without, None, "no heartbeat was ever promised");
}
