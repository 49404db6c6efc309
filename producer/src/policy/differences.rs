//! A policy as people write it: a preset and what differs from it.
//!
//! Nobody repeats a hundred values to change one. The differences are put into the preset one by one,
//! and the result is checked after each, so that what is wrong is said of the key that made it so.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

use super::Policy;

/// What is wrong with one key of a written policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub(crate) struct KeyError {
    /// The key with those of the tables around it, such as `periods.poll`.
    pub(crate) key: String,
    /// What is wrong with it, in words.
    pub(crate) problem: String,
}

impl KeyError {
    fn new(key: &[String], problem: impl fmt::Display) -> Self {
        Self {
            key: key.join("."),
            // A reader of durations has a line of its own for the remedy.
            problem: problem.to_string().replace('\n', "; "),
        }
    }
}

/// The policy that a table describes: `preset` names one, `strict` unless written, and every other key
/// replaces the preset's value.
pub(crate) fn with_differences(mut written: Map<String, Value>) -> Result<Policy, KeyError> {
    let preset_key = ["preset".to_owned()];
    let policy = match written.remove("preset") {
        None => Policy::strict(),
        Some(Value::String(name)) => {
            Policy::preset(&name).map_err(|error| KeyError::new(&preset_key, error))?
        }
        Some(other) => {
            let problem = format!("{other} is no name; write one as preset = \"strict\"");
            return Err(KeyError::new(&preset_key, problem));
        }
    };
    let whole = serde_json::to_value(&policy).map_err(|error| KeyError::new(&[], error))?;
    let mut draft = Draft { policy, whole };
    draft.apply(&mut Vec::new(), written)?;
    Ok(draft.policy)
}

/// A policy that is being changed, as a value and as the tree that its keys name.
struct Draft {
    policy: Policy,
    whole: Value,
}

impl Draft {
    /// Puts in the keys of the table at `path`.
    fn apply(&mut self, path: &mut Vec<String>, table: Map<String, Value>) -> Result<(), KeyError> {
        for (key, value) in table {
            let Some(Value::Object(known)) = self.at(path) else {
                return Err(KeyError::new(path, "this is no table"));
            };
            if !known.contains_key(&key) {
                let known: Vec<_> = known.keys().map(|key| format!("`{key}`")).collect();
                let problem = format!("unknown key, expected one of {}", known.join(", "));
                path.push(key);
                return Err(KeyError::new(path, problem));
            }
            path.push(key);
            self.set(path, value)?;
            path.pop();
        }
        Ok(())
    }

    /// Puts in one value; of a table that the policy has as a table, its keys.
    fn set(&mut self, path: &mut Vec<String>, value: Value) -> Result<(), KeyError> {
        let Some(place) = self.at(path) else {
            return Err(KeyError::new(path, "unknown key"));
        };
        match (place, value) {
            (Value::Object(_), Value::Object(table)) => return self.apply(path, table),
            // A policy that was written whole mostly says what the preset says, which is checked.
            (place, value) if *place == value => return Ok(()),
            (place, value) => *place = value,
        }
        self.policy =
            Policy::deserialize(&self.whole).map_err(|error| KeyError::new(path, error))?;
        let checked = self.policy.check();
        checked.map_err(|error| KeyError::new(path, error))
    }

    fn at(&mut self, path: &[String]) -> Option<&mut Value> {
        path.iter()
            .try_fold(&mut self.whole, |value, key| value.get_mut(key))
    }
}

/// A policy is written whole.
impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// A policy is read as a preset and what differs from it; one that was written whole differs in every key.
/// The format must say what it holds, as TOML and JSON do.
impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Map::deserialize(deserializer)?;
        with_differences(written).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(written: Value) -> Result<Policy, String> {
        serde_json::from_value(written).map_err(|error| error.to_string())
    }

    #[test]
    fn a_policy_is_a_preset_and_its_differences() {
        let mut expected = Policy::java_5_3();
        expected.checks.max_body = 100;
        expected.periods.poll = 7;
        let written = json!({
            "preset": "java_5_3", "checks": { "max-body": 100 }, "periods": { "poll": 7 }
        });
        assert_eq!(read(written), Ok(expected));
        assert_eq!(read(json!({})), Ok(Policy::strict()));
    }

    #[test]
    fn a_time_is_a_number_of_milliseconds_or_a_text_and_a_count_is_no_time() {
        let texts = json!({
            "send-timeout": "2s", "periods": { "poll": "500ms" }, "attempt-timeout": { "cap": "1s" },
            "health": { "table": [[0, "0ms"], ["550ms", "30s"]] },
            "dead-peer": { "replace": { "unanswered": 3, "silent": "2min" } }
        });
        let numbers = json!({
            "send-timeout": 2000, "periods": { "poll": 500 }, "attempt-timeout": { "cap": 1000 },
            "health": { "table": [[0, 0], [550, 30_000]] },
            "dead-peer": { "replace": { "unanswered": 3, "silent": 120_000 } }
        });
        assert_eq!(read(texts), read(numbers));
        let error = read(json!({ "attempts": { "sync": "3s" } })).unwrap_err();
        assert!(error.starts_with("attempts.sync: invalid type"), "{error}");
    }

    #[test]
    fn a_policy_that_was_written_whole_is_read_as_it_was() {
        for preset in super::super::PRESETS {
            let policy = Policy::preset(preset).unwrap();
            assert_eq!(read(serde_json::to_value(&policy).unwrap()), Ok(policy));
        }
    }

    #[test]
    fn a_choice_with_values_of_its_own_is_changed_whole_or_in_part() {
        let replaced = read(json!({ "timeout-scan": { "every": {
            "period": 5, "first": 6, "grace": 7
        }}}));
        let replaced = replaced.unwrap().timeout_scan;
        assert_eq!(serde_json::to_value(replaced).unwrap()["every"]["first"], 6);
        let in_part = read(json!({ "dead-peer": { "replace": { "silent": 9 } } })).unwrap();
        let in_part = serde_json::to_value(in_part.dead_peer).unwrap();
        assert_eq!(in_part["replace"], json!({ "unanswered": 3, "silent": 9 }));
        assert!(read(json!({ "dead-peer": "keep" })).is_ok());
    }

    #[test]
    fn what_is_wrong_is_said_of_its_key() {
        for (written, told) in [
            (json!({ "preset": 3 }), "preset: 3 is no name"),
            (json!({ "preset": "x" }), "preset: no preset `x`"),
            (json!({ "max-bodi": 3 }), "max-bodi: unknown key, expected"),
            (
                json!({ "periods": { "pol": 3 } }),
                "periods.pol: unknown key",
            ),
            (
                json!({ "periods": { "poll": "x" } }),
                "periods.poll: \"x\" is no duration; write a number of milliseconds or a text",
            ),
            (
                json!({ "periods": { "poll": 0 } }),
                "periods.poll: policy `strict`: periods.poll is 0",
            ),
            (
                json!({ "send-timeout": { "ms": 3 } }),
                "send-timeout: invalid type",
            ),
            (json!({ "denied": "x" }), "denied: unknown variant `x`"),
        ] {
            let error = read(written).unwrap_err();
            assert!(error.starts_with(told), "{error}");
        }
    }
}
