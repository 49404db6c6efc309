//! Where the time of a run goes: the parts, each by itself.

use std::fmt;
use std::hint::black_box;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use dst_engine::chance::{Chance, site_number};
use dst_engine::{Engine, EngineConfig, EngineHandle};
use rmq_mock_broker::event::Event as BrokerEvent;
use rmq_remoting::code::request;
use rmq_remoting::command::{HeaderForm, Language};
use rmq_remoting::frame::{FrameDecoder, Outgoing, Speaker, encode};
use rmq_remoting::request::SendMessage;
use rmq_remoting::request::SendMessageV2;
use rmq_remoting::route::{BrokerData, QueueData, RouteForm, TopicRouteData};

use super::{Clock, Rate};
use crate::trace::{NodeEvent, NodeId, Recorder};

/// How often a part is repeated.
const TIMES: u64 = 400_000;

/// What one part costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    /// The part that was repeated, in words.
    pub part: &'static str,
    /// How many times it was done, in how much time.
    pub rate: Rate,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<46} {:>6} ns", self.part, self.rate.nanos_each())
    }
}

fn measure(clock: Clock, part: &'static str, mut once: impl FnMut(u64)) -> Cost {
    let start = clock();
    for n in 0..TIMES {
        once(n);
    }
    let spent = clock() - start;
    let rate = Rate {
        count: TIMES,
        spent,
        polls: 0,
    };
    Cost { part, rate }
}

/// Measures every part, one after the other.
pub(crate) fn costs(clock: Clock) -> Vec<Cost> {
    let mut all = codec(clock);
    let conditions = Chance::new(7);
    let site = site_number("link");
    all.push(measure(
        clock,
        "draw: one keyed block of eight numbers",
        |n| {
            black_box(conditions.block_at(site, n));
        },
    ));
    let recorder = Recorder::start();
    all.push(measure(clock, "trace: one record", |n| {
        let event = BrokerEvent::Ruled {
            request: n,
            rule: "rule".into(),
        };
        recorder.push(NodeId(1), NodeEvent::Broker(event));
    }));
    all.push(engine(clock, "engine: a poll", async |sim| {
        node_task(sim, false).await;
    }));
    all.push(engine(
        clock,
        "engine: a jump of virtual time, with its poll",
        async |sim| {
            node_task(sim, true).await;
        },
    ));
    let start = clock();
    for _ in 0..1_000 {
        // An empty run: what a seed costs before anything happens.
        let run = Engine::new(0).run_with(async |_| ());
        black_box(run.is_ok());
    }
    let rate = Rate {
        count: 1_000,
        spent: clock() - start,
        polls: 0,
    };
    all.push(Cost {
        part: "engine: an empty run",
        rate,
    });
    all
}

async fn node_task(sim: EngineHandle, jumps: bool) {
    let node = sim.node("a", std::net::Ipv4Addr::new(10, 0, 0, 1).into());
    let work = async move {
        for _ in 0..TIMES {
            if jumps {
                tokio::time::sleep(Duration::from_millis(1)).await;
            } else {
                wake_and_yield().await;
            }
        }
    };
    sim.boot(node).spawn("work", Box::pin(work)).await;
}

/// Is ready again at once, by the engine's own queue (Tokio's `yield_now` goes through its own).
async fn wake_and_yield() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn engine(clock: Clock, part: &'static str, main: impl AsyncFnOnce(EngineHandle)) -> Cost {
    let mut config = EngineConfig::default();
    config.limits.polls_per_instant = u64::MAX;
    let start = clock();
    let run = Engine::with_config(config).run_with(main);
    let polls = run.map_or(0, |report| report.stats.polls);
    let rate = Rate {
        count: TIMES,
        spent: clock() - start,
        polls,
    };
    Cost { part, rate }
}

fn codec(clock: Clock) -> Vec<Cost> {
    let speaker = Speaker {
        form: HeaderForm::Json,
        language: Language::default(),
        version: 479,
    };
    let mut buffer = BytesMut::with_capacity(1 << 20);
    let send = |buffer: &mut BytesMut, n: u64| {
        let header = SendMessageV2(example(i64::try_from(n).unwrap_or(0)));
        let out = Outgoing {
            code: request::SEND_MESSAGE_V2,
            opaque: 1,
            flag: 0,
            remark: None,
            header: &header,
            body: &[b'x'; 100],
        };
        black_box(encode(&speaker, &out, buffer).is_ok());
    };
    let encoded = measure(clock, "codec: encode a send request", |n| {
        buffer.clear();
        send(&mut buffer, n);
    });
    buffer.clear();
    send(&mut buffer, 1);
    let frame = buffer.split().freeze();
    let decoded = measure(clock, "codec: decode a send request and its header", |_| {
        let mut input = BytesMut::from(&frame[..]);
        let command = FrameDecoder::new().decode(&mut input);
        if let Ok(Some(command)) = &command {
            black_box(command.header::<SendMessageV2<'_>>().is_ok());
        }
    });
    let route = route().encode(RouteForm::Standard);
    let parsed = measure(clock, "codec: parse a route of three brokers", |_| {
        black_box(TopicRouteData::decode(&route).is_ok());
    });
    vec![encoded, decoded, parsed]
}

fn example(born_timestamp: i64) -> SendMessage<'static> {
    SendMessage {
        producer_group: Some("bench"),
        topic: "orders",
        default_topic: Some("TBW102"),
        default_topic_queue_nums: Some(4),
        queue_id: 1,
        sys_flag: 0,
        born_timestamp,
        flag: 0,
        properties: Some("UNIQ_KEY\u{1}0A000001000018B4AAC2000000000000\u{2}WAIT\u{1}true\u{2}"),
        reconsume_times: Some(0),
        unit_mode: false,
        max_reconsume_times: None,
        batch: false,
        broker_name: Some("broker-a"),
    }
}

fn route() -> TopicRouteData {
    let mut route = TopicRouteData::default();
    for name in ["broker-a", "broker-b", "broker-c"] {
        route.broker_datas.push(BrokerData {
            broker_addrs: [(0, "10.0.0.3:10911".into())].into(),
            broker_name: name.into(),
            cluster: "DefaultCluster".into(),
            ..BrokerData::default()
        });
        route.queue_datas.push(QueueData {
            broker_name: name.into(),
            perm: 6,
            read_queue_nums: 4,
            write_queue_nums: 4,
            topic_sys_flag: 0,
        });
    }
    route
}
