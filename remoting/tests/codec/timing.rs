//! What one send costs in the codec. Not a benchmark: a figure at hand, printed on demand by
//! `cargo test --release -p rmq-remoting --test codec -- --ignored --nocapture`.

use std::hint::black_box;

use bytes::BytesMut;
use rmq_remoting::command::HeaderForm;
use rmq_remoting::frame::{FrameDecoder, Outgoing, encode};
use rmq_remoting::header::EncodeHeader;
use rmq_remoting::request::{SendMessageResponse, SendMessageV2};

use crate::support::{decode_one, golden, java};

const ROUNDS: u32 = 10_000;

fn measure(what: &str, mut round: impl FnMut()) {
    #[expect(clippy::disallowed_methods, reason = "a stopwatch is what this is")]
    let now = std::time::Instant::now;
    let mut best = u128::MAX;
    for _ in 0..100 {
        let start = now();
        (0..ROUNDS).for_each(|_| round());
        best = best.min(start.elapsed().as_nanos() / u128::from(ROUNDS));
    }
    println!("{what}: {best} ns");
}

fn measure_form(form: HeaderForm, name: &str) {
    let sent = golden(&format!("SEND_MESSAGE_V2 request, {name} (example B)")).remove(0);
    let answered = golden(&format!("SEND_MESSAGE_V2 response, {name} (example C/D)")).remove(0);
    let (sent_command, answer) = (decode_one(&sent), decode_one(&answered));
    let send: SendMessageV2<'_> = sent_command.header().unwrap();
    let stored: SendMessageResponse<'_> = answer.header().unwrap();

    let mut buffer = BytesMut::with_capacity(1 << 16);
    let mut write = |header: &dyn EncodeHeader, body: &[u8]| {
        buffer.clear();
        let out = Outgoing {
            code: 310,
            opaque: 2,
            flag: 0,
            remark: None,
            header,
            body,
        };
        encode(&java(form), &out, &mut buffer).unwrap();
        black_box(&buffer);
    };
    measure(&format!("{name} encode send"), || {
        write(&send, b"Hello RocketMQ");
    });
    measure(&format!("{name} encode response"), || write(&stored, b""));

    let mut decoder = FrameDecoder::new();
    let mut input = BytesMut::new();
    let mut read = |bytes: &[u8], check: &dyn Fn(&rmq_remoting::command::Command)| {
        // As from a socket: many frames share one buffer.
        if input.is_empty() {
            input = BytesMut::with_capacity(bytes.len() * 64);
            (0..64).for_each(|_| input.extend_from_slice(bytes));
        }
        check(&decoder.decode(&mut input).unwrap().unwrap());
    };
    measure(&format!("{name} decode send, typed"), || {
        read(&sent, &|command| {
            black_box(command.header::<SendMessageV2<'_>>().unwrap());
        });
    });
    measure(&format!("{name} decode response, typed"), || {
        read(&answered, &|command| {
            black_box(command.header::<SendMessageResponse<'_>>().unwrap());
        });
    });
    measure(&format!("{name} decode send, header fields only"), || {
        read(&sent, &|command| {
            black_box(command.opaque);
        });
    });
}

#[test]
#[ignore = "prints figures, checks nothing"]
fn what_one_send_costs() {
    measure_form(HeaderForm::Json, "JSON");
    measure_form(HeaderForm::Rocketmq, "ROCKETMQ");
}
