//! 103: a broker registers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rmq_remoting::body::{self, BodyError};
use rmq_remoting::code::response;
use rmq_remoting::request::r103_register_broker::TopicConfigWrapper;
use rmq_remoting::request::{RegisterBroker, RegisterBrokerBody, RegisterBrokerResponse};
use rmq_remoting::service::Response;

use super::{Ask, Fault, success};
use crate::tables::{Channel, ORDER_TOPICS, Registered, Registration};

/// What the broker on each connection last said of its topics, as written and as read. It repeats
/// itself every few seconds, and the same bytes need not be read twice.
#[derive(Debug, Default)]
pub(crate) struct Said(BTreeMap<Channel, Remembered>);

#[derive(Debug)]
struct Remembered {
    written: Bytes,
    compressed: bool,
    read: Arc<TopicConfigWrapper>,
}

impl Said {
    /// Reads a body.
    fn read(
        &mut self,
        channel: Channel,
        written: &Bytes,
        compressed: bool,
    ) -> Result<Arc<TopicConfigWrapper>, BodyError> {
        if let Some(last) = self.0.get(&channel)
            && (last.compressed, &last.written) == (compressed, written)
        {
            return Ok(Arc::clone(&last.read));
        }
        let body = RegisterBrokerBody::decode(written, compressed)?;
        let read = Arc::new(body.topic_config_serialize_wrapper);
        let remembered = Remembered {
            // A slice would keep all that was received with it.
            written: Bytes::copy_from_slice(written),
            compressed,
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

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    let header: RegisterBroker<'_> = ask.request.header()?;
    let checksum = header.body_crc32.unwrap_or(0);
    if checksum != 0 && checksum != body::checksum(&ask.request.body) {
        return Ok(Response::refuse(response::SYSTEM_ERROR, "crc32 not match"));
    }
    let body = if ask.request.body.is_empty() {
        Arc::default()
    } else {
        ask.said
            .read(ask.channel, &ask.request.body, header.compressed)?
    };
    let timeout = header
        .heartbeat_timeout_millis
        .and_then(|millis| u64::try_from(millis).ok());
    let registration = Registration {
        cluster: header.cluster_name.into(),
        broker: header.broker_name.into(),
        address: header.broker_addr.into(),
        id: header.broker_id,
        ha_address: header.ha_server_addr.unwrap_or_default().into(),
        timeout: timeout.map(Duration::from_millis),
        acting_master: header.enable_acting_master,
        zone: header.zone_name.map(Into::into),
        channel: ask.channel,
        body,
    };
    let master = match ask.tables.register(&registration, ask.now) {
        Registered::Accepted { master, changes } => {
            ask.changes = changes;
            master
        }
        Registered::Ignored => None,
        Registered::Refused => {
            return Ok(Response::refuse(
                response::SYSTEM_ERROR,
                "register broker failed",
            ));
        }
    };
    let (master_addr, ha_server_addr) = master.unzip();
    let answer = success().header(RegisterBrokerResponse {
        ha_server_addr: ha_server_addr.map(|address| address.to_string().into()),
        master_addr: master_addr.map(|address| address.to_string().into()),
    });
    Ok(match ask.tables.kv.list(ORDER_TOPICS) {
        Some(table) => answer.body(body::to_json(&table)),
        None => answer,
    })
}
