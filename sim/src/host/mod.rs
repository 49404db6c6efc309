//! The machines of the laboratory: one host for each engine, behind the seam of
//! [`rmq_remoting::host`].

pub mod event;
