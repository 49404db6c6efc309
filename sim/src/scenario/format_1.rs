//! Scenario and policy files of format 1, translated as they are read.
//!
//! A replay file is its user's property: one that an earlier release wrote must go on failing in the same
//! way. Format 2 has other words for a few keys. They are replaced in the text, each where it stands,
//! before it is read, so that nothing else of this program knows the old ones. What a message quotes of
//! such a file is the translated line.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::FORMAT;

/// A key of format 1, by its tables, and the word that format 2 has for it.
type Renamed = (&'static [&'static str], &'static str);

const SCENARIO: [Renamed; 1] = [(&["expect", "overtaken"], "hedged")];

/// A policy file has no format of its own, and no word has changed its meaning.
const POLICY: [Renamed; 14] = [
    (&["share"], "attempt-timeout"),
    (&["overtaken"], "hedged-answer"),
    (&["overtake-tokens"], "hedging-tokens"),
    (&["overtake-refill-tenths"], "hedging-refill-tenths"),
    (&["overtake-over"], "hedge-over"),
    (&["overtake-known"], "hedge-known"),
    (&["presence", "beat-on-open"], "heartbeat-on-open"),
    (&["presence", "farewell"], "unregister"),
    (&["attempts", "pinned-sync"], "target-queue-sync"),
    (&["attempts", "pinned-async"], "target-queue-async"),
    (
        &["health", "counts-pinned-sync"],
        "counts-target-queue-sync",
    ),
    (&["periods", "first-beat"], "first-heartbeat"),
    (&["periods", "beat"], "heartbeat"),
    (&["periods", "beat-timeout"], "heartbeat-timeout"),
];

/// The text of a scenario in the words of this format. A text of another format, or one that is no
/// TOML, is left as it is: who reads it says so.
pub(super) fn scenario(text: &str) -> Cow<'_, str> {
    let Ok(table) = DeTable::parse(text) else {
        return Cow::Borrowed(text);
    };
    let format = find(table.get_ref(), "format");
    let format = format
        .filter(|(_, value)| matches!(value.get_ref(), DeValue::Integer(it) if it.as_str() == "1"));
    let Some((_, format)) = format else {
        return Cow::Borrowed(text);
    };
    let number = FORMAT.to_string();
    let renamed = renamed(table.get_ref(), &SCENARIO);
    replaced(text, renamed.chain([(format.span(), &*number)]).collect())
}

/// The text of a policy file in the words of this format.
pub(super) fn policy(text: &str) -> Cow<'_, str> {
    match DeTable::parse(text) {
        Ok(table) => replaced(text, renamed(table.get_ref(), &POLICY).collect()),
        Err(_) => Cow::Borrowed(text),
    }
}

type Entry<'t, 'i> = (&'t Spanned<Cow<'i, str>>, &'t Spanned<DeValue<'i>>);

fn find<'t, 'i>(table: &'t DeTable<'i>, key: &str) -> Option<Entry<'t, 'i>> {
    table.iter().find(|(it, _)| *it.get_ref() == key)
}

/// Where the old keys of a file stand, each with the new one.
fn renamed<'t>(
    table: &'t DeTable<'_>,
    keys: &'t [Renamed],
) -> impl Iterator<Item = (Range<usize>, &'t str)> {
    keys.iter().filter_map(move |(path, new)| {
        let (key, tables) = path.split_last()?;
        let inner = tables.iter().try_fold(table, |table, name| {
            let (_, value) = find(table, name)?;
            value.get_ref().as_table()
        });
        let (key, _) = find(inner?, key)?;
        Some((key.span(), *new))
    })
}

/// The text with other words in these places.
fn replaced<'t>(text: &'t str, mut words: Vec<(Range<usize>, &str)>) -> Cow<'t, str> {
    if words.is_empty() {
        return Cow::Borrowed(text);
    }
    words.sort_by_key(|(place, _)| place.start);
    let mut translated = text.to_owned();
    for (place, word) in words.into_iter().rev() {
        translated.replace_range(place, word);
    }
    Cow::Owned(translated)
}

#[cfg(test)]
mod tests {
    use rmq_producer::Policy;

    use super::*;

    #[test]
    fn the_keys_of_format_1_are_replaced_where_they_stand() {
        let old = "format = 1 # overtaken\n[expect]\nok = 1\novertaken = { min = 1 }\n";
        let new = "format = 2 # overtaken\n[expect]\nok = 1\nhedged = { min = 1 }\n";
        assert_eq!(scenario(old), new);
        assert_eq!(
            scenario("format = 1\nexpect.overtaken = 0"),
            "format = 2\nexpect.hedged = 0"
        );
    }

    #[test]
    fn a_text_of_another_format_and_one_that_is_no_toml_are_left_as_they_are() {
        for text in [
            "format = 2\n[expect]\novertaken = 1\n",
            "format = \"1\"\n",
            "format = 1\n[",
            "",
        ] {
            assert!(
                matches!(scenario(text), Cow::Borrowed(it) if it == text),
                "{text}"
            );
        }
    }

    #[test]
    fn a_policy_in_the_words_of_format_1_is_the_policy_in_those_of_format_2() {
        for preset in [
            Policy::strict(),
            Policy::java_5_3(),
            Policy::java_4_9(),
            Policy::go_2_1(),
        ] {
            let new = toml::to_string(&preset).unwrap();
            let mut old = String::new();
            for line in new.lines() {
                let (key, value) = line.split_once(" = ").unwrap_or((line, ""));
                let renamed = POLICY.iter().find(|(_, word)| *word == key);
                let key = renamed.map_or(key, |(path, _)| path[path.len() - 1]);
                let value = if value.is_empty() {
                    String::new()
                } else {
                    format!(" = {value}")
                };
                old.push_str(&format!("{key}{value}\n"));
            }
            assert_ne!(old, format!("{new}\n"));
            assert_eq!(Policy::from_toml(&policy(&old)).unwrap(), preset);
        }
    }
}
