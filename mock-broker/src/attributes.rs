//! Changes of a topic's attributes, as administrators write them: `+name=value,-name`.
//!
//! Each check is one of a real broker, in its order and with its text.

use std::collections::BTreeMap;

/// The attributes of a topic by name.
pub(crate) type Attributes = BTreeMap<String, String>;

/// The values an attribute may have.
enum Values {
    /// One of these, in the order in which a real broker lists them.
    Among(&'static [&'static str]),
    /// A number of at least −1.
    Minutes,
}

/// An attribute that a topic may have.
struct Known {
    name: &'static str,
    changeable: bool,
    values: Values,
    /// A value that this broker cannot honour.
    unsupported: Option<&'static str>,
}

/// Every attribute there is.
const KNOWN: [Known; 4] = [
    Known {
        name: "queue.type",
        changeable: false,
        values: Values::Among(&["SimpleCQ", "BatchCQ"]),
        unsupported: Some("BatchCQ"),
    },
    Known {
        name: "cleanup.policy",
        changeable: false,
        values: Values::Among(&["DELETE", "COMPACTION"]),
        unsupported: Some("COMPACTION"),
    },
    Known {
        name: "message.type",
        changeable: true,
        values: Values::Among(&[
            "UNSPECIFIED",
            "NORMAL",
            "DELAY",
            "TRANSACTION",
            "FIFO",
            "MIXED",
        ]),
        unsupported: None,
    },
    Known {
        name: "reserve.time",
        changeable: true,
        values: Values::Minutes,
        unsupported: None,
    },
];

impl Known {
    fn check(&self, value: &str) -> Result<(), String> {
        match self.values {
            Values::Among(all) if !all.contains(&value) => {
                Err(format!("value is not in set: [{}]", all.join(", ")))
            }
            Values::Minutes if value.parse::<i64>().is_err() => {
                Err(format!("For input string: \"{value}\""))
            }
            Values::Minutes if value.starts_with('-') && value != "-1" => {
                Err(format!("value is not in range(-1, {})", i64::MAX))
            }
            _ if self.unsupported == Some(value) => Err(format!(
                "{}={value} is not supported by this broker",
                self.name
            )),
            _ => Ok(()),
        }
    }
}

/// The attributes after a change; `current` is `None` for a topic that does not exist yet.
///
/// # Errors
///
/// The change is refused with this text.
pub(crate) fn changed(
    current: Option<&Attributes>,
    modification: &str,
) -> Result<Attributes, String> {
    let mut after = current.cloned().unwrap_or_default();
    let mut seen: Vec<&str> = Vec::new();
    for change in modification.split(',').filter(|_| !modification.is_empty()) {
        let (sign, name, value) = parse(change)?;
        if seen.contains(&name) {
            return Err(format!("alter duplication key. key: {name}"));
        }
        seen.push(name);
        let removed = sign == '-';
        if removed && current.is_none() {
            let rule = "only add attribute is supported while creating topic";
            return Err(format!("{rule}. key: {name}"));
        }
        if removed && !after.contains_key(name) {
            return Err(format!("attempt to delete a nonexistent key: {name}"));
        }
        let Some(known) = KNOWN.iter().find(|known| known.name == name) else {
            return Err(format!("unsupported key: {name}"));
        };
        if current.is_some() && !known.changeable {
            return Err(format!(
                "attempt to update an unchangeable attribute. key: {name}"
            ));
        }
        if removed {
            after.remove(name);
        } else {
            known.check(value)?;
            after.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(after)
}

/// The sign, name and value of one change.
fn parse(change: &str) -> Result<(char, &str, &str), String> {
    let (key, value) = match change.split_once('=') {
        Some((key, value)) if key.contains('+') => (key, value),
        Some((key, _)) => return Err(format!("add/alter attribute format is wrong: {key}")),
        None if change.contains('-') => (change, ""),
        None => return Err(format!("delete attribute format is wrong: {change}")),
    };
    let mut letters = key.chars();
    let sign = letters.next().unwrap_or_default();
    let name = letters.as_str();
    if name.is_empty() || name.contains(['+', '-']) {
        return Err("kv string format wrong.".to_owned());
    }
    if !['+', '-'].contains(&sign) {
        return Err(format!("wrong format key: {name}"));
    }
    Ok((sign, name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(result: Result<Attributes, String>) -> String {
        match result {
            Ok(after) => format!("{after:?}"),
            Err(text) => text,
        }
    }

    #[test]
    fn a_new_topic_takes_what_may_be_added() {
        let made = |text| shown(changed(None, text));
        assert_eq!(made(""), "{}");
        assert_eq!(made("+message.type=FIFO"), r#"{"message.type": "FIFO"}"#);
        assert_eq!(
            made("+message.type=NORMAL,+reserve.time=-1"),
            r#"{"message.type": "NORMAL", "reserve.time": "-1"}"#
        );
    }

    #[test]
    fn what_a_real_broker_refuses_is_refused_with_its_text() {
        let current = Attributes::from([("message.type".to_owned(), "FIFO".to_owned())]);
        for (exists, text, expected) in [
            (
                false,
                "+message.type=NOPE",
                "value is not in set: [UNSPECIFIED, NORMAL, DELAY, TRANSACTION, FIFO, MIXED]",
            ),
            (false, "+color=red", "unsupported key: color"),
            (
                false,
                "message.type=FIFO",
                "add/alter attribute format is wrong: message.type",
            ),
            (
                false,
                "message.type",
                "delete attribute format is wrong: message.type",
            ),
            (
                false,
                "-message.type",
                "only add attribute is supported while creating topic. key: message.type",
            ),
            (
                false,
                "+message.type=FIFO,+message.type=FIFO",
                "alter duplication key. key: message.type",
            ),
            (false, "+=x", "kv string format wrong."),
            (false, "+reserve.time=x", "For input string: \"x\""),
            (
                true,
                "-reserve.time",
                "attempt to delete a nonexistent key: reserve.time",
            ),
            (
                true,
                "+queue.type=SimpleCQ",
                "attempt to update an unchangeable attribute. key: queue.type",
            ),
        ] {
            let current = exists.then_some(&current);
            assert_eq!(shown(changed(current, text)), expected, "{text}");
        }
    }

    #[test]
    fn what_this_broker_does_not_do_it_refuses() {
        for text in ["+queue.type=BatchCQ", "+cleanup.policy=COMPACTION"] {
            let refused = changed(None, text).unwrap_err();
            assert!(
                refused.contains("not supported by this broker"),
                "{refused}"
            );
        }
    }

    #[test]
    fn an_attribute_can_be_changed_and_taken_away() {
        let current = Attributes::from([("message.type".to_owned(), "FIFO".to_owned())]);
        let change = |text| shown(changed(Some(&current), text));
        assert_eq!(change("-message.type"), "{}");
        assert_eq!(
            change("+message.type=MIXED"),
            r#"{"message.type": "MIXED"}"#
        );
        assert_eq!(change(""), r#"{"message.type": "FIFO"}"#);
    }
}
