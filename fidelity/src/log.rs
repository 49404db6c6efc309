//! What the servers of a case saw: the evidence that a trace is made of.

use std::collections::BTreeSet;

/// Something that a server saw.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// When, in milliseconds since the Unix epoch.
    pub epoch: i64,
    /// The name of the server, as the case calls it.
    pub server: String,
    /// Whether the measured part had begun.
    pub measured: bool,
    /// What the server saw.
    pub what: What,
}

/// What a server saw.
#[derive(Debug, Clone)]
pub enum What {
    /// A connection was accepted.
    Accept,
    /// The start of a dial to a server that does not serve; the word says how it does not.
    Syn(&'static str),
    /// A lookup of this topic.
    Route(String),
    /// A heartbeat that a client sent to a broker.
    Heartbeat,
    /// A producer group that a client unregistered.
    Unregister(String),
    /// A message of the warm-up, before the measured part.
    WarmUp,
    /// A message that is no warm-up.
    Send(Box<SendSeen>),
}

/// What a server saw of a message.
#[derive(Debug, Clone)]
pub struct SendSeen {
    /// The number in its mark; nothing without a mark.
    pub number: Option<u64>,
    /// The request code that carried it.
    pub code: i32,
    /// Whether its header was binary.
    pub binary: bool,
    /// Whether it asked for no answer.
    pub oneway: bool,
    /// The queue id in the header.
    pub queue: i64,
    /// The broker name in the header.
    pub broker_name: Option<String>,
    /// The topic that a new topic is made after, and how many queues it gets.
    pub default: (Option<String>, Option<String>),
    /// How often it was consumed before.
    pub reconsume_times: Option<String>,
    /// Bits of the message, see [`message`](rmq_remoting::message).
    pub sys_flag: i64,
    /// The unique key of the message; empty if it has none.
    pub key: String,
    /// The body as the program gave it, unpacked if it was compressed.
    pub body: Vec<u8>,
    /// What happened to it, in the words of the kit.
    pub action: String,
}

/// The servers of a case: names, addresses and kinds.
#[derive(Debug, Clone, Default)]
pub struct Servers {
    /// Address and name of each.
    pub addresses: Vec<(String, String)>,
    /// The brokers' names; a slave's ends with its id.
    pub brokers: BTreeSet<String>,
}
