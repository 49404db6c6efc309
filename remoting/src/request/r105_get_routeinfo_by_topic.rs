//! `GET_ROUTEINFO_BY_TOPIC` (105): which brokers serve a topic. The answer's body is a
//! [`TopicRouteData`](crate::route::TopicRouteData), or the code is 17.

use super::field::header;

header! {
    /// The topic whose route is asked for, and in which form.
    GetRouteInfoByTopic<'a> for GET_ROUTEINFO_BY_TOPIC {
        /// The name of the topic.
        topic: &'a str = "topic",
        /// Asks for JSON without bare numbers as keys; clients from 4.9.4 on get that anyway.
        accept_standard_json_only: Option<bool> = "acceptStandardJsonOnly",
    }
}
