//! What hostile servers do with a connection.

use bytes::BytesMut;
use rmq_host::{BoxFuture, Connection};
use rmq_remoting::code::request;
use rmq_remoting::command::{Command, FLAG_RESPONSE, HeaderForm, Language};
use rmq_remoting::frame::{FrameDecoder, Outgoing, Speaker, encode};
use rmq_remoting::header::{EncodeHeader, NoFields};
use rmq_remoting::request::{SendMessage, SendMessageResponse, SendMessageV2};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Duration, sleep};

/// What a server does with one connection.
pub(crate) type Peer = fn(Connection) -> BoxFuture<'static, ()>;

/// Declares peers that are async functions of a connection.
macro_rules! peers {
    ($($(#[$doc:meta])* $name:ident($connection:ident) $body:block)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name($connection: Connection) -> BoxFuture<'static, ()> {
            Box::pin(async move { $body })
        }
    )*};
}

const SPEAKER: Speaker = Speaker {
    form: HeaderForm::Json,
    language: Language::Java,
    version: 479,
};

/// A frame with this code, opaque, flag, remark and body.
pub(crate) fn frame(
    code: i32,
    opaque: i32,
    flag: i32,
    remark: Option<&str>,
    header: &dyn EncodeHeader,
    body: &[u8],
) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    let outgoing = Outgoing {
        code,
        opaque,
        flag,
        remark,
        header,
        body,
    };
    encode(&SPEAKER, &outgoing, &mut buffer).unwrap();
    buffer.to_vec()
}

/// The answer of a broker that has stored what it was sent.
pub(crate) fn stored(request: &Command, queue_offset: i64) -> Vec<u8> {
    let send = request.header::<SendMessageV2<'_>>();
    let queue_id = send.map_or(0, |SendMessageV2(SendMessage { queue_id, .. })| queue_id);
    stored_at(request, queue_id, queue_offset)
}

/// The same with a queue of choice.
pub(crate) fn stored_at(request: &Command, queue_id: i32, queue_offset: i64) -> Vec<u8> {
    let header = SendMessageResponse {
        msg_id: "7F00000100002A9F0000000000000000".into(),
        queue_id,
        queue_offset,
        ..SendMessageResponse::default()
    };
    frame(0, request.opaque, FLAG_RESPONSE, None, &header, &[])
}

/// Answers each request with the bytes that `answer` makes of it.
pub(crate) async fn answering(mut connection: Connection, answer: impl Fn(&Command) -> Vec<u8>) {
    let (mut decoder, mut input) = (FrameDecoder::new(), BytesMut::new());
    loop {
        while let Ok(Some(request)) = decoder.decode(&mut input) {
            let answer = answer(&request);
            if connection.stream.write_all(&answer).await.is_err() {
                return;
            }
        }
        match connection.stream.read_buf(&mut input).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// Writes these bytes as soon as the connection is there, and reads on without an answer.
async fn greeting(mut connection: Connection, bytes: &[u8]) {
    if connection.stream.write_all(bytes).await.is_ok() {
        answering(connection, |_| Vec::new()).await;
    }
}

/// Writes these bytes again and again, and reads nothing.
async fn endless(mut connection: Connection, bytes: &[u8]) {
    let many = bytes.repeat(65_536 / bytes.len() + 1);
    while connection.stream.write_all(&many).await.is_ok() {}
}

fn is_send(request: &Command) -> bool {
    request.code == request::SEND_MESSAGE_V2
}

peers! {
    /// Bytes that are no frame.
    garbage(connection) {
        let noise: Vec<u8> = (0..4_096_u32).map(|at| (at * 167 % 251) as u8 | 0x80).collect();
        greeting(connection, &noise).await;
    }
    /// An answer in another protocol: HTTP.
    http(connection) {
        greeting(connection, b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
    }
    /// A frame beyond the limit is announced.
    oversized(connection) {
        greeting(connection, &[0x01, 0, 0, 0, 0, 0, 0, 2, b'{', b'}']).await;
    }
    /// A frame whose length is negative.
    negative_length(connection) {
        greeting(connection, &[0xff; 8]).await;
    }
    /// A header longer than its frame.
    long_header(connection) {
        greeting(connection, &[0, 0, 0, 6, 0, 0, 0, 9, b'{', b'}']).await;
    }
    /// A serialize byte of no form.
    third_form(connection) {
        greeting(connection, &[0, 0, 0, 10, 2, 0, 0, 6, 0, 0, 0, 0, 0, 0]).await;
    }
    /// An empty JSON header.
    empty_header(connection) {
        greeting(connection, &[0, 0, 0, 4, 0, 0, 0, 0]).await;
    }
    /// A JSON header that is null.
    null_header(connection) {
        greeting(connection, b"\0\0\0\x08\0\0\0\x04null").await;
    }
    /// A binary header whose lengths overrun it.
    overrunning(connection) {
        let mut frame = vec![0, 0, 0, 25, 1, 0, 0, 21];
        frame.extend([0; 13]);
        frame.extend([0x7f, 0xff, 0xff, 0xff]);
        frame.extend([0; 4]);
        greeting(connection, &frame).await;
    }
    /// The first bytes of a large frame, and then nothing for ever.
    half_frame(connection) {
        greeting(connection, &[0x00, 0xff, 0xff, 0xfc, 0, 0, 0, 2, b'{']).await;
    }
    /// Half of the right answer to each request.
    half_answers(connection) {
        answering(connection, |request| {
            let answer = stored(request, 0);
            answer[..answer.len() / 2].to_vec()
        }).await;
    }
    /// Closed before a word was said.
    close_at_once(connection) {
        drop(connection);
    }
    /// Closed at the first request.
    close_at_request(connection) {
        let mut connection = connection;
        let _ = connection.stream.read_u8().await;
    }
    /// Silence, but everything is read.
    silent(connection) {
        answering(connection, |_| Vec::new()).await;
    }
    /// Silence, and nothing is read.
    deaf(connection) {
        std::future::pending::<()>().await;
        drop(connection);
    }
    /// Requests without end, while nothing is read.
    endless_requests(connection) {
        endless(connection, &frame(9_999, 1, 0, None, &NoFields, b"?")).await;
    }
    /// Answers to nobody without end.
    endless_answers(connection) {
        endless(connection, &frame(0, -77, FLAG_RESPONSE, None, &NoFields, b"!")).await;
    }
    /// One-way requests without end.
    endless_notices(connection) {
        endless(connection, &frame(40, 1, 2, None, &NoFields, b"!")).await;
    }
    /// A refusal with a remark of megabytes, all of it control sequences.
    huge_remark(connection) {
        answering(connection, |request| {
            let remark = "\u{1b}[2J".repeat(1 << 20);
            frame(1, request.opaque, FLAG_RESPONSE, Some(&remark), &NoFields, &[])
        }).await;
    }
    /// A success with a body of sixteen megabytes.
    huge_body(connection) {
        answering(connection, |request| {
            let body = vec![b'x'; (16 << 20) - 1_024];
            frame(1, request.opaque, FLAG_RESPONSE, None, &NoFields, &body)
        }).await;
    }
    /// A success in queue −7 at offset −9.
    negative_queue(connection) {
        answering(connection, |request| stored_at(request, -7, -9)).await;
    }
    /// A success without any field.
    empty_success(connection) {
        answering(connection, |request| {
            frame(0, request.opaque, FLAG_RESPONSE, None, &NoFields, &[])
        }).await;
    }
    /// A code that no table has.
    unknown_code(connection) {
        answering(connection, |request| {
            frame(i32::MIN, request.opaque, FLAG_RESPONSE, None, &NoFields, &[])
        }).await;
    }
    /// Each answer carries the next request's id.
    wrong_opaque(connection) {
        answering(connection, |request| {
            let mut other = request.clone();
            other.opaque = request.opaque.wrapping_add(1);
            if is_send(request) { stored(&other, 0) } else { Vec::new() }
        }).await;
    }
    /// Answers without an id.
    no_opaque(connection) {
        answering(connection, |_| {
            let header = br#"{"code":0,"flag":1,"language":"JAVA","version":479}"#;
            let size = u32::try_from(header.len()).unwrap();
            [&(size + 4).to_be_bytes()[..], &size.to_be_bytes(), header].concat()
        }).await;
    }
    /// Each request comes back as it is: a request with its own id.
    mirror(connection) {
        answering(connection, |request| {
            frame(request.code, request.opaque, 0, None, &request.ext, &request.body)
        }).await;
    }
    /// The right answer, a thousand times.
    a_thousand_times(connection) {
        answering(connection, |request| stored(request, 0).repeat(1_000)).await;
    }
    /// The right answer, one byte in each millisecond.
    byte_by_byte(connection) {
        let mut connection = connection;
        let (mut decoder, mut input) = (FrameDecoder::new(), BytesMut::new());
        loop {
            while let Ok(Some(request)) = decoder.decode(&mut input) {
                for byte in stored(&request, 0) {
                    if connection.stream.write_all(&[byte]).await.is_err() {
                        return;
                    }
                    sleep(Duration::from_millis(1)).await;
                }
            }
            match connection.stream.read_buf(&mut input).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }
}
