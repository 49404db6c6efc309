//! The script of a mock broker: which requests are answered differently, and how. The rules are those
//! of every mock server ([`rmq_mock_server::rules`]); a broker has no alterations of its own.

use rmq_mock_server::rules;

pub use rules::{Control, Match, NoAlteration, NoControl, RuleId, Seen};

/// What happens to one request instead of ordinary service.
pub type Action = rules::Action<NoAlteration>;

/// A rule: which requests, what happens to them, and how often at most.
pub type Rule = rules::Rule<NoAlteration>;

/// A list of rules, tried in the order they were added; the first that fits decides.
pub type RuleBook = rules::RuleBook<NoAlteration>;

/// A decision to act, and the rule it comes from.
pub type Ruled = rules::Ruled<NoAlteration>;
