//! Checks producers that share a client: whose it is, and that they leave its settings alone.

use toml::Spanned;

use crate::scenario::error::{ScenarioError, Source};
use crate::scenario::{Namespace, ProducerPlan, file};

/// Refuses what belongs to the client at a producer that shares one: the program would be told
/// `StartError::SharedClient`.
pub(super) fn refuse_its_settings(
    source: Source<'_>,
    raw: &file::Producer,
    client: &Spanned<String>,
) {
    let owner = client.get_ref();
    let given = [
        ("policy", raw.policy.as_ref().map(Spanned::span)),
        ("changes", raw.changes.as_ref().map(Spanned::span)),
        (
            "first-name-server",
            raw.first_name_server.as_ref().map(Spanned::span),
        ),
        ("first-opaque", raw.first_opaque.as_ref().map(Spanned::span)),
        (
            "first-message",
            raw.first_message.as_ref().map(Spanned::span),
        ),
        ("id-constant", raw.id_constant.as_ref().map(Spanned::span)),
        ("namespace-v2", raw.namespace_v2.as_ref().map(Spanned::span)),
    ];
    let given = given.into_iter().filter_map(|(key, at)| Some((key, at?)));
    for (key, at) in given {
        let flaw = source.error(
            at,
            format!("{key} is the client's, and the client is that of \"{owner}\""),
            format!("remove it, or write it under [producer.{owner}]"),
        );
        source.or(Err(flaw), ());
    }
}

/// Finds the owner of each shared client, whose policy all of its producers go by.
pub(super) fn share(
    source: Source<'_>,
    plans: &mut [ProducerPlan],
    clients: Vec<(usize, Spanned<String>)>,
) {
    for (index, client) in clients {
        source.or(share_one(source, plans, index, &client), ());
    }
}

fn share_one(
    source: Source<'_>,
    plans: &mut [ProducerPlan],
    index: usize,
    client: &Spanned<String>,
) -> Result<(), ScenarioError> {
    let owner = plans.iter().find(|plan| *plan.name == **client.get_ref());
    let owner = owner.filter(|owner| owner.client.is_none());
    let Some(owner) = owner else {
        let own = plans.iter().filter(|plan| plan.client.is_none());
        let own: Vec<&str> = own.map(|plan| &*plan.name).collect();
        return Err(source.error(
            client.span(),
            format!(
                "no producer with a client of its own is called \"{}\"",
                client.get_ref()
            ),
            format!("write one of: {}", own.join(", ")),
        ));
    };
    let (policy, changes) = (owner.policy.clone(), owner.changes.clone());
    let plan = &plans[index];
    let mut others = plans.iter().filter(|it| it.node() == plan.node());
    let same = |it: &&ProducerPlan| it.name != plan.name && group(it) == group(plan);
    if let Some(other) = others.find(same) {
        return Err(source.error(
            client.span(),
            format!(
                "{} and {} have one client and one group",
                other.name, plan.name
            ),
            "give each producer of a client a group of its own",
        ));
    }
    plans[index].policy = policy;
    plans[index].changes = changes;
    Ok(())
}

/// The group of a producer and the prefix that brokers know it by.
fn group(plan: &ProducerPlan) -> (Option<&str>, &str) {
    let prefix = match &plan.namespace {
        Some(Namespace::V1(name)) => Some(name.as_str()),
        Some(Namespace::V2(_)) | None => None,
    };
    (prefix, &plan.group)
}
