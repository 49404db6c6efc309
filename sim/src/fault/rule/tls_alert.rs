//! `tls-alert`: a server that was restarted with TLS says so, and closes the connection.

use rmq_mock_server::rules;

use super::{Action, AtAnyServer, RuleAction};
use crate::fault::kind::{Changes, Drawn, Engines, Kind, Read, Site};
use crate::truth::{Condition, Meaning};

/// Answer with a TLS alert instead of doing the work, then close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsAlert;

pub(in crate::fault) const KIND: Kind = Kind {
    name: "tls-alert",
    site: Site::Server,
    keys: &[],
    sample: "",
    situation: "a server that was restarted with TLS says so, and closes the connection",
    engines: Engines::ALL,
    is_at_once: false,
    changes: Changes::Requests,
    read: Read::Rule(|_| Ok(RuleAction::TlsAlert)),
    draw: Drawn::Rule(1, |_, _, _| RuleAction::TlsAlert),
};

impl AtAnyServer for TlsAlert {
    fn at_any_server<A>(&self, _drawn: u64) -> rules::Action<A> {
        rules::Action::TlsAlert
    }
}

impl Action for TlsAlert {
    fn meaning(&self) -> Meaning {
        Meaning::of(Condition::Refusing)
    }
}
