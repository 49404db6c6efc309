//! Connections in a healthy network and what their ends do to each other. The table of outcomes in
//! `tests/tcp_outcomes` holds these rules against a real kernel.

use std::io::ErrorKind;

use tokio::time::{Instant, timeout};

use super::*;
use crate::{NetworkConfig, RunEnd};

#[test]
fn a_dial_takes_a_round_trip_and_so_does_its_refusal() {
    let report = run(async |sim| {
        let ((a_id, a), (b_id, b)) = pair(sim);
        sim.apply(Change::Latency {
            on: Direction::One(a_id, b_id),
            ms: 3,
            jitter_ms: 0,
        });
        sim.apply(Change::Latency {
            on: Direction::One(b_id, a_id),
            ms: 4,
            jitter_ms: 0,
        });
        let _listener = b.listen(at(2, 9000)).await.unwrap();
        let start = Instant::now();
        let connection = a.connect("10.0.0.2:9000").await.unwrap();
        let dial = start.elapsed();
        let refused = a.connect("10.0.0.2:9001").await.unwrap_err().kind();
        (
            dial,
            refused,
            start.elapsed(),
            connection.peer,
            connection.local.port(),
        )
    });
    let refused = ErrorKind::ConnectionRefused;
    assert_eq!(
        report.value,
        Some((ms(7), refused, ms(14), at(2, 9000), 32_768))
    );
}

#[test]
fn an_echo_takes_a_round_trip_and_keeps_every_byte() {
    let report = run(async |sim| {
        let ((_, a), (_, b)) = pair(sim);
        let _echo = echo(&b, 9000);
        let mut connection = a.connect("10.0.0.2:9000").await.unwrap();
        let sent: Vec<u8> = (0..20_000_u32).map(|n| n as u8).collect();
        let start = Instant::now();
        write(&mut connection, &sent).await.unwrap();
        let got = read_exactly(&mut connection, sent.len()).await.unwrap();
        (got == sent, start.elapsed(), sim.link_bytes().len())
    });
    assert_eq!(report.value, Some((true, ms(2), 2)));
}

#[test]
fn a_stream_is_cut_into_pieces_at_seeded_places() {
    let pieces = |seed| {
        let config = EngineConfig {
            seed,
            ..EngineConfig::default()
        };
        let report = run_with(&config, async |sim| {
            let ((_, a), (_, b)) = pair(sim);
            let (mut dialled, mut accepted, _listener) = connected(&a, &b).await;
            let mut pieces = Vec::new();
            for _ in 0..50 {
                write(&mut dialled, &[7; 1_000]).await.unwrap();
                let mut left = 1_000;
                let mut buffer = [0; 2_000];
                while left > 0 {
                    let count = accepted.stream.read(&mut buffer).await.unwrap();
                    pieces.push(count);
                    left -= count;
                }
            }
            pieces
        });
        report.value.unwrap()
    };
    assert!(pieces(1).len() > 55, "{:?}", pieces(1));
    assert_eq!(pieces(1), pieces(1));
    assert_ne!(pieces(1), pieces(2));
}

#[test]
fn jitter_delays_and_never_reorders() {
    let network = NetworkConfig {
        jitter_ms: 20,
        ..NetworkConfig::default()
    };
    let config = EngineConfig {
        network,
        ..EngineConfig::default()
    };
    let report = run_with(&config, async |sim| {
        let ((_, a), (_, b)) = pair(sim);
        let (mut dialled, mut accepted, _listener) = connected(&a, &b).await;
        let host = &a;
        let writer = host.spawn(
            "writer",
            Box::pin(async move {
                for n in 0..200_u8 {
                    write(&mut dialled, &[n; 3]).await.unwrap();
                    sleep(1).await;
                }
            }),
        );
        let got = read_exactly(&mut accepted, 600).await.unwrap();
        drop(writer);
        got.is_sorted()
    });
    assert_eq!(report.value, Some(true));
}

#[test]
fn a_writer_blocks_at_the_window_and_goes_on_when_the_reader_reads() {
    let report = run(async |sim| {
        let ((_, a), (_, b)) = pair(sim);
        let (mut dialled, mut accepted, _listener) = connected(&a, &b).await;
        let mut taken = 0;
        while let Ok(count) = timeout(ms(50), dialled.stream.write(&[1; 10_000])).await {
            taken += count.unwrap();
        }
        let rest = a.spawn(
            "rest",
            Box::pin(async move { write(&mut dialled, &[2; 100_000]).await.unwrap() }),
        );
        let all = read_exactly(&mut accepted, taken + 100_000).await.unwrap();
        (
            taken,
            all.iter().filter(|&&byte| byte == 2).count(),
            rest.await,
        )
    });
    let (taken, rest, _) = report.value.unwrap();
    assert_eq!((taken, rest), (384 * 1_024, 100_000));
}

#[test]
fn no_clock_runs_for_a_connection_that_is_gone() {
    let config = limited(Limits {
        horizon_ms: 10_000,
        ..Limits::default()
    });
    let report = run_with(&config, async |sim| {
        let ((from, a), (to, b)) = pair(sim);
        let (mut dialled, mut accepted, _listener) = connected(&a, &b).await;
        let full = timeout(ms(50), write(&mut dialled, &[1; 1_000_000])).await;
        assert!(full.is_err(), "the window is full");
        // The news that there is room again is on its way when the connection ends.
        read_exactly(&mut accepted, 100_000).await.unwrap();
        sim.apply(Change::Reset(from, to));
        tokio::task::yield_now().await;
        drop((dialled, accepted));
        std::future::pending::<()>().await;
    });
    assert!(
        // The last clock of the dial is that of its SYN.
        matches!(
            report.end,
            RunEnd::Deadlock {
                since_ms: 1_000,
                ..
            }
        ),
        "{:?}",
        report.end
    );
}

#[test]
fn nodes_of_one_machine_talk_over_a_loop_that_faults_do_not_touch() {
    let report = run(async |sim| {
        let (a, b) = (sim.node("a", ip(1)), sim.node("b", ip(1)));
        let (host_a, host_b) = (sim.boot(a), sim.boot(b));
        sim.apply(Change::Cut(Direction::One(a, b)));
        sim.apply(Change::Cut(Direction::One(b, a)));
        let _echo = echo(&host_b, 9000);
        sleep(1).await;
        let start = Instant::now();
        let mut connection = host_a.connect("10.0.0.1:9000").await.unwrap();
        write(&mut connection, b"x").await.unwrap();
        read_exactly(&mut connection, 1).await.unwrap();
        start.elapsed()
    });
    assert_eq!(report.value, Some(ms(4)));
}

#[test]
fn a_name_that_no_node_has_is_refused() {
    let report = run(async |sim| {
        let ((_, a), _) = pair(sim);
        let error = a.connect("broker-a.example:10911").await.unwrap_err();
        (error.kind(), error.to_string().contains("broker-a.example"))
    });
    assert_eq!(report.value, Some((ErrorKind::NotFound, true)));
}

#[test]
fn a_dial_that_was_dropped_never_reaches_accept() {
    let report = run(async |sim| {
        let ((_, a), (_, b)) = pair(sim);
        let mut listener = b.listen(at(2, 9000)).await.unwrap();
        let dial = timeout(ms(1), a.connect("10.0.0.2:9000")).await.is_err();
        (dial, timeout(ms(100), listener.accept()).await.is_err())
    });
    assert_eq!(report.value, Some((true, true)));
}
