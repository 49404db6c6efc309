//! The examples print the same lines in every run, and the lines that their documentation promises.

#[path = "../examples/http_service_crash.rs"]
#[expect(dead_code, reason = "its main is the example's")]
mod http_service_crash;
#[path = "../examples/line_service.rs"]
#[expect(dead_code, reason = "its main is the example's")]
mod line_service;

#[test]
fn a_partition_makes_one_request_late_and_loses_none() {
    let lines = line_service::simulate(7).expect("a run");
    assert_eq!(lines, line_service::simulate(7).expect("a run"));
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(
        lines.iter().all(|line| line.ends_with(": ok")),
        "{lines:#?}"
    );
}

#[test]
fn an_http_client_outlives_the_crash_of_its_service() {
    let lines = http_service_crash::simulate(7).expect("a run");
    assert_eq!(lines, http_service_crash::simulate(7).expect("a run"));
    let lines_of_a_run = [
        "   44 ms  order-1 attempt 1: 200 OK",
        // Stored at 66 ms; the process is gone at 75 ms, before the answer.
        "   76 ms  order-2 attempt 1: connection closed before message completed",
        "  578 ms  order-2 attempt 2: connection refused",
        " 1122 ms  order-2 attempt 3: 200 OK",
        " 1166 ms  order-3 attempt 1: 200 OK",
        " 1210 ms  order-4 attempt 1: 200 OK",
        " 1254 ms  order-5 attempt 1: 200 OK",
        " 1298 ms  order-6 attempt 1: 200 OK",
        "6 orders stored, 1 of them twice; Finished",
    ];
    assert_eq!(lines, lines_of_a_run);
}
