//! `REGISTER_TOPIC_IN_NAMESRV` (217): put a topic's queues into a name server's table. The body is a
//! [`TopicRouteData`](crate::route::TopicRouteData) of which only the queues count.

use super::field::header;

header! {
    /// The topic whose queues the body lists.
    RegisterTopicInNamesrv<'a> for REGISTER_TOPIC_IN_NAMESRV {
        /// The name of the topic.
        topic: &'a str = "topic",
    }
}
