//! Answers of a broker that no other attempt would make better, or that are no answers.

use rmq_producer::event::{Failure, Stage};
use rmq_producer::{Message, Policy, SendError};
use rmq_remoting::text;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::common::{Cluster, Script};

/// What a send ends with when every broker does this.
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
async fn failure(policy: Policy, script: Script) -> SendError {
    let cluster = Cluster::start(3, "T", 1).await;
    for broker in &cluster.brokers {
        broker.does(script);
    }
    let producer = cluster.producer().policy(policy).start().await.unwrap();
    let error = producer.send(Message::new("T", "1")).await.unwrap_err();
    producer.stop().await;
    error
}

#[tokio::test]
async fn a_broker_that_does_not_know_the_client_costs_one_attempt_and_its_words_are_told() {
    let script = Script::Deny(16, "User:order-service is not found.");
    let error = failure(Policy::strict(), script).await;
    assert_eq!(error.failure(), Failure::Attempts(Stage::Denied));
    assert_eq!((error.attempts().len(), error.code()), (1, Some(16)));
    let text = error.to_string();
    assert!(text.contains("this client is refused"), "{text}");
    assert!(
        text.contains("code 16 NO_PERMISSION: User:order-service"),
        "{text}"
    );
    let java = failure(Policy::java_5_3(), script).await;
    assert_eq!(java.attempts().len(), 3, "Java tries on");
}

#[tokio::test]
async fn a_broker_that_takes_no_messages_now_is_left_for_another_one() {
    let cluster = Cluster::start(2, "T", 1).await;
    let forbidden = "the broker[127.0.0.1] sending message is forbidden";
    cluster.brokers[0].does(Script::Deny(16, forbidden));
    let producer = cluster.producer().start().await.unwrap();
    for number in 0..4 {
        let sent = producer.send(Message::new("T", format!("{number}"))).await;
        assert_eq!(&*sent.unwrap().queue.broker, "broker-b");
    }
    producer.stop().await;
}

#[tokio::test]
async fn a_success_at_a_place_where_no_message_is_cannot_be_understood() {
    for (queue, offset) in [(-7, -9), (0, -1), (-1, 0)] {
        let script = Script::StoreAt(queue, offset);
        let error = failure(Policy::strict(), script).await;
        assert_eq!(error.failure(), Failure::Attempts(Stage::Decode));
        assert!(error.to_string().contains("below 0"), "{error}");
    }
    let cluster = Cluster::start(1, "T", 1).await;
    cluster.brokers[0].does(Script::StoreAt(-7, -9));
    let builder = cluster.producer().policy(Policy::java_5_3());
    let producer = builder.start().await.unwrap();
    let sent = producer.send(Message::new("T", "1")).await.unwrap();
    assert_eq!(
        (sent.queue.queue, sent.offset),
        (-7, -9),
        "Java believes it"
    );
    producer.stop().await;
}

#[tokio::test]
async fn a_remark_as_long_as_a_frame_is_cut_and_its_control_letters_are_shown() {
    let script = Script::Deny(13, {
        let words = format!("\u{1b}[2Jred\u{7}{}", "é".repeat(4_000_000));
        Box::leak(words.into_boxed_str())
    });
    let error = failure(Policy::strict(), script).await;
    let text = error.to_string();
    assert!(text.len() < 3 * text::KEPT, "{} bytes", text.len());
    assert!(!text.contains(char::is_control), "{text}");
    assert!(text.contains("\\u{1b}[2Jred\\u{7}"), "{text}");
    let kept = format!("{error:?}").len();
    assert!(kept < 8 * text::KEPT, "{kept} bytes are kept");
}

#[tokio::test]
async fn a_broker_that_speaks_tls_costs_one_attempt_and_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cluster = Cluster::start(1, "T", 1).await;
    let route = format!(
        "{{brokerDatas:[{{brokerAddrs:{{0:'{address}'}},brokerName:'a'}}],\
         queueDatas:[{{brokerName:'a',perm:6,writeQueueNums:1}}]}}"
    );
    cluster.name_server.says(&route);
    let producer = cluster.producer().start().await.unwrap();
    let serve = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"\x15\x03\x01\x00\x02\x02\x46").await;
        }
    };
    let error = tokio::select! {
        biased;
        sent = producer.send(Message::new("T", "1")) => sent.unwrap_err(),
        () = serve => unreachable!("it serves for ever"),
    };
    assert_eq!(error.failure(), Failure::Attempts(Stage::Denied));
    assert_eq!(error.attempts().len(), 1);
    assert!(error.to_string().contains("it speaks TLS"), "{error}");
    producer.stop().await;
}
