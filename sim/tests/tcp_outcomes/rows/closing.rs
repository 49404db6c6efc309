//! FIN and RST, as both ends see them.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::{Row, rows};
use crate::stage::{Notes, Stage, connected, kind, read, read_all, settle, write};

pub(crate) fn rows() -> Vec<Row> {
    rows![on_loop:
        a_read_after_fin_is_the_end_again_and_again,
        a_read_after_fin_returns_buffered_bytes_first,
        the_second_write_after_fin_fails,
        a_read_after_the_second_write_after_fin,
        a_close_with_unread_input_sends_a_reset,
        a_write_after_a_reset_fails_with_it_once,
        a_reset_in_mid_read_and_the_bytes_before_it,
        a_reset_wakes_a_reader_that_waits,
        after_a_shutdown_reading_goes_on,
        a_write_after_a_shutdown_fails,
        a_second_shutdown_is_harmless,
        a_shutdown_after_a_reset,
        both_ends_shut_down,
        a_half_that_is_dropped_closes_nothing,
        bytes_written_before_a_close_arrive,
        bytes_that_meet_a_closed_end_are_answered_with_a_reset,
        writes_to_an_end_that_has_only_shut_down_go_through,
    ]
}

async fn a_read_after_fin_is_the_end_again_and_again(stage: &dyn Stage) -> Notes {
    let (mut near, far, _listener) = connected(stage).await;
    drop(far);
    settle().await;
    vec![read(&mut near).await, read(&mut near).await]
}

async fn a_read_after_fin_returns_buffered_bytes_first(stage: &dyn Stage) -> Notes {
    let (mut near, mut far, _listener) = connected(stage).await;
    write(&mut far, "hello").await;
    drop(far);
    settle().await;
    vec![read_all(&mut near, 5).await, read(&mut near).await]
}

async fn the_second_write_after_fin_fails(stage: &dyn Stage) -> Notes {
    let (mut near, far, _listener) = connected(stage).await;
    drop(far);
    settle().await;
    let mut notes = vec![read(&mut near).await];
    for _ in 0..3 {
        notes.push(write(&mut near, "x").await);
        settle().await;
    }
    notes
}

async fn a_read_after_the_second_write_after_fin(stage: &dyn Stage) -> Notes {
    let (mut near, far, _listener) = connected(stage).await;
    drop(far);
    settle().await;
    let first = write(&mut near, "x").await;
    settle().await;
    vec![
        first,
        read(&mut near).await,
        write(&mut near, "y").await,
        read(&mut near).await,
    ]
}

async fn a_close_with_unread_input_sends_a_reset(stage: &dyn Stage) -> Notes {
    let (mut near, far, _listener) = connected(stage).await;
    write(&mut near, "unread").await;
    settle().await;
    drop(far);
    settle().await;
    vec![
        read(&mut near).await,
        read(&mut near).await,
        write(&mut near, "x").await,
        read(&mut near).await,
    ]
}

async fn a_write_after_a_reset_fails_with_it_once(stage: &dyn Stage) -> Notes {
    let (mut near, far, _listener) = connected(stage).await;
    write(&mut near, "unread").await;
    settle().await;
    drop(far);
    settle().await;
    vec![
        write(&mut near, "x").await,
        write(&mut near, "x").await,
        read(&mut near).await,
    ]
}

async fn a_reset_in_mid_read_and_the_bytes_before_it(stage: &dyn Stage) -> Notes {
    let (mut near, mut far, _listener) = connected(stage).await;
    write(&mut near, "unread").await;
    write(&mut far, "before").await;
    settle().await;
    drop(far);
    settle().await;
    vec![read_all(&mut near, 7).await, read(&mut near).await]
}

async fn a_reset_wakes_a_reader_that_waits(stage: &dyn Stage) -> Notes {
    let (mut near, far, _listener) = connected(stage).await;
    write(&mut near, "unread").await;
    settle().await;
    let close = async {
        settle().await;
        drop(far);
    };
    let (got, ()) = tokio::join!(read(&mut near), close);
    vec![got]
}

async fn after_a_shutdown_reading_goes_on(stage: &dyn Stage) -> Notes {
    let (mut near, mut far, _listener) = connected(stage).await;
    let shut = kind(&near.stream.shutdown().await);
    let end = read(&mut far).await;
    let wrote = write(&mut far, "answer").await;
    settle().await;
    vec![shut, end, wrote, read_all(&mut near, 6).await]
}

async fn a_write_after_a_shutdown_fails(stage: &dyn Stage) -> Notes {
    let (mut near, _far, _listener) = connected(stage).await;
    near.stream.shutdown().await.unwrap();
    vec![write(&mut near, "x").await, write(&mut near, "x").await]
}

async fn a_second_shutdown_is_harmless(stage: &dyn Stage) -> Notes {
    let (mut near, _far, _listener) = connected(stage).await;
    vec![
        kind(&near.stream.shutdown().await),
        kind(&near.stream.shutdown().await),
    ]
}

async fn a_shutdown_after_a_reset(stage: &dyn Stage) -> Notes {
    let (mut near, far, _listener) = connected(stage).await;
    write(&mut near, "unread").await;
    settle().await;
    drop(far);
    settle().await;
    vec![kind(&near.stream.shutdown().await), read(&mut near).await]
}

async fn both_ends_shut_down(stage: &dyn Stage) -> Notes {
    let (mut near, mut far, _listener) = connected(stage).await;
    let shut = (
        kind(&near.stream.shutdown().await),
        kind(&far.stream.shutdown().await),
    );
    settle().await;
    vec![
        format!("{shut:?}"),
        read(&mut near).await,
        read(&mut far).await,
        write(&mut near, "x").await,
    ]
}

async fn a_half_that_is_dropped_closes_nothing(stage: &dyn Stage) -> Notes {
    let (near, mut far, _listener) = connected(stage).await;
    let (mut reading, writing) = tokio::io::split(near.stream);
    drop(writing);
    settle().await;
    let open = read(&mut far).await;
    write(&mut far, "x").await;
    let mut byte = [0; 1];
    let got = timeout(Duration::from_millis(200), reading.read(&mut byte)).await;
    drop(reading);
    settle().await;
    vec![
        open,
        format!("{:?}", got.unwrap().unwrap()),
        read(&mut far).await,
    ]
}

async fn bytes_written_before_a_close_arrive(stage: &dyn Stage) -> Notes {
    let (mut near, mut far, _listener) = connected(stage).await;
    near.stream.write_all(&vec![b'x'; 50_000]).await.unwrap();
    drop(near);
    settle().await;
    let mut got = Vec::new();
    let end = far.stream.read_to_end(&mut got).await;
    vec![format!("{} bytes, {}", got.len(), kind(&end))]
}

async fn bytes_that_meet_a_closed_end_are_answered_with_a_reset(stage: &dyn Stage) -> Notes {
    let (mut near, far, _listener) = connected(stage).await;
    drop(far);
    settle().await;
    // Nothing was read yet: neither the end nor the reset that the write provokes.
    let wrote = write(&mut near, "x").await;
    settle().await;
    vec![wrote, read(&mut near).await, read(&mut near).await]
}

async fn writes_to_an_end_that_has_only_shut_down_go_through(stage: &dyn Stage) -> Notes {
    let (mut near, mut far, _listener) = connected(stage).await;
    far.stream.shutdown().await.unwrap();
    settle().await;
    let mut notes = vec![read(&mut near).await];
    for _ in 0..2 {
        notes.push(write(&mut near, "x").await);
        settle().await;
        notes.push(read(&mut far).await);
    }
    notes
}
