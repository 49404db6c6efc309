//! The default. The Java client 5.3's names, wire format and defaults; its bugs not.

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
        name: "strict".to_owned(),
        send_timeout: 3000,
        attempts: Attempts {
            sync: 3,
            async_: 3,
            target_queue_sync: 3,
            target_queue_async: 3,
        },
        deadline: Deadline::OverAll,
        attempt_timeout: AttemptTimeout::Equal,
        retry: RetryTables {
            stages: vec![
                Stage::Address,
                Stage::Dial,
                Stage::Write,
                Stage::Lost,
                Stage::Silent,
            ],
            // topic not exist, service not available, system error, system busy, no permission, no buyer id, not in current unit, go away
            sync_codes: vec![17, 14, 1, 2, 16, 204, 205, 1500],
            async_codes: vec![17, 14, 1, 2, 16, 204, 205, 1500],
            // The next broker may be one that the hook does not mind.
            vetoed: vec![Mode::Sync, Mode::Async],
        },
        denied: Denied::Final,
        not_safe: NotSafe::Done,
        out_of_time: OutOfTime {
            sync: Late::Stop,
            async_: Late::Stop,
        },
        retarget: Retarget::QueueAndBroker,
        avoid: Avoid::AllFailed,
        rotation: Rotation::PerTopic,
        rotation_start: RotationStart::Drawn,
        failover: Failover::OwnRotation,
        health: Health {
            enabled: true,
            table: vec![
                (50, 0),
                (100, 0),
                (550, 2000),
                (1800, 5000),
                (3000, 6000),
                (5000, 10_000),
                (15_000, 30_000),
            ],
            failure: 10_000,
            // A refusal says nothing about the next message.
            failures: vec![Stage::Dial, Stage::Write, Stage::Lost, Stage::Silent],
            unreachable: vec![Stage::Dial],
            overwrites: false,
            counts_dispatch: false,
            counts_target_queue_sync: true,
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
        on_lost: OnLost::Fail,
        oneway: Oneway::Written,
        lookup: Lookup::InsideBudget,
        dead_peer: DeadPeer::Replace {
            unanswered: 3,
            silent: 10_000,
        },
        name_servers: NameServers::WholeList,
        name_server_timeout: 3000,
        dial: Dial::InsideBudget,
        dial_timeout: 3000,
        redial: Redial {
            first: 20,
            most: 500,
        },
        refresh_on_failure: true,
        hedged_answer: HedgedAnswer::Accept,
        hedging_tokens: 20,
        hedging_refill_tenths: 1,
        hedge_over: HedgeOver::Heard,
        hedge_known: 3,
        refused_spacing: 2000,
        drain: Drain::Resend,
        default_topic: "TBW102".to_owned(),
        default_queues: 4,
        default_route: DefaultRoute {
            own: true,
            polled: false,
        },
        auto_create: AutoCreate::EveryBroker,
        order_conf: true,
        route_limits: RouteBounds {
            bytes: 4_194_304,
            brokers: 4096,
            queues: 262_144,
        },
        checks: Checks {
            enabled: true,
            max_body: 4_194_304,
            max_group: 120,
            oneway_topic: true,
        },
        vip: Vip {
            enabled: false,
            async_retries: true,
        },
        wire: Wire {
            request: SendRequest::V2,
            header: Header::Json,
            names_compression: true,
            oneway_flag: true,
            bare_answers: false,
            negative_places: false,
        },
        compress_over: 4096,
        compression: CompressionKind::Zlib,
        unprofitable: Unprofitable::Plain,
        presence: Presence {
            heartbeat_on_open: true,
            inner_group: false,
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
            forget: 3_600_000,
            stop: 3000,
        },
    }
});
