//! `GET_TOPICS_BY_CLUSTER` (224): the topics of one cluster. The answer's body is a
//! [`TopicList`](super::TopicList).

use super::field::header;

header! {
    /// Which cluster.
    GetTopicsByCluster<'a> for GET_TOPICS_BY_CLUSTER {
        /// The cluster.
        cluster: &'a str = "cluster",
    }
}
