//! This process as the kernel and the runtime see it.

use std::fs;
use std::io;

/// Memory, descriptors and tasks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    /// Resident memory, in KiB.
    pub(crate) resident: u64,
    /// Open file descriptors: sockets, files and pipes.
    pub(crate) descriptors: u64,
    /// Tasks of the runtime that have not ended.
    pub(crate) tasks: u64,
}

impl Process {
    pub(crate) fn now() -> io::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let resident = resident(&status).ok_or_else(|| {
            io::Error::other("/proc/self/status has no VmRSS: the soak needs Linux")
        })?;
        let tasks = tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks();
        Ok(Self {
            resident,
            // One of them is the folder that is being read.
            descriptors: (fs::read_dir("/proc/self/fd")?.count() as u64).saturating_sub(1),
            tasks: tasks as u64,
        })
    }
}

fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_the_kernels_table() {
        let status = "Name:\tsoak\nVmRSS:\t   12345 kB\nRssAnon:\t 1 kB\n";
        assert_eq!(resident(status), Some(12_345));
        assert_eq!(resident("Name:\tsoak\n"), None);
    }
}
