//! `GET_MAX_OFFSET` (30): where a queue ends. Producers ask only to see whether a broker answers.

use super::field::header;

header! {
    /// Which queue.
    GetMaxOffset<'a> for GET_MAX_OFFSET {
        /// The topic.
        topic: &'a str = "topic",
        /// The queue.
        queue_id: i32 = "queueId",
    }
}
