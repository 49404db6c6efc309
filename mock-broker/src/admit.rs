//! Whether a send is accepted: the checks of a real broker, in its order, as pure functions.
//!
//! One check that a reader may miss is missing on purpose: a broker does not look at a topic's own
//! permissions when it accepts a message. Only the route stops producers.

use std::fmt;
use std::net::SocketAddr;

use rmq_remoting::code::response;
use rmq_remoting::topic::{CLOSED_TO_SENDERS, TopicConfig};

use crate::topic::{describe, queue_bound};
use rmq_remoting::profile::Profile;

/// The longest body of a message, and of a whole batch.
pub(crate) const MAX_BODY: usize = 4 * 1024 * 1024;

/// The longest property string, with the broker's own additions.
pub(crate) const MAX_PROPERTIES: usize = 32_767;

/// The longest name of a topic.
const MAX_TOPIC: usize = 127;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: i32,
    pub(crate) remark: String,
}

impl Refusal {
    pub(crate) fn new(code: i32, remark: impl fmt::Display) -> Self {
        let remark = remark.to_string();
        Self { code, remark }
    }
}

/// A topic name must be a name.
pub(crate) fn topic_name(topic: &str, profile: Profile) -> Result<(), Refusal> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"%|_-".contains(&byte);
    let remark = if topic.trim().is_empty() {
        "The specified topic is blank."
    } else if !topic.bytes().all(allowed) {
        "The specified topic contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
    } else if topic.len() > MAX_TOPIC {
        "The specified topic is longer than topic max length."
    } else {
        return Ok(());
    };
    Err(Refusal::new(profile.invalid_parameter(), remark))
}

/// Some of a broker's own topics are closed to senders.
pub(crate) fn open_topic(topic: &str) -> Result<(), Refusal> {
    if CLOSED_TO_SENDERS.contains(&topic) {
        let remark = format!("Sending message to topic[{topic}] is forbidden.");
        return Err(Refusal::new(response::NO_PERMISSION, remark));
    }
    Ok(())
}

/// The topic does not exist and may not be made.
pub(crate) fn no_topic(topic: &str, profile: Profile) -> Refusal {
    let remark = format!(
        "topic[{topic}] not exist, apply first please!\nSee {} for further details.",
        profile.help_url()
    );
    Refusal::new(response::TOPIC_NOT_EXIST, remark)
}

/// A queue id must be below the larger of the topic's two numbers; a negative one is a wish for any.
pub(crate) fn queue(
    queue: i32,
    topic: &TopicConfig,
    producer: SocketAddr,
    profile: Profile,
) -> Result<(), Refusal> {
    if queue < queue_bound(topic) {
        return Ok(());
    }
    let topic = describe(topic);
    let remark = format!("request queueId[{queue}] is illegal, {topic} Producer: {producer}");
    Err(Refusal::new(profile.invalid_parameter(), remark))
}

/// A message must fit the store.
pub(crate) fn size(body: usize, properties: usize) -> Result<(), Refusal> {
    if body <= MAX_BODY && properties <= MAX_PROPERTIES {
        return Ok(());
    }
    let remark = "the message is illegal, maybe msg body or properties length not matched. \
                  msg body length limit 4194304B, msg properties length limit 32KB.";
    Err(Refusal::new(response::MESSAGE_ILLEGAL, remark))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T>(checked: Result<T, Refusal>) -> Option<i32> {
        checked.err().map(|refusal| refusal.code)
    }

    #[test]
    fn a_topic_name_has_few_letters_and_an_end() {
        let profile = Profile::V5_3_3;
        for bad in ["", " ", "a b", "a.b", "a/b", "中", "x\ty", &"x".repeat(128)] {
            assert_eq!(code(topic_name(bad, profile)), Some(29), "{bad:?}");
            assert_eq!(code(topic_name(bad, Profile::V5_2_0)), Some(1), "{bad:?}");
        }
        for good in ["TopicTest", "%RETRY%g", "a|b_c-d", &"x".repeat(127)] {
            assert_eq!(topic_name(good, profile), Ok(()), "{good:?}");
        }
    }

    #[test]
    fn six_system_topics_are_closed_and_templates_are_not() {
        assert_eq!(code(open_topic("SELF_TEST_TOPIC")), Some(16));
        assert_eq!(open_topic("TBW102"), Ok(()));
    }

    #[test]
    fn the_bound_of_queue_ids_is_the_larger_number() {
        let mut topic = TopicConfig::new("t".into(), 2, 6);
        topic.read_queue_nums = 5;
        let producer = ([127, 0, 0, 1], 7).into();
        let check = |id| code(queue(id, &topic, producer, Profile::V5_3_3));
        assert_eq!([-1, 4, 5].map(check), [None, None, Some(29)]);
    }

    #[test]
    fn the_limits_belong_to_the_message() {
        assert_eq!(size(MAX_BODY, MAX_PROPERTIES), Ok(()));
        assert_eq!(code(size(MAX_BODY + 1, 0)), Some(13));
        assert_eq!(code(size(1, MAX_PROPERTIES + 1)), Some(13));
    }

    #[test]
    fn the_remark_about_a_missing_topic_points_to_the_help_of_the_release() {
        assert!(no_topic("t", Profile::V4_9_7).remark.contains("/docs/faq/"));
        assert!(
            no_topic("t", Profile::V5_3_3)
                .remark
                .starts_with("topic[t] not exist, apply")
        );
    }
}
