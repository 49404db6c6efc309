//! What a program does with every request before it is written and with every answer.
//!
//! A signature for access control, a tenant's name, a measurement: things that concern each request
//! and none in particular. Hooks are called in their order, once for each request that is written,
//! retries, heartbeats and lookups included. Without hooks a request is encoded as it is, and
//! nothing is allocated for it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::command::{Command, HeaderForm};
use crate::header::{EncodeHeader, FieldWriter, Request};
use crate::observe::Name;

/// Sees every request and every answer of a client.
///
/// Both calls happen within the sending task: a hook that blocks holds up this request, and others
/// of the same thread.
pub trait RpcHook: fmt::Debug + Send + Sync {
    /// A request is about to be written to the server at `to`. What is added to `fields` travels
    /// with it; `request` shows what earlier hooks have added.
    ///
    /// # Errors
    /// The request must not be sent. The call that made it fails with this error.
    fn before(
        &self,
        to: &Name,
        request: &dyn Request,
        fields: &mut ExtraFields,
    ) -> Result<(), HookError>;

    /// The server has answered, whatever it says. Not called for a request that nobody waits for,
    /// or that ended without an answer.
    fn after(&self, to: &Name, request: &dyn Request, answer: &Command) {
        let _ = (to, request, answer);
    }
}

/// Why a hook does not let a request go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HookError(pub String);

/// Custom fields that hooks add to a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtraFields(Vec<(String, String)>);

impl ExtraFields {
    /// Adds a field. A server reads the last one of a name.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// The custom fields that a request has now, in the order in which they are written. For hooks
    /// that must know all of them, like a signature.
    pub fn of(request: &dyn Request) -> Self {
        let mut all = Self::default();
        request.write(&mut all);
        all
    }

    /// The fields' names and values, in the order in which they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FieldWriter for ExtraFields {
    fn form(&self) -> HeaderForm {
        HeaderForm::Json
    }

    fn open(&mut self) {}

    fn str(&mut self, name: &str, value: &str) {
        self.push(name, value);
    }

    fn int(&mut self, name: &str, value: i64) {
        self.push(name, value.to_string());
    }
}

/// A request with what hooks have added to it.
pub(super) struct Hooked<'a> {
    request: &'a dyn Request,
    extra: ExtraFields,
}

impl EncodeHeader for Hooked<'_> {
    fn write(&self, fields: &mut dyn FieldWriter) {
        self.request.write(fields);
        if !self.extra.0.is_empty() {
            fields.open();
        }
        for (name, value) in self.extra.iter() {
            fields.str(name, value);
        }
    }
}

impl Request for Hooked<'_> {
    fn code(&self) -> i32 {
        self.request.code()
    }

    fn body(&self) -> &[u8] {
        self.request.body()
    }
}

/// Asks the hooks what they add to a request. One that panics refuses it.
pub(super) fn before<'a>(
    hooks: &[Arc<dyn RpcHook>],
    to: &Name,
    request: &'a dyn Request,
) -> Result<Hooked<'a>, HookError> {
    let extra = ExtraFields::default();
    let mut hooked = Hooked { request, extra };
    for hook in hooks {
        let mut more = ExtraFields::default();
        let asked = || hook.before(to, &hooked, &mut more);
        catch_unwind(AssertUnwindSafe(asked))
            .unwrap_or_else(|_| Err(HookError(format!("{hook:?} panicked"))))?;
        hooked.extra.0.append(&mut more.0);
    }
    Ok(hooked)
}

/// Shows the hooks an answer. One that panics is left alone: the answer has come.
pub(super) fn after(
    hooks: &[Arc<dyn RpcHook>],
    to: &Name,
    request: &dyn Request,
    answer: &Command,
) {
    for hook in hooks {
        let shown = catch_unwind(AssertUnwindSafe(|| hook.after(to, request, answer)));
        if shown.is_err() {
            tracing::error!(?hook, "an RPC hook panicked at an answer");
        }
    }
}
