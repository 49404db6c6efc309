//! From a request to its answer: what is noted of it, whether a rule applies, and how it ends.

use std::sync::Arc;

use rmq_mock_server::rules::{Exit, Handling, Steps};
use rmq_remoting::body;
use rmq_remoting::code::{request as code, response};
use rmq_remoting::command::Command;
use rmq_remoting::message::COMPRESSED;
use rmq_remoting::observe::Name;
use rmq_remoting::properties;
use rmq_remoting::properties::name::DELAY;
use rmq_remoting::request::{HeartbeatData, UnregisterClient};
use rmq_remoting::service::{Answer, Mangle, Peer, Reply, Service};
use tokio::time::sleep;

use crate::control::{Action, NoAlteration, Ruled, Seen};
use crate::event::{Ending, Event, RequestNumber, SendSeen, application_crc};
use crate::handle::{Done, Handled, Job, Sending, handle, send_header};
use crate::state::Shared;
use crate::stored_properties::Keys;

/// The service behind one of the broker's ports.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) shared: Arc<Shared>,
    /// Whether this port serves pulls; the second one does not.
    pub(crate) pulls: bool,
}

impl Service for Front {
    fn serve(&self, peer: &Peer, request: Command) -> Reply {
        let shared = &self.shared;
        let (number, nth) = shared.counts.lock().requests.count(request.code);
        let sending = send_header(&request).map(|header| {
            let keys = header
                .as_ref()
                .ok()
                .and_then(|header| header.properties)
                .map(Keys::of);
            let keys = keys.unwrap_or_default();
            let counted = keys.unique.map(|key| shared.counts.lock().key(key));
            let (key, nth_of_key) = counted.unzip();
            let keys = keys.user.map(Name::from);
            Sending {
                header,
                key,
                keys,
                nth_of_key: nth_of_key.unwrap_or(0),
            }
        });
        let topic = topic_of(shared, &request, sending.as_ref());
        let job = Job {
            shared,
            request: &request,
            peer,
            number,
            pulls: self.pulls,
            sending,
        };
        shared.emit(Event::Received {
            request: number,
            peer: peer.address(),
            code: request.code,
            opaque: request.opaque,
            oneway: request.is_oneway(),
            send: job
                .sending
                .as_ref()
                .and_then(|sending| seen_send(&request, sending, &topic)),
        });
        if let Some(presence) = presence(number, &request) {
            shared.emit(presence);
        }
        let seen = Seen {
            code: request.code,
            request: &request,
            oneway: request.is_oneway(),
            peer: peer.address(),
            topic: topic.as_ref(),
            queue: job.queue(),
            unique_key: job
                .sending
                .as_ref()
                .and_then(|sending| sending.key.as_ref()),
            keys: job
                .sending
                .as_ref()
                .and_then(|sending| sending.keys.as_ref()),
            nth,
            nth_of_key: job.sending.as_ref().map_or(0, |sending| sending.nth_of_key),
        };
        match shared.control.decide(&seen) {
            None => act(&job, Action::Normal),
            Some(Ruled { rule, action }) => {
                shared.emit(Event::Ruled {
                    request: number,
                    rule,
                });
                act(&job, action)
            }
        }
    }

    fn connected(&self, peer: &Peer) {
        self.shared.emit(Event::Accepted {
            peer: peer.address(),
        });
    }

    fn disconnected(&self, peer: &Peer) {
        self.shared.emit(Event::Disconnected {
            peer: peer.address(),
        });
    }
}

/// The topic a request names, by the name the broker already has if it knows the topic.
fn topic_of(shared: &Shared, request: &Command, sending: Option<&Sending<'_>>) -> Option<Name> {
    let topic = match sending {
        Some(sending) => sending.header.as_ref().ok()?.topic,
        None => request.ext.get("topic")?,
    };
    let known = shared.disk.with_topics(|topics| {
        topics
            .get(topic)
            .map(|known| Name::clone(&known.topic_name))
    });
    Some(known.unwrap_or_else(|| topic.into()))
}

/// What a client says of the groups of its producers; none of another request, or of one that cannot be
/// read.
fn presence(number: RequestNumber, request: &Command) -> Option<Event> {
    match request.code {
        code::HEART_BEAT => {
            let data: HeartbeatData = body::from_json(&request.body).ok()?;
            let groups = data.producer_data_set.into_iter();
            Some(Event::Heartbeat {
                request: number,
                client_id: data.client_id,
                groups: groups.map(|it| it.group_name).collect(),
            })
        }
        code::UNREGISTER_CLIENT => {
            let header: UnregisterClient<'_> = request.header().ok()?;
            Some(Event::ProducerLeft {
                request: number,
                client_id: Name::from(header.client_id),
                group: header.producer_group.map(Name::from),
            })
        }
        _ => None,
    }
}

/// What the evidence says of a send.
fn seen_send(request: &Command, sending: &Sending<'_>, topic: &Option<Name>) -> Option<SendSeen> {
    let header = sending.header.as_ref().ok()?;
    let compressed = header.sys_flag & COMPRESSED != 0;
    let mut metadata = crc32fast::Hasher::new();
    metadata.update(&header.flag.to_be_bytes());
    let properties = header.properties.unwrap_or_default();
    metadata.update(properties.as_bytes());
    let mut entries = properties::entries(properties);
    let delay = entries.find(|(name, _)| *name == DELAY);
    Some(SendSeen {
        topic: topic.clone()?,
        queue: header.queue_id,
        broker_name: header.broker_name.map(Name::from),
        unique_key: sending.key.clone(),
        keys: sending.keys.clone(),
        namespace: request.ext.get("ns").map(Name::from),
        delay: delay.map(|(_, level)| Name::from(level)),
        nth_of_key: sending.nth_of_key,
        sys_flag: header.sys_flag,
        born_ms: header.born_timestamp,
        body_len: u32::try_from(request.body.len()).unwrap_or(u32::MAX),
        body_crc: if compressed {
            0
        } else {
            crc32fast::hash(&request.body)
        },
        metadata_crc: metadata.finalize(),
        application_crc: application_crc(header.flag, properties::entries(properties)),
    })
}

/// Does to a request what a rule says, or ordinary service.
fn act(job: &Job<'_>, action: Action) -> Reply {
    let mut steps = action.steps();
    let Some(wait) = steps.wait.take() else {
        return deal_with(job, steps);
    };
    let owned = job.to_owned();
    Reply::Later(Box::pin(async move {
        sleep(wait).await;
        let reply = deal_with(&owned.job(), steps);
        reply.answer().await
    }))
}

/// The steps of an action behind its wait.
fn deal_with(job: &Job<'_>, steps: Steps<NoAlteration>) -> Reply {
    let handled = match steps.handling {
        Handling::Ordinary => handle(job),
        Handling::Altered(none) => match none {},
        Handling::Instead(response) => Handled::Now(Done::plain(response)),
    };
    let leaving = Leaving {
        shared: Arc::clone(job.shared),
        number: job.number,
        opaque: job.request.opaque,
        oneway: job.request.is_oneway(),
        exit: steps.exit,
    };
    match (handled, steps.hold) {
        (Handled::Now(done), None) => Reply::Now(leaving.leave(done)),
        (handled, hold) => Reply::Later(Box::pin(async move {
            let done = handled.done().await;
            if let Some(hold) = hold {
                sleep(hold).await;
            }
            leaving.leave(done)
        })),
    }
}

/// A request that has been dealt with, on its way out.
#[derive(Debug)]
struct Leaving {
    shared: Arc<Shared>,
    number: RequestNumber,
    opaque: i32,
    oneway: bool,
    exit: Exit,
}

impl Leaving {
    /// The answer, with its event; the ledger learns whether the sender was told.
    fn leave(self, done: Done) -> Answer {
        let response = self.exit.replace(done.response);
        let code = response.code;
        let ending = match &self.exit {
            Exit::Close | Exit::Reset => Ending::Closed,
            _ if self.oneway => Ending::NoAnswerDue,
            Exit::Answer
            | Exit::Replace { .. }
            | Exit::AnswerThenClose
            | Exit::Mangled(Mangle::Twice) => Ending::Answered { code },
            Exit::Mangled(Mangle::Empty) => Ending::Empty { code },
            Exit::Silence => Ending::Silent,
            Exit::Mangled(_) => Ending::Mangled,
        };
        if let (Ending::Answered { code }, Some(stored)) = (ending, &done.stored)
            && tells_of_storing(code)
        {
            self.shared.disk.contents().ledger.answered(stored.clone());
        }
        self.shared.emit(Event::Ended {
            request: self.number,
            ending,
        });
        match ending {
            Ending::NoAnswerDue | Ending::Silent => Answer::Nothing,
            _ => self
                .exit
                .answer(response, &self.shared.speaker, self.opaque),
        }
    }
}

/// Whether a code tells a sender that its message is stored.
fn tells_of_storing(code: i32) -> bool {
    [
        response::SUCCESS,
        response::FLUSH_DISK_TIMEOUT,
        response::SLAVE_NOT_AVAILABLE,
        response::FLUSH_SLAVE_TIMEOUT,
    ]
    .contains(&code)
}
