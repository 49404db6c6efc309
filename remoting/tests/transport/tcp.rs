//! The production host on the kernel's TCP.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use rmq_host::{Host, SharedHost, TaskEnd, TokioHost};
use rmq_remoting::client::{Backoff, CallError, ClientSettings, RemotingClient};
use rmq_remoting::event::{CloseCause, DialFailure};
use rmq_remoting::observe::{Name, Silent};
use rmq_remoting::server::{Server, ServerSettings};
use rmq_remoting::service::Unsupported;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::support::{ECHO, Obedient, RAW, SILENT, SLOW, SPEAKER, ask, within};

async fn pair() -> (RemotingClient, Server, Name) {
    let host: SharedHost = Arc::new(TokioHost::new());
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let service = Arc::new(Obedient::default());
    let server = Server::start(
        Arc::clone(&host),
        any,
        ServerSettings::new(SPEAKER),
        service,
    )
    .await
    .unwrap();
    let settings = ClientSettings::new(SPEAKER);
    let client = RemotingClient::new(host, settings, Arc::new(Silent), Arc::new(Unsupported));
    let to = Name::from(server.local_addr().to_string());
    (client, server, to)
}

#[tokio::test]
async fn requests_of_all_sizes_are_answered_over_tcp() {
    let (client, _server, to) = pair().await;
    let bodies = [0, 1, 1_000, 100_000, 4 * 1024 * 1024];
    let requests = bodies.map(|size| ask(ECHO, &"x".repeat(size)));
    let deadline = within(10_000);
    let answers = join_all(
        requests
            .iter()
            .map(|request| client.call(&to, request, deadline)),
    );
    for (answer, size) in answers.await.into_iter().zip(bodies) {
        assert_eq!(answer.unwrap().body.len(), size);
    }
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_on_many_threads_each_get_their_own_answer() {
    let (client, _server, to) = pair().await;
    let host = TokioHost::new();
    let tasks = (0..16).map(|caller| {
        let (client, to) = (client.clone(), Arc::clone(&to));
        host.spawn(
            "caller",
            Box::pin(async move {
                for n in 0..200 {
                    let body = format!("{caller}-{n}");
                    let code = if n % 50 == 7 { SLOW } else { ECHO };
                    let body = if code == SLOW { "3".to_owned() } else { body };
                    let answer = client.call(&to, &ask(code, &body), within(10_000)).await;
                    assert_eq!(answer.unwrap().body, body);
                }
            }),
        )
    });
    for end in join_all(tasks).await {
        assert_eq!(end, TaskEnd::Finished);
    }
    assert_eq!(client.gauges().pending, 0);
}

#[tokio::test]
async fn a_server_that_goes_away_fails_what_waits_and_refuses_what_comes() {
    let (client, server, to) = pair().await;
    let waiting = client
        .request(&to, &ask(SILENT, ""), within(10_000))
        .await
        .unwrap();
    let at = server.local_addr();
    drop(server);
    assert!(matches!(waiting.await, Err(CallError::Lost { .. })));
    let next = client.call(&to, &ask(ECHO, ""), within(10_000)).await;
    assert!(matches!(
        next,
        Err(CallError::Dial {
            cause: DialFailure::Refused,
            ..
        })
    ));

    // The port can be taken again although a connection of its past lingers.
    let host: SharedHost = Arc::new(TokioHost::new());
    let service = Arc::new(Obedient::default());
    let again = Server::start(host, at, ServerSettings::new(SPEAKER), service)
        .await
        .unwrap();
    client
        .call(&to, &ask(ECHO, ""), within(10_000))
        .await
        .unwrap();
    drop(again);
}

#[tokio::test]
async fn garbage_over_tcp_closes_the_connection() {
    let (client, _server, to) = pair().await;
    let error = client
        .call(&to, &ask(RAW, "garbage!"), within(10_000))
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        CallError::Lost {
            cause: CloseCause::BadFrame,
            ..
        }
    ));
}

#[tokio::test]
async fn a_reset_fails_what_waits_on_the_broken_connection() {
    let (client, _server, _) = pair().await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let to = Name::from(listener.local_addr().unwrap().to_string());
    let request = ask(ECHO, "");
    let (result, ()) = tokio::join!(client.call(&to, &request, within(10_000)), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 8]).await.unwrap();
        // The rest of the request stays unread, which makes the close a reset.
        drop(stream);
    });
    let lost = result.unwrap_err();
    assert!(
        matches!(
            lost,
            CallError::Lost {
                cause: CloseCause::Broken,
                ..
            }
        ),
        "{lost}"
    );
}

#[tokio::test]
async fn a_port_in_use_is_an_error() {
    let (_client, server, _) = pair().await;
    let host: SharedHost = Arc::new(TokioHost::new());
    let settings = ServerSettings::new(SPEAKER);
    let second = Server::start(host, server.local_addr(), settings, Arc::new(Unsupported)).await;
    assert_eq!(second.unwrap_err().kind(), io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn the_host_reports_how_its_tasks_end() {
    let host = TokioHost::new();
    assert_eq!(
        host.spawn("fine", Box::pin(async {})).await,
        TaskEnd::Finished
    );
    let panicked = host
        .spawn("bad", Box::pin(async { panic!("on purpose") }))
        .await;
    assert_eq!(panicked, TaskEnd::Panicked("on purpose".to_owned()));
    let (alive, watch) = tokio::sync::oneshot::channel::<()>();
    let task = host.spawn(
        "endless",
        Box::pin(async move {
            let _alive = alive;
            tokio::time::sleep(Duration::from_secs(600)).await;
        }),
    );
    drop(task);
    assert!(watch.await.is_err(), "its future was dropped");
}

#[tokio::test]
async fn the_host_knows_who_it_is_and_draws_what_nobody_can_foresee() {
    let host = TokioHost::new();
    assert_eq!(host.identity().process, std::process::id());
    assert!(!host.identity().address.is_unspecified());
    assert_ne!(host.draw("site", 1), host.draw("site", 1));
    assert!(host.unix_millis() > 1_700_000_000_000);
}

/// How often a peer that closes each connection at its first byte was dialled by twenty callers, who
/// call again and again.
async fn dials_in_vain(redial: Option<Backoff>) -> usize {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let to = Name::from(listener.local_addr().unwrap().to_string());
    let mut settings = ClientSettings::new(SPEAKER);
    settings.redial = redial;
    let host: SharedHost = Arc::new(TokioHost::new());
    let client = RemotingClient::new(host, settings, Arc::new(Silent), Arc::new(Unsupported));
    let request = ask(ECHO, "");
    let calls = join_all((0..20).map(|_| async {
        for _ in 0..5 {
            let answer = client.call(&to, &request, within(100)).await;
            assert!(answer.is_err(), "nobody answers there");
        }
    }));
    let mut accepted = 0;
    let peer = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            accepted += 1;
            // It may be gone already; it is closed in any case.
            let _ = stream.read(&mut [0; 1]).await;
        }
    };
    tokio::select! {
        biased;
        _ = calls => {}
        () = peer => {}
    }
    accepted
}

#[tokio::test]
async fn all_callers_share_the_pause_before_a_peer_that_closes_at_once_is_dialled_again() {
    let hour = Duration::from_secs(3600);
    let (first, most) = (hour, hour);
    let spaced = dials_in_vain(Some(Backoff { first, most })).await;
    assert_eq!(spaced, 2, "the first pause comes before the third dial");
    assert!(dials_in_vain(None).await > 2, "nothing was dialled again");
}
