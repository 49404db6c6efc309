//! The client's part of a case: warms up, waits for the word, sends, and tells every outcome.
//!
//! The same steps run over real TCP, for the recording program that calls the example `fidelity`,
//! and in the laboratory. Time comes from Tokio, so it may be virtual.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rmq_host::SharedHost;
use rmq_producer::event::Mode;
use rmq_producer::{Message, MessageQueue, Policy, Producer, SendError, Sent};
use serde_json::{Map, Value, json};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep, timeout};

use crate::settings::{Selector, SendPattern, Settings, lacking};
use crate::words::{self, Context, Dialect, Target};

/// The longest that an outcome is waited for.
const PATIENCE: Duration = Duration::from_secs(9);

/// The timeout of a warm-up message.
const WARM_UP: Duration = Duration::from_secs(5);

/// How long the recorded clients took to start after the clock of their timeout scan did. Where
/// in the scan's second a send falls decides when its timeout is noticed.
const START_UP: Duration = Duration::from_millis(40);

/// The most warm-up messages.
const WARM_UPS: u64 = 200;

/// Where the outcomes go: one object after the other.
pub type Sink = Arc<dyn Fn(Map<String, Value>) + Send + Sync>;

/// Runs the client's part of a case. `go` is awaited between the warm-up and the first message.
pub async fn run(
    host: SharedHost,
    client: Map<String, Value>,
    policy: Policy,
    sink: Sink,
    go: impl Future<Output = ()>,
) {
    let dialect = Dialect::of(&policy);
    let settings: Settings = match serde_json::from_value(Value::Object(client.clone())) {
        Ok(settings) => settings,
        Err(error) => {
            tell(&sink, "driver_error", [("msg", json!(error.to_string()))]);
            tell(&sink, "done", []);
            return;
        }
    };
    for feature in lacking(&client, dialect) {
        tell(&sink, "unsupported", [("feature", json!(feature))]);
    }
    for (asked, feature) in [
        (settings.batch.is_some(), "batch"),
        (
            settings.transaction && dialect != Dialect::Go,
            "transaction",
        ),
    ] {
        if asked {
            tell(&sink, "unsupported", [("feature", json!(feature))]);
            tell(&sink, "done", []);
            return;
        }
    }
    let policy = settings.policy(policy, dialect);
    match start(&host, &settings, policy).await {
        Err(error) => {
            let mut fields = words::not_started(dialect, &error);
            fields.insert("event".into(), json!("start_failed"));
            sink(fields);
        }
        Ok(producer) => {
            let driver = Driver {
                host,
                producer,
                settings,
                dialect,
                sink: Arc::clone(&sink),
            };
            driver.play(go).await;
        }
    }
    tell(&sink, "done", []);
}

fn tell<const N: usize>(sink: &Sink, event: &str, fields: [(&str, Value); N]) {
    let mut line = Map::new();
    line.insert("event".into(), json!(event));
    line.extend(
        fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value)),
    );
    sink(line);
}

async fn start(
    host: &SharedHost,
    settings: &Settings,
    policy: Policy,
) -> Result<Producer, rmq_producer::StartError> {
    let lacks = Dialect::of(&policy).lacks();
    let group = settings.group.as_deref().unwrap_or("G1");
    let mut builder = Producer::builder(group)
        .host(Arc::clone(host))
        .name_servers(settings.namesrv_addr.as_str())
        .policy(policy);
    if let Some(sends) = settings
        .back_pressure_num
        .filter(|_| !lacks.contains(&"backPressureNum"))
    {
        builder = builder.max_open_sends(sends);
    }
    builder.start().await
}

/// A message's body: its mark, filled up.
fn body(kind: char, number: u64, size: usize) -> Vec<u8> {
    if size == 0 {
        return Vec::new();
    }
    let mut body = format!("{kind}{number:04}|").into_bytes();
    body.resize(size.max(body.len()), b'x');
    body
}

struct Driver {
    host: SharedHost,
    producer: Producer,
    settings: Settings,
    dialect: Dialect,
    sink: Sink,
}

impl Driver {
    async fn play(&self, go: impl Future<Output = ()>) {
        let settings = &self.settings;
        sleep(Duration::from_millis(settings.start_delay_ms) + START_UP).await;
        if settings.pin.is_some() || settings.gate {
            let pinned = self.warm_up().await;
            tell(&self.sink, "warm_done", [("pinned", json!(pinned))]);
            go.await;
        }
        let open = Arc::new(Semaphore::new(0));
        let count = settings.count.unwrap_or(1);
        let mut in_background = 0;
        for number in 0..count {
            if number > 0 && settings.interval_ms > 0 {
                sleep(Duration::from_millis(settings.interval_ms)).await;
            }
            in_background += self.send(number, &open).await;
        }
        if settings.mode == SendPattern::Mixed {
            sleep(Duration::from_millis(1500)).await;
        } else if in_background > 0 {
            // What is still open after that time has no outcome to tell.
            let _ = timeout(PATIENCE, open.acquire_many(in_background)).await;
        }
        let usual = if settings.mode == SendPattern::Oneway {
            600
        } else {
            150
        };
        sleep(Duration::from_millis(settings.linger_ms.unwrap_or(usual))).await;
        tell(&self.sink, "sends_done", []);
        if settings.shutdown {
            self.producer.stop().await;
        }
    }

    /// Sends healthy messages until one lands on the pinned queue, so that the next one's queue is
    /// known.
    async fn warm_up(&self) -> bool {
        let Some(pin) = &self.settings.pin else {
            return true;
        };
        for number in 0..WARM_UPS {
            let message = Message::new(self.topic(), body('W', number, 20));
            let outgoing = self.target(message).timeout(WARM_UP);
            let outcome = if self.settings.mode == SendPattern::Async {
                let (told, outcome) = oneshot::channel();
                outgoing.send_with_callback(move |outcome| {
                    // Nobody is left to hear it only if the program is ending.
                    let _ = told.send(outcome);
                });
                match outcome.await {
                    Ok(outcome) => outcome,
                    Err(_) => continue,
                }
            } else {
                outgoing.send().await
            };
            let Ok(sent) = outcome else { continue };
            let here = *sent.queue.broker == *pin.broker && sent.queue.queue == pin.queue;
            if here && number + 1 >= pin.min {
                return true;
            }
        }
        false
    }

    fn topic(&self) -> &str {
        self.settings.topic.as_deref().unwrap_or("T")
    }

    /// A message on its way to where the case wants it. In the warm-up Java does not use the
    /// selector; no case has both.
    fn target(&self, message: Message) -> rmq_producer::Dispatch<'_> {
        let outgoing = self.producer.dispatch(message);
        match &self.settings.selector {
            None => outgoing,
            Some(Selector::Queue { broker, queue }) => {
                outgoing.to(MessageQueue::new(self.topic(), broker.as_str(), *queue))
            }
            Some(Selector::Hash { key }) => outgoing.by(match self.dialect {
                Dialect::Go => by_fnv(key),
                Dialect::Java53 | Dialect::Java49 => rmq_producer::Selector::hash(key),
            }),
        }
    }

    /// Sends one message; returns how many outcomes are still to come.
    async fn send(&self, number: u64, open: &Arc<Semaphore>) -> u32 {
        let settings = &self.settings;
        let size = settings.body_size.unwrap_or(32);
        let message = Message::new(self.topic(), body('M', number, size)).with_tag(&*settings.tags);
        let mut outgoing = self.target(message);
        let own = settings.per_call_timeout_ms;
        let own = own.filter(|_| !self.dialect.lacks().contains(&"perCallTimeoutMs"));
        let first_of_mixed = settings.mode == SendPattern::Mixed && number == 0;
        if let Some(ms) = own.filter(|_| !first_of_mixed) {
            outgoing = outgoing.timeout(Duration::from_millis(ms));
        }
        let call = Call {
            number,
            t0: self.host.unix_millis(),
            began: Instant::now(),
        };
        match settings.mode {
            SendPattern::Sync => self.tell(call, Mode::Sync, outgoing.send().await),
            SendPattern::Mixed if number > 0 => {
                self.tell(call, Mode::Sync, outgoing.send().await);
            }
            SendPattern::Oneway => {
                let outcome = outgoing.send_oneway().await;
                self.tell_oneway(call, outcome);
            }
            SendPattern::Async | SendPattern::Mixed => {
                let one = Arc::new(Semaphore::new(0));
                self.in_background(call, outgoing, [Arc::clone(open), Arc::clone(&one)]);
                if first_of_mixed {
                    sleep(Duration::from_millis(200)).await;
                } else if settings.one_by_one.unwrap_or(true) {
                    if timeout(PATIENCE, one.acquire()).await.is_err() {
                        self.emit(call, one_field("status", json!("NO_CALLBACK")));
                    }
                } else {
                    return 1;
                }
            }
        }
        0
    }

    fn in_background(
        &self,
        call: Call,
        outgoing: rmq_producer::Dispatch<'_>,
        told: [Arc<Semaphore>; 2],
    ) {
        let driver = self.clone();
        outgoing.send_with_callback(move |outcome| {
            driver.tell(call, Mode::Async, outcome);
            for semaphore in told {
                semaphore.add_permits(1);
            }
        });
    }

    fn clone(&self) -> Self {
        Self {
            host: Arc::clone(&self.host),
            producer: self.producer.clone(),
            settings: self.settings.clone(),
            dialect: self.dialect,
            sink: Arc::clone(&self.sink),
        }
    }

    fn tell(&self, call: Call, mode: Mode, outcome: Result<Sent, SendError>) {
        match outcome {
            Ok(sent) => self.emit(call, words::success(&sent)),
            Err(error) => self.tell_failure(call, mode, &error),
        }
    }

    fn tell_oneway(&self, call: Call, outcome: Result<(), SendError>) {
        match outcome {
            Ok(()) => self.emit(call, one_field("status", json!("ONEWAY_RETURNED"))),
            Err(error) => self.tell_failure(call, Mode::Oneway, &error),
        }
    }

    fn tell_failure(&self, call: Call, mode: Mode, error: &SendError) {
        let context = Context {
            dialect: self.dialect,
            policy: self.producer.policy(),
            topic: self.topic(),
            mode,
            target: match &self.settings.selector {
                None => Target::Any,
                Some(Selector::Queue { broker, .. }) => Target::Queue(broker),
                Some(Selector::Hash { .. }) => Target::Selector,
            },
        };
        for fields in words::failure(&context, error) {
            self.emit(call, fields);
        }
    }

    fn emit(&self, call: Call, mut fields: Map<String, Value>) {
        let elapsed = u64::try_from(call.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        fields.insert("event".into(), json!("result"));
        fields.insert("i".into(), json!(call.number));
        fields.insert("t0".into(), json!(call.t0));
        fields.insert("elapsedMs".into(), json!(elapsed));
        (self.sink)(fields);
    }
}

/// When a message was sent.
#[derive(Debug, Clone, Copy)]
struct Call {
    number: u64,
    t0: i64,
    began: Instant,
}

fn one_field(name: &str, value: Value) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert(name.to_owned(), value);
    fields
}

/// The Go client's hash of a key: FNV-1a over its bytes.
fn by_fnv(key: &str) -> rmq_producer::Selector {
    let hash = key.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    rmq_producer::Selector::own(move |queues, _| {
        let count = u32::try_from(queues.len()).ok()?;
        let at = hash.checked_rem(count)?;
        queues.get(usize::try_from(at).ok()?).cloned()
    })
}
