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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_in_the_documentation_are_rules_of_this_server() {
        let documentation = include_str!("../../docs/mocks.md");
        let rules = documentation.split("```toml\n").nth(2).unwrap();
        let (rules, _) = rules.split_once("```").unwrap();
        let book = RuleBook::from_toml(rules).unwrap();
        assert_eq!(book.names(), ["partial route"].map(Into::into));
    }
}
