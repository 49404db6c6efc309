//! The state that all producers of a client share: connections, routes, name servers, and the
//! counters that must not repeat.
//!
//! It holds data and makes requests, and starts nothing: the client's tasks and its producers' sends
//! work on it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};

use parking_lot::Mutex;
use rmq_host::SharedHost;
use rmq_remoting::client::{CallError, CallStage, Over, RemotingClient};
use rmq_remoting::command::Command;
use rmq_remoting::event::{ConnectionNumber, Event as TransportEvent};
use rmq_remoting::header::Request;
use rmq_remoting::observe::{Name, Observer};
use rmq_remoting::unique_id::UniqueIds;
use tokio::time::{Instant, sleep_until};

use super::name_servers::NameServerList;
use super::openings::Openings;
use super::routes::Routes;
use super::tasks::TaskSet;
use crate::decide::{budget, namespace, peer, retry};
use crate::event::{Event, LookupNumber, SendNumber, SnapshotNumber};
use crate::log;
use crate::observe::ClientInstrument;
use crate::policy::{HedgeOver, Policy};

/// What the client's tasks and producers work with.
pub(crate) struct ClientCore {
    pub(crate) host: SharedHost,
    pub(crate) policy: Policy,
    pub(crate) remoting: RemotingClient,
    pub(crate) name_servers: NameServerList,
    pub(crate) routes: Routes,
    pub(crate) lookups: Arc<TaskSet>,
    pub(crate) openings: Arc<Openings>,
    /// The client's id, as brokers know it.
    pub(crate) id: Name,
    /// Whether a producer made the client for itself, so that it ends with the last one that shares it.
    pub(crate) is_of_producers: bool,
    /// The namespace of the second kind that its requests name.
    pub(crate) namespace_v2: Option<Name>,
    /// Who is told of producers that start, on a machine with instrumentation.
    pub(crate) instrument: Option<Arc<dyn ClientInstrument>>,
    /// The groups of the running producers.
    pub(crate) groups: Mutex<BTreeSet<Name>>,
    pub(crate) started: Instant,
    /// Whether the background work is over, so that no send can succeed any more.
    pub(crate) ended: AtomicBool,
    pub(crate) observer: Arc<dyn Observer<Event>>,
    pub(crate) ids: UniqueIds,
    pub(crate) messages: AtomicU16,
    pub(crate) sends: AtomicU64,
    pub(crate) lookup_numbers: AtomicU64,
    pub(crate) snapshots: AtomicU64,
    pub(crate) name_server_changes: AtomicU64,
}

impl ClientCore {
    /// Tells the log and the observer.
    pub(crate) fn emit(&self, event: Event) {
        log::event(&event);
        self.observer.on(event);
    }

    pub(crate) fn next_lookup(&self) -> LookupNumber {
        LookupNumber::from(self.lookup_numbers.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(crate) fn next_snapshot(&self) -> SnapshotNumber {
        SnapshotNumber::from(self.snapshots.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(crate) fn next_send(&self) -> SendNumber {
        SendNumber::from(self.sends.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The namespace that the address of a name server says, in hosted clusters.
    pub(crate) fn hosted_namespace(&self) -> Option<Name> {
        let servers = self.name_servers.servers();
        let mut named = servers.iter().filter_map(|it| namespace::of_address(it));
        named.next().map(Name::from)
    }

    /// Makes a request and awaits the answer, in the way the policy has it if the connection ends.
    pub(crate) async fn call(
        &self,
        to: &Name,
        request: &dyn Request,
        deadline: Instant,
    ) -> Result<Command, CallError> {
        self.call_over(Over::First, to, request, deadline).await
    }

    /// As [`call`](Self::call), over the connection that the caller wants. One on which the request
    /// has had its time without an answer is not trusted any more.
    pub(crate) async fn call_over(
        &self,
        over: Over,
        to: &Name,
        request: &dyn Request,
        deadline: Instant,
    ) -> Result<Command, CallError> {
        let began = Instant::now();
        let mut made_on = None;
        let given = |connection, _| made_on = Some((connection, Instant::now()));
        let answer = self.remoting.exchange(over, to, request, deadline, given);
        let answer = answer.await;
        let silent = matches!(&answer, Err(error) if error.stage() == CallStage::Silent);
        if let (true, Some((connection, given))) = (silent, made_on)
            && given.elapsed() >= peer::LEAST_SILENCE
        {
            self.doubt(to, connection, given);
        }
        self.settle(to, answer, began, deadline).await
    }

    /// A request that was given to this connection at `given` has had its time without an answer.
    pub(crate) fn doubt(&self, to: &Name, connection: ConnectionNumber, given: Instant) {
        if budget::hedge_over(&self.policy) == HedgeOver::Heard {
            self.remoting.doubt(to, connection, given);
        }
    }

    /// What becomes of a request whose connection ended: with some clients it is not noticed
    /// before the deadline.
    pub(crate) async fn settle(
        &self,
        to: &Name,
        answer: Result<Command, CallError>,
        began: Instant,
        deadline: Instant,
    ) -> Result<Command, CallError> {
        match answer {
            Err(CallError::Lost { cause, .. }) if retry::waits_on(&self.policy, cause) => {
                sleep_until(deadline).await;
                Err(CallError::TimedOut {
                    to: Name::clone(to),
                    after: deadline.saturating_duration_since(began),
                })
            }
            answer => answer,
        }
    }

    /// A unique key for a message built at this time.
    pub(crate) fn next_key(&self, unix_millis: i64) -> Name {
        let counter = self.messages.fetch_add(1, Ordering::Relaxed);
        self.ids.make(unix_millis, counter).into()
    }
}

/// The transport's events are the producer's too; heartbeats want to know of new connections.
#[derive(Debug)]
pub(crate) struct Tap {
    pub(crate) observer: Arc<dyn Observer<Event>>,
    pub(crate) openings: Arc<Openings>,
}

impl Observer<TransportEvent> for Tap {
    fn on(&self, event: TransportEvent) {
        if let TransportEvent::Opened { to, connection, .. } = &event {
            self.openings.note(Name::clone(to), *connection);
        }
        let event = Event::Transport(event);
        log::event(&event);
        self.observer.on(event);
    }
}

/// A number that stands for a name in draws (FNV-1a).
pub(crate) fn identity_hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
