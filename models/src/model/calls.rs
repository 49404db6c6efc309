// Two callers, a peer that answers both, and two that end the connection.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use rmq_remoting::command::{Command, ExtFields, FLAG_RESPONSE, HeaderForm, Language};
use rmq_remoting::event::CloseCause;
use shuttle::future::{block_on, spawn};
use tokio::time::Instant;

use super::connection_handle::ConnectionHandle;
use super::pending::{Answered, Unanswered};

fn answer(opaque: i32) -> Command {
    Command {
        code: 0,
        language: Language::Java,
        version: 0,
        opaque,
        flag: FLAG_RESPONSE,
        remark: None,
        ext: ExtFields::default(),
        body: Bytes::new(),
        form: HeaderForm::Json,
    }
}

/// The id of the answer, or nothing if the connection was lost.
async fn call(handle: Arc<ConnectionHandle>, opaque: i32) -> Option<i32> {
    let now = Instant::now();
    if handle
        .pending(|pending| pending.enter(opaque, now, now))
        .is_err()
    {
        return None;
    }
    let answered = poll_fn(|cx| handle.pending(|pending| pending.poll(opaque, cx))).await;
    match answered {
        Ok(answer) => Some(answer.opaque),
        Err(Unanswered::Lost(_)) => None,
        Err(Unanswered::TimedOut) => unreachable!("no time passes"),
    }
}

async fn peer(handle: Arc<ConnectionHandle>) {
    for opaque in [1, 2] {
        // An answer comes after its request has left; here as soon as it is in the table.
        let answered = handle.pending(|pending| pending.answer(answer(opaque)));
        if let Answered::Open(Some(caller)) = answered {
            caller.wake();
        }
    }
}

pub(crate) fn run() {
    block_on(async {
        let handle = Arc::new(ConnectionHandle::new(1.into(), Arc::from("broker"), 1 << 20));
        assert!(handle.begin() && handle.open());
        let calls = [1, 2].map(|opaque| spawn(call(Arc::clone(&handle), opaque)));
        let answers = spawn(peer(Arc::clone(&handle)));
        // Once the peer has said all, the connection ends: for two at once.
        let _ = answers.await;
        let ends = [CloseCause::Broken, CloseCause::Stopped].map(|cause| {
            let handle = Arc::clone(&handle);
            spawn(async move { handle.end(cause) })
        });
        let mut ended = 0;
        for end in ends {
            ended += usize::from(end.await.ok().flatten().is_some());
        }
        assert_eq!(ended, 1, "a connection ends once");
        for (opaque, call) in [1, 2].into_iter().zip(calls) {
            let answered = call.await.ok().flatten();
            assert!(
                answered.is_none_or(|id| id == opaque),
                "another one's answer"
            );
        }
        let left = handle.pending(|pending| (pending.held(), pending.waiting()));
        assert_eq!(left, (0, 0), "the table is empty");
    });
}
