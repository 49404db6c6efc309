//! The engine's arm.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use dst_engine::{Direction, Engine, EngineConfig, EngineHandle, NetworkConfig, NodeId, RunEnd};
use rmq_host::{BoxFuture, Listener, SharedHost, Task};

use crate::rows::Row;
use crate::script;
use crate::stage::{Change, Notes, Peer, Stage};

const NEAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

/// Plays a row on the engine.
pub(crate) fn run(row: &Row) -> Notes {
    let mut network = NetworkConfig::default();
    if let Some(retries) = row.retries {
        network.retries = retries;
    }
    if let Some(backlog) = row.backlog {
        network.backlog = backlog;
    }
    let config = EngineConfig {
        network,
        ..EngineConfig::default()
    };
    let report =
        Engine::with_config(config).run_with(async |sim| (row.play)(&Simulated::new(sim)).await);
    let report = report.unwrap();
    assert_eq!(report.end, RunEnd::Finished, "{}", row.name);
    report.value.unwrap()
}

struct Simulated {
    sim: EngineHandle,
    near: (NodeId, SharedHost),
    far: (NodeId, SharedHost),
    peer: NodeId,
}

impl Simulated {
    fn new(sim: EngineHandle) -> Self {
        let near = sim.node("near", NEAR);
        let far = sim.node("far", FAR);
        let peer = sim.node("peer", FAR);
        Self {
            sim,
            near: (near, sim.boot(near)),
            far: (far, sim.boot(far)),
            peer,
        }
    }
}

impl Stage for Simulated {
    fn near(&self) -> SharedHost {
        Arc::clone(&self.near.1)
    }

    fn far(&self) -> SharedHost {
        Arc::clone(&self.far.1)
    }

    fn far_ip(&self) -> IpAddr {
        FAR
    }

    fn listen_short(&self, _backlog: u32) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        // The row's configuration has the number.
        self.far.1.listen(SocketAddr::new(FAR, 0))
    }

    fn start<'a>(&'a self, script: &'static str, port: u16) -> BoxFuture<'a, Box<dyn Peer>> {
        let (sim, node) = (self.sim, self.peer);
        Box::pin(async move {
            let host = sim.boot(node);
            let listener = host.listen(SocketAddr::new(FAR, port)).await.unwrap();
            let at = listener.local_addr();
            let play = script::play(Arc::clone(&host), listener, script.to_owned());
            let task = host.spawn("script", Box::pin(play));
            Box::new(Process {
                sim,
                node,
                at,
                _task: task,
            }) as Box<dyn Peer>
        })
    }

    fn change(&self, change: Change) {
        let (sim, near) = (self.sim, self.near.0);
        for far in [self.far.0, self.peer] {
            match change {
                Change::CutThere => sim.apply(dst_engine::Change::Cut(Direction::One(near, far))),
                Change::CutBack => sim.apply(dst_engine::Change::Cut(Direction::One(far, near))),
                Change::Heal => {
                    for (from, to) in [(near, far), (far, near)] {
                        sim.apply(dst_engine::Change::Heal(Direction::One(from, to)));
                        sim.apply(dst_engine::Change::Loss {
                            on: Direction::One(from, to),
                            per_mille: 0,
                        });
                    }
                }
                Change::LossPercent(percent) => {
                    sim.apply(dst_engine::Change::Loss {
                        on: Direction::One(near, far),
                        per_mille: percent * 10,
                    });
                    sim.apply(dst_engine::Change::Loss {
                        on: Direction::One(far, near),
                        per_mille: percent * 10,
                    });
                }
                Change::Bandwidth(bytes_per_ms) => sim.apply(dst_engine::Change::Bandwidth {
                    on: Direction::One(near, far),
                    bytes_per_ms,
                }),
            }
        }
    }

    fn power_off(&self, _peer: Box<dyn Peer>) {
        self.sim.apply(dst_engine::Change::PowerOff(self.peer));
    }

    fn power_on(&self) {
        let _ = self.sim.boot(self.peer);
    }
}

struct Process {
    sim: EngineHandle,
    node: NodeId,
    at: SocketAddr,
    _task: Task,
}

impl Peer for Process {
    fn at(&self) -> SocketAddr {
        self.at
    }

    fn kill(&mut self) {
        self.sim.apply(dst_engine::Change::Crash(self.node));
    }

    fn stop(&self) {
        self.sim.apply(dst_engine::Change::Freeze(self.node));
    }

    fn resume(&self) {
        self.sim.apply(dst_engine::Change::Thaw(self.node));
    }
}
