//! The observable checks on the wire that a server has to pass, byte by byte.

use std::sync::Arc;

use bytes::BytesMut;
use rmq_host::Host;
use rmq_remoting::command::HeaderForm;
use rmq_remoting::frame::{Outgoing, Speaker, encode};
use rmq_remoting::header::NoFields;
use rmq_remoting::server::{Server, ServerSettings};
use tokio::io::AsyncWriteExt;
use tokio::time::{Duration, timeout};

use crate::support::{ECHO, Hand, Memory, Obedient, SPEAKER, frame, pause};

async fn dial(memory: &Memory) -> Hand {
    Hand::new(memory.connect("127.0.0.1:1").await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_request_in_single_bytes_and_two_in_one_write_are_whole_requests() {
    let memory = Memory::new(1, 65_536);
    let (_server, _) = memory.server(1).await;
    let mut hand = dial(&memory).await;
    for byte in &frame(ECHO, 1, 0, b"byte by byte") {
        hand.stream.write_all(&[*byte]).await.unwrap();
        pause(1).await;
    }
    assert_eq!(hand.read().await.unwrap().body, "byte by byte");
    let mut both = frame(ECHO, 2, 0, b"a");
    both.extend_from_slice(&frame(ECHO, 3, 0, b"b"));
    hand.write(&both).await;
    for (opaque, body) in [(2, "a"), (3, "b")] {
        let answer = hand.read().await.unwrap();
        assert_eq!(
            (answer.opaque, answer.body.as_ref()),
            (opaque, body.as_bytes())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_length_beyond_the_limit_closes_and_the_largest_one_is_awaited() {
    let memory = Memory::new(1, 65_536);
    let (_server, _) = memory.server(1).await;
    for (prefix, closes) in [([1, 0, 0, 0], true), ([0, 0xff, 0xff, 0xfc], false)] {
        let mut hand = dial(&memory).await;
        hand.ask(ECHO, 1, b"valid").await;
        assert_eq!(hand.read().await.unwrap().body, "valid");
        hand.write(&prefix).await;
        let next = timeout(Duration::from_secs(1), hand.read()).await;
        assert_eq!(next.is_ok_and(|frame| frame.is_none()), closes);
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_header_and_an_unknown_form_close() {
    let memory = Memory::new(1, 65_536);
    let (_server, _) = memory.server(1).await;
    for bad in [&b"\0\0\0\x04\0\0\0\0"[..], b"\0\0\0\x0a\x02\0\0\x06abcdef"] {
        let mut hand = dial(&memory).await;
        hand.ask(ECHO, 1, b"valid").await;
        hand.read().await.unwrap();
        hand.write(bad).await;
        assert!(hand.read().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_code_is_answered_with_code_3_unless_it_is_oneway() {
    let memory = Memory::new(1, 65_536);
    let (_server, _) = memory.server(1).await;
    let mut hand = dial(&memory).await;
    hand.write(&frame(9999, 7, 2, b"")).await;
    timeout(Duration::from_secs(1), hand.read())
        .await
        .unwrap_err();
    hand.ask(9999, 8, b"").await;
    let answer = hand.read().await.unwrap();
    assert_eq!((answer.code, answer.opaque, answer.flag), (3, 8, 1));
    let remark = answer.remark.unwrap();
    assert_eq!(remark.as_str(), " request type 9999 not supported");
}

#[tokio::test(start_paused = true)]
async fn a_server_answers_in_its_own_form_whatever_the_request_has() {
    let memory = Memory::new(1, 65_536);
    for (port, form) in [(1, HeaderForm::Json), (2, HeaderForm::Rocketmq)] {
        let settings = ServerSettings::new(Speaker { form, ..SPEAKER });
        let at = format!("127.0.0.1:{port}");
        let service = Arc::new(Obedient::default());
        let listen = at.parse().unwrap();
        let _server = Server::start(memory.host(), listen, settings, service)
            .await
            .unwrap();
        let mut hand = Hand::new(memory.connect(&at).await.unwrap());
        for asked in [HeaderForm::Json, HeaderForm::Rocketmq] {
            let speaker = Speaker {
                form: asked,
                ..SPEAKER
            };
            let outgoing = Outgoing {
                code: ECHO,
                opaque: 1,
                flag: 0,
                remark: None,
                header: &NoFields,
                body: b"",
            };
            let mut bytes = BytesMut::new();
            encode(&speaker, &outgoing, &mut bytes).unwrap();
            hand.write(&bytes).await;
            assert_eq!(hand.read().await.unwrap().form, form);
        }
    }
}
