//! What links and machines do to connections when they fail.

use std::io::ErrorKind;

use tokio::time::{Instant, timeout};

use super::*;
use crate::{NetworkConfig, RunEnd};

fn few_retries() -> EngineConfig {
    let network = NetworkConfig {
        retries: 3,
        ..NetworkConfig::default()
    };
    EngineConfig {
        network,
        ..EngineConfig::default()
    }
}

#[test]
fn a_node_that_the_run_does_not_have_is_a_mistake_of_whoever_names_it() {
    let report = run(async |sim| sim.apply(Change::Crash(NodeId(7))));
    let RunEnd::Panicked { message, .. } = report.end else {
        panic!("{:?}", report.end)
    };
    assert!(
        message.contains("the run has no node NodeId(7)"),
        "{message}"
    );
}

#[test]
fn a_partition_holds_bytes_and_releases_them_after_a_back_off() {
    let report = run(async |sim| {
        let ((a_id, a), (b_id, b)) = pair(sim);
        let (mut dialled, mut accepted, _listener) = connected(&a, &b).await;
        sim.apply(Change::Cut(Direction::One(a_id, b_id)));
        sim.apply(Change::Cut(Direction::One(b_id, a_id)));
        sleep(1).await;
        let start = Instant::now();
        write(&mut dialled, b"one").await.unwrap();
        sleep(500).await;
        write(&mut dialled, b"two").await.unwrap();
        sleep(2_400).await;
        sim.apply(Change::Heal(Direction::One(a_id, b_id)));
        sim.apply(Change::Heal(Direction::One(b_id, a_id)));
        let got = read_exactly(&mut accepted, 6).await.unwrap();
        (String::from_utf8(got).unwrap(), start.elapsed())
    });
    // Repetitions at 0.2, 0.4, 0.8, 1.6 and 3.2 s; the link is back at 2.9 s.
    assert_eq!(report.value, Some(("onetwo".to_owned(), ms(3_201))));
}

#[test]
fn a_partition_past_the_limit_breaks_the_connection_with_a_timeout() {
    let report = run_with(&few_retries(), async |sim| {
        let ((a_id, a), (b_id, b)) = pair(sim);
        let (mut dialled, _accepted, _listener) = connected(&a, &b).await;
        sim.apply(Change::Cut(Direction::One(a_id, b_id)));
        sleep(1).await;
        let start = Instant::now();
        write(&mut dialled, b"lost").await.unwrap();
        let error = read_exactly(&mut dialled, 1).await.unwrap_err().kind();
        (error, start.elapsed())
    });
    assert_eq!(report.value, Some((ErrorKind::TimedOut, ms(6_400))));
}

#[test]
fn a_cut_of_the_way_back_lets_bytes_through_and_loses_the_acknowledgement() {
    let report = run_with(&few_retries(), async |sim| {
        let ((a_id, a), (b_id, b)) = pair(sim);
        let (mut dialled, mut accepted, _listener) = connected(&a, &b).await;
        sim.apply(Change::Cut(Direction::One(b_id, a_id)));
        sleep(1).await;
        let start = Instant::now();
        write(&mut dialled, b"there").await.unwrap();
        let got = read_exactly(&mut accepted, 5).await.unwrap();
        let arrived = start.elapsed();
        let error = read_exactly(&mut dialled, 1).await.unwrap_err().kind();
        (got, arrived, error)
    });
    let value = (b"there".to_vec(), ms(1), ErrorKind::TimedOut);
    assert_eq!(report.value, Some(value));
}

#[test]
fn loss_is_a_delay_and_loses_no_byte() {
    let report = run(async |sim| {
        let ((a_id, a), (b_id, b)) = pair(sim);
        let (mut dialled, mut accepted, _listener) = connected(&a, &b).await;
        sim.apply(Change::Loss {
            on: Direction::One(a_id, b_id),
            per_mille: 300,
        });
        sleep(1).await;
        let writer = a.spawn(
            "writer",
            Box::pin(async move {
                for n in 0..100_u8 {
                    write(&mut dialled, &[n; 10]).await.unwrap();
                    sleep(20).await;
                }
            }),
        );
        let start = Instant::now();
        let got = read_exactly(&mut accepted, 1_000).await.unwrap();
        drop(writer);
        (got.is_sorted(), start.elapsed() > ms(1_990))
    });
    assert_eq!(report.value, Some((true, true)));
}

#[test]
fn a_dial_to_a_host_that_is_gone_hangs_and_completes_at_a_repetition_of_the_syn() {
    let report = run(async |sim| {
        let ((_, a), (b_id, b)) = pair(sim);
        drop(b);
        sim.apply(Change::PowerOff(b_id));
        sleep(1).await;
        let start = Instant::now();
        sim.at(2_500, move || {
            let _ = echo_on(sim, b_id);
        });
        let connection = a.connect("10.0.0.2:9000").await.is_ok();
        (connection, start.elapsed())
    });
    assert_eq!(report.value, Some((true, ms(3_002))));
}

/// Boots a node and leaves an echo server running on it.
fn echo_on(sim: EngineHandle, node: NodeId) -> SharedHost {
    let host = sim.boot(node);
    std::mem::forget(echo(&host, 9000));
    host
}

#[test]
fn a_dial_without_any_answer_times_out_after_131_seconds() {
    let report = run(async |sim| {
        let ((_, a), _) = pair(sim);
        let start = Instant::now();
        let error = a.connect("10.9.9.9:1").await.unwrap_err().kind();
        (error, start.elapsed())
    });
    assert_eq!(report.value, Some((ErrorKind::TimedOut, ms(131_000))));
}

#[test]
fn a_power_loss_is_silent_and_the_restarted_machine_answers_with_a_reset() {
    let report = run(async |sim| {
        let ((_, a), (b_id, b)) = pair(sim);
        let (mut dialled, _accepted, _listener) = connected(&a, &b).await;
        sim.apply(Change::PowerOff(b_id));
        let quiet = timeout(ms(5_000), read_exactly(&mut dialled, 1))
            .await
            .is_err();
        let _new = sim.boot(b_id);
        let still = timeout(ms(5_000), read_exactly(&mut dialled, 1))
            .await
            .is_err();
        let start = Instant::now();
        write(&mut dialled, b"hello?").await.unwrap();
        let error = read_exactly(&mut dialled, 1).await.unwrap_err().kind();
        (quiet, still, error, start.elapsed())
    });
    assert_eq!(
        report.value,
        Some((true, true, ErrorKind::ConnectionReset, ms(2)))
    );
}

#[test]
fn after_a_crash_written_bytes_still_arrive_and_then_fin() {
    let report = run(async |sim| {
        let ((_, a), (b_id, b)) = pair(sim);
        let (mut dialled, mut accepted, _listener) = connected(&a, &b).await;
        write(&mut accepted, b"last words").await.unwrap();
        sim.apply(Change::Crash(b_id));
        let got = read_exactly(&mut dialled, 10).await.unwrap();
        let end = dialled.stream.read(&mut [0; 1]).await.unwrap();
        let refused = a.connect("10.0.0.2:9000").await.unwrap_err().kind();
        (got, end, refused)
    });
    let value = (b"last words".to_vec(), 0, ErrorKind::ConnectionRefused);
    assert_eq!(report.value, Some(value));
}

#[test]
fn after_a_crash_with_unread_input_the_peer_gets_a_reset() {
    let report = run(async |sim| {
        let ((_, a), (b_id, b)) = pair(sim);
        let (mut dialled, _accepted, _listener) = connected(&a, &b).await;
        write(&mut dialled, b"unread").await.unwrap();
        sleep(5).await;
        sim.apply(Change::Crash(b_id));
        read_exactly(&mut dialled, 1).await.unwrap_err().kind()
    });
    assert_eq!(report.value, Some(ErrorKind::ConnectionReset));
}

#[test]
fn a_frozen_peer_accepts_dials_and_bytes_without_answering() {
    let report = run(async |sim| {
        let ((_, a), (b_id, b)) = pair(sim);
        let _echo = echo(&b, 9000);
        sleep(1).await;
        sim.apply(Change::Freeze(b_id));
        let mut connection = a.connect("10.0.0.2:9000").await.unwrap();
        write(&mut connection, b"x").await.unwrap();
        let silent = timeout(ms(1_000), read_exactly(&mut connection, 1))
            .await
            .is_err();
        sim.apply(Change::Thaw(b_id));
        (silent, read_exactly(&mut connection, 1).await.is_ok())
    });
    assert_eq!(report.value, Some((true, true)));
}

#[test]
fn a_node_that_refuses_answers_dials_with_a_reset_and_keeps_its_connections() {
    let report = run(async |sim| {
        let ((_, a), (b_id, b)) = pair(sim);
        let (mut dialled, mut accepted, _listener) = connected(&a, &b).await;
        sim.apply(Change::Refuse(b_id, true));
        let refused = a.connect("10.0.0.2:9000").await.unwrap_err().kind();
        write(&mut dialled, b"x").await.unwrap();
        let lives = read_exactly(&mut accepted, 1).await.is_ok();
        sim.apply(Change::Refuse(b_id, false));
        (refused, lives, a.connect("10.0.0.2:9000").await.is_ok())
    });
    assert_eq!(
        report.value,
        Some((ErrorKind::ConnectionRefused, true, true))
    );
}

#[test]
fn a_black_hole_swallows_open_connections_and_spares_new_ones() {
    let report = run_with(&few_retries(), async |sim| {
        let ((a_id, a), (b_id, b)) = pair(sim);
        let _echo = echo(&b, 9000);
        let mut old = a.connect("10.0.0.2:9000").await.unwrap();
        sleep(5).await;
        sim.apply(Change::BlackHole(a_id, b_id));
        let mut new = a.connect("10.0.0.2:9000").await.unwrap();
        write(&mut new, b"x").await.unwrap();
        let new_lives = read_exactly(&mut new, 1).await.is_ok();
        write(&mut old, b"x").await.unwrap();
        (
            new_lives,
            read_exactly(&mut old, 1).await.unwrap_err().kind(),
        )
    });
    assert_eq!(report.value, Some((true, ErrorKind::TimedOut)));
}

#[test]
fn one_byte_can_be_corrupted_at_a_chosen_place() {
    let report = run(async |sim| {
        let ((a_id, a), (b_id, b)) = pair(sim);
        let (mut dialled, mut accepted, _listener) = connected(&a, &b).await;
        sim.apply(Change::Corrupt {
            from: a_id,
            to: b_id,
            after: 4,
        });
        sleep(1).await;
        write(&mut dialled, b"aa").await.unwrap();
        sleep(1).await;
        write(&mut dialled, b"aaaa").await.unwrap();
        read_exactly(&mut accepted, 6).await.unwrap()
    });
    assert_eq!(report.value, Some(b"aaaaAa".to_vec()));
}

#[test]
fn a_reset_in_mid_stream_delivers_the_bytes_before_it() {
    let report = run(async |sim| {
        let ((a_id, a), (b_id, b)) = pair(sim);
        let (mut dialled, mut accepted, _listener) = connected(&a, &b).await;
        sim.apply(Change::ResetAfter {
            from: a_id,
            to: b_id,
            after: 5,
        });
        sleep(1).await;
        write(&mut dialled, b"0123456789").await.unwrap();
        let before = read_exactly(&mut accepted, 5).await.unwrap();
        let there = read_exactly(&mut accepted, 1).await.unwrap_err().kind();
        let here = read_exactly(&mut dialled, 1).await.unwrap_err().kind();
        (before, there, here)
    });
    let reset = ErrorKind::ConnectionReset;
    assert_eq!(report.value, Some((b"01234".to_vec(), reset, reset)));
}

#[test]
fn all_connections_between_two_nodes_can_be_reset_at_once() {
    let report = run(async |sim| {
        let ((a_id, a), (b_id, b)) = pair(sim);
        let (mut dialled, mut accepted, _listener) = connected(&a, &b).await;
        sim.apply(Change::Reset(a_id, b_id));
        let here = read_exactly(&mut dialled, 1).await.unwrap_err().kind();
        (
            here,
            read_exactly(&mut accepted, 1).await.unwrap_err().kind(),
        )
    });
    let reset = ErrorKind::ConnectionReset;
    assert_eq!(report.value, Some((reset, reset)));
}

#[test]
fn a_bandwidth_limit_spreads_bytes_over_time() {
    let report = run(async |sim| {
        let ((a_id, a), (b_id, b)) = pair(sim);
        let (mut dialled, mut accepted, _listener) = connected(&a, &b).await;
        sim.apply(Change::Bandwidth {
            on: Direction::One(a_id, b_id),
            bytes_per_ms: 1_000,
        });
        sleep(1).await;
        let start = Instant::now();
        write(&mut dialled, &[1; 100_000]).await.unwrap();
        read_exactly(&mut accepted, 50_000).await.unwrap();
        let half = start.elapsed();
        read_exactly(&mut accepted, 50_000).await.unwrap();
        (half, start.elapsed())
    });
    let (half, whole) = report.value.unwrap();
    assert!((ms(45)..ms(60)).contains(&half), "{half:?}");
    assert!((ms(100)..ms(105)).contains(&whole), "{whole:?}");
}

#[test]
fn what_waits_for_a_slow_line_leaves_when_it_is_slow_no_more() {
    let report = run(async |sim| {
        let ((a_id, a), (b_id, b)) = pair(sim);
        let (mut dialled, mut accepted, _listener) = connected(&a, &b).await;
        let limit = |bytes_per_ms| Change::Bandwidth {
            on: Direction::One(a_id, b_id),
            bytes_per_ms,
        };
        sim.apply(limit(1));
        sleep(1).await;
        let start = Instant::now();
        write(&mut dialled, &[1; 30_000]).await.unwrap();
        sleep(5_000).await;
        sim.apply(limit(0));
        read_exactly(&mut accepted, 30_000).await.unwrap();
        write(&mut dialled, &[2; 100]).await.unwrap();
        let behind = read_exactly(&mut accepted, 100).await.unwrap();
        (start.elapsed(), behind)
    });
    let (whole, behind) = report.value.unwrap();
    assert!((ms(5_000)..ms(5_010)).contains(&whole), "{whole:?}");
    assert_eq!(behind, [2; 100]);
}

#[test]
fn a_node_can_come_back_at_another_address() {
    let report = run(async |sim| {
        let ((_, a), (b_id, _b)) = pair(sim);
        sleep(1).await;
        sim.apply(Change::Crash(b_id));
        let moved = sim.boot_at(b_id, ip(9));
        let _echo = echo(&moved, 9000);
        sleep(1).await;
        let old = timeout(ms(900), a.connect("10.0.0.2:9000")).await.is_err();
        let new = a.connect("10.0.0.9:9000").await.is_ok();
        (old, new, moved.identity().address)
    });
    assert_eq!(report.value, Some((true, true, ip(9))));
}

#[test]
fn what_is_held_arrives_in_order_when_it_is_released() {
    let report = run(async |sim| {
        let ((a_id, a), (b_id, b)) = pair(sim);
        let (mut dialled, mut accepted, _listener) = connected(&a, &b).await;
        sim.apply(Change::Hold(Direction::One(a_id, b_id), true));
        sleep(1).await;
        let start = Instant::now();
        write(&mut dialled, b"one").await.unwrap();
        sleep(500).await;
        write(&mut dialled, b"two").await.unwrap();
        sim.at(2_000, move || {
            sim.apply(Change::Hold(Direction::One(a_id, b_id), false));
        });
        let got = read_exactly(&mut accepted, 6).await.unwrap();
        (String::from_utf8(got).unwrap(), start.elapsed() < ms(2_000))
    });
    assert_eq!(report.value, Some(("onetwo".to_owned(), true)));
}

#[test]
fn the_sender_of_a_half_open_connection_learns_it_when_it_sends() {
    let report = run(async |sim| {
        let ((a_id, a), (b_id, b)) = pair(sim);
        let (mut dialled, mut accepted, _listener) = connected(&a, &b).await;
        sim.apply(Change::HalfOpen {
            from: a_id,
            to: b_id,
        });
        sleep(1).await;
        let there = read_exactly(&mut accepted, 1).await.unwrap_err().kind();
        sleep(10_000).await;
        write(&mut dialled, b"hello?").await.unwrap();
        let here = read_exactly(&mut dialled, 1).await.unwrap_err().kind();
        (there, here)
    });
    let value = (ErrorKind::TimedOut, ErrorKind::ConnectionReset);
    assert_eq!(report.value, Some(value));
}

#[test]
fn a_swallowed_dial_completes_at_the_next_repetition_after_the_fault() {
    let report = run(async |sim| {
        let ((_, a), (b_id, b)) = pair(sim);
        let (_dialled, _accepted, _listener) = connected(&a, &b).await;
        sim.apply(Change::SwallowDials(b_id, true));
        sleep(1).await;
        let start = Instant::now();
        sim.at(1_500, move || sim.apply(Change::SwallowDials(b_id, false)));
        let connection = a.connect("10.0.0.2:9000").await.is_ok();
        (connection, start.elapsed())
    });
    assert_eq!(report.value, Some((true, ms(2_002))));
}
