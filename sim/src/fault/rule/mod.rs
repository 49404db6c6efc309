//! Rules: a server treats chosen requests differently. Each thing that it can do to them is one
//! file of this folder and a kind of fault of its own.

use std::fmt;

pub use delay::Since;
use dst_engine::chance::below;
use rmq_mock_broker::control as broker;
use rmq_mock_namesrv::control as name_server;
pub use rmq_mock_namesrv::odd::OddRoute;
use rmq_mock_server::rules;
use rmq_remoting::code::{request, response};
use rmq_remoting::observe::Name;
use serde::{Deserialize, Serialize};

use super::kind::{Behaviour, Figure, Kind, Site, Strike};
use super::{FaultNumber, Place};
use crate::backend::Modelled;
use crate::generate::{Draw, Knobs, Target};
use crate::scenario::Table;
use crate::truth::Meaning;

mod answer;
mod answer_then_close;
mod close_after;
mod close_before;
pub(crate) mod delay;
mod delay_request;
mod drop_reply;
mod drop_request;
mod empty_answer;
mod garbage;
mod half_frame;
mod half_frame_close;
mod odd_route;
mod partial_route;
mod permuted_route;
mod reply_twice;
mod reset_after;
mod reset_before;
mod stale_route;
mod store_then_answer;
mod tls_alert;
mod unknown_opaque;

/// Makes the enum of what rules do, and asks the file of each. The modules are declared above, as in
/// `fault`.
macro_rules! actions {
    (
        $($(#[$doc:meta])* $Name:ident $(($Data:ty))? = $module:ident,)*
        ; $($(#[$new_doc:meta])* $New:ident $(($NewData:ty))? = $new_module:ident,)*
    ) => {
        $(pub use $module::$Name;)*
        $(pub use $new_module::$New;)*

        /// What a rule makes a server do.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum RuleAction {
            $($(#[$doc])* $Name $(($Data))?,)*
            /// A name server writes a route in an odd form.
            OddRoute(OddRoute),
            $($(#[$new_doc])* $New $(($NewData))?,)*
        }

        impl RuleAction {
            /// What holds for all faults of its kind.
            pub fn kind(&self) -> &'static Kind {
                match self {
                    $(Self::$Name { .. } => &$module::KIND,)*
                    Self::OddRoute(form) => odd_route::kind_of(*form),
                    $(Self::$New { .. } => &$new_module::KIND,)*
                }
            }

            /// What its kind does with a request, by this fault's parameters.
            pub(crate) fn action(&self) -> &dyn Action {
                match self {
                    $(Self::$Name $((payload!($Data, it)))? => subject!($Name, it $(, $Data)?),)*
                    Self::OddRoute(form) => form,
                    $(Self::$New $((payload!($NewData, it)))? => subject!($New, it $(, $NewData)?),)*
                }
            }

            fn action_mut(&mut self) -> Option<&mut dyn Action> {
                match self {
                    $(Self::$Name $((payload!($Data, it)))? => subject_mut!(it $(, $Data)?),)*
                    Self::OddRoute(_) => None,
                    $(Self::$New $((payload!($NewData, it)))? => subject_mut!(it $(, $NewData)?),)*
                }
            }
        }

        /// Every kind of rule.
        pub(super) const KINDS: &[&Kind] = &[
            $(&$module::KIND,)*
            &odd_route::BARE_IDS,
            &odd_route::TEXT_NUMBERS,
            &odd_route::NULLS,
            &odd_route::EMPTY,
            $(&$new_module::KIND,)*
            &odd_route::ORDERED,
            &odd_route::STATIC,
        ];
    };
}

// The order is that of the numbers in digests: a new one stands last.
actions! {
    /// Answer with this code instead of doing the work.
    Answer(Answer) = answer,
    /// A broker does the work and gives its answer another code.
    StoreThenAnswer(StoreThenAnswer) = store_then_answer,
    /// Do the work and answer so many milliseconds later.
    Delay(Delay) = delay,
    /// A broker does the work only so many milliseconds later.
    DelayRequest(DelayRequest) = delay_request,
    /// Read the request and do nothing.
    DropRequest = drop_request,
    /// Do the work and do not answer.
    DropReply = drop_reply,
    /// Close the connection instead of doing the work.
    CloseBefore = close_before,
    /// Do the work, then close the connection instead of answering.
    CloseAfter = close_after,
    /// Drop the connection instead of doing the work.
    ResetBefore = reset_before,
    /// Do the work, then drop the connection instead of answering.
    ResetAfter = reset_after,
    /// Do the work and answer twice.
    ReplyTwice = reply_twice,
    /// Do the work; the answer names a request that nobody made.
    UnknownOpaque = unknown_opaque,
    /// Do the work, write half of the answer, then nothing.
    HalfFrame = half_frame,
    /// Do the work, write half of the answer, then close the connection.
    HalfFrameClose = half_frame_close,
    /// Do the work and answer with bytes that are no frame.
    Garbage = garbage,
    /// A name server answers as it would have when the fault started.
    StaleRoute = stale_route,
    /// A name server leaves one broker out of the route.
    PartialRoute(PartialRoute) = partial_route,
    /// A name server lists the brokers of the route in another order, drawn for each answer.
    PermutedRoute = permuted_route,
    ;
    /// A broker does the work, answers, and closes the connection behind the answer.
    AnswerThenClose = answer_then_close,
    /// Do the work; the answer has its code, and none of its fields.
    EmptyAnswer = empty_answer,
    /// Answer with a TLS alert instead of doing the work, then close the connection.
    TlsAlert = tls_alert,
}

/// What a server does with the request, as its own rules have it.
pub(crate) trait AtServer: fmt::Debug {
    /// What a broker does with the request; `drawn` is a number drawn for this use of the rule.
    fn at_broker(&self, drawn: u64) -> broker::Action {
        let _ = drawn;
        unreachable!("places are checked before a run: {self:?} at a broker")
    }

    /// What a name server does with the request; `fault` is the number of the rule.
    fn at_name_server(&self, fault: FaultNumber, drawn: u64) -> name_server::Action {
        let _ = (fault, drawn);
        unreachable!("places are checked before a run: {self:?} at a name server")
    }
}

/// What any server does with the request, whatever alterations of its own it has.
pub(crate) trait AtAnyServer: fmt::Debug {
    /// The action of the server's rule.
    fn at_any_server<A>(&self, drawn: u64) -> rules::Action<A>;
}

impl<T: AtAnyServer> AtServer for T {
    fn at_broker(&self, drawn: u64) -> broker::Action {
        self.at_any_server(drawn)
    }

    fn at_name_server(&self, _fault: FaultNumber, drawn: u64) -> name_server::Action {
        self.at_any_server(drawn)
    }
}

/// What a rule makes a server do to a request.
pub(crate) trait Action: AtServer {
    /// What it means for whoever deals with the server.
    fn meaning(&self) -> Meaning;

    /// What is prepared when the rule starts.
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        let _ = strike;
        Ok(())
    }

    /// Its parameters as words of a trace, each behind a blank; its name is the fault's.
    fn words(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        Ok(())
    }

    /// Its parameters as keys of a scenario file.
    fn write(&self, table: &mut Table) {
        let _ = table;
    }

    /// Its figures, each milder if it is lower.
    fn figures(&mut self) -> Vec<Figure<'_>> {
        Vec::new()
    }

    /// Leaves out what it can do without.
    fn make_plainer(&mut self) {}

    /// The code that it answers with and does nothing else.
    fn answers(&self) -> Option<i32> {
        None
    }
}

/// A rule of a server. It applies to every request that fits all of its conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The codes of the requests that the rule applies to.
    pub codes: Vec<i32>,
    /// Only requests for this topic; absent: for any.
    pub topic: Option<Name>,
    /// Only sends to this queue; absent: to any.
    pub queue: Option<i32>,
    /// Only so many of a thousand, drawn by (rule, unique key, attempt as the server counts it).
    pub per_mille: Option<u32>,
    /// At most so many times.
    pub times: Option<u32>,
    /// What the server does with a request that the rule applies to.
    pub then: RuleAction,
}

/// The keys of every rule, beside its own.
pub const KEYS: [&str; 5] = ["request", "topic", "queue", "per-mille", "times"];

impl RuleAction {
    /// Whether only a broker has something to do there.
    pub fn is_broker_only(&self) -> bool {
        self.kind().site == Site::Broker
    }

    /// Whether it is about routes, which only a name server has.
    pub fn is_about_routes(&self) -> bool {
        self.kind().site == Site::NameServer
    }

    /// Its figures, for a shrinker.
    pub(crate) fn figures(&mut self) -> Vec<Figure<'_>> {
        // What has no parameters has no figures.
        self.action_mut().map_or_else(Vec::new, Action::figures)
    }

    /// What it is for a request whose attempt started so long ago, and whose answer is under way for a
    /// part of that.
    pub(crate) fn since_attempt(&self, ago_ms: u64) -> Self {
        match self {
            Self::Delay(delay) => Self::Delay(delay.since_attempt(ago_ms)),
            // Nothing else is counted from the attempt.
            _ => self.clone(),
        }
    }

    /// Whether it needs to know when the attempt of a request started.
    pub(crate) fn counts_from_attempt(&self) -> bool {
        matches!(
            self,
            Self::Delay(Delay {
                since: Since::Attempt,
                ..
            })
        )
    }

    /// Leaves out what it can do without.
    pub(crate) fn make_plainer(&mut self) {
        if let Some(action) = self.action_mut() {
            action.make_plainer();
        }
    }
}

impl Behaviour for Rule {
    fn start(&self, strike: &Strike<'_>) -> Modelled {
        self.then.action().start(strike)
    }

    /// The server's control counts each use.
    fn counted(&self) -> Option<dst_engine::Strike> {
        None
    }

    fn meaning(&self) -> Meaning {
        self.then.action().meaning()
    }

    fn words(&self, _place: &Place, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.then.action().words(f)
    }

    fn figures(&mut self) -> Vec<Figure<'_>> {
        self.then.figures()
    }
}

/// Why a fault contradicts itself, and what to write instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lie {
    /// What is wrong, to be read after the fault.
    pub what: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// The codes by which a broker says that it has stored a message.
const STORED: [i32; 4] = [
    response::SUCCESS,
    response::FLUSH_DISK_TIMEOUT,
    response::SLAVE_NOT_AVAILABLE,
    response::FLUSH_SLAVE_TIMEOUT,
];

/// The requests that bring messages to a broker.
const SENDS: [i32; 3] = [
    request::SEND_MESSAGE,
    request::SEND_MESSAGE_V2,
    request::SEND_BATCH_MESSAGE,
];

impl Rule {
    /// A rule for every request of these codes.
    pub(crate) fn of(codes: &[i32], then: RuleAction) -> Self {
        Self {
            codes: codes.to_vec(),
            topic: None,
            queue: None,
            per_mille: None,
            times: None,
            then,
        }
    }

    /// The codes of a rule that names none: sends at a broker, route requests at a name server.
    pub(crate) fn default_codes(at_broker: bool) -> &'static [i32] {
        if at_broker {
            &[request::SEND_MESSAGE, request::SEND_MESSAGE_V2]
        } else {
            &[request::GET_ROUTEINFO_BY_TOPIC]
        }
    }

    /// Why no server would do this: a rule that answers a send as stored without storing it. The
    /// producer would be accused of the loss.
    pub fn lie(&self) -> Option<Lie> {
        let code = self.then.action().answers()?;
        let sends = self.codes.iter().any(|code| SENDS.contains(code));
        (sends && STORED.contains(&code)).then_some(Lie {
            what: "answers a send as stored and stores nothing: no broker does that, and what is lost would be the producer's fault",
            remedy: "use \"store-then-answer\" with this code, or a code that refuses the send",
        })
    }

    /// Draws which requests it is about, for a rule on such a server.
    pub(crate) fn draw(draw: &Draw, knobs: &Knobs, on: Target, then: RuleAction) -> Self {
        let send = SENDS.to_vec();
        let stops = knobs.producers.iter().any(|it| it.stop_ms.is_some());
        let codes = match on {
            _ if then.is_about_routes() => vec![request::GET_ROUTEINFO_BY_TOPIC],
            // A heartbeat is not stored.
            Target::Broker if then.is_broker_only() => send,
            Target::Broker if draw.coin("heartbeats", 150) => vec![request::HEART_BEAT],
            Target::Broker if stops && draw.coin("goodbyes", 200) => {
                vec![request::UNREGISTER_CLIENT]
            }
            Target::Broker => send,
            Target::NameServer | Target::Producer | Target::Network => {
                vec![match draw.coin("registrations", 120) {
                    false => request::GET_ROUTEINFO_BY_TOPIC,
                    true => request::REGISTER_BROKER,
                }]
            }
        };
        let topic = draw.pick("rule-topic", &knobs.workloads).topic;
        let without_topic = [
            request::HEART_BEAT,
            request::UNREGISTER_CLIENT,
            request::REGISTER_BROKER,
        ];
        let has_topics = without_topic.iter().all(|code| !codes.contains(code));
        let per_mille = draw.one_of("per-mille", [None, None, None, Some(100), Some(500)]);
        let are_sends = codes == SENDS;
        Rule {
            topic: (has_topics && draw.coin("one-topic", 300)).then_some(topic),
            queue: None,
            codes,
            // There are so many requests only of sends.
            per_mille: per_mille.filter(|_| are_sends),
            times: draw.one_of("times", [None, None, Some(1), Some(3)]),
            then,
        }
    }
}

/// A figure and at most so much more, drawn.
fn later(ms: u64, jitter_ms: u64, drawn: u64) -> u64 {
    ms + below(drawn, jitter_ms.saturating_add(1))
}

/// Draws how late an answer is, and since when: anything, or within a millisecond of when an attempt or
/// its send ends.
fn how_late(draw: &Draw, knobs: &Knobs) -> (u64, Since) {
    let any = draw.one_of("delay", [1, 20, 100, 500, 1_200, 3_000, 8_000, 20_000]);
    if !knobs.near {
        return (any, Since::Received);
    }
    let producer = draw.pick("delay-of", &knobs.producers);
    (
        near_a_deadline(draw, producer.timeout_and_attempts()),
        Since::Attempt,
    )
}

/// Draws a moment within a millisecond of when an attempt of a producer, or its send, ends.
pub(crate) fn near_a_deadline(draw: &Draw, (timeout_ms, attempts): (u64, u64)) -> u64 {
    let end = draw.one_of(
        "delay-end",
        [timeout_ms, timeout_ms / attempts, timeout_ms / attempts],
    );
    (end + draw.between("delay-around", 0, 2)).saturating_sub(1)
}
