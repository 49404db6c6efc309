//! The topics of a broker, and when a send makes a new one: a value without I/O.

use std::collections::BTreeMap;
use std::fmt;

use rmq_remoting::observe::Name;

/// The name of the template that clients name by default.
pub const DEFAULT_TEMPLATE: &str = "TBW102";

/// What the names of retry topics begin with.
pub const RETRY_PREFIX: &str = "%RETRY%";

/// Permission bits of a topic.
pub mod perm {
    /// New topics may be made after this one.
    pub const INHERIT: i32 = 1;
    /// Producers may use it.
    pub const WRITE: i32 = 2;
    /// Consumers may use it.
    pub const READ: i32 = 4;

    /// As remarks show it, such as `RW-`.
    pub fn text(perm: i32) -> String {
        let bit = |bit, letter| if perm & bit == 0 { '-' } else { letter };
        [bit(READ, 'R'), bit(WRITE, 'W'), bit(INHERIT, 'X')]
            .iter()
            .collect()
    }
}

/// How a topic's tags are filtered; carried through, without effect here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TagFilter {
    /// One tag a message.
    #[default]
    Single,
    /// Several tags a message.
    Multi,
}

impl TagFilter {
    /// As the protocol writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "SINGLE_TAG",
            Self::Multi => "MULTI_TAG",
        }
    }
}

/// One topic's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: Name,
    /// Queues that consumers see.
    pub read_queues: i32,
    /// Queues that producers see.
    pub write_queues: i32,
    /// Permission bits.
    pub perm: i32,
    /// How tags are filtered.
    pub filter: TagFilter,
    /// Flags carried through to routes.
    pub sys_flag: i32,
    /// Whether it is an ordered topic.
    pub order: bool,
}

impl Topic {
    /// An ordinary topic with so many queues for reading and writing.
    pub fn new(name: impl Into<Name>, queues: i32, perm: i32) -> Self {
        Self {
            name: name.into(),
            read_queues: queues,
            write_queues: queues,
            perm,
            filter: TagFilter::Single,
            sys_flag: 0,
            order: false,
        }
    }

    /// Queue ids below this are accepted by a send, whatever clients are told by the route.
    pub fn queue_bound(&self) -> i32 {
        self.read_queues.max(self.write_queues)
    }
}

/// As the remark about a bad queue id shows it.
impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "TopicConfig [topicName={}, readQueueNums={}, writeQueueNums={}, perm={}, \
             topicFilterType={}, topicSysFlag={}, order={}, attributes={{}}]",
            self.name,
            self.read_queues,
            self.write_queues,
            perm::text(self.perm),
            self.filter.as_str(),
            self.sys_flag,
            self.order,
        )
    }
}

/// The state of a broker's topics: moves with every change, and name servers compare it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Version {
    /// When it last moved, in Unix milliseconds.
    pub timestamp: i64,
    /// How often it moved.
    pub counter: i64,
}

/// What a send wants of a topic that may not exist yet.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The template it names.
    pub template: &'a str,
    /// How many queues it asks for.
    pub queues: i32,
    /// Whether the sender is in unit mode.
    pub unit: bool,
}

/// All topics of a broker.
#[derive(Debug, Clone, Default)]
pub struct Topics {
    table: BTreeMap<Name, Topic>,
    version: Version,
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
            topics.insert(Topic::new(name, queues, read_write));
        }
        let member = format!("rmq_sys_SYNC_BROKER_MEMBER_{broker}");
        topics.insert(Topic::new(member, 1, perm::INHERIT));
        topics.insert(Topic::new(cluster, 16, template));
        topics.insert(Topic::new(broker, 1, template));
        if auto_create {
            topics.insert(Topic::new(DEFAULT_TEMPLATE, 8, template));
        }
        topics.version.timestamp = now_ms;
        topics
    }

    /// A topic by its name.
    pub fn get(&self, name: &str) -> Option<&Topic> {
        self.table.get(name)
    }

    /// All topics, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.table.values()
    }

    /// The current version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Creates or replaces a topic; tells whether anything changed.
    pub fn put(&mut self, topic: Topic, now_ms: i64) -> bool {
        if self.table.get(&topic.name) == Some(&topic) {
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
    pub fn create(&mut self, wanted: &Wanted<'_>, auto_create: bool, now_ms: i64) -> Option<Topic> {
        let topic = self.inherited(wanted, auto_create).or_else(|| {
            // Consumer groups get their retry topic even where nobody may create topics.
            let retry = wanted.topic.starts_with(RETRY_PREFIX);
            retry.then(|| Topic::new(wanted.topic, 1, perm::READ | perm::WRITE))
        })?;
        self.insert(topic.clone());
        self.moved(now_ms);
        Some(topic)
    }

    fn inherited(&self, wanted: &Wanted<'_>, auto_create: bool) -> Option<Topic> {
        let template = self.table.get(wanted.template)?;
        let locked = wanted.template == DEFAULT_TEMPLATE && !auto_create;
        if locked || template.perm & perm::INHERIT == 0 {
            return None;
        }
        let queues = wanted.queues.min(template.write_queues).max(0);
        Some(Topic {
            filter: template.filter,
            sys_flag: i32::from(wanted.unit),
            ..Topic::new(wanted.topic, queues, template.perm & !perm::INHERIT)
        })
    }

    fn insert(&mut self, topic: Topic) {
        self.table.insert(Name::clone(&topic.name), topic);
    }

    fn moved(&mut self, now_ms: i64) {
        self.version.timestamp = now_ms;
        self.version.counter += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                .map(|topic| (topic.write_queues, topic.perm)),
            Some((8, 7))
        );
        assert_eq!(
            topics.version(),
            Version {
                timestamp: 7,
                counter: 0
            }
        );
    }

    #[test]
    fn a_topic_gets_the_fewer_of_the_wanted_and_the_templates_queues() {
        for (queues, expected) in [(4, 4), (16, 8), (0, 0), (-3, 0)] {
            let topic = topics().create(&wanted("TBW102", queues), true, 8).unwrap();
            assert_eq!(
                (topic.read_queues, topic.write_queues, topic.perm),
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
                .write_queues,
            16
        );
        assert_eq!(
            topics()
                .create(&wanted("broker-a", 99), false, 8)
                .unwrap()
                .write_queues,
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
        assert_eq!((topic.write_queues, topic.perm), (1, 6));
    }

    #[test]
    fn the_version_moves_only_with_a_change() {
        let mut topics = topics();
        assert!(topics.put(Topic::new("orders", 4, 6), 9));
        assert!(!topics.put(Topic::new("orders", 4, 6), 10));
        assert_eq!(
            topics.version(),
            Version {
                timestamp: 9,
                counter: 1
            }
        );
        assert!(topics.remove("orders", 11));
        assert!(!topics.remove("orders", 12));
        assert_eq!(
            topics.version(),
            Version {
                timestamp: 11,
                counter: 2
            }
        );
    }

    #[test]
    fn a_topic_is_shown_as_remarks_show_it() {
        assert_eq!(
            Topic::new("T", 4, 6).to_string(),
            "TopicConfig [topicName=T, readQueueNums=4, writeQueueNums=4, perm=RW-, \
             topicFilterType=SINGLE_TAG, topicSysFlag=0, order=false, attributes={}]"
        );
    }
}
