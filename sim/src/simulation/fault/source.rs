//! A fault as the line of Rust that describes it, for whoever puts a fault that was found into a test.

use std::fmt::Write as _;

use rmq_remoting::code;

use crate::fault::rule::{Delay, Since};
use crate::fault::{Fault, FaultKind, OddRoute, Place, Position, Restart, Rule, RuleAction};

/// `crash("broker-a").after_stored(5).down_for_secs(20)`. `None`: it was read from a file, or drawn, and has
/// something that no [`FaultBuilder`](super::FaultBuilder) can say.
pub(in crate::simulation) fn in_rust(fault: &Fault, default_codes: &[i32]) -> Option<String> {
    let mut text = match &fault.kind {
        FaultKind::Rule(rule) => rule_in_rust(rule, &fault.place, default_codes)?,
        kind => constructor(kind, &fault.place)?,
    };
    let takes_away = fault.kind.behaviour().restart();
    match &fault.at {
        Position::Time { ms: 0 } => {}
        Position::Time { ms } => text.push_str(&time(*ms, "at_secs", "at")),
        Position::Stored { n } => push(&mut text, "after_stored", n),
        Position::Received { code, n } => {
            let code = named(*code, "request", code::request_name);
            push(&mut text, "at_request", format_args!("{code}, {n}"));
        }
        Position::Send { .. } => return None,
    }
    if let Some(ms) = fault.for_ms {
        text.push_str(&match takes_away {
            Some(_) => time(ms, "down_for_secs", "down_for"),
            None => time(ms, "for_secs", "lasting"),
        });
    }
    if let Some(Restart {
        keep_data,
        new_address,
    }) = takes_away
    {
        text.push_str(if new_address { ".new_address()" } else { "" });
        text.push_str(if keep_data { "" } else { ".data_lost()" });
    }
    if fault.may_miss {
        text.push_str(".may_miss()");
    }
    Some(text)
}

/// The call that makes a fault that is no rule.
fn constructor(kind: &FaultKind, place: &Place) -> Option<String> {
    let args = match kind {
        FaultKind::Slow(slow) => duration(slow.ms_per_step),
        FaultKind::ClockJump(jump) => jump.ms.to_string(),
        FaultKind::NameServerList(list) if list.instead.is_none() => format!("{:?}", list.without),
        FaultKind::NameServerList(_) => return None,
        FaultKind::Resize(resize) => format!("{:?}, {}", resize.topic, resize.queues),
        FaultKind::Loss(loss) => loss.per_mille.to_string(),
        FaultKind::Latency(late) => {
            format!("{}, {}", duration(late.ms), duration(late.jitter_ms))
        }
        FaultKind::Bandwidth(bandwidth) => bandwidth.bytes_per_ms.to_string(),
        FaultKind::Slice(slice) => slice.bytes.to_string(),
        FaultKind::Corrupt(corrupt) => corrupt.byte.to_string(),
        FaultKind::Reset(reset) if matches!(place, Place::Link { .. }) => reset.byte.to_string(),
        _ => String::new(),
    };
    let name = kind.name().replace('-', "_");
    let name = match (kind, place) {
        (FaultKind::Partition, Place::Link { .. }) => "partition_one_way".to_owned(),
        (FaultKind::Reset(_), Place::Link { .. }) => "reset_at_byte".to_owned(),
        // Some are described for one direction only, and some for both.
        (
            FaultKind::Latency(_)
            | FaultKind::Loss(_)
            | FaultKind::Bandwidth(_)
            | FaultKind::Corrupt(_)
            | FaultKind::HalfOpen,
            Place::Pair { .. },
        )
        | (FaultKind::Hold | FaultKind::Slice(_) | FaultKind::BlackHole, Place::Link { .. }) => {
            return None;
        }
        _ => name,
    };
    Some(call(&name, place, &args))
}

/// The call that makes a rule, and its conditions.
fn rule_in_rust(rule: &Rule, place: &Place, default_codes: &[i32]) -> Option<String> {
    let (name, args) = action(&rule.then)?;
    let mut text = call(name, place, &args);
    if rule.codes != default_codes {
        let [code] = rule.codes[..] else {
            return None;
        };
        push(
            &mut text,
            "request",
            named(code, "request", code::request_name),
        );
    }
    if let Some(topic) = &rule.topic {
        push(&mut text, "topic", format_args!("{topic:?}"));
    }
    if let Some(queue) = rule.queue {
        push(&mut text, "queue", queue);
    }
    if let Some(per_mille) = rule.per_mille {
        push(&mut text, "per_mille", per_mille);
    }
    if let Some(times) = rule.times {
        push(&mut text, "times", times);
    }
    Some(text)
}

/// What a rule does: the constructor, and its arguments behind the server.
fn action(action: &RuleAction) -> Option<(&'static str, String)> {
    let without = |name| Some((name, String::new()));
    match action {
        RuleAction::Answer(answer) if answer.remark.is_none() => Some((
            "answer",
            named(answer.code, "response", code::response_name),
        )),
        RuleAction::StoreThenAnswer(answer) => {
            let code = named(answer.code, "response", code::response_name);
            Some(("store_then_answer", code))
        }
        RuleAction::Delay(Delay {
            ms,
            jitter_ms: 0,
            since: Since::Received,
        }) => Some(("delay_replies", duration(*ms))),
        RuleAction::Answer(_) | RuleAction::Delay(_) => None,
        RuleAction::DelayRequest(delay) => Some(("delay_requests", duration(delay.ms))),
        RuleAction::PartialRoute(route) => Some(("partial_route", format!("{:?}", route.broker))),
        RuleAction::DropRequest => without("drop_requests"),
        RuleAction::DropReply => without("drop_replies"),
        RuleAction::CloseBefore => without("close_before"),
        RuleAction::CloseAfter => without("close_after"),
        RuleAction::AnswerThenClose => without("answer_then_close"),
        RuleAction::ResetBefore => without("reset_before"),
        RuleAction::ResetAfter => without("reset_after"),
        RuleAction::ReplyTwice => without("reply_twice"),
        RuleAction::UnknownOpaque => without("unknown_opaque"),
        RuleAction::HalfFrame => without("half_frame"),
        RuleAction::HalfFrameClose => without("half_frame_close"),
        RuleAction::Garbage => without("garbage"),
        RuleAction::EmptyAnswer => without("empty_answer"),
        RuleAction::TlsAlert => without("tls_alert"),
        RuleAction::StaleRoute => without("stale_route"),
        RuleAction::PermutedRoute => without("permuted_route"),
        RuleAction::OddRoute(OddRoute::BareIds) => without("bare_id_route"),
        RuleAction::OddRoute(OddRoute::TextNumbers) => without("text_number_route"),
        RuleAction::OddRoute(OddRoute::Nulls) => without("null_route"),
        RuleAction::OddRoute(OddRoute::Empty) => without("empty_route"),
        RuleAction::OddRoute(OddRoute::Ordered) => without("ordered_route"),
        RuleAction::OddRoute(OddRoute::Static) => without("static_route"),
    }
}

/// `name("broker-a", args)`
fn call(name: &str, place: &Place, args: &str) -> String {
    let mut names = place.names().map(|node| format!("{node:?}"));
    let place = names.next().unwrap_or_default();
    let rest = names.chain((!args.is_empty()).then(|| args.to_owned()));
    let all = rest.fold(place, |text, one| format!("{text}, {one}"));
    format!("{name}({all})")
}

/// Adds `.name(args)`.
fn push(text: &mut String, name: &str, args: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _ = write!(text, ".{name}({args})");
}

/// `.at_secs(3)`, or `.at(Duration::from_millis(3_007))`.
fn time(ms: u64, in_seconds: &str, exact: &str) -> String {
    match ms % 1_000 {
        0 => format!(".{in_seconds}({})", ms / 1_000),
        _ => format!(".{exact}({})", duration(ms)),
    }
}

fn duration(ms: u64) -> String {
    format!("Duration::from_millis({ms})")
}

/// A code by the name of its constant, or as a number.
fn named(code: i32, module: &str, name: fn(i32) -> Option<&'static str>) -> String {
    name(code).map_or_else(|| code.to_string(), |name| format!("{module}::{name}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rmq_remoting::code::{request, response};

    use super::super::*;
    use super::in_rust;

    /// Each description and its source, blanks left out.
    macro_rules! described {
        ($($fault:expr),* $(,)?) => {
            vec![$((Fault::from($fault), stringify!($fault).replace(char::is_whitespace, ""))),*]
        };
    }

    #[test]
    fn a_fault_is_written_as_it_was_described() {
        let described = described![
            crash("broker-a").after_stored(5).down_for_secs(20),
            crash("broker-a").at_secs(3).new_address(),
            stop("broker-a").at_request(request::SEND_MESSAGE_V2, 3),
            power_loss("ns-1")
                .at(Duration::from_millis(3007))
                .down_for(Duration::from_millis(2500))
                .data_lost(),
            freeze("app").at_secs(1).for_secs(2),
            slow("app", Duration::from_millis(20)),
            refuse("broker-a")
                .lasting(Duration::from_millis(1))
                .may_miss(),
            swallow_dials("broker-a"),
            stop_reading("broker-a"),
            clock_jump("app", -90000),
            name_server_list("app", "ns-1").at_secs(5),
            read_only("broker-a"),
            resize("broker-a", "orders", 2),
            partition("app", "broker-a"),
            partition_one_way("app", "broker-a"),
            hold("app", "broker-a"),
            loss("app", "broker-a", 100),
            latency(
                "app",
                "broker-a",
                Duration::from_millis(5),
                Duration::from_millis(0)
            ),
            bandwidth("app", "broker-a", 3),
            slice("app", "broker-a", 7),
            corrupt("app", "broker-a", 100),
            black_hole("app", "broker-a").at_secs(7),
            reset("app", "broker-a").at_secs(7),
            reset_at_byte("app", "broker-a", 9),
            half_open("app", "broker-a").at_secs(7),
            answer("broker-a", response::SYSTEM_BUSY).times(3),
            answer("broker-a", 9999).request(request::HEART_BEAT),
            answer("ns-1", response::TOPIC_NOT_EXIST).topic("orders"),
            store_then_answer("broker-a", response::FLUSH_DISK_TIMEOUT).queue(2),
            delay_replies("broker-a", Duration::from_millis(30)),
            delay_requests("broker-a", Duration::from_millis(30)).per_mille(500),
            partial_route("ns-1", "broker-b"),
            drop_requests("broker-a").per_mille(20),
            drop_replies("broker-a"),
            half_frame_close("broker-a").at_secs(1).for_secs(1),
            static_route("ns-1"),
        ];
        for (mut fault, source) in described {
            let at_broker = !fault.place.names().any(|it| it.starts_with("ns-"));
            complete(&mut fault, |node| node.starts_with("ns-"));
            let written = in_rust(&fault, Rule::default_codes(at_broker));
            let written = written.map(|it| it.replace(' ', ""));
            assert_eq!(written.as_deref(), Some(&*source));
        }
    }

    #[test]
    fn what_no_description_can_say_is_not_written() {
        let fault = || Fault::from(crash("broker-a"));
        let anchored = Fault {
            at: Position::first_attempt(1, 1),
            ..fault()
        };
        let both_ways = Fault {
            place: Place::Pair {
                a: "app".into(),
                b: "broker-a".into(),
            },
            ..Fault::from(loss("app", "broker-a", 1))
        };
        let mut remark = Fault::from(answer("broker-a", 2));
        if let FaultKind::Rule(rule) = &mut remark.kind {
            let (code, remark) = (2, Some("no".to_owned()));
            rule.then = RuleAction::Answer(Answer { code, remark });
        }
        complete(&mut remark, |_| false);
        for fault in [anchored, both_ways, remark] {
            assert_eq!(in_rust(&fault, Rule::default_codes(true)), None, "{fault}");
        }
        assert!(in_rust(&fault(), &[]).is_some());
    }
}
