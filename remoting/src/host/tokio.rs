//! The production host.

/// The machine a production process runs on.
#[derive(Debug)]
pub struct TokioHost;
