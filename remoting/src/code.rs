//! The numbers that say what a frame asks for and how it was answered.
//!
//! One table in one place, because both ends of every conversation, the traces and the scenario
//! files name codes, and they must mean the same by them.

/// Declares a table of codes: one constant each, and the lookup from number to name.
macro_rules! codes {
    ($(#[$doc:meta])* $module:ident, $lookup:ident, $reverse:ident: $($(#[$each:meta])* $name:ident = $value:literal,)*) => {
        $(#[$doc])*
        pub mod $module {
            $($(#[$each])* pub const $name: i32 = $value;)*
        }

        /// The standard name of a code of [`
        #[doc = stringify!($module)]
        /// `], if it has one.
        #[must_use]
        pub fn $lookup(code: i32) -> Option<&'static str> {
            match code {
                $($value => Some(stringify!($name)),)*
                _ => None,
            }
        }

        /// The code of [`
        #[doc = stringify!($module)]
        /// `] that has this standard name, if one has.
        #[must_use]
        pub fn $reverse(name: &str) -> Option<i32> {
            $(if name == stringify!($name) {
                return Some($value);
            })*
            None
        }
    };
}

codes! {
    /// What a request asks for.
    request, request_name, request_code:
    /// Send a message, long field names. To a broker.
    SEND_MESSAGE = 10,
    /// Pull messages. To a broker.
    PULL_MESSAGE = 11,
    /// Find messages by key. To a broker.
    QUERY_MESSAGE = 12,
    /// A group's position in a queue. To a broker.
    QUERY_CONSUMER_OFFSET = 14,
    /// Store a group's position in a queue. To a broker.
    UPDATE_CONSUMER_OFFSET = 15,
    /// Create a topic or change it. To a broker.
    UPDATE_AND_CREATE_TOPIC = 17,
    /// Change the configuration of a broker.
    UPDATE_BROKER_CONFIG = 25,
    /// Read the configuration of a broker.
    GET_BROKER_CONFIG = 26,
    /// Figures of a running broker, as a table of strings.
    GET_BROKER_RUNTIME_INFO = 28,
    /// The first offset stored at or after a time.
    SEARCH_OFFSET_BY_TIMESTAMP = 29,
    /// The end of a queue.
    GET_MAX_OFFSET = 30,
    /// The start of a queue.
    GET_MIN_OFFSET = 31,
    /// When the oldest message of a queue was stored.
    GET_EARLIEST_MSG_STORETIME = 32,
    /// Read one message by its place in the commit log.
    VIEW_MESSAGE_BY_ID = 33,
    /// A client tells a broker which groups it serves.
    HEART_BEAT = 34,
    /// A client takes its groups back.
    UNREGISTER_CLIENT = 35,
    /// A consumer returns a message it could not handle.
    CONSUMER_SEND_MSG_BACK = 36,
    /// Commit or roll back a half message.
    END_TRANSACTION = 37,
    /// The members of a consumer group.
    GET_CONSUMER_LIST_BY_GROUP = 38,
    /// A broker asks a producer how a transaction ended.
    CHECK_TRANSACTION_STATE = 39,
    /// A broker tells consumers that their group changed.
    NOTIFY_CONSUMER_IDS_CHANGED = 40,
    /// Lock queues for ordered consumption.
    LOCK_BATCH_MQ = 41,
    /// Unlock queues that a consumer had locked. To a broker.
    UNLOCK_BATCH_MQ = 42,
    /// A consumer asks whether its subscription can be served.
    CHECK_CLIENT_CONFIG = 46,
    /// Store a value in the name server.
    PUT_KV_CONFIG = 100,
    /// Read a value from the name server.
    GET_KV_CONFIG = 101,
    /// Remove a value from the name server.
    DELETE_KV_CONFIG = 102,
    /// A broker registers with a name server.
    REGISTER_BROKER = 103,
    /// A broker takes its registration back.
    UNREGISTER_BROKER = 104,
    /// Which brokers serve a topic.
    GET_ROUTEINFO_BY_TOPIC = 105,
    /// All clusters and brokers a name server knows.
    GET_BROKER_CLUSTER_INFO = 106,
    /// Statistics of a topic's queues. To a broker.
    GET_TOPIC_STATS_INFO = 202,
    /// Take the write permission from all topics of a broker. To a name server.
    WIPE_WRITE_PERM_OF_BROKER = 205,
    /// All topics a name server knows.
    GET_ALL_TOPIC_LIST_FROM_NAMESERVER = 206,
    /// Delete a topic from a broker.
    DELETE_TOPIC_IN_BROKER = 215,
    /// Delete a topic from a name server.
    DELETE_TOPIC_IN_NAMESRV = 216,
    /// Put a topic's queues into a name server's table.
    REGISTER_TOPIC_IN_NAMESRV = 217,
    /// All values of one namespace.
    GET_KVLIST_BY_NAMESPACE = 219,
    /// The topics of one cluster.
    GET_TOPICS_BY_CLUSTER = 224,
    /// The names that stand for clusters and brokers, and one broker's address. To a name server.
    GET_SYSTEM_TOPIC_LIST_FROM_NS = 304,
    /// Send a message, one-letter field names. To a broker.
    SEND_MESSAGE_V2 = 310,
    /// The topics of a unit. To a name server.
    GET_UNIT_TOPIC_LIST = 311,
    /// The topics with subscribers in a unit. To a name server.
    GET_HAS_UNIT_SUB_TOPIC_LIST = 312,
    /// The topics with subscribers in a unit that belong to none themselves. To a name server.
    GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST = 313,
    /// Send several messages as one. To a broker.
    SEND_BATCH_MESSAGE = 320,
    /// A broker asks whether its registration is out of date.
    QUERY_DATA_VERSION = 322,
    /// Send the reply to a request message, long field names.
    SEND_REPLY_MESSAGE = 324,
    /// Send the reply to a request message, one-letter field names.
    SEND_REPLY_MESSAGE_V2 = 325,
    /// A broker hands a reply to the client that waits for it.
    PUSH_REPLY_MESSAGE_TO_CLIENT = 326,
    /// Give the write permission back to all topics of a broker. To a name server.
    ADD_WRITE_PERM_OF_BROKER = 327,
    /// One topic's configuration. To a broker.
    GET_TOPIC_CONFIG = 351,
    /// Pull messages without a group's rebalancing.
    LITE_PULL_MESSAGE = 361,
    /// Take a timer message back before its time.
    RECALL_MESSAGE = 370,
    /// The brokers that share one broker name. To a name server.
    GET_BROKER_MEMBER_GROUP = 901,
    /// A broker's short sign of life to a name server.
    BROKER_HEARTBEAT = 904,
    /// A name server tells a broker that the least id of its group changed.
    NOTIFY_MIN_BROKER_ID_CHANGE = 905,
}

codes! {
    /// How a request was answered.
    response, response_name, response_code:
    /// What the request asked for is done.
    SUCCESS = 0,
    /// An exception, or anything without a code of its own.
    SYSTEM_ERROR = 1,
    /// The broker has too much to do, and asks for patience.
    SYSTEM_BUSY = 2,
    /// The receiver does not serve this request code.
    REQUEST_CODE_NOT_SUPPORTED = 3,
    /// Defined, produced by no server of today.
    TRANSACTION_FAILED = 4,
    /// Stored; the flush to disk was not confirmed in time.
    FLUSH_DISK_TIMEOUT = 10,
    /// Stored; no replica is close enough.
    SLAVE_NOT_AVAILABLE = 11,
    /// Stored; the replica's confirmation did not come in time.
    FLUSH_SLAVE_TIMEOUT = 12,
    /// The message breaks a limit or a rule.
    MESSAGE_ILLEGAL = 13,
    /// Shutting down, a slave, disk full, or fenced.
    SERVICE_NOT_AVAILABLE = 14,
    /// The version is not supported.
    VERSION_NOT_SUPPORTED = 15,
    /// The topic, the broker or the user permits it not.
    NO_PERMISSION = 16,
    /// The server does not know the topic.
    TOPIC_NOT_EXIST = 17,
    /// There is a topic of this name already.
    TOPIC_EXIST_ALREADY = 18,
    /// No message at this offset yet.
    PULL_NOT_FOUND = 19,
    /// The consumer may pull again at once.
    PULL_RETRY_IMMEDIATELY = 20,
    /// The offset lies outside the queue.
    PULL_OFFSET_MOVED = 21,
    /// Nothing was found that the request asked for.
    QUERY_NOT_FOUND = 22,
    /// The subscription cannot be understood.
    SUBSCRIPTION_PARSE_FAILED = 23,
    /// The broker does not know the subscription.
    SUBSCRIPTION_NOT_EXIST = 24,
    /// The subscription is out of date.
    SUBSCRIPTION_NOT_LATEST = 25,
    /// The consumer group is unknown.
    SUBSCRIPTION_GROUP_NOT_EXIST = 26,
    /// The broker does not know the filter.
    FILTER_DATA_NOT_EXIST = 27,
    /// The filter is out of date.
    FILTER_DATA_NOT_LATEST = 28,
    /// A parameter is invalid (5.3.2 and later; before: `SYSTEM_ERROR`).
    INVALID_PARAMETER = 29,
    /// The request needs a buyer id and has none.
    NO_BUYER_ID = 204,
    /// Another unit serves what was asked for.
    NOT_IN_CURRENT_UNIT = 205,
    /// The consumer is not connected.
    CONSUMER_NOT_ONLINE = 206,
    /// The name server does not know the broker.
    BROKER_NOT_EXIST = 211,
    /// Flow control of the proxy.
    FLOW_CONTROL = 215,
    /// Another broker leads this queue.
    NOT_LEADER_FOR_QUEUE = 501,
    /// The operation is not legal now.
    ILLEGAL_OPERATION = 604,
    /// The server drains: connect anew and repeat.
    GO_AWAY = 1500,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_and_its_name_belong_together() {
        assert_eq!(
            request_name(request::SEND_MESSAGE_V2),
            Some("SEND_MESSAGE_V2")
        );
        assert_eq!(response_name(response::SYSTEM_BUSY), Some("SYSTEM_BUSY"));
        assert_eq!(request_name(9999), None);
        assert_eq!(response_name(-1), None);
    }
}
