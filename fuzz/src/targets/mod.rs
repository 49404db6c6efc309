//! The target functions, and what several of them need.

pub(crate) mod batch;
pub(crate) mod bodies;
pub(crate) mod ext_fields;
pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod ids;
pub(crate) mod properties;
pub(crate) mod record;
pub(crate) mod registration;
pub(crate) mod route;
pub(crate) mod scenario;
pub(crate) mod sweep_file;
mod wire;
