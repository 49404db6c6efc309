//! `GET_TOPICS_BY_CLUSTER` (224): the topics of one cluster. The answer's body is a
//! [`TopicList`](super::TopicList).

use super::field::header;

header! {
    /// The cluster whose topics are asked for.
    GetTopicsByCluster<'a> for GET_TOPICS_BY_CLUSTER {
        /// The name of the cluster.
        cluster: &'a str = "cluster",
    }
}
