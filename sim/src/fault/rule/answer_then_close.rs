//! `answer-then-close`: a proxy or a drained server ends the connection right behind an answer.
//!
//! The next request of a client that keeps its connection is written onto one that is ending: it
//! is lost with it, or meets a reset, although no request was ever refused. So a load balancer does it
//! after so many requests on one connection, and a server that reaps what it takes for idle.

use rmq_mock_broker::control as broker;

use super::{Action, AtServer, RuleAction};
use crate::fault::kind::{Changes, Drawn, Engines, Kind, Read, Site};
use crate::truth::{Condition, Meaning};

/// A broker does the work, answers, and closes the connection behind the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerThenClose;

pub(in crate::fault) const KIND: Kind = Kind {
    name: "answer-then-close",
    site: Site::Broker,
    keys: &[],
    sample: "",
    situation: "a proxy or a drained server ends the connection right behind an answer",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|_| Ok(RuleAction::AnswerThenClose)),
    draw: Drawn::Rule(1, |_, _, _| RuleAction::AnswerThenClose),
};

impl AtServer for AnswerThenClose {
    fn at_broker(&self, _drawn: u64) -> broker::Action {
        broker::Action::AnswerThenClose
    }
}

impl Action for AnswerThenClose {
    fn meaning(&self) -> Meaning {
        // Every answer comes; what breaks is the connection for the next request.
        Meaning::of(Condition::Refusing)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rmq_mock_broker::event::Event;

    use crate::fault::EngineKind;
    use crate::run::run;
    use crate::scenario::Scenario;
    use crate::trace::NodeEvent;
    use crate::verdict::Class;

    #[test]
    fn every_message_is_stored_once_although_each_answer_ends_its_connection() {
        let text = "format = 2\nseconds = 20\n[cluster]\nbrokers = [\"broker-a\"]\n\
                    topics = { orders = 2 }\n[producer.p1]\n[[workload]]\nproducer = \"p1\"\n\
                    topic = \"orders\"\nsends = 10\n[[fault]]\ndo = \"answer-then-close\"\n\
                    on = \"broker-a\"\n[expect]\nok = 10\nstored = 10\ncopies = 0\n";
        let scenario = Scenario::parse("test.toml", text, &|_| Ok(String::new())).unwrap();
        let run = run(&Arc::new(scenario), 1, EngineKind::Event).unwrap();
        assert_eq!(run.verdict.class, Class::Pass, "{}", run.verdict);
        let ruled = run.trace.records.iter();
        let ruled = ruled.filter(|it| matches!(it.what, NodeEvent::Broker(Event::Ruled { .. })));
        assert_eq!(ruled.count(), 10);
    }
}
