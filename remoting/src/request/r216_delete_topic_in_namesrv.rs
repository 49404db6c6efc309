//! `DELETE_TOPIC_IN_NAMESRV` (216): a name server forgets a topic.

use super::field::header;

header! {
    /// Which topic.
    DeleteTopicInNamesrv<'a> for DELETE_TOPIC_IN_NAMESRV {
        /// The topic.
        topic: &'a str = "topic",
        /// Only on the brokers of this cluster.
        cluster_name: Option<&'a str> = "clusterName",
    }
}
