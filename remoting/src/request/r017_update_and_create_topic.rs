//! `UPDATE_AND_CREATE_TOPIC` (17): create a topic on a broker, or change it.

use super::field::header;

header! {
    /// The topic as it is to be.
    UpdateAndCreateTopic<'a> for UPDATE_AND_CREATE_TOPIC {
        /// The name of the topic.
        topic: &'a str = "topic",
        /// The template; brokers do not look at it here.
        default_topic: Option<&'a str> = "defaultTopic",
        /// How many queues of the topic consumers may read from, at this broker.
        read_queue_nums: i32 = "readQueueNums",
        /// How many queues of the topic producers may write to, at this broker.
        write_queue_nums: i32 = "writeQueueNums",
        /// Permission bits, see [`topic::perm`](crate::topic::perm).
        perm: i32 = "perm",
        /// How consumers may filter: `SINGLE_TAG` or `MULTI_TAG`.
        topic_filter_type: Option<&'a str> = "topicFilterType",
        /// Bits of `TopicSysFlag`: 1, the topic belongs to a unit; 2, a unit subscribes to it.
        topic_sys_flag: Option<i32> = "topicSysFlag",
        /// Whether messages keep their order when a broker is down.
        order: bool = "order",
        /// Changes of attributes, `+name=value,-name`.
        attributes: Option<&'a str> = "attributes",
        /// Change even what should not be changed.
        force: Option<bool> = "force",
    }
}
