//! The halves of a stream, borrowed and owned, in the shape of Tokio's.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::stream::{StreamEnd, TcpStream, reads_from_end, writes_to_end};

/// The borrowed half of a [`TcpStream`] that reads.
#[derive(Debug)]
pub struct ReadHalf<'s>(pub(super) &'s StreamEnd);

/// The borrowed half of a [`TcpStream`] that writes.
#[derive(Debug)]
pub struct WriteHalf<'s>(pub(super) &'s StreamEnd);

/// The owned half of a [`TcpStream`] that reads.
#[derive(Debug)]
pub struct OwnedReadHalf(pub(super) Arc<StreamEnd>);

/// The owned half of a [`TcpStream`] that writes. Dropping it sends FIN.
#[derive(Debug)]
pub struct OwnedWriteHalf {
    end: Arc<StreamEnd>,
    /// Whether the stream goes on without it.
    kept_open: bool,
}

/// Two halves that are not of one stream. They are in it.
#[derive(Debug, thiserror::Error)]
#[error("the halves are of two streams")]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl OwnedReadHalf {
    /// Makes the two halves one stream again.
    ///
    /// # Errors
    ///
    /// They are of two streams.
    pub fn reunite(self, other: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        if !Arc::ptr_eq(&self.0, &other.end) {
            return Err(ReuniteError(self, other));
        }
        other.forget();
        Ok(TcpStream { end: self.0 })
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::local_addr`].
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0.local)
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::local_addr`].
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0.peer)
    }
}

impl OwnedWriteHalf {
    pub(super) fn new(end: Arc<StreamEnd>) -> Self {
        Self {
            end,
            kept_open: false,
        }
    }

    /// Drops the half and leaves the stream open: no FIN is sent.
    pub fn forget(mut self) {
        self.kept_open = true;
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::local_addr`].
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.end.local)
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::local_addr`].
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.end.peer)
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if !self.kept_open {
            self.end.end_writing();
        }
    }
}

reads_from_end!(ReadHalf<'_>, 0);
writes_to_end!(WriteHalf<'_>, 0);
reads_from_end!(OwnedReadHalf, 0);
writes_to_end!(OwnedWriteHalf, end);
