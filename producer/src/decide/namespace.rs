//! Names within a namespace: several tenants use one cluster, each with its own topics and groups.
//!
//! The first form of namespaces is a prefix that the client puts before topics and groups
//! (`INSTANCE%topic`); servers know nothing of it. It is put there once, whatever a program does,
//! and names that belong to the cluster have none. The second form leaves names alone and is a
//! field of every request: see
//! [`ClientBuilder::namespace_v2`](crate::ClientBuilder::namespace_v2).

use std::borrow::Cow;

const RETRY: &str = "%RETRY%";
const DEAD_LETTER: &str = "%DLQ%";

/// Topics of the cluster itself; so are those that begin with [`SYSTEM_PREFIX`].
const SYSTEM: [&str; 10] = [
    "TBW102",
    "SCHEDULE_TOPIC_XXXX",
    "BenchmarkTest",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRACE_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
    "rmq_sys_SYNC_BROKER_MEMBER",
];

const SYSTEM_PREFIX: &str = "rmq_sys_";
const SYSTEM_GROUP_PREFIX: &str = "CID_RMQ_SYS_";

/// The mark of a topic for retries or dead letters, and the rest of the name.
fn marked(name: &str) -> (&str, &str) {
    let mark = [RETRY, DEAD_LETTER]
        .into_iter()
        .find(|mark| name.starts_with(mark));
    name.split_at(mark.map_or(0, str::len))
}

/// The rest of a name behind a namespace.
fn inside<'a>(namespace: &str, name: &'a str) -> Option<&'a str> {
    name.strip_prefix(namespace)?.strip_prefix('%')
}

/// A topic or group as servers know it. The mark of retries and dead letters stays in front.
#[must_use]
pub fn wrap<'a>(namespace: &str, name: &'a str) -> Cow<'a, str> {
    let of_system = SYSTEM.contains(&name)
        || name.starts_with(SYSTEM_PREFIX)
        || name.starts_with(SYSTEM_GROUP_PREFIX);
    let (mark, rest) = marked(name);
    if namespace.is_empty() || name.is_empty() || of_system || inside(namespace, rest).is_some() {
        return Cow::Borrowed(name);
    }
    Cow::Owned(format!("{mark}{namespace}%{rest}"))
}

/// A topic or group as the program knows it. Only this namespace is taken away.
#[must_use]
pub fn unwrap<'a>(namespace: &str, name: &'a str) -> Cow<'a, str> {
    let (mark, rest) = marked(name);
    match inside(namespace, rest) {
        None => Cow::Borrowed(name),
        Some(rest) if mark.is_empty() => Cow::Borrowed(rest),
        Some(rest) => Cow::Owned(format!("{mark}{rest}")),
    }
}

/// The namespace that the address of a name server says, as hosted clusters have it:
/// `http://MQ_INST_123_abc.region.example:80` is in `MQ_INST_123_abc`.
#[must_use]
pub fn of_address(address: &str) -> Option<&str> {
    let host = match address.split_once("://") {
        Some((scheme, host)) if !scheme.is_empty() && scheme.chars().all(is_word) => host,
        Some(_) => return None,
        None => address,
    };
    let (instance, _) = host.split_once('.')?;
    let parts = instance.strip_prefix("MQ_INST_")?.split_once('_');
    let named = parts.is_some_and(|(user, id)| !user.is_empty() && !id.is_empty());
    (named && instance.chars().all(is_word)).then_some(instance)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_put_into_its_namespace_once_and_its_mark_stays_in_front() {
        for (name, wrapped) in [
            ("T", "NS%T"),
            ("NS%T", "NS%T"),
            ("NSX%T", "NS%NSX%T"),
            ("%RETRY%G", "%RETRY%NS%G"),
            ("%DLQ%NS%G", "%DLQ%NS%G"),
        ] {
            assert_eq!(wrap("NS", name), wrapped);
            assert_eq!(wrap("NS", wrapped), wrapped);
        }
        assert_eq!(wrap("", "T"), "T");
        assert_eq!(wrap("NS", ""), "");
    }

    #[test]
    fn what_belongs_to_the_cluster_has_no_namespace() {
        for name in [
            "TBW102",
            "rmq_sys_x",
            "CID_RMQ_SYS_y",
            "RMQ_SYS_TRACE_TOPIC",
        ] {
            assert_eq!(wrap("NS", name), name);
        }
    }

    #[test]
    fn only_its_own_namespace_is_taken_away() {
        for (wrapped, name) in [
            ("NS%T", "T"),
            ("T", "T"),
            ("OTHER%T", "OTHER%T"),
            ("%RETRY%NS%G", "%RETRY%G"),
        ] {
            assert_eq!(unwrap("NS", wrapped), name);
        }
    }

    #[test]
    fn a_hosted_clusters_address_says_the_namespace() {
        let found = Some("MQ_INST_1_abc");
        assert_eq!(of_address("http://MQ_INST_1_abc.host:80"), found);
        assert_eq!(of_address("MQ_INST_1_abc.host:80"), found);
        for address in [
            "10.0.0.1:9876",
            "http://host:80",
            "MQ_INST_1.host:80",
            "MQ_INST_1_abc:80",
            "://MQ_INST_1_abc.host:80",
        ] {
            assert_eq!(of_address(address), None, "{address}");
        }
    }
}
