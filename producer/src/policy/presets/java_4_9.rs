//! What the Java client 4.9.8 does with its default settings.

use std::sync::LazyLock;

use crate::event::{Mode, Stage};
use crate::policy::{
    AttemptTimeout, Attempts, AutoCreate, Avoid, Checks, CompressionKind, DeadPeer, Deadline,
    DefaultRoute, Denied, Detector, Dial, Drain, Failover, Fallback, Header, Health, HedgeOver,
    HedgedAnswer, Late, Lookup, NameServers, NotSafe, OnLost, OnTimeout, Oneway, OutOfTime,
    Periods, Policy, Presence, Redial, Retarget, RetryTables, Rotation, RotationStart, RouteBounds,
    SendRequest, TimeoutScan, Unprofitable, Vip, Wire,
};

/// The preset. It is made when it is first asked for, because its lists live on the heap.
pub(in crate::policy) static PRESET: LazyLock<Policy> = LazyLock::new(|| {
    Policy {
        name: "java_4_9".to_owned(),
        send_timeout: 3000,
        attempts: Attempts {
            sync: 3,
            async_: 3,
            target_queue_sync: 1,
            target_queue_async: 3,
        },
        deadline: Deadline::OverAll,
        // A silent broker uses up the send.
        attempt_timeout: AttemptTimeout::Whole,
        retry: RetryTables {
            stages: vec![
                Stage::Address,
                Stage::Dial,
                Stage::Write,
                Stage::Lost,
                Stage::Silent,
            ],
            sync_codes: vec![17, 14, 1, 16, 204, 205],
            // A broker's refusal ends an async send at once.
            async_codes: Vec::new(),
            vetoed: vec![Mode::Sync],
        },
        denied: Denied::AsOthers,
        not_safe: NotSafe::Done,
        out_of_time: OutOfTime {
            sync: Late::ChooseOnly,
            async_: Late::Start,
        },
        retarget: Retarget::AsyncAddressOnly,
        avoid: Avoid::Last,
        rotation: Rotation::PerCaller,
        rotation_start: RotationStart::Drawn,
        failover: Failover::StepOn,
        // SendLatencyFaultEnable.
        health: Health {
            enabled: false,
            table: vec![
                (50, 0),
                (100, 0),
                (550, 30_000),
                (1000, 60_000),
                (2000, 120_000),
                (3000, 180_000),
                (15_000, 600_000),
            ],
            failure: 30_000,
            failures: vec![
                Stage::Address,
                Stage::Vetoed,
                Stage::Dial,
                Stage::Write,
                Stage::Lost,
                Stage::Silent,
                Stage::Refused,
            ],
            unreachable: Vec::new(),
            overwrites: true,
            counts_dispatch: true,
            counts_target_queue_sync: false,
            fallback: Fallback::LeastBad,
            detector: Detector {
                enabled: false,
                period: 3000,
                interval: 2000,
                timeout: 200,
            },
        },
        timeout_scan: TimeoutScan::Every {
            first: 3000,
            period: 1000,
            grace: 1000,
        },
        on_timeout: OnTimeout::CloseAlways,
        // The peer's FIN is not noticed.
        on_lost: OnLost::WaitAfterClose,
        oneway: Oneway::Written,
        lookup: Lookup::OutsideBudget,
        dead_peer: DeadPeer::Keep,
        name_servers: NameServers::FirstConnected,
        name_server_timeout: 3000,
        dial: Dial::OutsideBudget,
        dial_timeout: 3000,
        redial: Redial { first: 0, most: 0 },
        refresh_on_failure: false,
        hedged_answer: HedgedAnswer::Ignore,
        hedging_tokens: 0,
        hedging_refill_tenths: 0,
        hedge_over: HedgeOver::First,
        hedge_known: 0,
        refused_spacing: 0,
        drain: Drain::ByCode,
        default_topic: "TBW102".to_owned(),
        default_queues: 4,
        default_route: DefaultRoute {
            own: true,
            polled: true,
        },
        auto_create: AutoCreate::FirstBroker,
        order_conf: true,
        route_limits: RouteBounds {
            bytes: 4_194_304,
            brokers: 4096,
            queues: 262_144,
        },
        checks: Checks {
            enabled: true,
            max_body: 4_194_304,
            max_group: 255,
            oneway_topic: false,
        },
        vip: Vip {
            enabled: false,
            async_retries: false,
        },
        wire: Wire {
            request: SendRequest::V2,
            header: Header::Json,
            names_compression: true,
            oneway_flag: true,
            bare_answers: false,
            negative_places: true,
        },
        compress_over: 4096,
        compression: CompressionKind::Zlib,
        unprofitable: Unprofitable::Compressed,
        presence: Presence {
            heartbeat_on_open: false,
            inner_group: true,
            unregister: true,
        },
        periods: Periods {
            first_poll: 10,
            poll: 30_000,
            first_heartbeat: 1000,
            heartbeat: 30_000,
            heartbeat_timeout: 3000,
            refresh_spacing: 1000,
            idle: 120_000,
            forget: 0,
            stop: 3000,
        },
    }
});
