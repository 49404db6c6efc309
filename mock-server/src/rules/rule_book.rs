//! Rules written by hand: the ready implementation of [`Control`].

use std::fmt;

use parking_lot::Mutex;
use rmq_remoting::observe::Name;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::written::{self, RulesError};
use super::{Action, Control, NoAlteration, Ruled, Seen};

/// Which requests a rule is about. An absent field matches everything.
///
/// `nth`, `from`, `to` and `every` count the requests that fit the other fields, from 1, since the
/// rule was added; requests that another rule took are counted too.
///
/// ```
/// use rmq_mock_server::rules::Match;
///
/// // The second attempt of every send to the topic, as this server counts attempts.
/// let second = Match { topic: Some("orders".into()), attempt: Some(2), ..Match::default() };
/// // The third to the fifth request of any kind.
/// let three = Match { from: Some(3), to: Some(5), ..Match::default() };
/// # assert_ne!(second, three);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Match {
    /// The code of the request. In a file: `request`, as a number or by its name.
    #[serde(rename = "request", deserialize_with = "super::written::request")]
    pub code: Option<i32>,
    /// The topic that the request must name.
    pub topic: Option<Name>,
    /// The queue id of a send.
    pub queue: Option<i32>,
    /// The sender's own `KEYS` of a send.
    pub keys: Option<Name>,
    /// The attempt, as this server counts it: its n-th send with one unique key.
    pub attempt: Option<u32>,
    /// Only the n-th request that fits, from 1.
    pub nth: Option<u64>,
    /// From the n-th request that fits on.
    pub from: Option<u64>,
    /// Up to and including the n-th.
    pub to: Option<u64>,
    /// Every n-th: the n-th, the 2n-th and so on.
    pub every: Option<u64>,
}

/// A rule: which requests, what happens to them, and how often at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    bound(deserialize = "A: DeserializeOwned")
)]
pub struct Rule<A = NoAlteration> {
    /// What traces and events call it.
    pub name: Name,
    /// The requests that the rule is for.
    #[serde(default)]
    pub when: Match,
    /// How often it applies at most; absent: without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// What the server does with them.
    pub then: Action<A>,
}

impl<A> Rule<A> {
    /// A rule without a limit.
    pub fn new(name: impl Into<Name>, when: Match, then: Action<A>) -> Self {
        Self {
            name: name.into(),
            when,
            times: None,
            then,
        }
    }

    /// Limits how often the rule applies.
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }
}

/// Names a rule of one [`RuleBook`], to remove it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleId(u64);

/// A list of rules, tried in the order they were added; the first that fits decides.
///
/// Rules may be added and removed while the server runs.
///
/// ```
/// use std::sync::Arc;
/// use rmq_mock_server::rules::{Action, Match, NoAlteration, Rule, RuleBook};
///
/// let book = Arc::new(RuleBook::<NoAlteration>::new());
/// let refuses = book.add(Rule::new("refuses", Match::default(), Action::answer(2, "busy")));
/// // A server that was started with a clone of the book refuses everything from now on.
/// assert_eq!(book.applied(refuses), Some(0));
/// assert!(book.remove(refuses));
/// ```
#[derive(Debug)]
pub struct RuleBook<A = NoAlteration> {
    rules: Mutex<Rules<A>>,
}

#[derive(Debug)]
struct Rules<A> {
    next: u64,
    list: Vec<Counted<A>>,
}

#[derive(Debug)]
struct Counted<A> {
    id: RuleId,
    rule: Rule<A>,
    matched: u64,
    applied: u64,
}

impl<A> Default for RuleBook<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A> RuleBook<A> {
    /// A book without rules: ordinary service for every request.
    pub fn new() -> Self {
        Self {
            rules: Mutex::new(Rules {
                next: 0,
                list: Vec::new(),
            }),
        }
    }

    /// These rules, in this order.
    pub fn with(rules: impl IntoIterator<Item = Rule<A>>) -> Self {
        let book = Self::new();
        for rule in rules {
            book.add(rule);
        }
        book
    }

    /// The rules of a TOML file: `[[rule]]` tables with the fields of [`Rule`], in the words of a
    /// scenario. A code is a number or its name, a duration a number of milliseconds or a text.
    ///
    /// # Errors
    ///
    /// It is no TOML, or has an unknown key or action; the message says where, and what to write instead,
    /// for each rule that has a mistake.
    ///
    /// ```
    /// use rmq_mock_server::rules::{NoAlteration, RuleBook};
    ///
    /// let book = RuleBook::<NoAlteration>::from_toml(
    ///     "[[rule]]\nname = \"dead\"\nwhen = { request = \"SEND_MESSAGE_V2\" }\nthen = { do = \"reset-before\" }\n",
    /// );
    /// assert_eq!(book.map(|book| book.names()), Ok(vec!["dead".into()]));
    ///
    /// let mistake = RuleBook::<NoAlteration>::from_toml("[[rule]]\nname = \"x\"\nthen = { do = \"die\" }\n");
    /// assert!(mistake.is_err_and(|error| error.to_string().starts_with("line 3, column 8: ")));
    /// ```
    pub fn from_toml(text: &str) -> Result<Self, RulesError>
    where
        A: DeserializeOwned,
    {
        written::rules(text).map(Self::with)
    }

    /// Adds a rule behind the others.
    pub fn add(&self, rule: Rule<A>) -> RuleId {
        let mut rules = self.rules.lock();
        let id = RuleId(rules.next);
        rules.next += 1;
        rules.list.push(Counted {
            id,
            rule,
            matched: 0,
            applied: 0,
        });
        id
    }

    /// Takes the rules of another book instead of its own, as one step: no request is decided
    /// between the two. Numbers of earlier rules mean nothing any more, and counts begin anew.
    pub fn replace(&self, with: Self) {
        let with = with.rules.into_inner();
        let mut rules = self.rules.lock();
        let first = rules.next;
        let renumbered = with.list.into_iter().map(|counted| Counted {
            id: RuleId(counted.id.0 + first),
            ..counted
        });
        rules.list = renumbered.collect();
        rules.next += with.next;
    }

    /// The names of the rules, in their order.
    pub fn names(&self) -> Vec<Name> {
        let rules = self.rules.lock();
        let names = rules.list.iter().map(|counted| &counted.rule.name);
        names.cloned().collect()
    }

    /// Removes a rule; tells whether it was there.
    pub fn remove(&self, id: RuleId) -> bool {
        let mut rules = self.rules.lock();
        let before = rules.list.len();
        rules.list.retain(|counted| counted.id != id);
        rules.list.len() < before
    }

    /// How often a rule has applied so far; `None` if it is not in the book.
    pub fn applied(&self, id: RuleId) -> Option<u64> {
        let rules = self.rules.lock();
        rules
            .list
            .iter()
            .find(|counted| counted.id == id)
            .map(|counted| counted.applied)
    }
}

impl<A: Clone + fmt::Debug + Send + Sync + 'static> Control<A> for RuleBook<A> {
    fn decide(&self, seen: &Seen<'_>) -> Option<Ruled<A>> {
        let mut ruled = None;
        for counted in &mut self.rules.lock().list {
            if counted.fits(seen) && ruled.is_none() {
                counted.applied += 1;
                ruled = Some(Ruled {
                    rule: Name::clone(&counted.rule.name),
                    action: counted.rule.then.clone(),
                });
            }
        }
        ruled
    }
}

impl<A> Counted<A> {
    /// Counts the request if it is one of this rule's, and tells whether the rule applies to it.
    fn fits(&mut self, seen: &Seen<'_>) -> bool {
        if !self.rule.when.is_about(seen) {
            return false;
        }
        self.matched += 1;
        self.rule.when.counts(self.matched)
            && self.rule.times.is_none_or(|times| self.applied < times)
    }
}

impl Match {
    fn is_about(&self, seen: &Seen<'_>) -> bool {
        self.code.is_none_or(|code| code == seen.code)
            && self
                .topic
                .as_ref()
                .is_none_or(|topic| Some(topic) == seen.topic)
            && self.queue.is_none_or(|queue| Some(queue) == seen.queue)
            && self
                .keys
                .as_ref()
                .is_none_or(|keys| Some(keys) == seen.keys)
            && self
                .attempt
                .is_none_or(|attempt| attempt == seen.nth_of_key)
    }

    fn counts(&self, n: u64) -> bool {
        self.nth.is_none_or(|nth| n == nth)
            && self.from.is_none_or(|from| n >= from)
            && self.to.is_none_or(|to| n <= to)
            && self.every.is_none_or(|every| n.is_multiple_of(every))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rmq_remoting::command::{Command, ExtFields, HeaderForm, Language};

    use super::*;

    /// A way of a server of its own to answer wrongly.
    #[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
    #[serde(rename_all = "kebab-case", tag = "do", deny_unknown_fields)]
    enum Own {
        Without { broker: Name },
    }

    fn request() -> Command {
        Command {
            code: 310,
            language: Language::default(),
            version: 0,
            opaque: 0,
            flag: 0,
            remark: None,
            ext: ExtFields::default(),
            body: Bytes::new(),
            form: HeaderForm::Json,
        }
    }

    fn send<'a>(topic: &'a Name, queue: i32, nth_of_key: u32) -> Seen<'a> {
        Seen {
            code: 310,
            request: Box::leak(Box::new(request())),
            oneway: false,
            peer: ([127, 0, 0, 1], 1).into(),
            topic: Some(topic),
            queue: Some(queue),
            unique_key: None,
            keys: None,
            nth: 1,
            nth_of_key,
        }
    }

    #[test]
    fn a_book_takes_the_rules_of_another_and_forgets_its_own() {
        let book = RuleBook::<NoAlteration>::new();
        let old = book.add(Rule::new("old", Match::default(), Action::Garbage));
        book.replace(RuleBook::with([Rule::new(
            "new",
            Match::default(),
            Action::DropReply,
        )]));
        let topic = Name::from("t");
        let ruled = book.decide(&send(&topic, 0, 1)).unwrap();
        assert_eq!((&*ruled.rule, ruled.action), ("new", Action::DropReply));
        assert!(!book.remove(old), "its number stands for no other rule");
    }

    /// For each of `n` equal sends: does the rule apply?
    fn pattern(rule: Rule, n: usize) -> String {
        let book = RuleBook::with([rule]);
        let topic = Name::from("t");
        let apply = |_| {
            if book.decide(&send(&topic, 0, 1)).is_some() {
                'x'
            } else {
                '.'
            }
        };
        (0..n).map(apply).collect()
    }

    fn when(when: Match) -> Rule {
        Rule::new("rule", when, Action::DropReply)
    }

    #[test]
    fn the_nth_match_is_counted_from_one() {
        assert_eq!(
            pattern(
                when(Match {
                    nth: Some(3),
                    ..Match::default()
                }),
                5
            ),
            "..x.."
        );
    }

    #[test]
    fn a_range_includes_both_ends() {
        let range = Match {
            from: Some(2),
            to: Some(4),
            ..Match::default()
        };
        assert_eq!(pattern(when(range), 5), ".xxx.");
    }

    #[test]
    fn every_second_starts_with_the_second() {
        assert_eq!(
            pattern(
                when(Match {
                    every: Some(2),
                    ..Match::default()
                }),
                5
            ),
            ".x.x."
        );
    }

    #[test]
    fn every_zeroth_never_applies() {
        assert_eq!(
            pattern(
                when(Match {
                    every: Some(0),
                    ..Match::default()
                }),
                3
            ),
            "..."
        );
    }

    #[test]
    fn a_rule_with_a_limit_stops_applying() {
        assert_eq!(pattern(when(Match::default()).times(2), 4), "xx..");
    }

    #[test]
    fn only_requests_that_fit_are_counted() {
        let first_of_queue_1 = Match {
            queue: Some(1),
            nth: Some(1),
            ..Match::default()
        };
        let book = RuleBook::with([when(first_of_queue_1)]);
        let topic = Name::from("t");
        assert_eq!(book.decide(&send(&topic, 0, 1)), None);
        assert!(book.decide(&send(&topic, 1, 1)).is_some());
        assert_eq!(book.decide(&send(&topic, 1, 1)), None);
    }

    #[test]
    fn a_rule_may_be_about_the_second_attempt() {
        let book = RuleBook::with([when(Match {
            attempt: Some(2),
            ..Match::default()
        })]);
        let topic = Name::from("t");
        assert_eq!(book.decide(&send(&topic, 0, 1)), None);
        assert!(book.decide(&send(&topic, 0, 2)).is_some());
    }

    #[test]
    fn the_first_rule_that_fits_decides_and_the_others_still_count() {
        let book = RuleBook::<NoAlteration>::new();
        let first = book.add(Rule::new("a", Match::default(), Action::DropReply).times(1));
        book.add(Rule::new(
            "b",
            Match {
                nth: Some(2),
                ..Match::default()
            },
            Action::Normal,
        ));
        let topic = Name::from("t");
        assert_eq!(
            book.decide(&send(&topic, 0, 1)).map(|ruled| ruled.rule),
            Some("a".into())
        );
        assert_eq!(
            book.decide(&send(&topic, 0, 1)).map(|ruled| ruled.rule),
            Some("b".into())
        );
        assert_eq!(book.applied(first), Some(1));
    }

    #[test]
    fn rules_are_read_from_a_file() {
        let text = r#"
            [[rule]]
            name = "busy"
            when = { request = 310, topic = "t", nth = 1 }
            then = { do = "answer", code = 2, remark = "busy" }
            [[rule]]
            name = "slow"
            times = 1
            then = { do = "delay-request", by = 1200 }
        "#;
        let book = RuleBook::<NoAlteration>::from_toml(text).unwrap();
        let topic = Name::from("t");
        let first = book.decide(&send(&topic, 0, 1)).map(|ruled| ruled.action);
        assert_eq!(first, Some(Action::answer(2, "busy")));
        let second = book.decide(&send(&topic, 0, 1)).map(|ruled| ruled.action);
        assert_eq!(second, Some(Action::delay(1200)));
        assert_eq!(book.decide(&send(&topic, 0, 1)), None);
    }

    #[test]
    fn a_file_names_the_alterations_of_its_server_and_no_others() {
        let text = r#"
            [[rule]]
            name = "partial"
            then = { do = "delay-request", by = 5, then = { do = "without", broker = "b" } }
        "#;
        let book = RuleBook::<Own>::from_toml(text).unwrap();
        let ruled = book.decide(&send(&Name::from("t"), 0, 1));
        let without = Action::Alter {
            how: Own::Without { broker: "b".into() },
        };
        let then = Box::new(without);
        assert_eq!(
            ruled.map(|ruled| ruled.action),
            Some(Action::Delay { ms: 5, then })
        );
        let refused = RuleBook::<NoAlteration>::from_toml(text).unwrap_err();
        assert!(refused.to_string().contains("line 4"), "{refused}");
    }

    #[test]
    fn a_mistake_in_a_file_is_located() {
        let text = "[[rule]]\nname = \"x\"\nthen = { do = \"explode\" }\n";
        let error = RuleBook::<NoAlteration>::from_toml(text)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line 3") && error.contains("explode"),
            "{error}"
        );
    }

    #[test]
    fn a_removed_rule_no_longer_applies() {
        let book = RuleBook::new();
        let id = book.add(when(Match::default()));
        assert!(book.remove(id));
        assert!(!book.remove(id));
        assert_eq!(book.decide(&send(&Name::from("t"), 0, 1)), None);
    }
}
