//! Each field of the policy is read by exactly one decision function, so that what a field does
//! can be read in one place and no habit is decided twice.

use rmq_producer::Policy;

const DECISIONS: [&str; 9] = [
    include_str!("../src/decide/auto_create.rs"),
    include_str!("../src/decide/budget.rs"),
    include_str!("../src/decide/encoding.rs"),
    include_str!("../src/decide/health.rs"),
    include_str!("../src/decide/name_server.rs"),
    include_str!("../src/decide/peer.rs"),
    include_str!("../src/decide/retry.rs"),
    include_str!("../src/decide/route.rs"),
    include_str!("../src/decide/select.rs"),
];

/// The name of the field that a key sets.
fn field(key: &str) -> String {
    key.replace('-', "_")
}

/// The functions outside tests that read `policy.field`.
fn readers(field: &str) -> Vec<String> {
    let wanted = format!("policy.{field}");
    let mut readers = Vec::new();
    for source in DECISIONS {
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        let mut function = String::new();
        for line in code.lines() {
            if let Some((_, signature)) = line.split_once("fn ") {
                function = signature.split('(').next().unwrap_or_default().to_owned();
            }
            let mut reads = line.split(&wanted).skip(1);
            let whole = |rest: &str| {
                let next = rest.chars().next();
                next.is_none_or(|next| !next.is_alphanumeric() && next != '_')
            };
            if reads.any(whole) && !readers.contains(&function) {
                readers.push(function.clone());
            }
        }
    }
    readers
}

#[test]
fn each_field_is_read_by_exactly_one_decision_function() {
    let text = Policy::strict().to_toml();
    let table: toml::Table = text.parse().unwrap();
    for key in table.keys() {
        // A label, and the clock of the client's own tasks: they decide nothing.
        if key == "name" || key == "periods" {
            continue;
        }
        let readers = readers(&field(key));
        assert_eq!(readers.len(), 1, "{key} is read by {readers:?}");
    }
}
