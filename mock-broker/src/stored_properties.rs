//! The property string of a message, as it came and as it is stored.

use rmq_remoting::properties::{append, entries, name};

/// The region that every broker of this kind is in.
pub(crate) const REGION: &str = "DefaultRegion";

/// A property of consumers that never gets into the store.
const POP_CHECKPOINT: &str = "POP_CK";

/// The two properties of a message that a broker looks for when it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Keys<'a> {
    /// The unique key of the message (`UNIQ_KEY`), if its sender gave one.
    pub(crate) unique: Option<&'a str>,
    /// The sender's own keys.
    pub(crate) user: Option<&'a str>,
}

impl<'a> Keys<'a> {
    /// Finds them; of a name that occurs twice the last counts.
    pub(crate) fn of(properties: &'a str) -> Self {
        let mut keys = Self::default();
        for (known, value) in entries(properties) {
            match known {
                name::UNIQ_KEY => keys.unique = Some(value),
                name::KEYS => keys.user = Some(value),
                _ => {}
            }
        }
        keys
    }
}

/// The property string of a single message as stored: the sender's without what must not stay, and
/// the broker's own. Ends with the unique key the broker had to make, if so.
pub(crate) fn stored(sent: &str, cluster: &str, made_key: Option<&str>) -> String {
    let mut text = String::with_capacity(sent.len() + cluster.len() + 128);
    for (known, value) in entries(sent) {
        let ours = [
            name::MSG_REGION,
            name::TRACE_ON,
            name::CLUSTER,
            POP_CHECKPOINT,
        ];
        if !ours.contains(&known) {
            append(&mut text, known, value);
        }
    }
    add_own(&mut text, cluster);
    if let Some(key) = made_key {
        append(&mut text, name::UNIQ_KEY, key);
    }
    text
}

/// The property string of a batch's member as stored: its own, then that of the whole batch.
pub(crate) fn stored_member(member: &str, batch: &str, cluster: &str) -> String {
    let mut text = String::with_capacity(member.len() + batch.len() + cluster.len() + 128);
    text.push_str(member);
    if !text.is_empty() && !text.ends_with(rmq_remoting::properties::VALUE_END) {
        text.push(rmq_remoting::properties::VALUE_END);
    }
    text.push_str(&stored(batch, cluster, None));
    text
}

fn add_own(text: &mut String, cluster: &str) {
    append(text, name::MSG_REGION, REGION);
    append(text, name::TRACE_ON, "true");
    append(text, name::CLUSTER, cluster);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.replace('\u{1}', "=").replace('\u{2}', ";")
    }

    fn sent(text: &str) -> String {
        text.replace('=', "\u{1}").replace(';', "\u{2}")
    }

    #[test]
    fn the_broker_adds_its_own_and_drops_what_is_empty_or_for_consumers() {
        let text = sent("UNIQ_KEY=K;TAGS=a;empty=;POP_CK=z;CLUSTER=forged;");
        assert_eq!(
            shown(&stored(&text, "C", None)),
            "UNIQ_KEY=K;TAGS=a;MSG_REGION=DefaultRegion;TRACE_ON=true;CLUSTER=C;"
        );
    }

    #[test]
    fn a_missing_unique_key_is_made() {
        assert!(shown(&stored("", "C", Some("K"))).ends_with("UNIQ_KEY=K;"));
    }

    #[test]
    fn a_members_own_properties_come_first_and_are_closed() {
        let text = stored_member(&sent("A=b"), &sent("WAIT=true;"), "C");
        assert!(
            shown(&text).starts_with("A=b;WAIT=true;MSG_REGION="),
            "{}",
            shown(&text)
        );
    }

    #[test]
    fn both_keys_are_found() {
        let text = sent("KEYS=order-1;UNIQ_KEY=K1;UNIQ_KEY=K2;");
        assert_eq!(
            Keys::of(&text),
            Keys {
                unique: Some("K2"),
                user: Some("order-1")
            }
        );
    }
}
