// Two that start tasks which never end, and one that closes the set.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rmq_host::{
    BoxFuture, Connection, Host, Identity, Listener, SharedHost, Task, TaskControl,
};
use shuttle::future::{AbortHandle, block_on, spawn};
use tokio::sync::Notify;

use super::tasks::TaskSet;

/// A machine whose tasks are shuttle's.
#[derive(Debug)]
struct Machine;

struct Abort(AbortHandle);

impl std::fmt::Debug for Abort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Abort")
    }
}

impl TaskControl for Abort {
    fn cancel(&self) {
        self.0.abort();
    }
}

impl Host for Machine {
    fn connect(&self, _: &str) -> BoxFuture<'static, io::Result<Connection>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn listen(&self, _: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) -> Task {
        let (handle, reporter) = Task::new(name);
        let running = spawn(reporter.watch(task, |_| {}));
        handle.controlled_by(Abort(running.abort_handle()))
    }

    fn unix_millis(&self) -> i64 {
        0
    }

    fn draw(&self, _: &'static str, position: u64) -> u64 {
        position
    }

    fn identity(&self) -> Identity {
        Identity {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            process: 1,
        }
    }
}

/// Counts the futures that are not dropped yet.
struct Alive {
    count: AtomicUsize,
    told: Notify,
}

struct One(Arc<Alive>);

impl One {
    fn of(alive: &Arc<Alive>) -> Self {
        alive.count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(alive))
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::SeqCst);
        self.0.told.notify_waiters();
    }
}

pub(crate) fn run() {
    block_on(async {
        let (set, host): (_, SharedHost) = (Arc::new(TaskSet::default()), Arc::new(Machine));
        let alive = Arc::new(Alive {
            count: AtomicUsize::new(0),
            told: Notify::new(),
        });
        let starters = [(); 2].map(|()| {
            let (set, host) = (Arc::clone(&set), Arc::clone(&host));
            let one = One::of(&alive);
            spawn(async move {
                let never = async move {
                    std::future::pending::<()>().await;
                    drop(one);
                };
                set.spawn(&host, "never", Box::pin(never));
            })
        });
        set.close();
        for starter in starters {
            let _ = starter.await;
        }
        // Every task is refused or cancelled; one that runs on is waited for in vain.
        loop {
            let told = alive.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if alive.count.load(Ordering::SeqCst) == 0 {
                return;
            }
            told.await;
        }
    });
}
