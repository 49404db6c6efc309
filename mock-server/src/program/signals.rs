//! What people and process managers tell a server: to stop, or to read its rules again.

/// What the operating system tells this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// To stop: ctrl-c or SIGTERM.
    Stop,
    /// To read its rules again: SIGHUP.
    Reload,
}

/// The signals that people and process managers send. They are listened to before the port opens:
/// an unexpected one never kills a process that serves.
#[cfg(unix)]
#[derive(Debug)]
pub struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Begins to listen; from now on a signal waits to be asked for.
    ///
    /// # Errors
    ///
    /// The operating system lets no signal be listened to; the text is for people.
    pub fn listen() -> Result<Self, String> {
        use tokio::signal::unix::{SignalKind, signal};
        let on = |kind| signal(kind).map_err(|error| format!("no signals can be heard: {error}"));
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Told {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.terminate.recv() => Told::Stop,
            _ = self.hangup.recv() => Told::Reload,
        }
    }
}

/// Where there are no signals: ctrl-c.
#[cfg(not(unix))]
#[derive(Debug)]
pub struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// Nothing is to be prepared for ctrl-c.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "as where there are signals, which can fail"
    )]
    pub fn listen() -> Result<Self, String> {
        Ok(Self)
    }

    /// Waits until ctrl-c is pressed.
    pub async fn next(&mut self) -> Told {
        if tokio::signal::ctrl_c().await.is_err() {
            // Nobody can ask it to stop in this way; it serves until it is ended in another.
            std::future::pending::<()>().await;
        }
        Told::Stop
    }
}
