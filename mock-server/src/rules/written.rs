//! How rules are written in a file: the words of a scenario, codes by number or name, and what is wrong
//! with a file, all at once.

use std::fmt;
use std::ops::Range;

use rmq_remoting::settings::{Millis, explain, request_code};
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer};
use serde::{Serialize, Serializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::{Action, Rule};

/// Where the form of a file of rules can be seen.
const EXAMPLE: &str = "docs/mocks.md";

/// A duration, in milliseconds.
pub(super) fn ms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Millis::deserialize(deserializer).map(|it| it.0)
}

/// A request code that may be left out.
pub(super) fn request<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i32>, D::Error> {
    request_code(deserializer).map(Some)
}

impl<A: Serialize> Serialize for Action<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Alter { how } => how.serialize(serializer),
            _ => Self::serialize(self, serializer),
        }
    }
}

/// Reads what every server can do, and what only this one can, by one word: `do`. The format must say
/// what it holds, as TOML does.
impl<'de, A: DeserializeOwned> Deserialize<'de> for Action<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = toml::Table::deserialize(deserializer)?;
        let Some(word) = table.get("do").and_then(toml::Value::as_str) else {
            return Err(de::Error::custom(
                "an action needs the key \"do\"\nwrite { do = \"drop-reply\" }, or another action",
            ));
        };
        let unknown = format!("unknown variant `{word}`");
        let of_all = match Self::deserialize(table.clone()) {
            Err(error) if error.message().starts_with(&unknown) => error,
            read => return read.map_err(|error| de::Error::custom(error.message())),
        };
        match A::deserialize(table.clone()) {
            Ok(how) => Ok(Self::Alter { how }),
            Err(error) if error.message().starts_with("unknown variant") => {
                let own = error.message().contains(&unknown);
                let own = own.then(|| known(error.message())).flatten();
                let all = known(of_all.message()).into_iter().chain(own);
                let all: Vec<String> = all.collect();
                Err(de::Error::custom(format!(
                    "there is no action \"{word}\" at this server\nuse one of: {}",
                    all.join(", ")
                )))
            }
            Err(error) => Err(de::Error::custom(error.message())),
        }
    }
}

/// The words that a reader would have taken.
fn known(message: &str) -> Option<String> {
    let (_, known) = message.split_once(", expected ")?;
    Some(known.replace("one of ", "").replace('`', ""))
}

/// A file of rules that cannot be read: everything that is wrong with it, rule by rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesError(Vec<RuleFlaw>);

/// What is wrong with one rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct RuleFlaw {
    line: usize,
    column: usize,
    what: String,
    remedy: String,
}

impl std::error::Error for RulesError {}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, flaw) in self.0.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            let RuleFlaw { line, column, .. } = flaw;
            write!(f, "{end}line {line}, column {column}: {flaw}")?;
        }
        Ok(())
    }
}

impl fmt::Display for RuleFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  remedy: {}", self.what, self.remedy)
    }
}

impl RulesError {
    /// The error as a person reads it who has the file's name: each mistake behind `rules.toml:3:8: `.
    #[must_use]
    pub fn in_file(&self, file: impl fmt::Display) -> String {
        let line = |flaw: &RuleFlaw| format!("{file}:{}:{}: {flaw}", flaw.line, flaw.column);
        self.0.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

impl RuleFlaw {
    fn new(text: &str, at: Range<usize>, (what, remedy): (String, String)) -> Self {
        let before = text.get(..at.start).unwrap_or(text);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.chars().rev().take_while(|it| *it != '\n').count() + 1,
            what,
            remedy,
        }
    }

    fn of(text: &str, error: &toml::de::Error, rule: Range<usize>) -> Self {
        let told = explain(error.message(), EXAMPLE);
        Self::new(text, error.span().unwrap_or(rule), told)
    }
}

/// The rules of a file: each `[[rule]]` is read by itself, so that one mistake does not hide another.
pub(super) fn rules<A: DeserializeOwned>(text: &str) -> Result<Vec<Rule<A>>, RulesError> {
    let tree = DeTable::parse(text);
    let tree = tree.map_err(|error| RulesError(vec![RuleFlaw::of(text, &error, 0..0)]))?;
    let (mut rules, mut flaws) = (Vec::new(), Vec::new());
    for (key, value) in tree.into_inner() {
        let place = value.span();
        match value.into_inner() {
            DeValue::Array(list) if key.get_ref() == "rule" => {
                for one in list {
                    match rule(text, one) {
                        Ok(rule) => rules.push(rule),
                        Err(flaw) => flaws.push(flaw),
                    }
                }
            }
            _ if key.get_ref() == "rule" => {
                let told = (
                    "this is no list of rules",
                    "begin each rule with a line [[rule]]",
                );
                flaws.push(RuleFlaw::new(text, place, (told.0.into(), told.1.into())));
            }
            _ => {
                let what = format!("there is no key \"{}\" here", key.get_ref());
                let remedy = "remove it; a file of rules has tables [[rule]]".to_owned();
                flaws.push(RuleFlaw::new(text, key.span(), (what, remedy)));
            }
        }
    }
    flaws.sort();
    if flaws.is_empty() {
        Ok(rules)
    } else {
        Err(RulesError(flaws))
    }
}

fn rule<A: DeserializeOwned>(text: &str, one: Spanned<DeValue<'_>>) -> Result<Rule<A>, RuleFlaw> {
    let place = one.span();
    let read = Rule::deserialize(ValueDeserializer::from(one));
    read.map_err(|error| RuleFlaw::of(text, &error, place))
}

#[cfg(test)]
mod tests {
    use rmq_remoting::observe::Name;

    use super::*;
    use crate::rules::{NoAlteration, RuleBook};

    /// A way of a server of its own to answer wrongly.
    #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "kebab-case", tag = "do", deny_unknown_fields)]
    enum Own {
        PartialRoute { broker: Name },
    }

    fn action(then: &str) -> Result<Action<Own>, String> {
        let text = format!("[[rule]]\nname = \"x\"\nthen = {then}\n");
        let rules = rules::<Own>(&text).map_err(|error| error.to_string())?;
        let [rule] = &rules[..] else {
            panic!("one rule")
        };
        Ok(rule.then.clone())
    }

    #[test]
    fn a_file_has_the_words_of_a_scenario() {
        for (text, expected) in [
            (
                "{ do = \"delay\", by = \"800ms\" }",
                Action::DelayReply { ms: 800 },
            ),
            (
                "{ do = \"delay-request\", by = 1200 }",
                Action::delay(1_200),
            ),
            (
                "{ do = \"answer\", code = \"SYSTEM_BUSY\" }",
                Action::Answer {
                    code: 2,
                    remark: None,
                },
            ),
            (
                "{ do = \"answer\", code = 2 }",
                Action::Answer {
                    code: 2,
                    remark: None,
                },
            ),
            (
                "{ do = \"partial-route\", broker = \"b\" }",
                Action::Alter {
                    how: Own::PartialRoute { broker: "b".into() },
                },
            ),
        ] {
            assert_eq!(action(text), Ok(expected.clone()), "{text}");
            let again = toml::Value::try_from(&expected).unwrap();
            assert_eq!(again.try_into(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_action_has_a_remedy() {
        for (text, what, remedy) in [
            ("{ do = \"die\" }", "no action \"die\"", "drop-reply"),
            ("{ do = \"die\" }", "no action \"die\"", "partial-route"),
            ("{ code = 2 }", "needs the key \"do\"", "drop-reply"),
            ("{ do = \"delay\" }", "\"by\" is missing", "`by = …`"),
            ("{ do = \"delay\", ms = 3 }", "no key \"ms\"", "by"),
            (
                "{ do = \"delay\", by = \"soon\" }",
                "no duration",
                "a number of milliseconds or a text like \"200ms\"",
            ),
            (
                "{ do = \"answer\", code = \"BUSY\" }",
                "no response code",
                "SYSTEM_BUSY",
            ),
            (
                "{ do = \"partial-route\" }",
                "\"broker\" is missing",
                "`broker = …`",
            ),
        ] {
            let error = action(text).unwrap_err();
            let (told, advice) = error.split_once("\n  remedy: ").unwrap();
            assert!(told.starts_with("line 3, column "), "{error}");
            assert!(told.contains(what), "{error}");
            assert!(advice.contains(remedy), "{error}");
        }
    }

    #[test]
    fn the_mistakes_of_a_file_are_told_together_in_their_order() {
        let text = "rules = 1\n\
            [[rule]]\nname = \"a\"\nwhen = { request = \"SEND\" }\nthen = { do = \"normal\" }\n\
            [[rule]]\nthen = { do = \"normal\" }\n\
            [[rule]]\nname = \"b\"\nthen = { do = \"die\" }\n";
        let error = RuleBook::<NoAlteration>::from_toml(text).unwrap_err();
        let told = error.in_file("rules.toml");
        let places = told.lines().filter_map(|line| line.split_once(": "));
        let places: Vec<&str> = places
            .map(|(place, _)| place)
            .filter(|it| it.starts_with("rules"))
            .collect();
        assert_eq!(
            places,
            [
                "rules.toml:1:1",
                "rules.toml:4:20",
                "rules.toml:6:1",
                "rules.toml:10:8"
            ],
            "{told}"
        );
        assert_eq!(told.matches("\n  remedy: ").count(), 4, "{told}");
        let broken = RuleBook::<NoAlteration>::from_toml("[[rule]\n").unwrap_err();
        assert_eq!(broken.to_string().matches("remedy").count(), 1, "{broken}");
    }
}
