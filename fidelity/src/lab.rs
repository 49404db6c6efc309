//! Plays a case in the laboratory: the mocks' name servers and brokers under the case's script, the
//! client's part on a machine of its own, the event engine's network between them, virtual time.
//!
//! How a server does not listen is what its machine does: refused is a process that is gone, deaf
//! one that listens and never accepts, a black hole a machine without power.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dst_engine::{
    Change, Engine, EngineConfig, EngineEvent, EngineHandle, EventSink, Limits, NodeId, RunEnd,
};
use parking_lot::Mutex;
use rmq_host::{SharedHost, Task};
use rmq_mock_broker::{Broker, Config as BrokerConfig, Disk};
use rmq_mock_namesrv::{Config as NameServerConfig, NameServer};
use rmq_producer::Policy;
use rmq_remoting::command::HeaderForm;
use rmq_remoting::observe::Silent;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use crate::case::Case;
use crate::driver;
use crate::log::{Servers, Sighting, What};
use crate::normal::{self, Run};
use crate::script::{self, Script};
use crate::scripted_server::ScriptedServer;
use crate::words::Dialect;

/// Virtual milliseconds between the end of the warm-up and the first message.
const BEFORE_GO: u64 = 250;

/// The end of virtual time, in milliseconds.
const HORIZON: u64 = 150_000;

/// Queues of each topic on each broker: more than any route tells of.
const QUEUES: i32 = 64;

/// Plays a case with a preset; the trace that a recording would have left.
///
/// # Errors
/// The run did not come to its end; the text says why.
pub fn play(case: &Case, preset: &Policy) -> Result<Value, String> {
    let config = EngineConfig {
        seed: 7,
        limits: Limits {
            horizon_ms: HORIZON,
            ..Limits::default()
        },
        ..EngineConfig::default()
    };
    let dials = Arc::new(Dials::default());
    let watch = Arc::clone(&dials);
    let zero = config.start_unix_millis;
    let main = async move |sim: EngineHandle| {
        let case_run = CaseRun::set(sim, case, zero);
        *watch.0.lock() = Some(Arc::clone(&case_run));
        let told = case_run.client(case, preset).await;
        *watch.0.lock() = None;
        let log = std::mem::take(&mut case_run.script.lock().log);
        (case_run.names(), log, told)
    };
    let report = Engine::with_config(config)
        .events_to(dials)
        .run_with(main)
        .map_err(|error| error.to_string())?;
    match (report.value, report.end) {
        (Some((servers, log, told)), RunEnd::Finished) => Ok(trace_of(case, &servers, &log, &told)),
        (_, end) => Err(format!("{}: the run ended by {end:?}", case.name)),
    }
}

fn trace_of(
    case: &Case,
    servers: &Servers,
    log: &[Sighting],
    told: &[Map<String, Value>],
) -> Value {
    let pinned = told.iter().find_map(|line| line.get("pinned"));
    normal::trace(&Run {
        case: &case.file,
        servers,
        log,
        told,
        pinned: pinned.is_none_or(|pinned| *pinned == true),
    })
}

/// Sees the client's dials to servers that do not serve.
#[derive(Debug, Default)]
struct Dials(Mutex<Option<Arc<CaseRun>>>);

impl EventSink for Dials {
    fn on(&self, event: EngineEvent) {
        let EngineEvent::Dial { node, to, .. } = event else {
            return;
        };
        let case_run = self.0.lock().clone();
        if let Some(case_run) = case_run.filter(|case_run| case_run.client == node) {
            case_run.dialled(to);
        }
    }
}

/// One server of the case.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) name: String,
    node: NodeId,
    pub(crate) at: SocketAddr,
    is_broker: bool,
    /// What the case says of it.
    pub(crate) conf: Value,
}

/// The servers of a running case.
#[derive(Debug)]
pub(crate) struct CaseRun {
    sim: EngineHandle,
    /// Unix time at virtual time 0.
    zero: i64,
    pub(crate) case: Value,
    pub(crate) machines: Vec<Machine>,
    client: NodeId,
    pub(crate) script: Mutex<Script>,
    /// How each server listens.
    modes: Mutex<BTreeMap<usize, String>>,
    tasks: Mutex<BTreeMap<usize, Task>>,
    pub(crate) topics: Mutex<Map<String, Value>>,
    changes: Mutex<VecDeque<Value>>,
}

impl CaseRun {
    fn set(sim: EngineHandle, case: &Case, zero: i64) -> Arc<Self> {
        let file = &case.file;
        let mut machines = Vec::new();
        let mut add = |name: String, is_broker, conf: &Value| {
            let number = u16::try_from(machines.len()).unwrap_or(u16::MAX);
            let ip = std::net::Ipv4Addr::from_bits(0x0A00_0001 + u32::from(number)).into();
            let port = if is_broker { 10_911 } else { 9_876 };
            machines.push(Machine {
                node: sim.node(&name, ip),
                at: SocketAddr::new(ip, port),
                name,
                is_broker,
                conf: conf.clone(),
            });
        };
        for (broker, conf) in file["topology"]["brokers"]
            .as_object()
            .into_iter()
            .flatten()
        {
            for id in script::ids(file, broker) {
                add(script::server(broker, id), true, conf);
            }
        }
        let one = [json!({})];
        let name_servers = file["nameservers"].as_array().map_or(&one[..], |list| list);
        for (number, conf) in name_servers.iter().enumerate() {
            add(format!("ns{number}"), false, conf);
        }
        let client = sim.node("client", std::net::Ipv4Addr::new(10, 0, 1, 1).into());
        let measured = !case.is_gated();
        let topics = file["topology"]["topics"].as_object().cloned();
        let changes = file["route_changes"].as_array().cloned();
        let case_run = Arc::new(Self {
            sim,
            zero,
            case: file.clone(),
            machines,
            client,
            script: Mutex::new(Script::new(file, measured)),
            modes: Mutex::default(),
            tasks: Mutex::default(),
            topics: Mutex::new(topics.unwrap_or_default()),
            changes: Mutex::new(changes.unwrap_or_default().into()),
        });
        for number in 0..case_run.machines.len() {
            let mode = if measured {
                case_run.wanted(number)
            } else {
                "normal".to_owned()
            };
            case_run.listen(number, &mode);
        }
        if measured {
            case_run.plan_changes();
        }
        case_run
    }

    pub(crate) fn now(&self) -> i64 {
        self.zero + i64::try_from(self.sim.now_ms()).unwrap_or(i64::MAX)
    }

    fn names(&self) -> Servers {
        let brokers = self.machines.iter().filter(|one| one.is_broker);
        let address = |one: &Machine| (one.at.to_string(), one.name.clone());
        Servers {
            brokers: brokers.map(|one| one.name.clone()).collect(),
            addresses: self.machines.iter().map(address).collect(),
        }
    }

    fn wanted(&self, number: usize) -> String {
        let mode = self.machines[number].conf["listen"].as_str();
        mode.unwrap_or("normal").to_owned()
    }

    /// The measured part begins.
    fn go(self: &Arc<Self>) {
        self.script.lock().measured = true;
        for number in 0..self.machines.len() {
            let mode = self.wanted(number);
            self.listen(number, &mode);
        }
        self.plan_changes();
    }

    /// Lets a server listen, or not, in this way.
    fn listen(self: &Arc<Self>, number: usize, mode: &str) {
        let before = self.modes.lock().insert(number, mode.to_owned());
        if before.as_deref() == Some(mode) {
            return;
        }
        let (sim, node) = (self.sim, self.machines[number].node);
        match mode {
            "refuse" => sim.apply(Change::Crash(node)),
            "blackhole" => {
                sim.apply(Change::Crash(node));
                // What the dead process's kernel says must have left.
                sim.at(sim.now_ms() + 5, move || sim.apply(Change::PowerOff(node)));
            }
            "deaf" => {
                sim.apply(Change::Crash(node));
                let host = sim.boot(node);
                self.run(
                    number,
                    &Arc::clone(&host),
                    deaf(host, self.machines[number].at),
                );
            }
            "normal" | "unblock" => self.serve(number),
            other => unreachable!("a case lets a server listen in the way {other:?}"),
        }
    }

    fn run(
        &self,
        number: usize,
        host: &SharedHost,
        life: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = host.spawn("main", Box::pin(life));
        let before = self.tasks.lock().insert(number, task);
        drop(before);
    }

    fn serve(self: &Arc<Self>, number: usize) {
        let machine = &self.machines[number];
        let host = self.sim.boot(machine.node);
        let form = if self.case["topology"]["respond"] == "rocketmq" {
            HeaderForm::Rocketmq
        } else {
            HeaderForm::Json
        };
        let scripted_server = Arc::new(ScriptedServer {
            case_run: Arc::clone(self),
            number,
        });
        if machine.is_broker {
            let name = machine.name.split('/').next().unwrap_or_default();
            let mut config = BrokerConfig::new(name, machine.at);
            config.form = form;
            let topics = self.topics.lock();
            let own = topics.keys().filter(|topic| *topic != "TBW102");
            config.topics = own.map(|topic| (topic.as_str().into(), QUEUES)).collect();
            drop(topics);
            self.run(number, &Arc::clone(&host), async move {
                let (control, observer) = (Arc::clone(&scripted_server), scripted_server);
                let disk = Arc::new(Disk::default());
                let started = Broker::start(host, config, disk, control, observer).await;
                hold(started).await;
            });
        } else {
            let mut config = NameServerConfig::new(machine.at);
            config.form = form;
            self.run(number, &Arc::clone(&host), async move {
                let started =
                    NameServer::start(host, config, scripted_server, Arc::new(Silent)).await;
                hold(started).await;
            });
        }
    }

    fn plan_changes(self: &Arc<Self>) {
        let changes: VecDeque<Value> = {
            let mut all = self.changes.lock();
            let (timed, others) = all.drain(..).partition(|one| one["after_ms"].is_number());
            *all = others;
            timed
        };
        for change in changes {
            let at = self.sim.now_ms() + change["after_ms"].as_u64().unwrap_or(0);
            let case_run = Arc::clone(self);
            self.sim.at(at, move || case_run.change(&change));
        }
    }

    /// Applies the changes that wait for so many messages or lookups.
    pub(crate) fn counted(self: &Arc<Self>, name: &str, count: u64) {
        let due: VecDeque<Value> = {
            let mut all = self.changes.lock();
            let is_due = |one: &Value| one[name].as_u64().is_some_and(|least| count >= least);
            let (due, others) = all.drain(..).partition(is_due);
            *all = others;
            due
        };
        for change in due {
            let case_run = Arc::clone(self);
            self.sim
                .at(self.sim.now_ms(), move || case_run.change(&change));
        }
    }

    fn change(self: &Arc<Self>, change: &Value) {
        {
            let mut topics = self.topics.lock();
            topics.extend(change["topics"].as_object().cloned().unwrap_or_default());
            for topic in change["remove"].as_array().into_iter().flatten() {
                topics.remove(topic.as_str().unwrap_or_default());
            }
        }
        for (server, mode) in change["listen"].as_object().into_iter().flatten() {
            let number = self.machines.iter().position(|one| one.name == *server);
            let (Some(number), Some(mode)) = (number, mode.as_str()) else {
                unreachable!(
                    "a case changes how {server} listens to {mode}: there is no such thing"
                )
            };
            self.listen(number, mode);
        }
    }

    fn dialled(&self, to: SocketAddr) {
        let Some(number) = self.machines.iter().position(|one| one.at == to) else {
            return;
        };
        let word = match self.modes.lock().get(&number).map(String::as_str) {
            Some("refuse") => "refused",
            Some("blackhole") => "connect-blackhole",
            Some("deaf") => "deaf-connect",
            _ => return,
        };
        let name = &self.machines[number].name;
        self.script.lock().note(self.now(), name, What::Syn(word));
    }

    /// Resets the client's connection to a server after so many milliseconds.
    pub(crate) fn reset(&self, number: usize, after: u64) {
        let (sim, client, server) = (self.sim, self.client, self.machines[number].node);
        sim.at(sim.now_ms() + after, move || {
            sim.apply(Change::Reset(client, server));
        });
    }

    /// The client's part; what it told.
    async fn client(self: &Arc<Self>, case: &Case, preset: &Policy) -> Vec<Map<String, Value>> {
        let mut settings = case.client(Dialect::of(preset));
        let servers = self.machines.iter().filter(|one| !one.is_broker);
        let servers: Vec<String> = servers.map(|one| one.at.to_string()).collect();
        settings
            .entry("namesrvAddr")
            .or_insert(servers.join(";").into());
        let told: Arc<Mutex<Vec<Map<String, Value>>>> = Arc::default();
        let (go, word) = oneshot::channel::<()>();
        let go = Mutex::new(Some(go));
        let (case_run, lines) = (Arc::clone(self), Arc::clone(&told));
        let sink = move |line: Map<String, Value>| {
            if line.get("event").is_some_and(|event| event == "warm_done") {
                case_run.prepare(go.lock().take());
            }
            lines.lock().push(line);
        };
        let host = self.sim.boot(self.client);
        let policy = case.policy(preset.clone());
        let life = driver::run(Arc::clone(&host), settings, policy, Arc::new(sink), async {
            // The other end is dropped only with the run.
            let _ = word.await;
        });
        let task = host.spawn("client", Box::pin(life));
        // A client that hangs is told apart by what it did not tell.
        let _ = tokio::time::timeout(Duration::from_millis(HORIZON - 10_000), task).await;
        std::mem::take(&mut *told.lock())
    }

    /// The warm-up is over: faults are armed, and a moment later the client may go on.
    fn prepare(self: &Arc<Self>, go: Option<oneshot::Sender<()>>) {
        let (case_run, now) = (Arc::clone(self), self.sim.now_ms());
        self.sim.at(now, move || case_run.go());
        self.sim.at(now + BEFORE_GO, move || {
            if let Some(go) = go {
                let _ = go.send(());
            }
        });
    }
}

/// Listens and never accepts.
async fn deaf(host: SharedHost, at: SocketAddr) {
    hold(host.listen(at).await).await;
}

/// Keeps a server until its task ends.
async fn hold<T, E: std::fmt::Display>(server: Result<T, E>) {
    match server {
        Ok(server) => {
            std::future::pending::<()>().await;
            drop(server);
        }
        Err(error) => eprintln!("a server of the case cannot start: {error}"),
    }
}
