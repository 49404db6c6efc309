//! How bytes travel on a healthy connection.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::{Row, rows};
use crate::stage::{Notes, Stage, connected, read, read_all, settle, write};

pub(crate) fn rows() -> Vec<Row> {
    rows![on_loop:
        a_big_write_to_a_slow_reader_arrives_in_more_than_one_read,
        three_small_writes_may_arrive_as_one_and_keep_their_order,
        a_zero_length_write_sends_nothing,
        a_zero_length_read_returns_at_once,
        a_cancelled_read_loses_nothing,
        a_cancelled_write_may_have_written_a_prefix,
        a_writer_blocks_while_nobody_reads_and_goes_on_when_somebody_does,
        both_directions_are_independent,
    ]
}

async fn a_big_write_to_a_slow_reader_arrives_in_more_than_one_read(stage: &dyn Stage) -> Notes {
    const SIZE: usize = 1 << 20;
    let (mut near, mut far, _listener) = connected(stage).await;
    let sent: Vec<u8> = (0..SIZE).map(|n| (n % 251) as u8).collect();
    let writing = async { near.stream.write_all(&sent).await.is_ok() };
    let reading = async {
        let mut got = Vec::new();
        let mut reads = 0;
        while got.len() < SIZE {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let mut buffer = vec![0; SIZE];
            let count = far.stream.read(&mut buffer).await.unwrap();
            got.extend_from_slice(&buffer[..count]);
            reads += 1;
        }
        (got, reads)
    };
    let (wrote, (got, reads)) = tokio::join!(writing, reading);
    vec![format!(
        "written: {wrote}, equal: {}, several reads: {}",
        got == sent,
        reads > 1
    )]
}

async fn three_small_writes_may_arrive_as_one_and_keep_their_order(stage: &dyn Stage) -> Notes {
    let (mut near, mut far, _listener) = connected(stage).await;
    for text in ["one", "two", "three"] {
        write(&mut near, text).await;
    }
    settle().await;
    vec![read_all(&mut far, 11).await, read(&mut far).await]
}

async fn a_zero_length_write_sends_nothing(stage: &dyn Stage) -> Notes {
    let (mut near, mut far, _listener) = connected(stage).await;
    vec![write(&mut near, "").await, read(&mut far).await]
}

async fn a_zero_length_read_returns_at_once(stage: &dyn Stage) -> Notes {
    let (_near, mut far, _listener) = connected(stage).await;
    let read = timeout(Duration::from_millis(100), far.stream.read(&mut [])).await;
    vec![format!("{:?}", read.map(|read| read.unwrap()).ok())]
}

async fn a_cancelled_read_loses_nothing(stage: &dyn Stage) -> Notes {
    let (mut near, mut far, _listener) = connected(stage).await;
    let early = timeout(Duration::from_millis(50), far.stream.read(&mut [0; 10])).await;
    write(&mut near, "kept").await;
    settle().await;
    vec![
        format!("cancelled: {}", early.is_err()),
        read_all(&mut far, 4).await,
    ]
}

async fn a_cancelled_write_may_have_written_a_prefix(stage: &dyn Stage) -> Notes {
    const SIZE: usize = 32 << 20;
    let (mut near, mut far, _listener) = connected(stage).await;
    let sent: Vec<u8> = (0..SIZE).map(|n| (n % 251) as u8).collect();
    let cancelled = timeout(Duration::from_millis(300), near.stream.write_all(&sent)).await;
    drop(near);
    let mut got = Vec::new();
    let end = far.stream.read_to_end(&mut got).await;
    let prefix = !got.is_empty() && got.len() < SIZE && sent.starts_with(&got);
    vec![
        format!(
            "cancelled: {}, then end: {}",
            cancelled.is_err(),
            end.is_ok()
        ),
        format!("a part that is a prefix: {prefix}"),
    ]
}

async fn a_writer_blocks_while_nobody_reads_and_goes_on_when_somebody_does(
    stage: &dyn Stage,
) -> Notes {
    let (mut near, mut far, _listener) = connected(stage).await;
    let block = vec![7; 1 << 20];
    let mut taken = 0_usize;
    while let Ok(count) = timeout(Duration::from_millis(300), near.stream.write(&block)).await {
        taken += count.unwrap();
    }
    let reading = async {
        let mut left = taken;
        let mut buffer = vec![0; 1 << 16];
        while left > 0 {
            left -= far.stream.read(&mut buffer).await.unwrap().min(left);
        }
    };
    let writing = async { near.stream.write_all(b"more").await.is_ok() };
    let ((), more) = tokio::join!(reading, writing);
    vec![
        format!("took a part and blocked: {}", taken > 0),
        format!("goes on: {more}"),
        read_all(&mut far, 4).await,
    ]
}

async fn both_directions_are_independent(stage: &dyn Stage) -> Notes {
    let (mut near, mut far, _listener) = connected(stage).await;
    write(&mut near, "there").await;
    write(&mut far, "back").await;
    settle().await;
    vec![read_all(&mut far, 5).await, read_all(&mut near, 4).await]
}
