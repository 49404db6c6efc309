//! The script of a mock: which requests are answered differently, and how.
//!
//! The contract: for every request the name server reads, in the order of arrival, it asks its
//! [`Control`] once, before the tables are looked at. `None` is ordinary service. An action says
//! what happens to this request only. Every decision is an event with the rule's name.
//!
//! [`RuleBook`] is the ready implementation for rules written by hand.

use std::fmt;
use std::net::SocketAddr;

use parking_lot::Mutex;
use rmq_remoting::observe::Name;
use serde::{Deserialize, Serialize};

use crate::odd::OddRoute;

/// What can be seen of a request when a decision about it is due.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The code of the request.
    pub code: i32,
    /// The address of the client's end.
    pub peer: SocketAddr,
    /// The topic, if the request names one.
    pub topic: Option<&'a Name>,
    /// How many requests with this code this process has read, this one included.
    pub nth: u64,
}

/// A decision to act, and the rule it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruled {
    /// The rule's name, for the trace.
    pub rule: Name,
    /// What happens to the request.
    pub action: Action,
}

/// Decides about requests. Called inline, so it must be quick and must not block.
pub trait Control: fmt::Debug + Send + Sync + 'static {
    /// What happens to this request; `None` for ordinary service.
    fn decide(&self, seen: &Seen<'_>) -> Option<Ruled>;
}

/// Ordinary service for every request.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoControl;

impl Control for NoControl {
    fn decide(&self, _seen: &Seen<'_>) -> Option<Ruled> {
        None
    }
}

/// What happens to one request instead of ordinary service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do", deny_unknown_fields)]
pub enum Action {
    /// The tables are left alone; the answer is this.
    Answer {
        /// The response code that is answered.
        code: i32,
        /// The remark of the answer, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remark: Option<Name>,
    },
    /// The tables are left alone; the answer is a success with this body, after so many
    /// milliseconds: a route that no broker registered.
    Route {
        /// The body of the answer.
        body: Name,
        /// After how long, in milliseconds.
        #[serde(default)]
        after_ms: u64,
    },
    /// The request is handled at once, its answer comes so much later.
    Delay {
        /// For how long, in milliseconds.
        ms: u64,
    },
    /// Neither handled nor answered.
    Silence,
    /// Not handled; the connection is closed.
    Close,
    /// Not handled; the connection is dropped at once.
    Reset,
    /// Handled and answered twice.
    ReplyTwice,
    /// Handled; the answer carries a request id that the client never used.
    UnknownOpaque,
    /// Handled; the first half of the answer is written, then nothing.
    HalfFrame,
    /// Handled; the first half of the answer is written, then the connection is closed.
    HalfFrameClose,
    /// Handled; the answer is bytes that are no frame.
    Garbage,
    /// A route as it was when [`Memory::keep`](crate::Memory::keep) was called with this number;
    /// as it is now if it never was.
    StaleRoute {
        /// The number that the tables were kept under.
        kept: u32,
    },
    /// A route without one broker. Without brokers there is no route.
    PartialRoute {
        /// The name of the broker that is left out.
        broker: Name,
    },
    /// A route in an odd form.
    OddRoute {
        /// In which way the route is odd.
        form: OddRoute,
    },
    /// A route with its brokers in another order.
    PermutedRoute {
        /// Which order: each number stands for one.
        order: u64,
    },
}

/// Which requests a rule is about. An absent field matches everything.
///
/// `nth`, `from` and `to` count the requests that fit the other fields, from 1, since the rule was
/// added; requests that another rule took are counted too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Match {
    /// The code of the request.
    pub code: Option<i32>,
    /// The topic that the request must name.
    pub topic: Option<Name>,
    /// Only the n-th request that fits, from 1.
    pub nth: Option<u64>,
    /// From the n-th on.
    pub from: Option<u64>,
    /// Up to and including the n-th.
    pub to: Option<u64>,
}

/// A rule: which requests, and what happens to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rule {
    /// What traces call it.
    pub name: Name,
    /// The requests that the rule is for.
    #[serde(default)]
    pub when: Match,
    /// What the server does with them.
    pub then: Action,
}

impl Rule {
    /// A rule.
    pub fn new(name: impl Into<Name>, when: Match, then: Action) -> Self {
        Self {
            name: name.into(),
            when,
            then,
        }
    }
}

/// Names a rule of one [`RuleBook`], to remove it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleId(u64);

/// A list of rules, tried in the order they were added; the first that fits decides.
///
/// Rules may be added and removed while the name server runs.
#[derive(Debug, Default)]
pub struct RuleBook {
    rules: Mutex<Rules>,
}

#[derive(Debug, Default)]
struct Rules {
    next: u64,
    list: Vec<Counted>,
}

#[derive(Debug)]
struct Counted {
    id: RuleId,
    rule: Rule,
    matched: u64,
}

impl RuleBook {
    /// Begins without rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a rule behind the others.
    pub fn add(&self, rule: Rule) -> RuleId {
        let mut rules = self.rules.lock();
        let id = RuleId(rules.next);
        rules.next += 1;
        rules.list.push(Counted {
            id,
            rule,
            matched: 0,
        });
        id
    }

    /// Removes a rule; tells whether it was there.
    pub fn remove(&self, id: RuleId) -> bool {
        let mut rules = self.rules.lock();
        let before = rules.list.len();
        rules.list.retain(|counted| counted.id != id);
        rules.list.len() < before
    }
}

impl Control for RuleBook {
    fn decide(&self, seen: &Seen<'_>) -> Option<Ruled> {
        let mut ruled = None;
        for counted in &mut self.rules.lock().list {
            if counted.fits(seen) && ruled.is_none() {
                ruled = Some(Ruled {
                    rule: Name::clone(&counted.rule.name),
                    action: counted.rule.then.clone(),
                });
            }
        }
        ruled
    }
}

impl Counted {
    /// Counts the request if it is one of this rule's, and tells whether the rule applies to it.
    fn fits(&mut self, seen: &Seen<'_>) -> bool {
        let when = &self.rule.when;
        let about = when.code.is_none_or(|code| code == seen.code)
            && when
                .topic
                .as_ref()
                .is_none_or(|topic| Some(topic) == seen.topic);
        if !about {
            return false;
        }
        self.matched += 1;
        when.nth.is_none_or(|nth| self.matched == nth)
            && when.from.is_none_or(|from| self.matched >= from)
            && when.to.is_none_or(|to| self.matched <= to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(topic: &Name) -> Seen<'_> {
        Seen {
            code: 105,
            peer: ([127, 0, 0, 1], 1).into(),
            topic: Some(topic),
            nth: 1,
        }
    }

    #[test]
    fn the_nth_match_is_counted_among_the_requests_that_fit() {
        let book = RuleBook::new();
        let second_of_a = Match {
            topic: Some("a".into()),
            nth: Some(2),
            ..Match::default()
        };
        book.add(Rule::new("rule", second_of_a, Action::Silence));
        let (a, b) = (Name::from("a"), Name::from("b"));
        let hit: Vec<bool> = [&a, &b, &a, &a]
            .map(|topic| book.decide(&route(topic)).is_some())
            .into();
        assert_eq!(hit, [false, false, true, false]);
    }

    #[test]
    fn a_removed_rule_no_longer_applies() {
        let book = RuleBook::new();
        let id = book.add(Rule::new("rule", Match::default(), Action::Close));
        let topic = Name::from("a");
        assert!(book.decide(&route(&topic)).is_some());
        assert!(book.remove(id));
        assert_eq!(book.decide(&route(&topic)), None);
    }
}
