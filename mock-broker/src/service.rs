//! From a request to its answer: what is noted of it, whether a rule applies, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use rmq_remoting::code::response;
use rmq_remoting::command::Command;
use rmq_remoting::message::COMPRESSED;
use rmq_remoting::observe::Name;
use rmq_remoting::service::{Answer, Mangle, Peer, Reply, Response, Service};
use tokio::time::sleep;

use crate::control::{Action, Ruled, Seen};
use crate::event::{Ending, Event, RequestNumber, SendSeen};
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
        let (number, nth) = shared.counts.lock().request(request.code);
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
        let seen = Seen {
            code: request.code,
            request: &request,
            oneway: request.is_oneway(),
            peer: peer.address(),
            topic: topic.as_ref(),
            queue: job.queue(),
            key: job
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

/// What the evidence says of a send.
fn seen_send(request: &Command, sending: &Sending<'_>, topic: &Option<Name>) -> Option<SendSeen> {
    let header = sending.header.as_ref().ok()?;
    let compressed = header.sys_flag & COMPRESSED != 0;
    let mut metadata = crc32fast::Hasher::new();
    metadata.update(&header.flag.to_be_bytes());
    metadata.update(header.properties.unwrap_or_default().as_bytes());
    Some(SendSeen {
        topic: topic.clone()?,
        queue: header.queue_id,
        broker_name: header.broker_name.map(Name::from),
        unique_key: sending.key.clone(),
        keys: sending.keys.clone(),
        nth_of_key: sending.nth_of_key,
        sys_flag: header.sys_flag,
        body_len: u32::try_from(request.body.len()).unwrap_or(u32::MAX),
        body_crc: if compressed {
            0
        } else {
            crc32fast::hash(&request.body)
        },
        metadata_crc: metadata.finalize(),
    })
}

/// Does to a request what a rule says, or ordinary service.
fn act(job: &Job<'_>, action: Action) -> Reply {
    let plain = |response| Handled::Now(Done::plain(response));
    match action {
        Action::Normal => conclude(job, handle(job), End::Answer),
        Action::Answer { code, remark } => {
            let mut response = Response::new(code);
            response.remark = remark.map(|text| text.to_string().into());
            conclude(job, plain(response), End::Answer)
        }
        Action::StoreThenAnswer { code, remark } => {
            conclude(job, handle(job), End::Replace { code, remark })
        }
        Action::Delay { ms, then } => {
            let owned = job.to_owned();
            Reply::Later(Box::pin(async move {
                sleep(Duration::from_millis(ms)).await;
                match act(&owned.job(), *then) {
                    Reply::Now(answer) => answer,
                    Reply::Later(answer) => answer.await,
                }
            }))
        }
        Action::DelayReply { ms } => {
            let handled = handle(job);
            let late = Box::pin(async move {
                let done = handled.done().await;
                sleep(Duration::from_millis(ms)).await;
                done
            });
            conclude(job, Handled::Later(late), End::Answer)
        }
        Action::DropRequest => conclude(job, plain(Response::new(0)), End::Silence),
        Action::DropReply => conclude(job, handle(job), End::Silence),
        Action::CloseBefore => conclude(job, plain(Response::new(0)), End::Close),
        Action::CloseAfter => conclude(job, handle(job), End::Close),
        Action::ResetBefore => conclude(job, plain(Response::new(0)), End::Reset),
        Action::ResetAfter => conclude(job, handle(job), End::Reset),
        Action::ReplyTwice => conclude(job, handle(job), End::Mangled(Mangle::Twice)),
        Action::UnknownOpaque => conclude(job, handle(job), End::Mangled(Mangle::UnknownOpaque)),
        Action::HalfFrame => conclude(job, handle(job), End::Mangled(Mangle::Half)),
        Action::AnswerThenClose => conclude(job, handle(job), End::AnswerThenClose),
        Action::HalfFrameClose => conclude(job, handle(job), End::Mangled(Mangle::HalfClose)),
        Action::Garbage => conclude(job, handle(job), End::Mangled(Mangle::Garbage)),
    }
}

/// How a handled request leaves the broker.
#[derive(Debug)]
enum End {
    Answer,
    Replace { code: i32, remark: Option<Name> },
    Silence,
    Close,
    Reset,
    AnswerThenClose,
    Mangled(Mangle),
}

/// What is needed to end a request once it has been handled.
#[derive(Debug)]
struct Exit {
    shared: Arc<Shared>,
    number: RequestNumber,
    opaque: i32,
    oneway: bool,
    end: End,
}

fn conclude(job: &Job<'_>, handled: Handled, end: End) -> Reply {
    let exit = Exit {
        shared: Arc::clone(job.shared),
        number: job.number,
        opaque: job.request.opaque,
        oneway: job.request.is_oneway(),
        end,
    };
    match handled {
        Handled::Now(done) => Reply::Now(exit.leave(done)),
        Handled::Later(done) => Reply::Later(Box::pin(async move { exit.leave(done.await) })),
    }
}

impl Exit {
    /// The answer, with its event; the ledger learns whether the sender was told.
    fn leave(self, mut done: Done) -> Answer {
        if let End::Replace { code, remark } = &self.end
            && done.response.code == response::SUCCESS
        {
            done.response.code = *code;
            done.response.remark = remark.as_ref().map(|text| text.to_string().into());
        }
        let code = done.response.code;
        let ending = match self.end {
            End::Close | End::Reset => Ending::Closed,
            _ if self.oneway => Ending::NoAnswerDue,
            End::Answer
            | End::Replace { .. }
            | End::AnswerThenClose
            | End::Mangled(Mangle::Twice) => Ending::Answered { code },
            End::Silence => Ending::Silent,
            End::Mangled(_) => Ending::Mangled,
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
            _ => self.answer(done.response),
        }
    }

    fn answer(&self, response: Response) -> Answer {
        match self.end {
            End::Answer | End::Replace { .. } => Answer::Respond(response),
            End::Silence => Answer::Nothing,
            End::Close => Answer::Close,
            End::Reset => Answer::Reset,
            End::AnswerThenClose => Answer::Many(vec![Answer::Respond(response), Answer::Close]),
            End::Mangled(how) => {
                let speaker = &self.shared.speaker;
                Answer::mangled(response, speaker, self.opaque, how).unwrap_or_else(|error| {
                    tracing::warn!("an answer cannot be encoded: {error}");
                    Answer::Nothing
                })
            }
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
