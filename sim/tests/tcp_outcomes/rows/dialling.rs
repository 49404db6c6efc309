//! Dials, listeners, accept queues.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;

use super::{Row, rows};
use crate::stage::{Notes, Stage, connected, dial, kind, read, settle, write};

pub(crate) fn rows() -> Vec<Row> {
    let mut all = rows![on_loop:
        a_connect_succeeds_and_both_ends_agree_on_the_addresses,
        a_connect_to_a_closed_port_is_refused,
        a_full_accept_queue_makes_dials_hang,
        two_dials_get_distinct_ports,
        connections_are_accepted_in_the_order_of_the_dials,
        a_host_can_connect_to_itself,
        a_second_listener_on_a_port_is_refused,
        a_foreign_address_cannot_be_listened_at,
        a_dropped_listener_resets_the_connections_in_its_queue,
        a_dropped_listener_leaves_accepted_connections_alone,
        bytes_sent_before_accept_are_there_after_it,
        a_connection_closed_before_accept_is_still_accepted,
    ];
    for row in &mut all {
        if row.name.contains("full_accept_queue") {
            row.backlog = Some(1);
        }
    }
    all
}

async fn a_connect_succeeds_and_both_ends_agree_on_the_addresses(stage: &dyn Stage) -> Notes {
    let (near, far, listener) = connected(stage).await;
    vec![
        format!(
            "peer of the accepted end is the dialler: {}",
            far.peer == near.local
        ),
        format!(
            "peer of the dialler is the listener: {}",
            near.peer == listener.local_addr()
        ),
        format!(
            "the accepted end has the listener's address: {}",
            far.local == near.peer
        ),
    ]
}

async fn a_connect_to_a_closed_port_is_refused(stage: &dyn Stage) -> Notes {
    let (_near, _far, listener) = connected(stage).await;
    let at = listener.local_addr();
    drop(listener);
    settle().await;
    vec![kind(&dial(stage, at).await)]
}

async fn a_full_accept_queue_makes_dials_hang(stage: &dyn Stage) -> Notes {
    let mut listener = stage.listen_short(1).await.unwrap();
    let at = listener.local_addr();
    let mut open = Vec::new();
    let hangs = loop {
        match timeout(Duration::from_millis(300), dial(stage, at)).await {
            Ok(Ok(connection)) => open.push(connection),
            Ok(Err(error)) => break format!("{:?}", error.kind()),
            Err(_) => break "hangs".to_owned(),
        }
    };
    let mut notes = vec![format!(
        "{} dials succeed, the next one {hangs}",
        open.len()
    )];
    let late = dial(stage, at);
    let accept = async {
        settle().await;
        let first = listener.accept().await;
        (kind(&first), first)
    };
    let (late, (accepted, _first)) = tokio::join!(late, accept);
    notes.push(format!("accept: {accepted}, then a dial: {}", kind(&late)));
    notes
}

async fn two_dials_get_distinct_ports(stage: &dyn Stage) -> Notes {
    let (near, _far, listener) = connected(stage).await;
    let second = dial(stage, listener.local_addr()).await.unwrap();
    vec![format!("distinct: {}", near.local != second.local)]
}

async fn connections_are_accepted_in_the_order_of_the_dials(stage: &dyn Stage) -> Notes {
    let at = SocketAddr::new(stage.far_ip(), 0);
    let mut listener = stage.far().listen(at).await.unwrap();
    let mut dialled = Vec::new();
    for _ in 0..3 {
        dialled.push(dial(stage, listener.local_addr()).await.unwrap());
    }
    let mut notes = Notes::new();
    for near in dialled {
        let far = listener.accept().await.unwrap();
        notes.push(format!("in order: {}", far.peer == near.local));
    }
    notes
}

async fn a_host_can_connect_to_itself(stage: &dyn Stage) -> Notes {
    let host = stage.far();
    let mut listener = host
        .listen(SocketAddr::new(stage.far_ip(), 0))
        .await
        .unwrap();
    let at = listener.local_addr();
    let mut one = host.connect(&at.to_string()).await.unwrap();
    let mut other = listener.accept().await.unwrap();
    let there = (write(&mut one, "there").await, read(&mut other).await);
    let back = (write(&mut other, "back").await, read(&mut one).await);
    vec![format!("{there:?} {back:?}")]
}

async fn a_second_listener_on_a_port_is_refused(stage: &dyn Stage) -> Notes {
    let host = stage.far();
    let first = host
        .listen(SocketAddr::new(stage.far_ip(), 0))
        .await
        .unwrap();
    vec![kind(&host.listen(first.local_addr()).await)]
}

async fn a_foreign_address_cannot_be_listened_at(stage: &dyn Stage) -> Notes {
    let foreign = "192.0.2.1:0".parse().unwrap();
    vec![kind(&stage.far().listen(foreign).await)]
}

async fn a_dropped_listener_resets_the_connections_in_its_queue(stage: &dyn Stage) -> Notes {
    let listener = stage
        .far()
        .listen(SocketAddr::new(stage.far_ip(), 0))
        .await
        .unwrap();
    let mut near = dial(stage, listener.local_addr()).await.unwrap();
    settle().await;
    drop(listener);
    settle().await;
    vec![
        read(&mut near).await,
        read(&mut near).await,
        write(&mut near, "x").await,
    ]
}

async fn a_dropped_listener_leaves_accepted_connections_alone(stage: &dyn Stage) -> Notes {
    let (mut near, mut far, listener) = connected(stage).await;
    drop(listener);
    settle().await;
    vec![write(&mut near, "still").await, read(&mut far).await]
}

async fn bytes_sent_before_accept_are_there_after_it(stage: &dyn Stage) -> Notes {
    let mut listener = stage
        .far()
        .listen(SocketAddr::new(stage.far_ip(), 0))
        .await
        .unwrap();
    let mut near = dial(stage, listener.local_addr()).await.unwrap();
    let wrote = write(&mut near, "e").await;
    settle().await;
    let mut far = listener.accept().await.unwrap();
    vec![wrote, read(&mut far).await]
}

async fn a_connection_closed_before_accept_is_still_accepted(stage: &dyn Stage) -> Notes {
    let mut listener = stage
        .far()
        .listen(SocketAddr::new(stage.far_ip(), 0))
        .await
        .unwrap();
    let mut near = dial(stage, listener.local_addr()).await.unwrap();
    write(&mut near, "b").await;
    drop(near);
    settle().await;
    let mut far = listener.accept().await.unwrap();
    vec![read(&mut far).await, read(&mut far).await]
}
