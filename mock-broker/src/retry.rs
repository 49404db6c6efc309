//! When a message that a consumer gives back has been tried often enough.

use rmq_remoting::request::SendMessage;

use crate::topic::RETRY_PREFIX;

/// What the names of dead-letter topics begin with; they have the group in common with its retry
/// topic.
const DEAD_PREFIX: &str = "%DLQ%";

/// How often a message is tried again where the sender does not say.
const ATTEMPTS: i32 = 16;

/// Senders from this version on (3.4.9) may say how often.
const SENDER_SAYS_SINCE: i32 = 121;

/// The topic for a message to a retry topic that has been tried often enough.
pub(crate) fn dead_letters(header: &SendMessage<'_>, version: i32) -> Option<String> {
    let group = header.topic.strip_prefix(RETRY_PREFIX)?;
    let said = header
        .max_reconsume_times
        .filter(|_| version >= SENDER_SAYS_SINCE);
    let tried = header.reconsume_times.unwrap_or(0);
    (tried > said.unwrap_or(ATTEMPTS)).then(|| format!("{DEAD_PREFIX}{group}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(topic: &str, tried: i32, most: Option<i32>, version: i32) -> Option<String> {
        let header = SendMessage {
            producer_group: Some("g"),
            topic,
            default_topic: None,
            default_topic_queue_nums: None,
            queue_id: 0,
            sys_flag: 0,
            born_timestamp: 0,
            flag: 0,
            properties: None,
            reconsume_times: Some(tried),
            unit_mode: false,
            max_reconsume_times: most,
            batch: false,
            broker_name: None,
        };
        dead_letters(&header, version)
    }

    #[test]
    fn a_message_beyond_its_attempts_is_a_dead_letter_of_its_group() {
        let dead = Some("%DLQ%g".to_owned());
        assert_eq!(to("%RETRY%g", 3, Some(3), 479), None);
        assert_eq!(to("%RETRY%g", 4, Some(3), 479), dead);
        assert_eq!(to("%RETRY%g", 16, None, 479), None);
        assert_eq!(to("%RETRY%g", 17, None, 479), dead);
        assert_eq!(to("orders", 99, Some(3), 479), None, "no retry topic");
    }

    #[test]
    fn an_old_sender_has_no_say() {
        assert_eq!(to("%RETRY%g", 5, Some(3), 120), None);
        assert!(to("%RETRY%g", 5, Some(3), 121).is_some());
    }

    #[test]
    fn negative_numbers_are_numbers() {
        assert_eq!(to("%RETRY%g", i32::MIN, Some(-1), 479), None);
        assert!(to("%RETRY%g", 0, Some(-1), 479).is_some());
    }
}
