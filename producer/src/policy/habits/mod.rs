//! The values that a policy's fields can have: every habit in which clients differ, named.

mod cluster;
mod connection;
mod message;
mod send;

pub use self::cluster::{
    AutoCreate, DefaultRoute, Detector, Fallback, Health, NameServers, Periods, Presence,
    RouteBounds,
};
pub use self::connection::{DeadPeer, Dial, Drain, OnLost, OnTimeout, Redial, TimeoutScan, Vip};
pub use self::message::{Checks, CompressionKind, Header, SendRequest, Unprofitable, Wire};
pub use self::send::{
    AttemptTimeout, Attempts, Avoid, Deadline, Denied, Failover, HedgeOver, HedgedAnswer, Late,
    Lookup, NotSafe, Oneway, OutOfTime, Retarget, RetryTables, Rotation, RotationStart,
};
