//! The topics of a broker, and when a send makes a new one: a value without I/O.

use std::collections::{BTreeMap, BTreeSet};

use rmq_remoting::observe::Name;
use rmq_remoting::topic::{DataVersion, TopicConfig, perm};

/// The name of the template that clients name by default.
pub const DEFAULT_TEMPLATE: &str = "TBW102";

/// What the names of retry topics begin with.
pub const RETRY_PREFIX: &str = "%RETRY%";

/// Queue ids below this are accepted by a send, whatever clients are told by the route.
pub fn queue_bound(topic: &TopicConfig) -> i32 {
    topic.read_queue_nums.max(topic.write_queue_nums)
}

/// A topic as the remark about a bad queue id shows it.
pub fn describe(topic: &TopicConfig) -> String {
    let attributes = topic.attributes.iter();
    let attributes = attributes.map(|(name, value)| format!("{name}={value}"));
    let bit = |bit, letter| if topic.perm & bit == 0 { '-' } else { letter };
    format!(
        "TopicConfig [topicName={}, readQueueNums={}, writeQueueNums={}, perm={}{}{}, \
         topicFilterType={}, topicSysFlag={}, order={}, attributes={{{}}}]",
        topic.topic_name,
        topic.read_queue_nums,
        topic.write_queue_nums,
        bit(perm::READ, 'R'),
        bit(perm::WRITE, 'W'),
        bit(perm::INHERIT, 'X'),
        topic.topic_filter_type,
        topic.topic_sys_flag,
        topic.order,
        attributes.collect::<Vec<_>>().join(", "),
    )
}

/// What a send wants of a topic that may not exist yet.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The topic that the message is sent to.
    pub topic: &'a str,
    /// The template that the send names.
    pub template: &'a str,
    /// How many queues it asks for.
    pub queues: i32,
    /// Whether the sender is in unit mode.
    pub unit: bool,
}

/// All topics of a broker.
///
/// ```
/// use rmq_mock_broker::topic::{DEFAULT_TEMPLATE, Topics, Wanted};
///
/// let mut topics = Topics::of_a_new_broker("broker-a", "DefaultCluster", true, 0);
/// let wanted = Wanted { topic: "orders", template: DEFAULT_TEMPLATE, queues: 16, unit: false };
/// let made = topics.create(&wanted, true, 1);
/// assert_eq!(made.map(|topic| topic.write_queue_nums), Some(8), "the template has no more");
/// assert_eq!(topics.create(&Wanted { template: "no such topic", ..wanted }, true, 2), None);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Topics {
    table: BTreeMap<Name, TopicConfig>,
    /// Names that belong to the broker itself.
    system: BTreeSet<Name>,
    version: DataVersion,
}

impl Topics {
    /// The topics a broker has before anyone asked for one: system topics and templates.
    pub fn of_a_new_broker(broker: &str, cluster: &str, auto_create: bool, now_ms: i64) -> Self {
        let read_write = perm::READ | perm::WRITE;
        let template = read_write | perm::INHERIT;
        let ordinary = [
            ("SELF_TEST_TOPIC".to_owned(), 1),
            ("BenchmarkTest".to_owned(), 1024),
            ("OFFSET_MOVED_EVENT".to_owned(), 1),
            ("SCHEDULE_TOPIC_XXXX".to_owned(), 18),
            ("RMQ_SYS_TRANS_HALF_TOPIC".to_owned(), 1),
            ("RMQ_SYS_TRANS_OP_HALF_TOPIC".to_owned(), 1),
            ("rmq_sys_wheel_timer".to_owned(), 1),
            (format!("rmq_sys_REVIVE_LOG_{cluster}"), 8),
            (format!("{cluster}_REPLY_TOPIC"), 1),
        ];
        let mut topics = Self::default();
        for (name, queues) in ordinary {
            topics.insert(new(name, queues, read_write));
        }
        let member = format!("rmq_sys_SYNC_BROKER_MEMBER_{broker}");
        topics.insert(new(member, 1, perm::INHERIT));
        topics.insert(new(cluster, 16, template));
        topics.insert(new(broker, 1, template));
        if auto_create {
            topics.insert(new(DEFAULT_TEMPLATE, 8, template));
        }
        topics.system = topics.table.keys().cloned().collect();
        topics.version.timestamp = now_ms;
        topics
    }

    /// Whether a name belongs to the broker itself, so that nobody may create or delete it.
    pub fn is_system(&self, name: &str) -> bool {
        let later = [
            "TRANS_CHECK_MAX_TIME_TOPIC",
            "RMQ_SYS_TRACE_TOPIC",
            DEFAULT_TEMPLATE,
        ];
        self.system.contains(name) || later.contains(&name) || name.starts_with("rmq_sys_")
    }

    /// A topic by its name.
    pub fn get(&self, name: &str) -> Option<&TopicConfig> {
        self.table.get(name)
    }

    /// All topics, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &TopicConfig> {
        self.table.values()
    }

    /// The version of the topics' configuration, which moves with each change.
    pub fn version(&self) -> DataVersion {
        self.version
    }

    /// Creates or replaces a topic; tells whether anything changed.
    pub fn put(&mut self, topic: TopicConfig, now_ms: i64) -> bool {
        if self.table.get(&topic.topic_name) == Some(&topic) {
            return false;
        }
        self.insert(topic);
        self.moved(now_ms);
        true
    }

    /// Removes a topic; tells whether it was there.
    pub fn remove(&mut self, name: &str, now_ms: i64) -> bool {
        let known = self.table.remove(name).is_some();
        if known {
            self.moved(now_ms);
        }
        known
    }

    /// Makes the topic that a send wants, if a template allows it. A topic that exists is not
    /// asked for here.
    pub fn create(
        &mut self,
        wanted: &Wanted<'_>,
        auto_create: bool,
        now_ms: i64,
    ) -> Option<TopicConfig> {
        let topic = self.inherited(wanted, auto_create).or_else(|| {
            // Consumer groups get their retry topic even where nobody may create topics.
            let retry = wanted.topic.starts_with(RETRY_PREFIX);
            retry.then(|| new(wanted.topic, 1, perm::READ | perm::WRITE))
        })?;
        self.insert(topic.clone());
        self.moved(now_ms);
        Some(topic)
    }

    /// Makes the topic for a consumer group's dead letters.
    pub fn create_dead_letters(&mut self, name: &str, now_ms: i64) -> TopicConfig {
        let topic = new(name, 1, perm::READ | perm::WRITE);
        self.insert(topic.clone());
        self.moved(now_ms);
        topic
    }

    fn inherited(&self, wanted: &Wanted<'_>, auto_create: bool) -> Option<TopicConfig> {
        let template = self.table.get(wanted.template)?;
        let locked = wanted.template == DEFAULT_TEMPLATE && !auto_create;
        if locked || template.perm & perm::INHERIT == 0 {
            return None;
        }
        let queues = wanted.queues.min(template.write_queue_nums).max(0);
        Some(TopicConfig {
            topic_filter_type: Name::clone(&template.topic_filter_type),
            topic_sys_flag: i32::from(wanted.unit),
            ..new(wanted.topic, queues, template.perm & !perm::INHERIT)
        })
    }

    fn insert(&mut self, topic: TopicConfig) {
        self.table.insert(Name::clone(&topic.topic_name), topic);
    }

    /// Moves the version on, because what name servers should know has changed beside the topics.
    pub(crate) fn touch(&mut self) {
        self.moved(self.version.timestamp);
    }

    fn moved(&mut self, now_ms: i64) {
        self.version = self.version.next(now_ms);
    }
}

fn new(name: impl Into<Name>, queues: i32, perm: i32) -> TopicConfig {
    TopicConfig::new(name.into(), queues, perm)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(timestamp: i64, counter: i64) -> DataVersion {
        DataVersion {
            timestamp,
            counter,
            state_version: 0,
        }
    }

    fn topics() -> Topics {
        Topics::of_a_new_broker("broker-a", "DefaultCluster", true, 7)
    }

    fn wanted(template: &'static str, queues: i32) -> Wanted<'static> {
        Wanted {
            topic: "orders",
            template,
            queues,
            unit: false,
        }
    }

    #[test]
    fn a_new_broker_has_the_thirteen_topics_of_a_real_one() {
        let topics = topics();
        assert_eq!(topics.iter().count(), 13);
        assert_eq!(
            topics
                .get("TBW102")
                .map(|topic| (topic.write_queue_nums, topic.perm)),
            Some((8, 7))
        );
        assert_eq!(topics.version(), version(7, 0));
    }

    #[test]
    fn a_topic_gets_the_fewer_of_the_wanted_and_the_templates_queues() {
        for (queues, expected) in [(4, 4), (16, 8), (0, 0), (-3, 0)] {
            let topic = topics().create(&wanted("TBW102", queues), true, 8).unwrap();
            assert_eq!(
                (topic.read_queue_nums, topic.write_queue_nums, topic.perm),
                (expected, expected, 6)
            );
        }
    }

    #[test]
    fn cluster_and_broker_name_are_templates_too() {
        assert_eq!(
            topics()
                .create(&wanted("DefaultCluster", 99), false, 8)
                .unwrap()
                .write_queue_nums,
            16
        );
        assert_eq!(
            topics()
                .create(&wanted("broker-a", 99), false, 8)
                .unwrap()
                .write_queue_nums,
            1
        );
    }

    #[test]
    fn nothing_is_made_without_a_template_that_may_be_inherited() {
        let mut topics = topics();
        assert_eq!(topics.create(&wanted("Nope", 4), true, 8), None);
        assert_eq!(topics.create(&wanted("BenchmarkTest", 4), true, 8), None);
        assert_eq!(topics.create(&wanted("TBW102", 4), false, 8), None);
        assert_eq!(topics.version().counter, 0);
    }

    #[test]
    fn a_retry_topic_needs_no_template() {
        let retry = Wanted {
            topic: "%RETRY%group",
            ..wanted("Nope", 4)
        };
        let topic = topics().create(&retry, false, 8).unwrap();
        assert_eq!((topic.write_queue_nums, topic.perm), (1, 6));
    }

    #[test]
    fn the_version_moves_only_with_a_change() {
        let mut topics = topics();
        assert!(topics.put(new("orders", 4, 6), 9));
        assert!(!topics.put(new("orders", 4, 6), 10));
        assert_eq!(topics.version(), version(9, 1));
        assert!(topics.remove("orders", 11));
        assert!(!topics.remove("orders", 12));
        assert_eq!(topics.version(), version(11, 2));
    }

    #[test]
    fn a_topic_is_shown_as_remarks_show_it() {
        assert_eq!(
            describe(&new("T", 4, 6)),
            "TopicConfig [topicName=T, readQueueNums=4, writeQueueNums=4, perm=RW-, \
             topicFilterType=SINGLE_TAG, topicSysFlag=0, order=false, attributes={}]"
        );
    }
}
