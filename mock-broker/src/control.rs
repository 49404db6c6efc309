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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_in_the_documentation_are_rules_of_this_server() {
        let documentation = include_str!("../../docs/mocks.md");
        let rules = documentation.split("```toml\n").nth(1).unwrap();
        let (rules, _) = rules.split_once("```").unwrap();
        let book = RuleBook::from_toml(rules).unwrap();
        assert_eq!(book.names(), ["busy", "slow flush"].map(Into::into));
    }
}
