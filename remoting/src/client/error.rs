//! Why a call failed, made by the client itself. What a server refuses is a response, not an error.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::hook::HookError;
use crate::event::{CloseCause, DialFailure};
use crate::frame::EncodeError;
use crate::observe::Name;
use crate::opening::BadFrame;

/// Why a call has no response.
#[derive(Debug, Clone, Error)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum CallError {
    /// There is no connection, and none could be opened in time. Nothing was sent.
    #[error("cannot connect to {to}")]
    Dial {
        /// The address that was called.
        to: Name,
        /// Why the dial failed, for code that decides by it.
        cause: DialFailure,
        /// Why, in the machine's words.
        source: Arc<io::Error>,
    },
    /// The request cannot be encoded. Nothing was sent.
    #[error("the request to {to} cannot be encoded")]
    Encode {
        /// The address that was called.
        to: Name,
        /// Why the request has no form on the wire.
        source: EncodeError,
    },
    /// The peer reads so slowly that the request found no room in the connection's buffer before
    /// its deadline. Nothing was sent.
    #[error("the request to {to} could not be written within {} ms: the peer does not read", after.as_millis())]
    Write {
        /// The address that was called.
        to: Name,
        /// How long the call waited.
        after: Duration,
    },
    /// A hook of the program did not let the request go. Nothing was sent.
    #[error("the request to {to} was refused by a hook")]
    Hook {
        /// The address that was called.
        to: Name,
        /// The error that the hook returned.
        source: HookError,
    },
    /// The connection ended before the answer came. The request may have been executed.
    #[error("the connection to {to} was lost: {cause}{}", in_brackets(found.as_deref()))]
    Lost {
        /// The address that was called.
        to: Name,
        /// What ended the connection.
        cause: CloseCause,
        /// What came that is no frame, or no whole one.
        found: Option<Arc<BadFrame>>,
    },
    /// No answer before the deadline. The request may have been executed.
    #[error("no answer from {to} within {} ms", after.as_millis())]
    TimedOut {
        /// The address that was called.
        to: Name,
        /// How long the call waited.
        after: Duration,
    },
    /// This client was stopped. Nothing was sent.
    #[error("the request to {to} was not sent: the client is stopped")]
    Stopped {
        /// The address that was called.
        to: Name,
    },
}

fn in_brackets(found: Option<&BadFrame>) -> String {
    found.map_or_else(String::new, |found| format!(" ({found})"))
}

/// How far a failed call got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallStage {
    /// It got no connection, so nothing was sent.
    Dial,
    /// A hook of the program refused it.
    Hook,
    /// The request could not be encoded, or was not written to the connection.
    Write,
    /// It was sent, or may have been, and the connection ended.
    Lost,
    /// It was sent and not answered in time.
    Silent,
    /// The client was stopped before.
    Stopped,
}

impl CallError {
    /// How far the call got.
    pub fn stage(&self) -> CallStage {
        match self {
            Self::Dial { .. } => CallStage::Dial,
            Self::Encode { .. } | Self::Write { .. } => CallStage::Write,
            Self::Hook { .. } => CallStage::Hook,
            Self::Lost { .. } => CallStage::Lost,
            Self::TimedOut { .. } => CallStage::Silent,
            Self::Stopped { .. } => CallStage::Stopped,
        }
    }

    /// The address that was called.
    pub fn to(&self) -> &Name {
        match self {
            Self::Dial { to, .. }
            | Self::Encode { to, .. }
            | Self::Write { to, .. }
            | Self::Hook { to, .. }
            | Self::Lost { to, .. }
            | Self::TimedOut { to, .. }
            | Self::Stopped { to } => to,
        }
    }
}
