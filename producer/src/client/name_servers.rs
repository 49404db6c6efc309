//! The list of name servers in force, and which of them is asked first.
//!
//! The list may be replaced while lookups go through it, so whoever goes through it holds a value
//! that never changes and can tell whether it is still the one in force.

use std::sync::Arc;

use parking_lot::Mutex;
use rmq_remoting::observe::Name;

use crate::decide::name_server;
use crate::error::StartError;

/// The name servers of a client, and which one it asks first.
#[derive(Debug)]
pub(crate) struct NameServerList {
    state: Mutex<Listed>,
}

/// The list in force. A new list is a new value, so who holds an old one can tell.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) servers: Arc<[Name]>,
    /// The place of the server that is asked first.
    pub(crate) current: usize,
}

impl NameServerList {
    pub(crate) fn new(servers: Arc<[Name]>, first: usize) -> Self {
        let current = first % servers.len().max(1);
        let state = Mutex::new(Listed { servers, current });
        Self { state }
    }

    pub(crate) fn servers(&self) -> Arc<[Name]> {
        Arc::clone(&self.state.lock().servers)
    }

    pub(crate) fn listed(&self) -> Listed {
        self.state.lock().clone()
    }

    /// This one of the list answered with a route, or is the next one to try.
    pub(crate) fn prefer(&self, servers: &Arc<[Name]>, index: usize) {
        let mut state = self.state.lock();
        if Arc::ptr_eq(&state.servers, servers) {
            state.current = index;
        }
    }

    /// Puts another list in force, and tells which servers have left it; nothing if it has the same
    /// servers. `drawn` chooses the first server if the one asked so far has left.
    pub(crate) fn replace(&self, servers: Arc<[Name]>, drawn: u64) -> Option<Vec<Name>> {
        let mut state = self.state.lock();
        if !name_server::differs(&state.servers, &servers) {
            return None;
        }
        let asked = state.servers.get(state.current);
        let current = name_server::first_of_new(asked, &servers, drawn);
        let old = std::mem::replace(&mut *state, Listed { servers, current });
        let gone = |server: &&Name| !state.servers.contains(server);
        Some(old.servers.iter().filter(gone).cloned().collect())
    }
}

/// The servers of a list as a program writes it.
pub(crate) fn read(text: &str) -> Result<Arc<[Name]>, StartError> {
    let listed = name_server::list(text).map_err(StartError::NameServer)?;
    if listed.is_empty() {
        return Err(StartError::NoNameServer);
    }
    Ok(listed.into_iter().map(Name::from).collect())
}
