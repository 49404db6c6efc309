//! `bare-id-route`, `text-number-route`, `null-route`, `empty-route`, `ordered-route`, `static-route`: the forms
//! of a route that a client of RocketMQ meets and that no specification has.
//!
//! They are six kinds of fault and one of behaviour: the name server knows the forms.

use rmq_mock_namesrv::control::{self as name_server, RouteAlteration};
use rmq_mock_namesrv::odd::OddRoute;

use super::{Action, AtServer, RuleAction};
use crate::fault::FaultNumber;
use crate::fault::kind::{Changes, Drawn, Engines, Kind, Read, Site};
use crate::truth::{Condition, Meaning};

macro_rules! form {
    ($name:literal, $form:ident, $situation:literal) => {
        Kind {
            name: $name,
            site: Site::NameServer,
            keys: &[],
            sample: "",
            situation: $situation,
            engines: Engines::ALL,
            is_at_once: false,
            changes: Changes::Requests,
            read: Read::Rule(|_| Ok(RuleAction::OddRoute(OddRoute::$form))),
            draw: Drawn::Rule(1, |_, _, _| RuleAction::OddRoute(OddRoute::$form)),
        }
    };
}

pub(in crate::fault) const BARE_IDS: Kind = form!(
    "bare-id-route",
    BareIds,
    "an old name server, and groups that wait for an election: ids without quotes, and -1"
);

pub(in crate::fault) const TEXT_NUMBERS: Kind = form!(
    "text-number-route",
    TextNumbers,
    "a name server of somebody else's: it writes numbers as text"
);

pub(in crate::fault) const NULLS: Kind = form!(
    "null-route",
    Nulls,
    "a name server of a later release: nulls and members that nobody knows"
);

pub(in crate::fault) const EMPTY: Kind = form!(
    "empty-route",
    Empty,
    "a bad name server: it says success and has no broker"
);

pub(in crate::fault) const ORDERED: Kind = form!(
    "ordered-route",
    Ordered,
    "an operator has made the topic an ordered one: half of its queues are written down"
);

pub(in crate::fault) const STATIC: Kind = form!(
    "static-route",
    Static,
    "an operator has made the topic a static one, with logical queues"
);

/// The kind of a form.
pub(super) fn kind_of(form: OddRoute) -> &'static Kind {
    match form {
        OddRoute::BareIds => &BARE_IDS,
        OddRoute::TextNumbers => &TEXT_NUMBERS,
        OddRoute::Nulls => &NULLS,
        OddRoute::Empty => &EMPTY,
        OddRoute::Ordered => &ORDERED,
        OddRoute::Static => &STATIC,
    }
}

impl AtServer for OddRoute {
    fn at_name_server(&self, _fault: FaultNumber, _drawn: u64) -> name_server::Action {
        name_server::Action::Alter {
            how: RouteAlteration::Odd { form: *self },
        }
    }
}

impl Action for OddRoute {
    fn meaning(&self) -> Meaning {
        // It can be read; one with nothing in it is no route, and others name other queues than there are.
        Meaning::of(match self {
            OddRoute::BareIds | OddRoute::TextNumbers | OddRoute::Nulls => Condition::Healthy,
            OddRoute::Empty | OddRoute::Ordered | OddRoute::Static => Condition::Refusing,
        })
    }
}
