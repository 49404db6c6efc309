//! The presets: what four clients do, each as one value with every field written out.
//!
//! A field that is added to [`Policy`](super::Policy) has to be decided for each of them; the compiler
//! asks for it. Two files side by side are the list of what two clients do differently.

pub(super) mod go_2_1;
pub(super) mod java_4_9;
pub(super) mod java_5_3;
pub(super) mod strict;
