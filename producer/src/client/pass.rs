//! One pass of a lookup over the list of name servers, as a state machine without I/O: which server is
//! asked next and for how long, what its answer means for the list, and what all answers come to.
//!
//! Name servers know nothing of each other, so "there is no such topic" counts only when every one
//! that can be reached has said so, and an answer that cannot be read, or by which nothing can be
//! sent, is passed over like a refusal: another server may know better.

use bytes::Bytes;
use rmq_remoting::client::{CallError, CallStage};
use rmq_remoting::code::response;
use rmq_remoting::observe::Name;
use smallvec::SmallVec;

use super::name_servers::Listed;
use super::routes::Fit;
use crate::decide::route::Unfit;
use crate::decide::{Millis, name_server};
use crate::error::{Said, ServerAnswer};
use crate::event::LookupEnd;
use crate::policy::Policy;

/// What the name servers said.
#[derive(Debug)]
pub(crate) enum LookupAnswer {
    Route {
        body: Bytes,
        fit: Fit,
    },
    NotExist {
        answers: Vec<ServerAnswer>,
    },
    Unusable {
        reason: String,
        answers: Vec<ServerAnswer>,
    },
    Refused {
        server: Name,
        code: i32,
        remark: String,
        answers: Vec<ServerAnswer>,
    },
    Unreachable(Vec<(Name, CallError)>),
}

impl LookupAnswer {
    /// How a lookup that brought no route ended, as an event.
    pub(crate) fn end(&self) -> Option<LookupEnd> {
        match self {
            Self::Route { .. } => None,
            Self::NotExist { .. } => Some(LookupEnd::NotExist),
            Self::Unusable { reason, .. } => Some(LookupEnd::Unusable(reason.clone())),
            Self::Refused { code, .. } => Some(LookupEnd::Refused { code: *code }),
            Self::Unreachable(_) => Some(LookupEnd::Unreachable),
        }
    }
}

/// A pass over the name servers.
#[derive(Debug)]
pub(crate) struct Pass {
    /// The time of the whole pass.
    whole: Millis,
    asked: SmallVec<[Name; 4]>,
    heard: Heard,
}

/// The next question of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ask {
    /// The server's place in the list in force.
    pub(crate) at: usize,
    /// How long its answer may take, in milliseconds.
    pub(crate) slice: Millis,
    /// Whether no other server is left, so that it has all the time there is.
    pub(crate) last: bool,
    /// How many servers the list has.
    count: usize,
    rule: name_server::Pass,
}

/// An answer that brought no route.
#[derive(Debug)]
pub(crate) enum NoRoute {
    /// A route that cannot be read, or by which nothing can be sent.
    Unfit(Unfit),
    /// An error code, or success without a route.
    Refused { code: i32, remark: String },
    /// The server could not be asked, or gave no answer in time.
    Failed(CallError),
}

/// What an answer without a route means for the list and the pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct After {
    /// The place of the server that lookups ask first from now on, if that changes.
    pub(crate) prefer: Option<usize>,
    /// Whether nobody else is asked.
    pub(crate) over: bool,
}

impl Pass {
    /// A pass that has this time for all its servers.
    pub(crate) fn new(whole: Millis) -> Self {
        Self {
            whole,
            asked: SmallVec::new(),
            heard: Heard::default(),
        }
    }

    /// Whom the pass asks next if so much time is `left`; nobody if it is over.
    pub(crate) fn next(
        &mut self,
        policy: &Policy,
        Listed { servers, current }: &Listed,
        left: Millis,
    ) -> Option<Ask> {
        let rule = name_server::pass(policy, servers.len());
        let (at, servers_left) = name_server::unasked(servers, *current, &self.asked, rule)?;
        let mut slice = if rule.divided {
            name_server::slice(left, servers_left)
        } else {
            left
        };
        let confirms = self.heard.has_an_answer();
        if confirms {
            // The rest of the pass only confirms what one server said, and must leave time to act.
            slice = slice.min(name_server::slice(self.whole, rule.servers));
        }
        self.asked.push(Name::clone(&servers[at]));
        Some(Ask {
            at,
            slice,
            last: servers_left == 1 && !confirms,
            count: servers.len(),
            rule,
        })
    }

    /// The server that was asked has said this.
    pub(crate) fn heard(&mut self, server: &Name, said: NoRoute, ask: &Ask) -> After {
        let mut prefer = None;
        let over = match &said {
            NoRoute::Unfit(_) | NoRoute::Refused { .. } => !ask.rule.divided,
            NoRoute::Failed(error) => {
                prefer = Some(name_server::next(ask.at, ask.count));
                ask.rule.first_reached && error.stage() != CallStage::Dial
            }
        };
        match said {
            NoRoute::Unfit(unfit) => self.heard.unfit(server, unfit),
            NoRoute::Refused { code, remark } => self.heard.refused(server, code, remark),
            NoRoute::Failed(error) => self.heard.push(server, Said::Failed(error)),
        }
        After { prefer, over }
    }

    /// What the answers come to, none of which had a route.
    pub(crate) fn sum(self) -> LookupAnswer {
        self.heard.sum()
    }
}

/// What the servers of one pass said, none of which had a route.
#[derive(Debug, Default)]
struct Heard {
    answers: Vec<ServerAnswer>,
    /// Why the topic cannot be sent to, although it exists.
    unusable: Option<String>,
    /// Why an answer says nothing of the topic.
    nothing: Option<String>,
}

impl Heard {
    fn push(&mut self, server: &Name, said: Said) {
        let server = Name::clone(server);
        self.answers.push(ServerAnswer { server, said });
    }

    fn unfit(&mut self, server: &Name, unfit: Unfit) {
        let said = Said::Unfit(unfit.reason().to_owned());
        match unfit {
            Unfit::Unusable(reason) => self.unusable.get_or_insert(reason),
            Unfit::Nothing(reason) => self.nothing.get_or_insert(reason),
        };
        self.push(server, said);
    }

    fn refused(&mut self, server: &Name, code: i32, remark: String) {
        let said = match code {
            response::TOPIC_NOT_EXIST => Said::NotExist,
            code => Said::Refused { code, remark },
        };
        self.push(server, said);
    }

    fn not_exist(&self) -> bool {
        let mut answers = self.answers.iter();
        answers.any(|answer| matches!(answer.said, Said::NotExist))
    }

    /// Whether one server has said what the lookup comes to, unless another one has a route.
    fn has_an_answer(&self) -> bool {
        self.unusable.is_some() || self.not_exist()
    }

    /// What they come to together. A topic that one server knows exists, though another one does
    /// not know it; an answer that says nothing counts only where nobody said anything else.
    fn sum(self) -> LookupAnswer {
        let not_exist = self.not_exist();
        let answers = self.answers;
        if let Some(reason) = self.unusable {
            return LookupAnswer::Unusable { reason, answers };
        }
        if not_exist {
            return LookupAnswer::NotExist { answers };
        }
        if let Some(reason) = self.nothing {
            return LookupAnswer::Unusable { reason, answers };
        }
        let refusal = answers.iter().rev().find_map(|answer| match &answer.said {
            Said::Refused { code, remark } => {
                Some((Name::clone(&answer.server), *code, remark.clone()))
            }
            _ => None,
        });
        if let Some((server, code, remark)) = refusal {
            return LookupAnswer::Refused {
                server,
                code,
                remark,
                answers,
            };
        }
        let failures = answers.into_iter().filter_map(|answer| match answer.said {
            Said::Failed(error) => Some((answer.server, error)),
            _ => None,
        });
        LookupAnswer::Unreachable(failures.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(servers: &[&str], current: usize) -> Listed {
        let servers: Vec<Name> = servers.iter().map(|&server| server.into()).collect();
        Listed {
            servers: servers.into(),
            current,
        }
    }

    fn silent(server: &str) -> NoRoute {
        NoRoute::Failed(CallError::TimedOut {
            to: server.into(),
            after: std::time::Duration::ZERO,
        })
    }

    fn refused(code: i32) -> NoRoute {
        let remark = String::new();
        NoRoute::Refused { code, remark }
    }

    /// Asks servers until the pass is over, each of which says what `say` makes of its name and uses
    /// up its slice; returns whom it asked, with how much time, and what it came to.
    fn play(
        policy: &Policy,
        list: &Listed,
        say: impl Fn(&str) -> NoRoute,
    ) -> (Vec<(String, Millis)>, LookupAnswer) {
        let mut left = 3_000;
        let mut pass = Pass::new(left);
        let mut asked = Vec::new();
        while let Some(ask) = pass.next(policy, list, left) {
            let server = Name::clone(&list.servers[ask.at]);
            asked.push((server.to_string(), ask.slice));
            left -= ask.slice;
            if pass.heard(&server, say(&server), &ask).over {
                break;
            }
        }
        (asked, pass.sum())
    }

    fn names(asked: &[(String, Millis)]) -> Vec<&str> {
        asked.iter().map(|(server, _)| &**server).collect()
    }

    #[test]
    fn silent_servers_share_the_time_and_the_list_goes_on_at_the_next_one() {
        let list = listed(&["a", "b", "c"], 1);
        let (asked, answer) = play(&Policy::strict(), &list, silent);
        let times: Vec<_> = asked.iter().map(|(_, slice)| *slice).collect();
        assert_eq!(
            (names(&asked), times),
            (vec!["b", "c", "a"], vec![1_000; 3])
        );
        assert!(matches!(answer, LookupAnswer::Unreachable(failures) if failures.len() == 3));

        let mut pass = Pass::new(3_000);
        let ask = pass.next(&Policy::strict(), &list, 3_000).unwrap();
        let after = pass.heard(&"b".into(), silent("b"), &ask);
        assert_eq!((after.prefer, after.over), (Some(2), false));
    }

    #[test]
    fn a_server_that_refuses_stays_the_first_choice() {
        let list = listed(&["a", "b"], 0);
        let mut pass = Pass::new(3_000);
        let ask = pass.next(&Policy::strict(), &list, 3_000).unwrap();
        let after = pass.heard(&"a".into(), refused(1), &ask);
        assert_eq!((after.prefer, after.over), (None, false));
    }

    #[test]
    fn only_the_last_server_without_any_answer_yet_is_the_last_hope() {
        let list = listed(&["a", "b"], 0);
        for (first, last) in [(refused(1), true), (refused(17), false)] {
            let mut pass = Pass::new(3_000);
            let ask = pass.next(&Policy::strict(), &list, 3_000).unwrap();
            assert!(!ask.last);
            pass.heard(&"a".into(), first, &ask);
            let ask = pass.next(&Policy::strict(), &list, 2_999).unwrap();
            assert_eq!(ask.last, last);
        }
    }

    #[test]
    fn once_one_server_does_not_know_the_topic_the_others_confirm_it_within_their_part() {
        let list = listed(&["a", "b", "c"], 0);
        let mut pass = Pass::new(3_000);
        let strict = Policy::strict();
        let ask = pass.next(&strict, &list, 3_000).unwrap();
        pass.heard(&"a".into(), refused(17), &ask);
        let ask = pass.next(&strict, &list, 2_990).unwrap();
        assert_eq!(
            ask.slice, 1_000,
            "an equal part of the whole, not of the rest"
        );
    }

    #[test]
    fn what_exists_for_one_server_exists_and_what_none_knows_does_not() {
        let list = listed(&["a", "b", "c"], 0);
        let strict = Policy::strict();
        let (asked, answer) = play(&strict, &list, |server| match server {
            "a" => refused(17),
            "b" => silent(server),
            _ => NoRoute::Unfit(Unfit::Unusable("no broker".to_owned())),
        });
        assert_eq!(asked.len(), 3);
        assert!(matches!(answer, LookupAnswer::Unusable { answers, .. } if answers.len() == 3));
        let (_, answer) = play(&strict, &list, |server| match server {
            "a" => refused(17),
            "b" => refused(1),
            _ => NoRoute::Unfit(Unfit::Nothing("no JSON".to_owned())),
        });
        assert!(matches!(answer, LookupAnswer::NotExist { .. }));
        let (_, answer) = play(&strict, &list, |server| match server {
            "a" => refused(3),
            "b" => refused(1),
            _ => silent(server),
        });
        assert!(matches!(answer, LookupAnswer::Refused { server, code: 1, .. } if &*server == "b"));
    }

    #[test]
    fn javas_lookup_has_one_attempt_and_4_9_takes_the_first_server_that_it_reaches() {
        let list = listed(&["a", "b"], 0);
        let (asked, _) = play(&Policy::java_5_3(), &list, silent);
        assert_eq!(asked, [("a".to_owned(), 3_000)]);
        let (asked, answer) = play(&Policy::java_4_9(), &list, |_| refused(1));
        assert_eq!(names(&asked), ["a"]);
        assert!(matches!(answer, LookupAnswer::Refused { code: 1, .. }));
        let (asked, _) = play(&Policy::java_4_9(), &list, silent);
        assert_eq!(names(&asked), ["a"], "reached, though silent");
    }

    #[test]
    fn a_list_that_is_replaced_is_gone_on_with_and_nobody_is_asked_twice() {
        let mut pass = Pass::new(3_000);
        let strict = Policy::strict();
        let old = listed(&["a", "b"], 0);
        let ask = pass.next(&strict, &old, 3_000).unwrap();
        pass.heard(&"a".into(), silent("a"), &ask);
        let new = listed(&["a", "c"], 0);
        let ask = pass.next(&strict, &new, 2_000).unwrap();
        assert_eq!(&*new.servers[ask.at], "c");
        pass.heard(&"c".into(), silent("c"), &ask);
        assert_eq!(pass.next(&strict, &new, 1_000), None);
    }
}
