//! Three network namespaces: the near machine, a router that can lose things, the far machine.
//!
//! The router drops before it routes, so that what is cut is lost without a word, as by a dead
//! switch; and the near machine keeps its interface while the far one loses power.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use crate::kernel;
use crate::rows::{self, Row};
use crate::stage::{Change, Notes};

/// The far machine's address.
pub(crate) const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 2, 2));
/// The far machine's namespace.
pub(crate) const FAR_NAME: &str = "rmq-far";
const NEAR_NAME: &str = "rmq-near";
const ROUTER: &str = "rmq-router";

/// The three namespaces, removed when dropped.
pub(crate) struct Network(());

/// Runs a command line; its error output if it fails.
fn sh(line: &str) -> Result<(), String> {
    let output = Command::new("sh")
        .args(["-c", line])
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("`{line}`: {text}"))
}

fn all(lines: &[String]) -> Result<(), String> {
    lines.iter().try_for_each(|line| sh(line))
}

fn router(line: &str) -> String {
    format!("ip netns exec {ROUTER} {line}")
}

/// Connects the far machine to the router.
fn far_lines() -> Vec<String> {
    let far = format!("ip -n {FAR_NAME}");
    vec![
        format!("ip netns add {FAR_NAME}"),
        format!("ip -n {ROUTER} link add to-far type veth peer name eth0 netns {FAR_NAME}"),
        format!("ip -n {ROUTER} addr add 10.77.2.1/24 dev to-far"),
        format!("ip -n {ROUTER} link set to-far up"),
        format!("{far} link set lo up"),
        format!("{far} addr add 10.77.2.2/24 dev eth0"),
        format!("{far} link set eth0 up"),
        format!("{far} route add default via 10.77.2.1"),
    ]
}

impl Network {
    /// Sets it up, or says why that cannot be.
    pub(crate) fn set_up() -> Result<Self, String> {
        clean();
        let near = format!("ip -n {NEAR_NAME}");
        let mut lines = vec![
            "nft --version".to_owned(),
            format!("ip netns add {ROUTER}"),
            format!("ip netns add {NEAR_NAME}"),
            format!("ip -n {ROUTER} link add to-near type veth peer name eth0 netns {NEAR_NAME}"),
            format!("ip -n {ROUTER} addr add 10.77.1.1/24 dev to-near"),
            format!("ip -n {ROUTER} link set to-near up"),
            format!("ip -n {ROUTER} link set lo up"),
            format!("{near} link set lo up"),
            format!("{near} addr add 10.77.1.2/24 dev eth0"),
            format!("{near} link set eth0 up"),
            format!("{near} route add default via 10.77.1.1"),
            router("sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'"),
            router("nft add table ip simulated"),
            router(
                "nft add chain ip simulated losses '{ type filter hook prerouting priority -300; }'",
            ),
        ];
        lines.extend(far_lines());
        all(&lines).inspect_err(|_| clean())?;
        Ok(Self(()))
    }

    /// Plays a row; its near end is a process in the near namespace.
    pub(crate) fn run(&self, row: &Row) -> Notes {
        change(Change::Heal);
        let retries = row.retries.unwrap_or(15);
        for name in [NEAR_NAME, FAR_NAME] {
            let to = "/proc/sys/net/ipv4/tcp_retries2";
            sh(&format!(
                "ip netns exec {name} sh -c 'echo {retries} > {to}'"
            ))
            .unwrap();
        }
        let exe = std::env::current_exe().unwrap();
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", NEAR_NAME])
            .arg(exe)
            .args(["near", row.name]);
        let output = command.output().unwrap();
        let mut notes: Notes = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(ToOwned::to_owned)
            .collect();
        if !output.status.success() {
            notes.push(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        notes
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        clean();
    }
}

fn clean() {
    for name in [NEAR_NAME, FAR_NAME, ROUTER] {
        // What is not there need not be removed.
        let _ = sh(&format!("ip netns del {name}"));
    }
}

/// The near end's process: plays one row and prints its notes.
pub(crate) fn run_near(name: &str) {
    let rows = rows::all();
    let row = rows.iter().find(|row| row.name == name).unwrap();
    for note in kernel::run_near(row) {
        println!("{note}");
    }
}

/// Changes the router between the two namespaces: what it drops, and how fast it is.
pub(crate) fn change(change: Change) {
    let drop = |rule: &str| {
        vec![router(&format!(
            "nft add rule ip simulated losses {rule} drop"
        ))]
    };
    let lines = match change {
        Change::CutThere => drop("ip daddr 10.77.2.2"),
        Change::CutBack => drop("ip saddr 10.77.2.2"),
        Change::Heal => vec![router("nft flush chain ip simulated losses")],
        Change::LossPercent(percent) => drop(&format!(
            "ip protocol tcp numgen random mod 100 '<' {percent}"
        )),
        Change::Bandwidth(bytes_per_ms) => {
            let shape = format!("rate {bytes_per_ms}kbps burst 5kb latency 60s");
            vec![router(&format!(
                "tc qdisc replace dev to-far root tbf {shape}"
            ))]
        }
    };
    all(&lines).unwrap();
}

/// The far machine is gone, its kernel with it.
pub(crate) fn remove_far() {
    sh(&format!("ip netns del {FAR_NAME}")).unwrap();
    // The router's end of the cable goes with it, a moment later.
    let gone = format!("until ! ip -n {ROUTER} link show to-far 2>/dev/null; do sleep 0.05; done");
    sh(&gone).unwrap();
}

/// A new far machine.
pub(crate) fn add_far() {
    all(&far_lines()).unwrap();
}
