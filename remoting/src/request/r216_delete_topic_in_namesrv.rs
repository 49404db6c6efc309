//! `DELETE_TOPIC_IN_NAMESRV` (216): a name server forgets a topic.

use super::field::header;

header! {
    /// The topic to forget, everywhere or in one cluster.
    DeleteTopicInNamesrv<'a> for DELETE_TOPIC_IN_NAMESRV {
        /// The name of the topic.
        topic: &'a str = "topic",
        /// Only on the brokers of this cluster.
        cluster_name: Option<&'a str> = "clusterName",
    }
}
