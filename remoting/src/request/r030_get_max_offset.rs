//! `GET_MAX_OFFSET` (30): where a queue ends. Producers ask only to see whether a broker answers.

use super::field::header;

header! {
    /// The queue whose end is asked for.
    GetMaxOffset<'a> for GET_MAX_OFFSET {
        /// The topic that the queue belongs to.
        topic: &'a str = "topic",
        /// The id of the queue at this broker, from 0.
        queue_id: i32 = "queueId",
    }
}
