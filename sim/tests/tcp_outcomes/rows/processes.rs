//! A far process that is killed or stopped.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::{Row, rows};
use crate::stage::{Notes, Stage, dial, kind, read, read_all, settle, write};

pub(crate) fn rows() -> Vec<Row> {
    rows![on_loop:
        a_process_killed_while_idle_sends_fin,
        a_process_killed_with_unread_input_sends_a_reset,
        a_process_killed_with_written_bytes_still_delivers_them,
        a_process_killed_before_accept_resets_its_queue,
        a_dial_to_a_killed_process_is_refused,
        a_restarted_process_listens_on_the_same_port,
        a_stopped_process_takes_dials_and_bytes_and_answers_when_it_goes_on,
        a_writer_to_a_stopped_process_blocks_and_goes_on_with_it,
    ]
}

async fn a_process_killed_while_idle_sends_fin(stage: &dyn Stage) -> Notes {
    let mut peer = stage.start("echo", 0).await;
    let mut near = dial(stage, peer.at()).await.unwrap();
    let echo = (write(&mut near, "x").await, read(&mut near).await);
    peer.kill();
    settle().await;
    vec![
        format!("{echo:?}"),
        read(&mut near).await,
        write(&mut near, "y").await,
    ]
}

async fn a_process_killed_with_unread_input_sends_a_reset(stage: &dyn Stage) -> Notes {
    let mut peer = stage.start("silent", 0).await;
    let mut near = dial(stage, peer.at()).await.unwrap();
    write(&mut near, "unread").await;
    settle().await;
    peer.kill();
    settle().await;
    vec![read(&mut near).await, read(&mut near).await]
}

async fn a_process_killed_with_written_bytes_still_delivers_them(stage: &dyn Stage) -> Notes {
    let mut peer = stage.start("speaks", 0).await;
    let mut near = dial(stage, peer.at()).await.unwrap();
    settle().await;
    peer.kill();
    settle().await;
    vec![read_all(&mut near, 10).await, read(&mut near).await]
}

async fn a_process_killed_before_accept_resets_its_queue(stage: &dyn Stage) -> Notes {
    let mut peer = stage.start("idle", 0).await;
    let mut near = dial(stage, peer.at()).await.unwrap();
    settle().await;
    peer.kill();
    settle().await;
    vec![read(&mut near).await, write(&mut near, "x").await]
}

async fn a_dial_to_a_killed_process_is_refused(stage: &dyn Stage) -> Notes {
    let mut peer = stage.start("echo", 0).await;
    let at = peer.at();
    let before = kind(&dial(stage, at).await);
    peer.kill();
    settle().await;
    vec![before, kind(&dial(stage, at).await)]
}

async fn a_restarted_process_listens_on_the_same_port(stage: &dyn Stage) -> Notes {
    let mut peer = stage.start("echo", 0).await;
    let at = peer.at();
    let mut old = dial(stage, at).await.unwrap();
    write(&mut old, "x").await;
    read(&mut old).await;
    peer.kill();
    settle().await;
    let again = stage.start("echo", at.port()).await;
    let mut new = dial(stage, again.at()).await.unwrap();
    let echo = (write(&mut new, "new").await, read_all(&mut new, 3).await);
    vec![
        format!("same port: {}", again.at() == at),
        format!("{echo:?}"),
        read(&mut old).await,
    ]
}

async fn a_stopped_process_takes_dials_and_bytes_and_answers_when_it_goes_on(
    stage: &dyn Stage,
) -> Notes {
    let peer = stage.start("echo", 0).await;
    settle().await;
    peer.stop();
    let mut near = dial(stage, peer.at()).await.unwrap();
    let mut notes = vec![write(&mut near, "x").await, read(&mut near).await];
    peer.resume();
    notes.push(read(&mut near).await);
    notes
}

async fn a_writer_to_a_stopped_process_blocks_and_goes_on_with_it(stage: &dyn Stage) -> Notes {
    let peer = stage.start("counts", 0).await;
    let mut near = dial(stage, peer.at()).await.unwrap();
    write(&mut near, "x").await;
    settle().await;
    peer.stop();
    let block = vec![7; 1 << 20];
    let mut taken = 1_usize;
    while let Ok(count) = timeout(Duration::from_millis(300), near.stream.write(&block)).await {
        taken += count.unwrap();
    }
    peer.resume();
    let mut notes = vec![format!("blocks after a part: {}", taken > 1)];
    near.stream.write_all(&block).await.unwrap();
    near.stream.shutdown().await.unwrap();
    let mut answer = String::new();
    near.stream.read_to_string(&mut answer).await.unwrap();
    let all = answer == (taken + block.len()).to_string();
    notes.push(format!("every byte arrived: {all}"));
    notes
}
