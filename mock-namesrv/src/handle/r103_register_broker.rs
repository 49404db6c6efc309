//! 103: a broker registers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rmq_remoting::body::{self, BodyError};
use rmq_remoting::code::response;
use rmq_remoting::command::Command;
use rmq_remoting::request::{RegisterBroker, RegisterBrokerResponse, RegisteredTopics};
use rmq_remoting::service::Response;

use super::{Ask, Fault, must_fit, pairs, success};
use crate::tables::{Channel, ORDER_TOPICS, Registered, Registration};

/// A body larger than this is read anew each time instead of being remembered.
const MAX_REMEMBERED: usize = 1 << 20;

/// No broker may be silent for longer than this, whatever it states.
const LONGEST_SILENCE: Duration = Duration::from_secs(365 * 24 * 3600);

/// What the broker on each connection last said of its topics, as written and as read. It repeats
/// itself every few seconds, and the same bytes need not be read twice.
#[derive(Debug, Default)]
pub(crate) struct Said(BTreeMap<Channel, Remembered>);

#[derive(Debug)]
struct Remembered {
    written: Bytes,
    form: Form,
    read: Arc<RegisteredTopics>,
}

/// How a body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    compressed: bool,
    version: i32,
}

impl Said {
    /// Reads the body of a registration, unless the connection sent the same one last.
    fn read(
        &mut self,
        channel: Channel,
        written: &Bytes,
        form: Form,
    ) -> Result<Arc<RegisteredTopics>, BodyError> {
        if let Some(last) = self.0.get(&channel)
            && (last.form, &last.written) == (form, written)
        {
            return Ok(Arc::clone(&last.read));
        }
        let read = RegisteredTopics::decode(written, form.compressed, form.version)?;
        let read = Arc::new(read);
        if written.len() > MAX_REMEMBERED {
            self.0.remove(&channel);
            return Ok(read);
        }
        let remembered = Remembered {
            // A slice would keep all that was received with it.
            written: Bytes::copy_from_slice(written),
            form,
            read: Arc::clone(&read),
        };
        self.0.insert(channel, remembered);
        Ok(read)
    }

    /// Forgets a connection that has ended.
    pub(crate) fn forget(&mut self, channel: Channel) {
        self.0.remove(&channel);
    }
}

/// What a broker says of itself.
fn registration(
    header: &RegisterBroker<'_>,
    channel: Channel,
    body: Arc<RegisteredTopics>,
) -> Registration {
    // A limit that has passed before it began ends with the next search, as at a real server.
    let limit = |millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    Registration {
        cluster: header.cluster_name.into(),
        broker: header.broker_name.into(),
        address: header.broker_addr.into(),
        id: header.broker_id,
        ha_address: header.ha_server_addr.unwrap_or_default().into(),
        timeout: header
            .heartbeat_timeout_millis
            .map(|millis| limit(millis).min(LONGEST_SILENCE)),
        acting_master: header.enable_acting_master,
        zone: header.zone_name.map(Into::into),
        channel,
        body,
    }
}

fn topics(ask: &mut Ask<'_>, compressed: bool) -> Result<Arc<RegisteredTopics>, BodyError> {
    let Command { body, version, .. } = ask.request;
    if body.is_empty() {
        return Ok(Arc::default());
    }
    let form = Form {
        compressed,
        version: *version,
    };
    ask.said.read(ask.channel, body, form)
}

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    let header: RegisterBroker<'_> = ask.request.header()?;
    let checksum = header.body_crc32.unwrap_or(0);
    if checksum != 0 && checksum != body::checksum(&ask.request.body) {
        return Ok(Response::refuse(response::SYSTEM_ERROR, "crc32 not match"));
    }
    let body = topics(ask, header.compressed)?;
    let registration = registration(&header, ask.channel, body);
    let refused = |remark| Ok(Response::refuse(response::SYSTEM_ERROR, remark));
    let master = match ask.tables.register(&registration, ask.now) {
        Registered::Accepted { master, changes } => {
            ask.changes = changes;
            master
        }
        Registered::Ignored => None,
        Registered::Refused => return refused("register broker failed"),
        Registered::TooMuch => return Err(Fault::TooMuch),
    };
    let (master_addr, ha_server_addr) = master.unzip();
    let answer = success().header(RegisterBrokerResponse {
        ha_server_addr: ha_server_addr.map(|address| address.to_string().into()),
        master_addr: master_addr.map(|address| address.to_string().into()),
    });
    Ok(match ask.tables.kv.list(ORDER_TOPICS) {
        Some(table) => {
            must_fit(pairs(table))?;
            answer.body(body::to_json(&table))
        }
        None => answer,
    })
}
