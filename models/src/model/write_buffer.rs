// Two senders with room for one frame, and the connection's task that writes.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use bytes::BytesMut;
use rmq_remoting::command::{HeaderForm, Language};
use rmq_remoting::frame::{Outgoing, Speaker};
use rmq_remoting::header::NoFields;
use shuttle::future::{block_on, spawn};
use tokio::sync::Notify;

use super::write_buffer::{Append, WriteBuffer, Room};

const SENDERS: i32 = 2;
const FRAMES: i32 = 2;

struct Written {
    frames: AtomicUsize,
    told: Notify,
}

async fn send(write_buffer: Arc<WriteBuffer>, sender: i32) {
    let speaker = Speaker {
        form: HeaderForm::Json,
        language: Language::Rust,
        version: 1,
    };
    for frame in 0..FRAMES {
        let opaque = sender * FRAMES + frame;
        loop {
            let told = write_buffer.room().notified();
            tokio::pin!(told);
            told.as_mut().enable();
            let appended = {
                let outgoing = Outgoing {
                    code: 1,
                    opaque,
                    flag: 0,
                    remark: None,
                    header: &NoFields,
                    body: &[],
                };
                write_buffer.append(&speaker, &outgoing, Some(opaque), Room::Needed)
            };
            match appended {
                Ok(Append::Done) => break,
                Ok(Append::Full) => told.await,
                other => unreachable!("{other:?}"),
            }
        }
    }
}

async fn connection(write_buffer: Arc<WriteBuffer>, written: Arc<Written>) -> Vec<i32> {
    let (mut front, mut marks) = (BytesMut::new(), VecDeque::new());
    let ended = poll_fn(|cx| {
        loop {
            let closing = write_buffer.is_closing();
            write_buffer.take(&mut front, &mut marks);
            if !front.is_empty() {
                let count = front.len();
                front.clear();
                write_buffer.written(count);
                written.frames.store(marks.len(), Ordering::SeqCst);
                written.told.notify_waiters();
                continue;
            }
            if closing {
                return Poll::Ready(());
            }
            if !write_buffer.sleep(cx.waker(), false, false) {
                return Poll::Pending;
            }
        }
    });
    ended.await;
    marks.iter().map(|(_, opaque)| *opaque).collect()
}

pub(crate) fn run() {
    block_on(async {
        let write_buffer = Arc::new(WriteBuffer::new(1));
        let written = Arc::new(Written {
            frames: AtomicUsize::new(0),
            told: Notify::new(),
        });
        let task = spawn(connection(Arc::clone(&write_buffer), Arc::clone(&written)));
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| spawn(send(Arc::clone(&write_buffer), sender)))
            .collect();
        for sender in senders {
            let _ = sender.await;
        }
        // Nobody closes before all has left: a task that sleeps over bytes sleeps for ever.
        let all = SENDERS * FRAMES;
        loop {
            let told = written.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if written.frames.load(Ordering::SeqCst) == all as usize {
                break;
            }
            told.await;
        }
        write_buffer.close();
        let mut left = task.await.unwrap_or_default();
        left.sort_unstable();
        assert!(left.into_iter().eq(0..all), "each frame leaves once");
    });
}
