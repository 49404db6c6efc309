//! The engine's arm.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rmq_host::{BoxFuture, Listener, SharedHost, Task};
use rmq_remoting::observe::Silent;
use rmq_sim::engine::{EngineConfig, EventEngine, NetworkConfig, RunEnd, World};
use rmq_sim::trace::record::NodeId;

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
    let report = EventEngine::run(&config, Arc::new(Silent), async |world| {
        (row.play)(&Simulated::new(world)).await
    });
    let report = report.unwrap();
    assert_eq!(report.end, RunEnd::Finished, "{}", row.name);
    report.value.unwrap()
}

struct Simulated {
    world: World,
    near: (NodeId, SharedHost),
    far: (NodeId, SharedHost),
    peer: NodeId,
}

impl Simulated {
    fn new(world: World) -> Self {
        let near = world.node("near", NEAR);
        let far = world.node("far", FAR);
        let peer = world.node("peer", FAR);
        Self {
            world,
            near: (near, world.boot(near)),
            far: (far, world.boot(far)),
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
        let (world, node) = (self.world, self.peer);
        Box::pin(async move {
            let host = world.boot(node);
            let listener = host.listen(SocketAddr::new(FAR, port)).await.unwrap();
            let at = listener.local_addr();
            let play = script::play(Arc::clone(&host), listener, script.to_owned());
            let task = host.spawn("script", Box::pin(play));
            Box::new(Process {
                world,
                node,
                at,
                _task: task,
            }) as Box<dyn Peer>
        })
    }

    fn change(&self, change: Change) {
        let (world, near) = (self.world, self.near.0);
        for far in [self.far.0, self.peer] {
            match change {
                Change::CutThere => world.cut(near, far),
                Change::CutBack => world.cut(far, near),
                Change::Heal => {
                    for (from, to) in [(near, far), (far, near)] {
                        world.heal(from, to);
                        world.loss(from, to, 0);
                    }
                }
                Change::LossPercent(percent) => {
                    world.loss(near, far, percent * 10);
                    world.loss(far, near, percent * 10);
                }
                Change::Bandwidth(bytes_per_ms) => world.bandwidth(near, far, bytes_per_ms),
            }
        }
    }

    fn power_off(&self, _peer: Box<dyn Peer>) {
        self.world.power_off(self.peer);
    }

    fn power_on(&self) {
        let _ = self.world.boot(self.peer);
    }
}

struct Process {
    world: World,
    node: NodeId,
    at: SocketAddr,
    _task: Task,
}

impl Peer for Process {
    fn at(&self) -> SocketAddr {
        self.at
    }

    fn kill(&mut self) {
        self.world.crash(self.node);
    }

    fn stop(&self) {
        self.world.freeze(self.node);
    }

    fn resume(&self) {
        self.world.thaw(self.node);
    }
}
