//! Heartbeats: brokers close what is silent for two minutes, and tell consumers and operators
//! which producer groups live.
//!
//! Each master in a route hears of us every 30 s and as soon as a connection to it opens. Heartbeats to
//! different brokers are independent: one that hangs delays no other. A broker that has left every
//! route hears no more, and its connection is closed.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rmq_remoting::body;
use rmq_remoting::client::Over;
use rmq_remoting::header::WithBody;
use rmq_remoting::observe::Name;
use rmq_remoting::request::{HeartBeat, HeartbeatData, ProducerData, UnregisterClient};
use tokio::time::{Duration, Instant, MissedTickBehavior, interval_at, timeout_at};

use super::state::ClientCore;
use crate::decide::{encoding, retry, route};
use crate::event::Event;
use crate::policy::{Drain, Policy};

/// The group of the producer that every Java client has within.
const INNER_GROUP: &str = "CLIENT_INNER_PRODUCER";

/// Sends heartbeats for ever.
pub(crate) async fn run(core: Arc<ClientCore>) {
    let periods = core.policy.periods;
    let first = core.started + Duration::from_millis(periods.first_heartbeat);
    let mut ticks = interval_at(first, Duration::from_millis(periods.heartbeat));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut under_way = FuturesUnordered::new();
    loop {
        let due: Vec<(Name, Over)> = tokio::select! {
            biased;
            Some(()) = under_way.next(), if !under_way.is_empty() => continue,
            () = core.openings.told.notified() => {
                let wanted = route::presence(&core.policy).heartbeat_on_open;
                let masters = if wanted { core.routes.addresses(true) } else { BTreeSet::new() };
                let opened = core.openings.take().into_iter();
                let opened = opened.filter(|(address, _)| masters.contains(address));
                // The connection that has opened may be a second one, which this proves alive.
                opened.map(|(address, number)| (address, Over::Connection(number))).collect()
            }
            _ = ticks.tick() => {
                clean(&core);
                let masters = core.routes.addresses(true).into_iter();
                masters.map(|address| (address, Over::First)).collect()
            }
        };
        if let Some(body) = heartbeat(&core) {
            for (address, over) in due {
                under_way.push(send_heartbeat(&core, address, over, body.clone()));
            }
        }
    }
}

/// Closes the connections to brokers that have left every route. A server that went away for good
/// would keep its socket here for ever, and one that moved has a new address.
fn clean(core: &ClientCore) {
    let brokers = core.routes.addresses(false);
    let servers = core.name_servers.servers();
    let second = |address: &Name| {
        let mut seconds = brokers.iter().map(|broker| encoding::second_port(broker));
        seconds.any(|second| second.as_ref() == Some(address))
    };
    let needed =
        |address: &Name| brokers.contains(address) || servers.contains(address) || second(address);
    core.remoting.retire(needed);
    core.remoting.close_unneeded_seconds();
    if retry::drain(&core.policy) == Drain::Resend {
        core.remoting.close_drained();
    }
}

/// The body of a heartbeat; nothing if no producer runs.
fn heartbeat(core: &ClientCore) -> Option<Bytes> {
    let groups = core.groups.lock();
    (!groups.is_empty()).then(|| body::to_json(&data(&core.policy, &core.id, &groups)))
}

/// What a heartbeat tells of a client.
fn data(policy: &Policy, client: &Name, groups: &BTreeSet<Name>) -> HeartbeatData {
    let producer = |group: &Name| ProducerData {
        group_name: Name::clone(group),
    };
    let inner = route::presence(policy).inner_group;
    let inner = inner.then(|| ProducerData {
        group_name: INNER_GROUP.into(),
    });
    HeartbeatData {
        client_id: Name::clone(client),
        producer_data_set: groups.iter().map(producer).chain(inner).collect(),
        ..HeartbeatData::default()
    }
}

fn send_heartbeat(
    core: &ClientCore,
    broker: Name,
    over: Over,
    body: Bytes,
) -> impl Future<Output = ()> + Send + '_ {
    let deadline = Instant::now() + Duration::from_millis(core.policy.periods.heartbeat_timeout);
    async move {
        let request = WithBody {
            header: HeartBeat,
            body: &body,
        };
        let reply = core.call_over(over, &broker, &request, deadline).await;
        let code = reply.ok().map(|reply| reply.code);
        core.emit(Event::Heartbeat { broker, code });
    }
}

/// Tells every broker in a route, masters and slaves, that a producer group is gone, and with the
/// last one that the client is. Ends at the deadline whoever has not answered.
pub(crate) async fn unregister(core: &ClientCore, group: &Name, last: bool, deadline: Instant) {
    let presence = route::presence(&core.policy);
    if presence.unregister {
        unregister_group(core, group, deadline).await;
        if presence.inner_group && last {
            unregister_group(core, &INNER_GROUP.into(), deadline).await;
        }
    }
}

async fn unregister_group(core: &ClientCore, group: &Name, deadline: Instant) {
    let one = |address: Name| async move {
        let request = UnregisterClient {
            producer_group: Some(group),
            consumer_group: None,
            client_id: &core.id,
        };
        // A broker that does not answer forgets the client by itself.
        let _ = core.remoting.call(&address, &request, deadline).await;
    };
    // One that could not be reached a moment ago forgets the client by itself.
    let addresses = core.routes.addresses(false).into_iter();
    let addresses = addresses.filter(|address| !core.remoting.is_in_vain(address));
    let mut requests: FuturesUnordered<_> = addresses.map(one).collect();
    let all = async { while requests.next().await.is_some() {} };
    let _ = timeout_at(deadline, all).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_heartbeat_names_all_groups_of_a_client_and_javas_its_inner_one() {
        let groups: BTreeSet<Name> = ["first".into(), "second".into()].into();
        let named = |policy: &Policy| {
            let data = data(policy, &"client".into(), &groups);
            let names = data.producer_data_set.iter();
            names
                .map(|it| it.group_name.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(named(&Policy::strict()), ["first", "second"]);
        let java = ["first", "second", INNER_GROUP];
        assert_eq!(named(&Policy::java_5_3()), java);
    }
}
