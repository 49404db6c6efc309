//! The program's own code at each attempt and each request.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and hooks may panic"
)]

use std::sync::Arc;

use parking_lot::Mutex;
use rmq_producer::event::{Failure, Stage};
use rmq_producer::{
    AttemptEnd, ExtraFields, ForbiddenHook, HookError, Message, Policy, Producer, RpcHook,
    SendContext, SendError, SendHook, Sent,
};
use rmq_remoting::code::request;
use rmq_remoting::command::Command;
use rmq_remoting::header::Request;
use rmq_remoting::observe::Name;
use tokio::sync::oneshot;

use crate::common::{Cluster, Script};

fn message() -> Message {
    Message::new("orders", "hello").with_tag("t").with_key("k")
}

async fn send_async(producer: &Producer) -> Result<Sent, SendError> {
    let (told, outcome) = oneshot::channel();
    producer.send_with_callback(message(), move |outcome| {
        let _ = told.send(outcome);
    });
    outcome.await.unwrap()
}

/// Forbids a broker, and counts how often it is asked.
#[derive(Debug)]
struct Forbids {
    broker: &'static str,
    asked: Mutex<u32>,
}

impl Forbids {
    fn new(broker: &'static str) -> Arc<Self> {
        let asked = Mutex::new(0);
        Arc::new(Self { broker, asked })
    }
}

impl ForbiddenHook for Forbids {
    fn check(&self, context: &SendContext<'_>) -> Result<(), String> {
        *self.asked.lock() += 1;
        assert_eq!(context.name_servers.len(), 1);
        match &*context.to.broker {
            broker if broker == self.broker => Err(format!("{broker} is being moved")),
            _ => Ok(()),
        }
    }
}

/// Writes down what it hears.
#[derive(Debug, Default)]
struct Diary(Mutex<Vec<String>>);

impl SendHook for Diary {
    fn before(&self, context: &SendContext<'_>) {
        let SendContext { attempt, to, .. } = context;
        let line = format!("#{attempt} to {}/q{}", to.broker, to.queue);
        self.0.lock().push(line);
        assert_eq!(context.message.tag(), Some("t"));
        assert_eq!(context.message.keys(), "k");
        assert!(context.address.is_some() && context.message_id.len() == 32);
    }

    fn after(&self, context: &SendContext<'_>, end: AttemptEnd<'_>) {
        let end = match end {
            AttemptEnd::Stored(sent) => format!("stored at {}", sent.queue),
            AttemptEnd::Written => "written".to_owned(),
            AttemptEnd::Failed(attempt) => format!("{:?} {:?}", attempt.stage, attempt.code),
        };
        self.0.lock().push(format!("#{} {end}", context.attempt));
    }
}

#[derive(Debug)]
struct Panics;

impl SendHook for Panics {
    fn before(&self, _context: &SendContext<'_>) {
        panic!("before");
    }

    fn after(&self, _context: &SendContext<'_>, _end: AttemptEnd<'_>) {
        panic!("after");
    }
}

impl ForbiddenHook for Panics {
    fn check(&self, _context: &SendContext<'_>) -> Result<(), String> {
        panic!("check");
    }
}

impl RpcHook for Panics {
    fn before(&self, _: &Name, _: &dyn Request, _: &mut ExtraFields) -> Result<(), HookError> {
        panic!("before");
    }
}

#[tokio::test]
async fn a_forbidden_broker_is_left_for_one_that_is_not() {
    let cluster = Cluster::start(2, "orders", 1).await;
    let (hook, diary) = (Forbids::new("broker-a"), Arc::new(Diary::default()));
    let builder = cluster.producer().forbidden_hook(hook);
    let producer = builder
        .send_hook(Arc::<Diary>::clone(&diary))
        .start()
        .await
        .unwrap();
    let sent = producer.send(message()).await.unwrap();
    assert_eq!((&*sent.queue.broker, sent.attempts), ("broker-b", 2));
    assert!(cluster.brokers[0].seen().is_empty());
    let expected = ["#2 to broker-b/q0", "#2 stored at orders@broker-b/q0"];
    assert_eq!(*diary.0.lock(), expected);
    producer.stop().await;
}

#[tokio::test]
async fn a_hook_that_always_vetoes_is_asked_three_times_by_a_sync_send() {
    for (policy, of_async) in [(Policy::strict(), 3), (Policy::java_5_3(), 1)] {
        let cluster = Cluster::start(1, "orders", 2).await;
        let hook = Forbids::new("broker-a");
        let builder = cluster.producer().policy(policy);
        let producer = builder
            .forbidden_hook(Arc::<Forbids>::clone(&hook))
            .start()
            .await
            .unwrap();
        let error = producer.send(message()).await.unwrap_err();
        assert_eq!(error.failure(), Failure::Attempts(Stage::Vetoed));
        let text = error.attempts()[2].to_string();
        let end = "forbidden by a hook after 0 ms (broker-a is being moved)";
        assert!(text.ends_with(end), "{text}");
        assert_eq!(*hook.asked.lock(), 3);
        let error = send_async(&producer).await.unwrap_err();
        assert_eq!(error.attempts().len(), of_async);
        assert!(producer.send_oneway(message()).await.is_err());
        assert!(cluster.brokers[0].seen().is_empty());
        producer.stop().await;
    }
}

#[tokio::test]
async fn a_send_hook_sees_every_attempt_begin_and_end_in_every_mode() {
    let cluster = Cluster::start(2, "orders", 1).await;
    let diary = Arc::new(Diary::default());
    let builder = cluster.producer().send_hook(Arc::<Diary>::clone(&diary));
    let producer = builder.send_hook(Arc::new(Panics)).start().await.unwrap();
    cluster.brokers[0].does(Script::Refuse(2));
    producer.send(message()).await.unwrap();
    let expected = [
        "#1 to broker-a/q0",
        "#1 Refused Some(2)",
        "#2 to broker-b/q0",
        "#2 stored at orders@broker-b/q0",
    ];
    assert_eq!(std::mem::take(&mut *diary.0.lock()), expected);
    cluster.brokers[0].does(Script::Store);
    assert!(send_async(&producer).await.is_ok());
    producer.send_oneway(message()).await.unwrap();
    let lines = diary.0.lock().clone();
    assert_eq!(lines.len(), 4);
    assert!(
        lines[1].contains("stored") && lines[3].contains("written"),
        "{lines:?}"
    );
    producer.stop().await;
}

#[tokio::test]
async fn a_hook_that_panics_forbids_and_ends_no_task() {
    let cluster = Cluster::start(1, "orders", 1).await;
    let builder = cluster.producer().forbidden_hook(Arc::new(Panics));
    let producer = builder.start().await.unwrap();
    let error = producer.send(message()).await.unwrap_err();
    assert!(error.to_string().contains("(Panics panicked)"), "{error}");
    producer.stop().await;
}

/// Adds a field to every request, and writes down which answers it sees.
#[derive(Debug, Default)]
struct Signs {
    answers: Mutex<Vec<(i32, i32)>>,
    refuses: Option<i32>,
}

impl RpcHook for Signs {
    fn before(
        &self,
        _to: &Name,
        request: &dyn Request,
        fields: &mut ExtraFields,
    ) -> Result<(), HookError> {
        let known = ExtraFields::of(request);
        fields.push(format!("Signed{}", known.iter().len()), "yes");
        match self.refuses {
            Some(code) if code == request.code() => Err(HookError("no key".to_owned())),
            _ => Ok(()),
        }
    }

    fn after(&self, _to: &Name, request: &dyn Request, answer: &Command) {
        self.answers.lock().push((request.code(), answer.code));
    }
}

#[tokio::test]
async fn an_rpc_hook_adds_to_every_request_what_later_hooks_see() {
    let cluster = Cluster::start(1, "orders", 1).await;
    let (first, second) = (Arc::new(Signs::default()), Arc::new(Signs::default()));
    let builder = cluster
        .producer()
        .rpc_hook(Arc::<Signs>::clone(&first))
        .rpc_hook(second);
    let producer = builder.start().await.unwrap();
    producer.send(message()).await.unwrap();
    producer.send_oneway(message()).await.unwrap();
    producer.stop().await;
    let lookup = &cluster.name_server.asked(request::GET_ROUTEINFO_BY_TOPIC)[0];
    let names: Vec<_> = lookup.ext.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["topic", "Signed1", "Signed2"]);
    for code in [
        request::SEND_MESSAGE_V2,
        request::HEART_BEAT,
        request::UNREGISTER_CLIENT,
    ] {
        for asked in cluster.brokers[0].asked(code) {
            let signed = asked
                .ext
                .iter()
                .filter(|(name, _)| name.starts_with("Signed"));
            assert_eq!(signed.count(), 2, "{asked:?}");
        }
    }
    assert_eq!(cluster.brokers[0].requests(request::SEND_MESSAGE_V2), 2);
    let answers = first.answers.lock().clone();
    let sends = answers
        .iter()
        .filter(|(code, _)| *code == request::SEND_MESSAGE_V2);
    assert_eq!(sends.count(), 1, "the one-way send has no answer");
    assert!(answers.contains(&(request::GET_ROUTEINFO_BY_TOPIC, 0)));
}

#[tokio::test]
async fn a_request_that_an_rpc_hook_refuses_ends_the_send_at_once_in_every_mode() {
    for policy in [Policy::strict(), Policy::java_5_3()] {
        let cluster = Cluster::start(1, "orders", 1).await;
        let hook = Signs {
            refuses: Some(request::SEND_MESSAGE_V2),
            ..Signs::default()
        };
        let builder = cluster.producer().policy(policy).rpc_hook(Arc::new(hook));
        let producer = builder.start().await.unwrap();
        let error = producer.send(message()).await.unwrap_err();
        assert_eq!(error.failure(), Failure::Attempts(Stage::Hook));
        assert_eq!(error.attempts().len(), 1);
        assert!(
            error.to_string().contains("refused by a hook: no key"),
            "{error}"
        );
        assert!(send_async(&producer).await.is_err());
        assert!(cluster.brokers[0].seen().is_empty());
        assert_eq!(producer.gauges().open_sends, 0);
        producer.stop().await;
    }
}

#[tokio::test]
async fn an_rpc_hook_that_panics_at_a_lookup_is_the_sends_error() {
    let cluster = Cluster::start(1, "orders", 1).await;
    let builder = cluster.producer().rpc_hook(Arc::new(Panics));
    let producer = builder.start().await.unwrap();
    let error = producer.send(message()).await.unwrap_err();
    assert_eq!(error.failure(), Failure::RouteUnreachable);
    assert!(error.to_string().contains("Panics panicked"), "{error}");
    producer.stop().await;
}
