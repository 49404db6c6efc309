//! The page about the mocks shows rules: each server reads those that are meant for it.

use rmq_mock_broker::control::RuleBook as BrokerRules;
use rmq_mock_namesrv::control::RuleBook as NameServerRules;
use rmq_tests::workspace;

/// The examples of rules in the page, in its order: for a broker, for a name server.
fn rules(page: &str) -> Vec<&str> {
    let blocks = page.split("```toml\n").skip(1);
    blocks.filter_map(|it| it.split("```").next()).collect()
}

#[test]
fn the_rules_in_the_documentation_are_rules_of_their_servers() {
    let page = std::fs::read_to_string(workspace().join("docs/mocks.md")).unwrap();
    let rules = rules(&page);
    let [broker, name_server] = rules[..] else {
        panic!("two examples: {rules:?}");
    };
    let book = BrokerRules::from_toml(broker).unwrap();
    assert_eq!(book.names(), ["busy", "slow flush"].map(Into::into));
    let book = NameServerRules::from_toml(name_server).unwrap();
    assert_eq!(book.names(), ["partial route"].map(Into::into));
    assert!(
        BrokerRules::from_toml(name_server).is_err(),
        "a broker has no routes to alter"
    );
}

#[test]
fn an_example_ends_with_its_block() {
    let page = "a\n```toml\none = 1\n```\nb\n```\nno = 1\n```\n```toml\ntwo = 2\n```\n";
    assert_eq!(rules(page), ["one = 1\n", "two = 2\n"]);
}
