//! The script of a mock name server: which requests are answered differently, and how. The rules are
//! those of every mock server ([`rmq_mock_server::rules`]); a name server may tell a route wrongly
//! besides, so its [`Control`] is a `Control<RouteAlteration>`.

use rmq_mock_server::rules;

pub use crate::tables::RouteAlteration;
pub use rules::{Control, Match, NoControl, RuleId, Seen};

/// What happens to one request instead of ordinary service.
pub type Action = rules::Action<RouteAlteration>;

/// A rule: which requests, what happens to them, and how often at most.
pub type Rule = rules::Rule<RouteAlteration>;

/// A list of rules, tried in the order they were added; the first that fits decides.
pub type RuleBook = rules::RuleBook<RouteAlteration>;

/// A decision to act, and the rule it comes from.
pub type Ruled = rules::Ruled<RouteAlteration>;
