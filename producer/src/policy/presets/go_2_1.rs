//! What the Go client 2.1.2 does with its default settings.

use std::sync::LazyLock;

use crate::event::Stage;
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
        name: "go_2_1".to_owned(),
        // Of each attempt; the client's own setting has no effect on sends.
        send_timeout: 3000,
        attempts: Attempts {
            sync: 4,
            async_: 1,
            target_queue_sync: 4,
            target_queue_async: 1,
        },
        deadline: Deadline::PerAttempt,
        attempt_timeout: AttemptTimeout::Whole,
        retry: RetryTables {
            stages: vec![Stage::Dial, Stage::Write, Stage::Lost, Stage::Silent],
            sync_codes: vec![17, 14, 1, 16],
            async_codes: Vec::new(),
            // It has no such hook.
            vetoed: Vec::new(),
        },
        denied: Denied::AsOthers,
        not_safe: NotSafe::Done,
        out_of_time: OutOfTime {
            sync: Late::Stop,
            async_: Late::Stop,
        },
        retarget: Retarget::QueueAndBroker,
        // A retry usually goes to the same broker.
        avoid: Avoid::None,
        rotation: Rotation::PerTopic,
        rotation_start: RotationStart::At(1),
        failover: Failover::StepOn,
        // There is none.
        health: Health {
            enabled: false,
            table: vec![(0, 0)],
            failure: 0,
            failures: Vec::new(),
            unreachable: Vec::new(),
            overwrites: true,
            counts_dispatch: false,
            counts_target_queue_sync: false,
            fallback: Fallback::Reachable,
            detector: Detector {
                enabled: false,
                period: 3000,
                interval: 2000,
                timeout: 200,
            },
        },
        timeout_scan: TimeoutScan::Exact,
        on_timeout: OnTimeout::Keep,
        // Neither a close nor a reset ends what waits.
        on_lost: OnLost::Wait,
        oneway: Oneway::Written,
        lookup: Lookup::EachAttempt,
        dead_peer: DeadPeer::Keep,
        name_servers: NameServers::Each,
        name_server_timeout: 3000,
        dial: Dial::InsideBudget,
        // With its attempt, which has 3 s: the next one dials anew.
        dial_timeout: 2990,
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
            polled: false,
        },
        auto_create: AutoCreate::FirstBroker,
        order_conf: false,
        route_limits: RouteBounds {
            bytes: 4_194_304,
            brokers: 4096,
            queues: 262_144,
        },
        checks: Checks {
            enabled: false,
            max_body: 4_194_304,
            max_group: 255,
            oneway_topic: true,
        },
        vip: Vip {
            enabled: false,
            async_retries: true,
        },
        wire: Wire {
            request: SendRequest::V1,
            header: Header::Json,
            names_compression: false,
            oneway_flag: false,
            bare_answers: true,
            negative_places: true,
        },
        compress_over: 4096,
        compression: CompressionKind::Zlib,
        unprofitable: Unprofitable::Compressed,
        presence: Presence {
            heartbeat_on_open: false,
            inner_group: false,
            unregister: false,
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
