//! 10, 310 and 320: a message under long field names, one under one-letter names, and usually several
//! messages. Not the code but a field of the header decides whether a body is a batch.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use rmq_remoting::batch;
use rmq_remoting::code::{request, response};
use rmq_remoting::command::Command;
use rmq_remoting::header::HeaderError;
use rmq_remoting::message::{COMPRESSED, TRANSACTION_MASK};
use rmq_remoting::observe::Name;
use rmq_remoting::offset_id::OffsetId;
use rmq_remoting::properties::{find, name};
use rmq_remoting::request::{
    SendBatchMessage, SendMessage, SendMessageResponse, SendMessageV2, SendRefusal,
};
use rmq_remoting::service::Response;
use rmq_remoting::topic::TopicConfig;

use super::{Done, Fault, Handled, Job, Sending, success};
use crate::admit::{self, MAX_BODY, MAX_PROPERTIES, Refusal};
use crate::event::Event;
use crate::feature::{NotANumber, feature};
use crate::ledger::Entry;
use crate::retry::dead_letters;
use crate::stored_properties::{self, Keys, REGION};
use crate::topic::{RETRY_PREFIX, Wanted};

/// What a batch may become in the store. Its records repeat the properties of the whole, so that a
/// body of 4 MiB could become gigabytes.
const MAX_STORED_BATCH: usize = 64 << 20;

/// What a record takes beside its texts, roughly.
const RECORD: usize = 256;

/// Reads the header of a request that sends, under the names that its code has.
pub(crate) fn send_header(request: &Command) -> Option<Result<SendMessage<'_>, HeaderError>> {
    match request.code {
        request::SEND_MESSAGE => Some(request.header()),
        request::SEND_MESSAGE_V2 => Some(request.header().map(|SendMessageV2(header)| header)),
        request::SEND_BATCH_MESSAGE => {
            Some(request.header().map(|SendBatchMessage(header)| header))
        }
        _ => None,
    }
}

/// Accepts or refuses what a request sends.
pub(super) fn handle(job: &Job<'_>) -> Result<Handled, Fault> {
    let (sending, header) = read(job)?;
    if job.request.body.is_empty() {
        return Err(Fault::Exception("java.lang.NullPointerException"));
    }
    match find_topic(job, header) {
        Ok(Found::Known(topic)) => accept(job, sending, header, &topic).or_else(refused),
        Ok(Found::Made(topic)) => Ok(announced(job, topic, accept)),
        Err(fault) => refused(fault),
    }
}

fn read<'a>(job: &'a Job<'_>) -> Result<(&'a Sending<'a>, &'a SendMessage<'a>), Fault> {
    let sending = job
        .sending
        .as_ref()
        .ok_or(Fault::Exception("java.lang.NullPointerException"))?;
    match &sending.header {
        Ok(header) => Ok((sending, header)),
        Err(error) => Err(error.clone().into()),
    }
}

/// A check's refusal is an answer with two fields of its own; anything else is an exception.
fn refused(fault: Fault) -> Result<Handled, Fault> {
    match fault {
        Fault::Refused(Refusal { code, remark }) => {
            let header = SendRefusal {
                region: REGION.into(),
                trace_on: true,
            };
            Ok(Response::refuse(code, remark).header(header).into())
        }
        other => Err(other),
    }
}

enum Found {
    Known(TopicConfig),
    Made(TopicConfig),
}

/// The topic of a send; makes it if a template allows that.
fn find_topic(job: &Job<'_>, header: &SendMessage<'_>) -> Result<Found, Fault> {
    let config = &job.shared.config;
    let topic = header.topic;
    admit::topic_name(topic, config.profile)?;
    admit::open_topic(topic)?;
    let mut contents = job.shared.disk.contents();
    let topics = contents.topics.get_or_insert_default();
    if let Some(known) = topics.get(topic) {
        return Ok(Found::Known(known.clone()));
    }
    let Some(template) = header.default_topic else {
        return Err(Fault::Exception("java.lang.NullPointerException"));
    };
    let wanted = Wanted {
        topic,
        template,
        queues: header.default_topic_queue_nums.unwrap_or(0),
        unit: header.unit_mode,
    };
    let made = topics.create(&wanted, config.auto_create, job.shared.host.unix_millis());
    drop(contents);
    let made = made.ok_or_else(|| admit::no_topic(topic, config.profile))?;
    job.shared.emit(Event::TopicCreated {
        topic: Name::clone(&made.topic_name),
        write_queues: made.write_queue_nums,
        automatic: true,
    });
    Ok(Found::Made(made))
}

/// What is done with a send once its topic is known.
type Accept = fn(&Job<'_>, &Sending<'_>, &SendMessage<'_>, &TopicConfig) -> Result<Handled, Fault>;

/// A new topic is made known before its first message is stored.
fn announced(job: &Job<'_>, topic: TopicConfig, then: Accept) -> Handled {
    let owned = job.to_owned();
    Handled::Later(Box::pin(async move {
        let registrar = std::sync::Arc::clone(&owned.job().shared.registrar);
        registrar.make_known(&topic).await;
        let job = owned.job();
        let accepted = read(&job).and_then(|(sending, header)| then(&job, sending, header, &topic));
        match accepted.or_else(refused) {
            Ok(handled) => handled.done().await,
            Err(fault) => Done::plain(fault.into()),
        }
    }))
}

/// Checks what depends on the topic, and stores.
fn accept(
    job: &Job<'_>,
    sending: &Sending<'_>,
    header: &SendMessage<'_>,
    topic: &TopicConfig,
) -> Result<Handled, Fault> {
    let shared = job.shared;
    admit::queue(
        header.queue_id,
        topic,
        job.peer.address(),
        shared.config.profile,
    )?;
    let queue = if header.queue_id < 0 {
        any_queue(job, sending, topic)?
    } else {
        header.queue_id
    };
    if header.batch {
        return store_batch(job, header, topic, queue).map(Handled::Now);
    }
    if let Some(dead) = dead_letters(header, job.request.version) {
        return bury(job, sending, header, &dead);
    }
    asks_for_nothing_else(job, header)?;
    store_one(job, sending, header, topic, queue).map(Handled::Now)
}

/// A message that asks for what is switched off here is refused, not stored as if it had not.
fn asks_for_nothing_else(job: &Job<'_>, header: &SendMessage<'_>) -> Result<(), Fault> {
    let shared = job.shared;
    let properties = header.properties.unwrap_or_default();
    let tried = header.reconsume_times.unwrap_or(0);
    let feature = feature(properties, tried, shared.config.profile)
        .map_err(|NotANumber| Fault::Exception("java.lang.NumberFormatException"))?;
    Ok(feature.switched_off(shared.advertised().ip())?)
}

/// Stores a message that was tried often enough with its group's dead letters. Its answer names the
/// queue it was sent to.
fn bury(
    job: &Job<'_>,
    sending: &Sending<'_>,
    header: &SendMessage<'_>,
    dead: &str,
) -> Result<Handled, Fault> {
    let mut contents = job.shared.disk.contents();
    let topics = contents.topics.get_or_insert_default();
    if let Some(known) = topics.get(dead) {
        let known = known.clone();
        drop(contents);
        return store_one(job, sending, header, &known, 0).map(Handled::Now);
    }
    let made = topics.create_dead_letters(dead, job.shared.host.unix_millis());
    drop(contents);
    job.shared.emit(Event::TopicCreated {
        topic: Name::clone(&made.topic_name),
        write_queues: made.write_queue_nums,
        automatic: true,
    });
    let store: Accept =
        |job, sending, header, topic| store_one(job, sending, header, topic, 0).map(Handled::Now);
    Ok(announced(job, made, store))
}

/// Any of the topic's queues: drawn by the message and its attempt, not by what came before it.
fn any_queue(job: &Job<'_>, sending: &Sending<'_>, topic: &TopicConfig) -> Result<i32, Fault> {
    let queues = u64::try_from(topic.write_queue_nums).unwrap_or(0);
    let key = sending.key.as_deref().unwrap_or_default();
    let message = u64::from(crc32fast::hash(key.as_bytes()));
    let position = message << 32 | u64::from(sending.nth_of_key);
    let drawn = job
        .shared
        .host
        .draw("any queue", position)
        .checked_rem(queues);
    drawn
        .and_then(|queue| i32::try_from(queue).ok())
        .ok_or(Fault::Exception("java.lang.ArithmeticException: / by zero"))
}

fn store_one(
    job: &Job<'_>,
    sending: &Sending<'_>,
    header: &SendMessage<'_>,
    topic: &TopicConfig,
    queue: i32,
) -> Result<Done, Fault> {
    let shared = job.shared;
    let sent = header.properties.unwrap_or_default();
    let now_ms = shared.host.unix_millis();
    let key = sending.key.clone().unwrap_or_else(|| {
        let counter = shared.counts.lock().made_key();
        shared.unique_ids.make(now_ms, counter).into()
    });
    let made = sending.key.is_none().then_some(&*key);
    let properties = stored_properties::stored(sent, &shared.config.cluster, made);
    admit::size(job.request.body.len(), properties.len())?;
    let message = Message {
        key: Name::clone(&key),
        flag: header.flag,
        body: job.request.body.clone(),
        properties,
    };
    let stored = append(job, header, topic, queue, vec![message]);
    Ok(done(job, queue, stored, Some(key)))
}

fn store_batch(
    job: &Job<'_>,
    header: &SendMessage<'_>,
    topic: &TopicConfig,
    queue: i32,
) -> Result<Done, Fault> {
    if header.topic.starts_with(RETRY_PREFIX) {
        let remark = format!(
            "batch request does not support retry group {}",
            header.topic
        );
        return Err(Refusal::new(response::MESSAGE_ILLEGAL, remark).into());
    }
    let batch = header.properties.unwrap_or_default();
    if header.sys_flag & TRANSACTION_MASK != 0 || find(batch, name::DELAY).is_some() {
        let remark = "batch request supports neither transactions nor delays";
        return Err(Refusal::new(response::MESSAGE_ILLEGAL, remark).into());
    }
    asks_for_nothing_else(job, header)?;
    let body = &job.request.body;
    if body.len() > MAX_BODY {
        let exception = "java.lang.RuntimeException: message body size exceeded";
        return Err(Fault::Exception(exception));
    }
    if batch.len() > MAX_PROPERTIES {
        let exception = "java.lang.RuntimeException: Properties size of messageExtBatch exceeded!";
        return Err(Fault::Exception(exception));
    }
    let items =
        batch::decode(body).map_err(|_| Fault::Exception("java.nio.BufferUnderflowException"))?;
    let batch_key = Keys::of(batch).unique;
    // Every record repeats what belongs to the whole batch.
    let records = items.len().saturating_mul(batch.len() + RECORD);
    if records.saturating_add(body.len()) > MAX_STORED_BATCH {
        return Err(Fault::Exception("java.lang.IndexOutOfBoundsException"));
    }
    let messages = items.iter().map(|item| Message {
        key: Keys::of(item.properties)
            .unique
            .or(batch_key)
            .unwrap_or_default()
            .into(),
        flag: item.flag,
        body: body.slice_ref(item.body),
        properties: stored_properties::stored_member(
            item.properties,
            batch,
            &job.shared.config.cluster,
        ),
    });
    let stored = append(job, header, topic, queue, messages.collect());
    Ok(done(job, queue, stored, batch_key.map(Name::from)))
}

/// One message as it goes into the ledger.
struct Message {
    key: Name,
    flag: i32,
    body: Bytes,
    properties: String,
}

/// What an answer tells of stored messages.
struct Stored {
    entries: Range<usize>,
    first_offset: i64,
    ids: String,
}

/// Stores messages one behind the other, all at once.
fn append(
    job: &Job<'_>,
    header: &SendMessage<'_>,
    topic: &TopicConfig,
    queue: i32,
    messages: Vec<Message>,
) -> Stored {
    let shared = job.shared;
    let at_ms = shared.host.unix_millis();
    let mut stored = Stored {
        entries: 0..0,
        first_offset: 0,
        ids: String::new(),
    };
    let mut events = Vec::with_capacity(messages.len());
    let mut contents = shared.disk.contents();
    for message in messages {
        let entry = Entry {
            key: message.key,
            topic: Name::clone(&topic.topic_name),
            queue,
            offset: 0,
            at_ms,
            answered: false,
            log_offset: 0,
            flag: message.flag,
            sys_flag: header.sys_flag,
            born_ms: header.born_timestamp,
            born_host: job.peer.address(),
            store_host: shared.advertised(),
            reconsume_times: header.reconsume_times.unwrap_or(0),
            body: message.body,
            properties: message.properties.into(),
        };
        let size = entry.record_size();
        let number = contents.ledger.append(entry, size);
        let entry = &contents.ledger.entries()[number];
        if stored.ids.is_empty() {
            stored.entries = number..number;
            stored.first_offset = entry.offset;
        } else {
            stored.ids.push(',');
        }
        stored.entries.end = number + 1;
        let id = OffsetId {
            host: entry.store_host,
            offset: entry.log_offset,
        };
        stored.ids.push_str(&id.to_string());
        events.push(stored_event(job, entry));
    }
    drop(contents);
    // Whoever hears of it may look at the disk, or change it.
    for event in events {
        shared.emit(event);
    }
    shared.arrivals.notify_waiters();
    stored
}

fn stored_event(job: &Job<'_>, entry: &Entry) -> Event {
    let compressed = entry.sys_flag & COMPRESSED != 0;
    Event::Stored {
        request: job.number,
        topic: Name::clone(&entry.topic),
        queue: entry.queue,
        offset: entry.offset,
        unique_key: Name::clone(&entry.key),
        body_crc: if compressed {
            0
        } else {
            crc32fast::hash(&entry.body)
        },
    }
}

/// The answer to a send that was stored.
fn done(job: &Job<'_>, queue: i32, stored: Stored, key: Option<Name>) -> Done {
    let key = key.filter(|_| job.shared.config.profile.answers_transaction_id());
    let header = SendMessageResponse {
        msg_id: Cow::Owned(stored.ids),
        queue_id: queue,
        queue_offset: stored.first_offset,
        transaction_id: key.map(|key| Cow::Owned(key.to_string())),
        batch_uniq_id: None,
        recall_handle: None,
        region: Some(Cow::Borrowed(REGION)),
        trace_on: Some(true),
    };
    Done {
        response: success().header(header),
        stored: Some(stored.entries),
    }
}
