//! What a consumer gets of the mock brokers, which wait for it in virtual time.

use std::time::Duration;

use rmq_producer::{MessageQueue, Policy};
use rmq_remoting::code::request;
use rmq_remoting::command::Command;
use rmq_remoting::header::{EncodeHeader, FieldWriter, Request};
use rmq_remoting::offset_id::OffsetId;
use rmq_remoting::record::Record;
use rmq_sim::simulation::Sim;
use tokio::time::Instant;

use crate::support::{administer, brokers, message, play};

/// A pull of broker-a's first queue, from an offset on.
struct Pull {
    offset: i64,
    patience_ms: i64,
}

impl EncodeHeader for Pull {
    fn write(&self, fields: &mut dyn FieldWriter) {
        fields.str("consumerGroup", "g");
        fields.str("topic", "orders");
        fields.int("queueId", 0);
        fields.int("queueOffset", self.offset);
        fields.int("maxMsgNums", 32);
        // The subscription is in the request; with patience, the broker may wait.
        fields.int("sysFlag", if self.patience_ms > 0 { 6 } else { 4 });
        fields.int("suspendTimeoutMillis", self.patience_ms);
    }
}

impl Request for Pull {
    fn code(&self) -> i32 {
        request::PULL_MESSAGE
    }
}

/// Pulls; with the time until the answer, in milliseconds.
async fn pull(sim: &Sim, broker: &str, offset: i64, patience_ms: i64) -> (Command, u128) {
    let began = Instant::now();
    let wish = Pull {
        offset,
        patience_ms,
    };
    let answer = administer(sim, broker, &wish).await;
    (answer, began.elapsed().as_millis())
}

#[test]
fn a_pull_gets_what_is_there_waits_if_it_may_and_is_told_where_to_go_on() {
    let ((), _) = play(brokers(1), &Policy::strict(), async |sim, producer| {
        let queue = || MessageQueue::new("orders", "broker-a", 0);
        let sent = producer.send_to(message(), queue()).await.unwrap();
        let id: OffsetId = sent.offset_message_id.parse().unwrap();
        let broker = id.host.to_string();

        let (mut found, _) = pull(sim, &broker, 0, 0).await;
        let record = Record::decode(&mut found.body).unwrap();
        assert_eq!((found.code, &record.body[..]), (0, &b"hello"[..]));

        let (nothing, took) = pull(sim, &broker, 1, 0).await;
        assert!(
            nothing.code == 19 && took < 10,
            "{} after {took} ms",
            nothing.code
        );
        let (nothing, took) = pull(sim, &broker, 1, 2_000).await;
        assert!(
            nothing.code == 19 && (2_000..2_010).contains(&took),
            "{took} ms"
        );

        let arrives = async {
            sim.sleep(Duration::from_millis(500)).await;
            producer.send_to(message(), queue()).await.unwrap();
        };
        let ((found, took), ()) = tokio::join!(biased; pull(sim, &broker, 1, 2_000), arrives);
        assert!(found.code == 0 && (500..510).contains(&took), "{took} ms");

        let (moved, _) = pull(sim, &broker, 5, 0).await;
        let next = moved.ext.get("nextBeginOffset");
        assert_eq!((moved.code, next), (21, Some("2")));
    });
}
