//! The disk of a node: bytes under keys, which outlive the process and, once synced, the power.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use rmq_host::SharedHost;

/// How long a sync takes.
const SYNC: Duration = Duration::from_millis(1);

/// A small store of bytes on the disk of a [node](super::SimNode).
///
/// It behaves as files do under Linux. What is written is in the page cache: it is there for whoever reads,
/// and it survives a crash of the process. What has not been synced is lost when the machine loses its power.
///
/// ```
/// use std::time::Duration;
/// use rmq_sim::simulation::{Cluster, Simulation, power_loss};
///
/// Simulation::new(Cluster::new())
///     .fault(power_loss("shop").at_secs(5).down_for_secs(5))
///     .seeds(0..3)
///     .check(async |sim| {
///         sim.node("shop", async |node| {
///             if node.disk().scan("").is_empty() {
///                 node.disk().put("synced", "1");
///                 node.disk().sync().await;
///                 node.disk().put("not synced", "2");
///             } else {
///                 assert_eq!(node.disk().get("synced").as_deref(), Some(&b"1"[..]));
///                 assert_eq!(node.disk().get("not synced"), None);
///             }
///             std::future::pending().await
///         });
///         sim.until_secs(15).await;
///         Ok(())
///     });
/// ```
#[derive(Clone, Default)]
pub struct Disk {
    files: Arc<Mutex<Files>>,
    /// Of the process that holds it; none of the disk by itself.
    host: Option<SharedHost>,
}

type Key = Bytes;

#[derive(Default)]
struct Files {
    /// What is read: the page cache over the disk.
    cached: BTreeMap<Key, Bytes>,
    /// What survives a power loss.
    stable: BTreeMap<Key, Bytes>,
    /// What was written since, in order; `None`: removed.
    unsynced: Vec<(Key, Option<Bytes>)>,
    /// How many writes are stable.
    synced: u64,
}

impl Files {
    fn write(&mut self, key: Key, value: Option<Bytes>) -> Option<Bytes> {
        self.unsynced.push((key.clone(), value.clone()));
        set(&mut self.cached, key, value)
    }

    fn written(&self) -> u64 {
        self.synced + self.unsynced.len() as u64
    }

    /// The first `count` writes of the run become stable.
    fn sync_to(&mut self, count: u64) {
        let new = count.saturating_sub(self.synced);
        let new = usize::try_from(new).unwrap_or(usize::MAX);
        for (key, value) in self.unsynced.drain(..new.min(self.unsynced.len())) {
            set(&mut self.stable, key, value);
            self.synced += 1;
        }
    }
}

fn set(at: &mut BTreeMap<Key, Bytes>, key: Key, value: Option<Bytes>) -> Option<Bytes> {
    match value {
        Some(value) => at.insert(key, value),
        None => at.remove(&key),
    }
}

impl Disk {
    /// The same disk in the hands of a process.
    pub(crate) fn of_process(&self, host: &SharedHost) -> Self {
        Self {
            files: Arc::clone(&self.files),
            host: Some(Arc::clone(host)),
        }
    }

    /// The machine loses its power: what was not synced is gone.
    pub(crate) fn power_loss(&self) {
        let mut files = self.files.lock();
        let Files {
            cached,
            stable,
            unsynced,
            synced,
        } = &mut *files;
        cached.clone_from(stable);
        *synced += unsynced.len() as u64;
        unsynced.clear();
    }

    /// The disk is replaced by an empty one.
    pub(crate) fn lose(&self) {
        *self.files.lock() = Files::default();
    }

    /// What is stored under a key.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<Bytes> {
        self.files.lock().cached.get(key.as_ref()).cloned()
    }

    /// Stores a value under a key, and returns the one that was there.
    pub fn put(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Option<Bytes> {
        self.write(key.into(), Some(value.into()))
    }

    /// Removes a key, and returns what it had.
    pub fn remove(&self, key: impl AsRef<[u8]>) -> Option<Bytes> {
        self.write(Bytes::copy_from_slice(key.as_ref()), None)
    }

    /// Every key that begins like this with its value, in the order of the keys.
    pub fn scan(&self, prefix: impl AsRef<[u8]>) -> Vec<(Bytes, Bytes)> {
        let prefix = prefix.as_ref();
        let files = self.files.lock();
        let from = files.cached.range(Bytes::copy_from_slice(prefix)..);
        let found = from.take_while(|(key, _)| key.starts_with(prefix));
        found
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Makes everything that was written before stable, against a power loss too. It takes a millisecond,
    /// and nothing is stable before it returns.
    pub async fn sync(&self) {
        let written = self.files.lock().written();
        tokio::time::sleep(SYNC).await;
        if !self.is_held() {
            // A task of Tokio's own may be left of a process that is gone. It gets no answer.
            std::future::pending::<()>().await;
        }
        self.files.lock().sync_to(written);
    }

    /// A process that is gone writes nothing any more.
    fn write(&self, key: Key, value: Option<Bytes>) -> Option<Bytes> {
        if self.is_held() {
            self.files.lock().write(key, value)
        } else {
            None
        }
    }

    fn is_held(&self) -> bool {
        self.host.as_ref().is_none_or(|host| host.is_running())
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.files.lock();
        write!(
            f,
            "Disk({} keys, {} writes unsynced)",
            files.cached.len(),
            files.unsynced.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(disk: &Disk) -> Vec<Bytes> {
        disk.scan("").into_iter().map(|(key, _)| key).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_synced_survives_a_power_loss_and_nothing_else() {
        let disk = Disk::default();
        disk.put("a", "1");
        disk.put("b", "1");
        disk.sync().await;
        assert_eq!(disk.put("a", "2").as_deref(), Some(&b"1"[..]));
        disk.remove("b");
        disk.put("c", "1");
        assert_eq!(keys(&disk), ["a", "c"]);
        disk.power_loss();
        assert_eq!(keys(&disk), ["a", "b"]);
        assert_eq!(disk.get("a").as_deref(), Some(&b"1"[..]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_sync_is_about_what_was_written_before_it_began() {
        let disk = Disk::default();
        disk.put("before", "1");
        let writes = async { disk.put("meanwhile", "1") };
        tokio::join!(biased; disk.sync(), writes);
        disk.power_loss();
        assert_eq!(keys(&disk), ["before"]);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_stable_before_a_sync_returns() {
        let disk = Disk::default();
        disk.put("a", "1");
        let cut = async { disk.power_loss() };
        tokio::join!(biased; disk.sync(), cut);
        assert!(keys(&disk).is_empty());
        disk.put("b", "1");
        disk.sync().await;
        disk.power_loss();
        assert_eq!(keys(&disk), ["b"], "the lost writes are not counted again");
    }

    #[test]
    fn a_scan_finds_a_prefix_in_the_order_of_keys() {
        let disk = Disk::default();
        for key in ["b/2", "a/1", "b/1", "c"] {
            disk.put(key, key);
        }
        let found = disk.scan("b/");
        assert_eq!(
            found.iter().map(|(key, _)| key).collect::<Vec<_>>(),
            ["b/1", "b/2"]
        );
        disk.lose();
        assert!(keys(&disk).is_empty());
    }
}
