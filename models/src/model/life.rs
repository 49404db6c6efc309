// Two senders, a stop that waits for them, and somebody who waits for the close.

use std::sync::Arc;

use shuttle::future::{block_on, spawn};

use super::life::Life;

async fn send(life: Arc<Life>) {
    // A send that comes too late is none, and leaves all the same.
    let accepted = life.enter();
    if accepted {
        shuttle::future::yield_now().await;
    }
    life.leave();
}

pub(crate) fn run() {
    block_on(async {
        let life = Arc::new(Life::default());
        let senders = [(); 2].map(|()| spawn(send(Arc::clone(&life))));
        let watcher = {
            let life = Arc::clone(&life);
            spawn(async move { life.closed().await })
        };
        let stops = [(); 2].map(|()| {
            let life = Arc::clone(&life);
            spawn(async move {
                let first = life.close();
                life.idle().await;
                first
            })
        });
        let mut first = 0;
        for stop in stops {
            first += usize::from(stop.await.unwrap_or(false));
        }
        assert_eq!(first, 1, "one stop is the first");
        let _ = watcher.await;
        for sender in senders {
            let _ = sender.await;
        }
        assert!(!life.enter(), "nothing is accepted any more");
        life.leave();
        assert_eq!(life.open_sends(), 0);
    });
}
