//! A network that is cut, loses, and is slow; a far machine without power.

use std::time::Duration;

use rmq_host::Connection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use super::{Row, rows};
use crate::stage::{Change, Notes, Stage, dial, kind, read, settle, write};

pub(crate) fn rows() -> Vec<Row> {
    let mut all = rows![on_network:
        a_dial_to_a_gone_host_hangs_and_completes_when_it_is_back,
        bytes_to_a_gone_host_end_in_a_timeout,
        bytes_written_into_a_partition_arrive_after_it_in_order,
        a_cut_of_the_way_there_holds_the_request,
        a_cut_of_the_way_back_holds_the_answer,
        a_dial_hangs_while_the_way_back_is_cut,
        a_process_restarted_behind_a_partition_answers_a_write_with_a_reset,
        a_close_behind_a_partition_is_seen_after_it,
        loss_delays_and_loses_nothing,
        a_bandwidth_limit_spreads_bytes_over_time,
        a_machine_that_lost_power_is_silent_and_resets_old_connections_when_back,
    ];
    for row in &mut all {
        if row.name.contains("timeout") {
            row.retries = Some(3);
        }
    }
    all
}

fn cut(stage: &dyn Stage) {
    stage.change(Change::CutThere);
    stage.change(Change::CutBack);
}

/// The class of a time: the nearest of 0.1, 0.2, 0.4, 0.8, 1.6 s and so on. Retransmissions double,
/// and a kernel's timers are some per cent late.
fn class(start: Instant) -> String {
    let mut class = 100_u128;
    while start.elapsed().as_millis() * 100 > class * 141 {
        class *= 2;
    }
    format!("about {class} ms")
}

/// Reads exactly so many bytes.
async fn exactly(end: &mut Connection, count: usize) -> String {
    let mut bytes = vec![0; count];
    match end.stream.read_exact(&mut bytes).await {
        Ok(_) => format!("{:?}", String::from_utf8_lossy(&bytes)),
        Err(error) => format!("{:?}", error.kind()),
    }
}

async fn echoing(stage: &dyn Stage) -> (Box<dyn crate::stage::Peer>, Connection) {
    let peer = stage.start("echo", 0).await;
    let mut near = dial(stage, peer.at()).await.unwrap();
    write(&mut near, "x").await;
    assert_eq!(exactly(&mut near, 1).await, "\"x\"");
    settle().await;
    (peer, near)
}

async fn a_dial_to_a_gone_host_hangs_and_completes_when_it_is_back(stage: &dyn Stage) -> Notes {
    let peer = stage.start("echo", 0).await;
    cut(stage);
    settle().await;
    let start = Instant::now();
    let dialling = dial(stage, peer.at());
    let heal = async {
        sleep(Duration::from_millis(1_500)).await;
        stage.change(Change::Heal);
    };
    let (dialled, ()) = tokio::join!(dialling, heal);
    vec![kind(&dialled), class(start)]
}

async fn bytes_to_a_gone_host_end_in_a_timeout(stage: &dyn Stage) -> Notes {
    let (_peer, mut near) = echoing(stage).await;
    cut(stage);
    settle().await;
    let start = Instant::now();
    let wrote = write(&mut near, "lost").await;
    let error = exactly(&mut near, 1).await;
    let after = class(start);
    stage.change(Change::Heal);
    vec![
        wrote,
        error,
        after,
        read(&mut near).await,
        write(&mut near, "x").await,
    ]
}

async fn bytes_written_into_a_partition_arrive_after_it_in_order(stage: &dyn Stage) -> Notes {
    let (_peer, mut near) = echoing(stage).await;
    cut(stage);
    settle().await;
    let start = Instant::now();
    let mut notes = vec![write(&mut near, "one").await];
    sleep(Duration::from_millis(1_000)).await;
    notes.push(write(&mut near, "two").await);
    sleep(Duration::from_millis(1_800)).await;
    stage.change(Change::Heal);
    notes.push(exactly(&mut near, 6).await);
    notes.push(class(start));
    notes
}

async fn a_cut_of_the_way_there_holds_the_request(stage: &dyn Stage) -> Notes {
    let (_peer, mut near) = echoing(stage).await;
    stage.change(Change::CutThere);
    settle().await;
    let start = Instant::now();
    let mut notes = vec![write(&mut near, "held").await, read(&mut near).await];
    sleep(Duration::from_millis(800)).await;
    stage.change(Change::Heal);
    notes.push(exactly(&mut near, 4).await);
    notes.push(class(start));
    notes
}

async fn a_cut_of_the_way_back_holds_the_answer(stage: &dyn Stage) -> Notes {
    let (_peer, mut near) = echoing(stage).await;
    stage.change(Change::CutBack);
    settle().await;
    let start = Instant::now();
    let mut notes = vec![write(&mut near, "held").await, read(&mut near).await];
    sleep(Duration::from_millis(800)).await;
    stage.change(Change::Heal);
    notes.push(exactly(&mut near, 4).await);
    notes.push(class(start));
    notes
}

async fn a_dial_hangs_while_the_way_back_is_cut(stage: &dyn Stage) -> Notes {
    let peer = stage.start("echo", 0).await;
    stage.change(Change::CutBack);
    settle().await;
    let hangs = timeout(Duration::from_millis(700), dial(stage, peer.at()))
        .await
        .is_err();
    stage.change(Change::Heal);
    vec![
        format!("hangs: {hangs}"),
        kind(&dial(stage, peer.at()).await),
    ]
}

async fn a_process_restarted_behind_a_partition_answers_a_write_with_a_reset(
    stage: &dyn Stage,
) -> Notes {
    let (mut peer, mut near) = echoing(stage).await;
    let at = peer.at();
    cut(stage);
    settle().await;
    peer.kill();
    let _again = stage.start("echo", at.port()).await;
    // Between two repetitions of the FIN that the old process's kernel still sends.
    sleep(Duration::from_millis(1_000)).await;
    stage.change(Change::Heal);
    let wrote = write(&mut near, "old").await;
    vec![
        wrote,
        exactly(&mut near, 1).await,
        kind(&dial(stage, at).await),
    ]
}

async fn a_close_behind_a_partition_is_seen_after_it(stage: &dyn Stage) -> Notes {
    let (mut peer, mut near) = echoing(stage).await;
    cut(stage);
    settle().await;
    let start = Instant::now();
    peer.kill();
    let during = read(&mut near).await;
    sleep(Duration::from_millis(800)).await;
    stage.change(Change::Heal);
    let after = exactly(&mut near, 1).await;
    vec![during, after, class(start)]
}

async fn loss_delays_and_loses_nothing(stage: &dyn Stage) -> Notes {
    let (_peer, mut near) = echoing(stage).await;
    stage.change(Change::LossPercent(20));
    let start = Instant::now();
    let mut equal = true;
    for round in 0..30_u8 {
        let sent = vec![round; 200];
        near.stream.write_all(&sent).await.unwrap();
        let mut got = vec![0; sent.len()];
        near.stream.read_exact(&mut got).await.unwrap();
        equal &= got == sent;
        // The conditions of a simulated link change by the millisecond.
        sleep(Duration::from_millis(3)).await;
    }
    let later = start.elapsed() > Duration::from_millis(500);
    stage.change(Change::Heal);
    vec![format!("equal: {equal}, later: {later}")]
}

async fn a_bandwidth_limit_spreads_bytes_over_time(stage: &dyn Stage) -> Notes {
    let peer = stage.start("counts", 0).await;
    let mut near = dial(stage, peer.at()).await.unwrap();
    stage.change(Change::Bandwidth(100));
    settle().await;
    let start = Instant::now();
    near.stream.write_all(&vec![7; 200_000]).await.unwrap();
    near.stream.shutdown().await.unwrap();
    let counted = exactly(&mut near, 6).await;
    vec![counted, class(start)]
}

async fn a_machine_that_lost_power_is_silent_and_resets_old_connections_when_back(
    stage: &dyn Stage,
) -> Notes {
    let (peer, mut near) = echoing(stage).await;
    let at = peer.at();
    stage.power_off(peer);
    let silent = read(&mut near).await;
    stage.power_on();
    let _again = stage.start("echo", at.port()).await;
    let still = read(&mut near).await;
    let wrote = write(&mut near, "old").await;
    let error = exactly(&mut near, 1).await;
    vec![silent, still, wrote, error, kind(&dial(stage, at).await)]
}
