//! The rows.

mod bytes;
mod closing;
mod dialling;
mod network;
mod processes;

use rmq_host::BoxFuture;

use crate::stage::{Notes, Stage};

/// Where a row can be played on a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the loop-back interface.
    Loop,
    /// Between network namespaces that a router joins.
    Network,
}

/// One row of the table: a situation that is played on a kernel and on the engines.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    /// `tcp_retries2`, if not the default.
    pub(crate) retries: Option<u32>,
    /// The length of the accept queue, if not the default.
    pub(crate) backlog: Option<usize>,
    pub(crate) play: for<'a> fn(&'a dyn Stage) -> BoxFuture<'a, Notes>,
}

impl Row {
    fn on_loop(
        name: &'static str,
        play: for<'a> fn(&'a dyn Stage) -> BoxFuture<'a, Notes>,
    ) -> Self {
        Self {
            name,
            place: Place::Loop,
            retries: None,
            backlog: None,
            play,
        }
    }

    fn on_network(
        name: &'static str,
        play: for<'a> fn(&'a dyn Stage) -> BoxFuture<'a, Notes>,
    ) -> Self {
        Self {
            place: Place::Network,
            ..Self::on_loop(name, play)
        }
    }
}

/// A list of rows from a list of functions.
macro_rules! rows {
    ($make:ident: $($name:ident),* $(,)?) => {
        vec![$($crate::rows::Row::$make(stringify!($name), |stage| Box::pin($name(stage)))),*]
    };
}
use rows;

/// All rows, in the order of the table.
pub(crate) fn all() -> Vec<Row> {
    let parts = [
        dialling::rows(),
        bytes::rows(),
        closing::rows(),
        processes::rows(),
        network::rows(),
    ];
    parts.into_iter().flatten().collect()
}
