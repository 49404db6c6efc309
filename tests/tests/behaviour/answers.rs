//! What a broker's answer means, and what of a message reaches it.

use rmq_producer::event::{Failure, Stage};
use rmq_producer::policy::CompressionKind;
use rmq_producer::{Message, MessageQueue, Policy, SendStatus};
use rmq_remoting::observe::Name;
use rmq_sim::fault::RuleAction;
use rmq_sim::fault::rule::{Answer, StoreThenAnswer};

use crate::support::{
    answer, brokers, late, message, play, play_warm, send_sync, sends, strict_and_java,
};

#[test]
fn a_sync_send_leaves_a_broker_for_javas_codes_and_ends_at_any_other() {
    for policy in strict_and_java() {
        for code in [1, 2, 14, 16, 17, 204, 205] {
            let setup = brokers(2).fault(late(sends("broker-a", answer(code))));
            let ((outcome, _), seen) = play_warm(setup, &policy, async |_, producer| {
                send_sync(producer, message()).await
            });
            let sent = outcome.unwrap();
            assert_eq!(
                (&*sent.queue.broker, &*seen.path()),
                ("broker-b", "ab"),
                "code {code}"
            );
        }
        for code in [3, 4, 13, 29, 604] {
            let setup = brokers(2).fault(late(sends("broker-a", answer(code))));
            let ((outcome, _), seen) = play_warm(setup, &policy, async |_, producer| {
                send_sync(producer, message()).await
            });
            let error = outcome.unwrap_err();
            assert_eq!(
                error.failure(),
                Failure::Attempts(Stage::Refused),
                "code {code}"
            );
            assert_eq!((error.code(), &*seen.path()), (Some(code), "a"));
        }
    }
}

#[test]
fn java_4_9_is_told_of_a_busy_broker_at_once() {
    let setup = brokers(2).fault(late(sends("broker-a", answer(2))));
    let ((outcome, _), seen) = play_warm(setup, &Policy::java_4_9(), async |_, producer| {
        send_sync(producer, message()).await
    });
    assert_eq!((outcome.unwrap_err().code(), &*seen.path()), (Some(2), "a"));
}

#[test]
fn a_message_that_is_stored_but_not_safe_is_a_result_after_one_request() {
    for policy in strict_and_java() {
        for (code, status) in [
            (10, SendStatus::FlushDiskTimeout),
            (11, SendStatus::SlaveNotAvailable),
            (12, SendStatus::FlushSlaveTimeout),
        ] {
            let then = RuleAction::StoreThenAnswer(StoreThenAnswer { code });
            let setup = brokers(2).fault(late(sends("broker-a", then)));
            let ((outcome, _), seen) = play_warm(setup, &policy, async |_, producer| {
                send_sync(producer, message()).await
            });
            let sent = outcome.unwrap();
            assert_eq!((sent.status, sent.attempts), (status, 1), "{}", policy.name);
            assert_eq!(seen.path(), "a", "{}", policy.name);
        }
    }
}

#[test]
fn a_refusal_tells_code_remark_and_address() {
    for mut policy in strict_and_java() {
        policy.attempts.sync = 1;
        let busy = RuleAction::Answer(Answer {
            code: 2,
            remark: Some("busy".to_owned()),
        });
        let ((outcome, _), _) = play(
            brokers(1).fault(sends("broker-a", busy)),
            &policy,
            async |_, producer| send_sync(producer, message()).await,
        );
        let error = outcome.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("code 2 SYSTEM_BUSY: busy"), "{text}");
        let [attempt] = error.attempts() else {
            panic!("{text}");
        };
        let address = attempt.address.as_deref().unwrap();
        assert!(address.ends_with(":10911"), "{address}");
        assert_eq!(attempt.code, Some(2));
    }
}

#[test]
fn a_queue_of_an_unknown_broker_makes_no_request() {
    for (policy, attempts) in [(Policy::strict(), 3), (Policy::java_5_3(), 1)] {
        let setup = brokers(1);
        let (outcome, seen) = play(setup, &policy, async |_, producer| {
            let queue = MessageQueue::new("orders", "x", 0);
            producer.send_to(message(), queue).await
        });
        let error = outcome.unwrap_err();
        assert_eq!(
            error.failure(),
            Failure::Attempts(Stage::Address),
            "{error}"
        );
        assert_eq!(error.attempts().len(), attempts, "{}", policy.name);
        assert!(error.to_string().contains("#1 x/q0: no address"), "{error}");
        assert_eq!((&*seen.path(), &*seen.dials()), ("", ""), "{}", policy.name);
    }
}

#[test]
fn lz4_and_zstandard_are_named_in_the_flags_and_open_with_their_mark() {
    for mut policy in strict_and_java() {
        for (kind, flag, mark) in [
            (CompressionKind::Lz4, 0x101, [0x04, 0x22, 0x4d, 0x18]),
            (CompressionKind::Zstd, 0x201, [0x28, 0xb5, 0x2f, 0xfd]),
        ] {
            policy.compression = kind;
            let ((outcome, _), seen) = play(brokers(1), &policy, async |_, producer| {
                send_sync(producer, Message::new("orders", vec![7; 5_000])).await
            });
            outcome.unwrap();
            assert_eq!(seen.sends()[0].sys_flag, flag);
            let (_, stored) = &seen.stored()[0];
            assert!(
                stored.body.starts_with(&mark) && stored.body.len() < 5_000,
                "{kind:?}"
            );
        }
    }
}

#[test]
fn the_same_message_sent_twice_is_two_messages() {
    assert!(message().with_property("UNIQ_KEY", "0A0B").is_err());
    for policy in strict_and_java() {
        let ((first, second), seen) = play(brokers(1), &policy, async |_, producer| {
            let message = message();
            let (first, _) = send_sync(producer, message.clone()).await;
            let (second, _) = send_sync(producer, message).await;
            (first.unwrap(), second.unwrap())
        });
        assert_ne!(first.message_id, second.message_id);
        let keys: Vec<_> = seen
            .stored()
            .iter()
            .map(|(_, it)| Name::clone(&it.key))
            .collect();
        assert_eq!(keys, [first.message_id, second.message_id]);
    }
}

#[test]
fn a_broker_that_stores_and_never_answers_has_a_copy_of_each_attempt() {
    for (policy, copies) in [(Policy::strict(), 3), (Policy::java_5_3(), 1)] {
        let setup = brokers(2)
            .fault(late(sends("broker-a", RuleAction::DropReply)))
            .fault(late(sends("broker-b", RuleAction::DropReply)));
        let ((outcome, took), seen) = play_warm(setup, &policy, async |_, producer| {
            send_sync(producer, message()).await
        });
        let error = outcome.unwrap_err();
        let key = error.message_id();
        assert!((3_000..=3_001).contains(&took), "{took} ms");
        let stored = seen
            .stored()
            .iter()
            .filter(|(_, it)| Some(&*it.key) == key)
            .count();
        assert_eq!(
            (stored, seen.path().len()),
            (copies, copies),
            "{}",
            policy.name
        );
    }
}
