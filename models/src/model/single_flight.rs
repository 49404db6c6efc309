// Three that want one result; whoever starts the work does it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use shuttle::future::{block_on, spawn, yield_now};

use super::single_flight::SingleFlight;

#[derive(Default)]
struct Shared {
    work: Mutex<SingleFlight<(), usize>>,
    at_work: AtomicUsize,
    done: AtomicUsize,
}

async fn want(shared: Arc<Shared>) -> usize {
    let (work, fresh) = shared.work.lock().join(());
    if !fresh {
        return work.wait().await;
    }
    let others = shared.at_work.fetch_add(1, Ordering::SeqCst);
    assert_eq!(others, 0, "two do the work at once");
    yield_now().await;
    shared.at_work.fetch_sub(1, Ordering::SeqCst);
    let result = shared.done.fetch_add(1, Ordering::SeqCst) + 1;
    shared.work.lock().leave(&work);
    work.complete(result);
    work.wait().await
}

pub(crate) fn run() {
    block_on(async {
        let shared = Arc::new(Shared::default());
        let wanting = [(); 3].map(|()| spawn(want(Arc::clone(&shared))));
        for one in wanting {
            let result = one.await.unwrap_or(0);
            assert!((1..=3).contains(&result), "everyone gets a result");
        }
        assert!(
            shared.work.lock().under_way().is_none(),
            "the place is free again"
        );
    });
}
