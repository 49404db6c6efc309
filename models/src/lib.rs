//! Models of the hand-written locks: what many tasks do to them at once, over the schedules that
//! [shuttle] chooses.
//!
//! The sources are copied at build time, word for word, into a module per *variant*: `sound` has
//! them as they are, each other one with a mutation that a model must reject (`build.rs` has the
//! list). Locks are those of `lock`, where each is a place at which another task may run;
//! `tokio`'s `Notify` is the real one and counts as one step.
//!
//! | model | what runs at once | what must hold |
//! |---|---|---|
//! | write buffer | two senders that wait for room, the connection's task | every byte leaves, once; nobody sleeps for ever |
//! | calls | two callers, the peer's answers, two that end the connection | each call ends once, answered or lost; the table is empty then |
//! | dial | two that wait, the dial's success, somebody who gives it up | one of both counts; all who wait are told the same |
//! | tasks | two that start tasks, one that closes | no task outlives the close |
//! | life | two senders, a stop, somebody who waits for the close | the stop sees the last send leave |
//! | single flight | three that want one result | one does the work at a time; all get a result |
//!
//! What is not here: the deadline timer belongs to one task alone; permits are tokio's own semaphores; the
//! registry of connections is one lock, each of whose operations is one critical section.
//!
//! An archive of this package has no sources of the other crates beside it, and so no models: what is
//! below is empty there.
//!
//! [shuttle]: https://docs.rs/shuttle

// The sources under model ask for this crate.
extern crate self as parking_lot;

mod lock;

pub use lock::{Mutex, MutexGuard};

/// A variant's modules: copies of sources under their own paths, and the models beside them.
#[cfg(sources)]
macro_rules! variant {
    ($name:ident) => {
        #[expect(
            dead_code,
            unreachable_pub,
            reason = "a source has more than its model needs, and its own crate shows some of it"
        )]
        mod $name {
            use rmq_remoting::{command, event, frame, observe, opening};

            variant!(@copy $name write_buffer "write_buffer.rs");
            variant!(@copy $name tasks "tasks.rs");
            variant!(@copy $name life "life.rs");
            variant!(@copy $name single_flight "single_flight.rs");

            pub(crate) mod client {
                variant!(@copy $name connection_handle "connection_handle.rs");
                variant!(@copy $name pending "pending.rs");
                variant!(@copy $name silence "silence.rs");
                variant!(@model calls "calls.rs");
                variant!(@model dial "dial.rs");
            }
            variant!(@model bytes_leave "write_buffer.rs");
            variant!(@model tasks_end "tasks.rs");
            variant!(@model sends_leave "life.rs");
            variant!(@model one_flight "single_flight.rs");
        }
    };
    (@copy $variant:ident $name:ident $file:literal) => {
        pub(crate) mod $name {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($variant), "/", $file));
        }
    };
    (@model $name:ident $file:literal) => {
        pub(crate) mod $name {
            include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/model/", $file));
        }
    };
}

/// A model: a function to be run under many schedules. It panics, or shuttle finds a deadlock.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// The variant and the model.
    pub name: &'static str,
    /// Plays the model once, under the schedule that shuttle chose.
    pub run: fn(),
}

#[cfg(sources)]
macro_rules! models {
    (sound { $($sound:path,)* } broken { $($variant:ident: $model:path,)* }) => {
        variant!(sound);
        $(variant!($variant);)*

        /// The models of the sources as they are.
        pub const SOUND: &[Model] = &[$(Model { name: stringify!($sound), run: $sound }),*];

        /// Mutations, each with the model that must reject it.
        pub const BROKEN: &[Model] = &[$(Model { name: stringify!($variant), run: $model }),*];
    };
}

#[cfg(sources)]
models! {
    sound {
        sound::bytes_leave::run,
        sound::client::calls::run,
        sound::client::dial::run,
        sound::tasks_end::run,
        sound::sends_leave::run,
        sound::one_flight::run,
    }
    broken {
        a_write_buffer_sleeps_over_bytes: a_write_buffer_sleeps_over_bytes::bytes_leave::run,
        a_write_buffer_tells_nobody_of_room: a_write_buffer_tells_nobody_of_room::bytes_leave::run,
        an_answer_wakes_nobody: an_answer_wakes_nobody::client::calls::run,
        a_call_waits_on_a_connection_that_has_ended:
            a_call_waits_on_a_connection_that_has_ended::client::calls::run,
        a_connection_ends_twice: a_connection_ends_twice::client::calls::run,
        a_dial_that_is_given_up_tells_nobody: a_dial_that_is_given_up_tells_nobody::client::dial::run,
        a_task_starts_after_the_end: a_task_starts_after_the_end::tasks_end::run,
        the_last_send_tells_nobody: the_last_send_tells_nobody::sends_leave::run,
        two_flights_at_once: two_flights_at_once::one_flight::run,
        a_result_comes_unseen: a_result_comes_unseen::one_flight::run,
    }
}

/// No sources, no models.
#[cfg(not(sources))]
pub const SOUND: &[Model] = &[];

/// No sources, no mutations.
#[cfg(not(sources))]
pub const BROKEN: &[Model] = &[];
