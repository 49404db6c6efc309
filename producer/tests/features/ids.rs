//! Under which unique key a message travels.

use rmq_producer::{Message, PropertyError};
use rmq_remoting::observe::Name;

use crate::common::{Cluster, Script};

#[tokio::test]
async fn a_message_sent_again_under_its_id_has_one_key_in_all_its_copies() {
    let cluster = Cluster::start(1, "T", 1).await;
    let producer = cluster.producer().retries(0).start().await.unwrap();
    cluster.brokers[0].does(Script::Close);
    let message = Message::new("T", "1");
    let error = producer.send(message.clone()).await.unwrap_err();
    let id: Name = error.message_id().unwrap().into();
    cluster.brokers[0].does(Script::Store);
    let again = message.clone().with_id(Name::clone(&id)).unwrap();
    assert_eq!(producer.send(again.clone()).await.unwrap().message_id, id);
    assert_eq!(producer.send(again).await.unwrap().message_id, id);
    let fresh = producer.send(message).await.unwrap();
    assert_ne!(fresh.message_id, id);
    let key = format!("UNIQ_KEY\u{1}{id}\u{2}");
    let with_key = |seen: &&crate::common::Seen| seen.properties.contains(&key);
    let seen = cluster.brokers[0].seen();
    assert_eq!((seen.len(), seen.iter().filter(with_key).count()), (4, 3));
    producer.stop().await;
}

#[test]
fn an_id_that_would_not_arrive_is_refused() {
    let with_id = |id: &str| Message::new("T", "1").with_id(id).unwrap_err();
    assert_eq!(with_id(" "), PropertyError::Blank);
    let separator = PropertyError::Separator("UNIQ_KEY".to_owned());
    assert_eq!(with_id("a\u{1}b"), separator);
}
