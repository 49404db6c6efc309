//! Each thing a rule can do to a send, as the client sees it and as the ledger has it.

use std::time::Duration;

use crate::bench::{Bench, LONG, SHORT, bench, config, until};
use rmq_mock_broker::control::{Action, Match, Rule};
use rmq_mock_broker::event::{Ending, Event};
use rmq_remoting::client::CallError;
use rmq_remoting::event::CloseCause;
use rmq_remoting::request::SendMessageResponse;
use tokio::time::Instant;

/// A broker that does this to every send.
async fn ruled(then: Action) -> Bench {
    let bench = bench(config()).await;
    bench.on_sends(then);
    bench
}

fn stored(answered: bool) -> Vec<(String, bool)> {
    vec![("K".to_owned(), answered)]
}

/// How the only request ended.
fn ending(bench: &Bench) -> Option<Ending> {
    bench
        .events
        .heard()
        .into_iter()
        .find_map(|event| match event {
            Event::Ended { ending, .. } => Some(ending),
            _ => None,
        })
}

#[tokio::test]
async fn without_a_rule_a_send_is_stored_and_answered() {
    let bench = bench(config()).await;
    let answer = bench.send("K", LONG).await.unwrap();
    let header: SendMessageResponse<'_> = answer.header().unwrap();
    assert_eq!(
        (answer.code, header.queue_offset, header.trace_on),
        (0, 0, Some(true))
    );
    assert_eq!(header.transaction_id.as_deref(), Some("K"));
    assert_eq!(bench.ledger(), stored(true));
}

#[tokio::test]
async fn answer_refuses_without_storing() {
    let bench = ruled(Action::answer(2, "busy")).await;
    let answer = bench.send("K", LONG).await.unwrap();
    assert_eq!((answer.code, answer.remark.as_deref()), (2, Some("busy")));
    assert_eq!(bench.ledger(), []);
    let ruled = |event: &Event| matches!(event, Event::Ruled { rule, .. } if &**rule == "rule");
    assert!(bench.events.heard().iter().any(ruled));
}

#[tokio::test]
async fn store_then_answer_keeps_the_whole_header_under_another_code() {
    let bench = ruled(Action::StoreThenAnswer {
        code: 12,
        remark: None,
    })
    .await;
    let answer = bench.send("K", LONG).await.unwrap();
    assert_eq!(answer.code, 12);
    assert!(answer.header::<SendMessageResponse<'_>>().is_ok());
    assert_eq!(bench.ledger(), stored(true));
}

#[tokio::test]
async fn a_code_that_denies_storing_leaves_the_entry_unanswered() {
    let bench = ruled(Action::StoreThenAnswer {
        code: 1,
        remark: None,
    })
    .await;
    assert_eq!(bench.send("K", LONG).await.unwrap().code, 1);
    assert_eq!(bench.ledger(), stored(false));
}

#[tokio::test]
async fn delay_handles_late_even_if_the_client_has_gone() {
    let bench = ruled(Action::delay(100)).await;
    let sent = bench.send("K", Duration::from_millis(20)).await;
    assert!(matches!(sent, Err(CallError::TimedOut { .. })), "{sent:?}");
    assert_eq!(bench.ledger(), []);
    bench.client.stop().await;
    until("the delayed message is stored", || {
        !bench.ledger().is_empty()
    })
    .await;
}

#[tokio::test]
async fn delay_may_be_followed_by_another_action() {
    let then = Box::new(Action::answer(14, "full"));
    let bench = ruled(Action::Delay { ms: 50, then }).await;
    let began = Instant::now();
    assert_eq!(bench.send("K", LONG).await.unwrap().code, 14);
    assert!(began.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn delay_reply_stores_at_once() {
    let bench = ruled(Action::DelayReply { ms: 200 }).await;
    let (sent, ()) = tokio::join!(
        bench.send("K", LONG),
        until("stored before it is answered", || bench.ledger()
            == stored(false)),
    );
    assert_eq!(sent.unwrap().code, 0);
    assert_eq!(bench.ledger(), stored(true));
}

#[tokio::test]
async fn a_delayed_reply_holds_up_no_other_request() {
    let bench = bench(config()).await;
    let first = Match {
        code: Some(310),
        nth: Some(1),
        ..Match::default()
    };
    bench
        .rules
        .add(Rule::new("first", first, Action::DelayReply { ms: 300 }));
    let slow = async { (bench.send("K", LONG).await.unwrap().code, Instant::now()) };
    let quick = async { (bench.send("L", LONG).await.unwrap().code, Instant::now()) };
    let (slow, quick) = tokio::join!(biased; slow, quick);
    assert!(quick.1 < slow.1, "the second was answered first");
}

#[tokio::test]
async fn drop_request_is_silent_and_stores_nothing() {
    let bench = ruled(Action::DropRequest).await;
    let sent = bench.send("K", SHORT).await;
    assert!(matches!(sent, Err(CallError::TimedOut { .. })), "{sent:?}");
    assert_eq!(
        (bench.ledger(), ending(&bench)),
        (vec![], Some(Ending::Silent))
    );
}

#[tokio::test]
async fn drop_reply_is_silent_and_stores() {
    let bench = ruled(Action::DropReply).await;
    let sent = bench.send("K", SHORT).await;
    assert!(matches!(sent, Err(CallError::TimedOut { .. })), "{sent:?}");
    assert_eq!(
        (bench.ledger(), ending(&bench)),
        (stored(false), Some(Ending::Silent))
    );
}

#[tokio::test]
async fn closing_and_resetting_lose_the_connection_before_or_after_storing() {
    let cases = [
        (Action::CloseBefore, vec![]),
        (Action::CloseAfter, stored(false)),
        (Action::ResetBefore, vec![]),
        (Action::ResetAfter, stored(false)),
    ];
    for (action, ledger) in cases {
        let bench = ruled(action.clone()).await;
        let sent = bench.send("K", LONG).await;
        assert!(
            matches!(sent, Err(CallError::Lost { .. })),
            "{action:?}: {sent:?}"
        );
        assert_eq!(bench.ledger(), ledger, "{action:?}");
        assert_eq!(ending(&bench), Some(Ending::Closed), "{action:?}");
    }
}

#[tokio::test]
async fn reply_twice_leaves_one_answer_over() {
    let bench = ruled(Action::ReplyTwice).await;
    assert_eq!(bench.send("K", LONG).await.unwrap().code, 0);
    until("the second answer comes late", || bench.late() == 1).await;
    assert_eq!(bench.ledger(), stored(true));
}

#[tokio::test]
async fn unknown_opaque_answers_nobody() {
    let bench = ruled(Action::UnknownOpaque).await;
    let sent = bench.send("K", SHORT).await;
    assert!(matches!(sent, Err(CallError::TimedOut { .. })), "{sent:?}");
    assert_eq!(bench.late(), 1);
    assert_eq!(
        (bench.ledger(), ending(&bench)),
        (stored(false), Some(Ending::Mangled))
    );
}

#[tokio::test]
async fn half_frame_is_no_answer() {
    let bench = ruled(Action::HalfFrame).await;
    let sent = bench.send("K", SHORT).await;
    assert!(matches!(sent, Err(CallError::TimedOut { .. })), "{sent:?}");
    assert_eq!((bench.late(), bench.ledger()), (0, stored(false)));
}

#[tokio::test]
async fn garbage_costs_the_connection() {
    let bench = ruled(Action::Garbage).await;
    let sent = bench.send("K", LONG).await;
    let bad_frame = matches!(
        sent,
        Err(CallError::Lost {
            cause: CloseCause::BadFrame,
            ..
        })
    );
    assert!(bad_frame, "{sent:?}");
    assert_eq!(bench.ledger(), stored(false));
}

#[tokio::test]
async fn normal_exempts_from_a_later_rule() {
    let bench = bench(config()).await;
    bench.on_sends(Action::Normal);
    bench.on_sends(Action::DropRequest);
    assert_eq!(bench.send("K", LONG).await.unwrap().code, 0);
}

#[tokio::test]
async fn a_rule_about_the_second_attempt_spares_the_first() {
    let bench = bench(config()).await;
    let second = Match {
        attempt: Some(2),
        ..Match::default()
    };
    bench
        .rules
        .add(Rule::new("second", second, Action::answer(14, "no")));
    assert_eq!(bench.send("K", LONG).await.unwrap().code, 0);
    assert_eq!(bench.send("K", LONG).await.unwrap().code, 14);
    assert_eq!(bench.send("L", LONG).await.unwrap().code, 0);
}
