// Two that wait for a dial, its success, and somebody who gives it up.

use std::sync::Arc;

use shuttle::future::{block_on, spawn};

use super::connection_handle::{FailedDial, ConnectionHandle};

pub(crate) fn run() {
    block_on(async {
        let handle = Arc::new(ConnectionHandle::new(1.into(), Arc::from("broker"), 1 << 20));
        let waiting = [(); 2].map(|()| {
            let handle = Arc::clone(&handle);
            spawn(async move { handle.dialled().await.is_ok() })
        });
        let dial = {
            let handle = Arc::clone(&handle);
            spawn(async move { handle.begin() && handle.open() })
        };
        let give_up = {
            let handle = Arc::clone(&handle);
            spawn(async move { handle.fail(FailedDial::timed_out()) })
        };
        let opened = dial.await.unwrap_or(false);
        let given_up = give_up.await.unwrap_or(false);
        assert!(!(opened && given_up), "the dial ended twice");
        for waiting in waiting {
            assert_eq!(
                waiting.await.ok(),
                Some(opened),
                "who waits is told otherwise"
            );
        }
    });
}
