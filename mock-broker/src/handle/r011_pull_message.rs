//! 11: a consumer pulls. Here so that tools and tests can read back what was stored.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rmq_remoting::code::response;
use rmq_remoting::command::ExtFields;
use rmq_remoting::header::{EncodeHeader, FieldWriter, HeaderError};
use rmq_remoting::observe::Name;
use rmq_remoting::properties::{find, name};
use rmq_remoting::service::Response;
use rmq_remoting::topic::perm;
use tokio::time::{Instant, timeout_at};

use super::{Done, Fault, Handled, Job};
use crate::admit::{self, Refusal};
use crate::ledger::{Entry, Ledger};
use crate::state::Shared;

/// Bits of the header's `sysFlag`.
const MAY_WAIT: i32 = 2;
const SUBSCRIPTION_INLINE: i32 = 4;

/// At most so many messages and bytes, but always one message.
const MAX_MESSAGES: usize = 32;
const MAX_BYTES: usize = 256 * 1024;

/// One pull looks at so many messages at most, wanted or not.
const MAX_LOOKS: usize = 800;

/// The longest subscription, in bytes: what it becomes is kept as long as the pull is withheld.
const MAX_SUBSCRIPTION: usize = 32 * 1024;

/// No pull is withheld for longer, whatever it says.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What a consumer asks for.
#[derive(Debug, Clone)]
struct Wish {
    topic: Name,
    queue: i32,
    offset: i64,
    count: usize,
    flags: i32,
    patience: Duration,
    tags: Tags,
}

/// Which tags a consumer wants.
#[derive(Debug, Clone)]
enum Tags {
    All,
    Among(BTreeSet<Box<str>>),
}

impl Tags {
    fn of(subscription: &str) -> Self {
        if ["", "*"].contains(&subscription.trim()) {
            return Self::All;
        }
        let tags = subscription.split("||").map(|tag| tag.trim().into());
        Self::Among(tags.collect())
    }
}

impl Wish {
    fn read(ext: &ExtFields) -> Result<Self, HeaderError> {
        let patience: i64 = ext.number("suspendTimeoutMillis")?;
        let count: i32 = ext.number("maxMsgNums")?;
        Ok(Self {
            topic: ext.text("topic")?.into(),
            queue: ext.number("queueId")?,
            offset: ext.number("queueOffset")?,
            count: usize::try_from(count).unwrap_or(0).min(MAX_MESSAGES),
            flags: ext.number("sysFlag")?,
            patience: Duration::from_millis(u64::try_from(patience).unwrap_or(0)).min(LONGEST_WAIT),
            tags: Tags::of(ext.get("subscription").unwrap_or("*")),
        })
    }

    fn wants(&self, entry: &Entry) -> bool {
        let Tags::Among(wanted) = &self.tags else {
            return true;
        };
        let tag = std::str::from_utf8(&entry.properties)
            .ok()
            .and_then(|text| find(text, name::TAGS));
        tag.is_some_and(|tag| wanted.contains(tag))
    }
}

pub(super) fn handle(job: &Job<'_>) -> Result<Handled, Fault> {
    let subscription = job.request.ext.get("subscription").unwrap_or_default();
    if subscription.len() > MAX_SUBSCRIPTION {
        let remark = "parse the consumer's subscription failed";
        return Err(Refusal::new(response::SUBSCRIPTION_PARSE_FAILED, remark).into());
    }
    let wish = Wish::read(&job.request.ext)?;
    check(job, &wish)?;
    let answer = job.shared.disk.with_ledger(|ledger| look(ledger, &wish));
    if answer.code != response::PULL_NOT_FOUND || wish.flags & MAY_WAIT == 0 {
        return Ok(answer.into());
    }
    let shared = Arc::clone(job.shared);
    Ok(Handled::Later(Box::pin(wait(shared, wish))))
}

/// Withholds the answer until something arrives, or patience ends.
async fn wait(shared: Arc<Shared>, wish: Wish) -> Done {
    let until = Instant::now() + wish.patience;
    loop {
        let arrived = shared.arrivals.notified();
        let answer = shared.disk.with_ledger(|ledger| look(ledger, &wish));
        if answer.code != response::PULL_NOT_FOUND || timeout_at(until, arrived).await.is_err() {
            return Done::plain(answer);
        }
    }
}

/// Unlike a send, a pull looks at the topic's permission.
fn check(job: &Job<'_>, wish: &Wish) -> Result<(), Refusal> {
    let topic = &wish.topic;
    let profile = job.shared.config.profile;
    let known = job
        .shared
        .disk
        .with_topics(|topics| topics.get(topic).cloned());
    let Some(known) = known else {
        let mut refusal = admit::no_topic(topic, profile);
        refusal.remark = refusal.remark.replacen("!\n", "! \n", 1);
        return Err(refusal);
    };
    if known.perm & perm::READ == 0 {
        let remark = format!("the topic[{topic}] pulling message is forbidden");
        return Err(Refusal::new(response::NO_PERMISSION, remark));
    }
    if !(0..known.read_queue_nums).contains(&wish.queue) {
        let remark = format!(
            "queueId[{}] is illegal, topic:[{topic}] topicConfig.readQueueNums:[{}] consumer:[{}]",
            wish.queue,
            known.read_queue_nums,
            job.peer.address(),
        );
        return Err(Refusal::new(profile.invalid_parameter(), remark));
    }
    if wish.flags & SUBSCRIPTION_INLINE == 0 {
        let remark = format!(
            "the consumer's group info not exist\nSee {} for further details.",
            profile.help_url()
        );
        return Err(Refusal::new(response::SUBSCRIPTION_NOT_EXIST, remark));
    }
    Ok(())
}

/// What the queue holds from the wished offset on.
fn look(ledger: &Ledger, wish: &Wish) -> Response {
    let max = ledger.next_offset(&wish.topic, wish.queue);
    let status = |code, remark, next| (code, remark, next, BytesMut::new());
    let (code, remark, next, body) = match usize::try_from(wish.offset) {
        _ if max == 0 && wish.offset == 0 => {
            status(response::PULL_NOT_FOUND, "NO_MESSAGE_IN_QUEUE", 0)
        }
        _ if max == 0 => status(response::PULL_OFFSET_MOVED, "NO_MESSAGE_IN_QUEUE", 0),
        Err(_) => status(response::PULL_OFFSET_MOVED, "OFFSET_TOO_SMALL", 0),
        Ok(_) if wish.offset == max => status(response::PULL_NOT_FOUND, "OFFSET_OVERFLOW_ONE", max),
        Ok(_) if wish.offset > max => {
            status(response::PULL_OFFSET_MOVED, "OFFSET_OVERFLOW_BADLY", max)
        }
        Ok(from) => collect(ledger, wish, from),
    };
    Response::refuse(code, remark)
        .header(PullResponse { next, max })
        .body(body.freeze())
}

fn collect(ledger: &Ledger, wish: &Wish, from: usize) -> (i32, &'static str, i64, BytesMut) {
    let mut body = BytesMut::new();
    let mut count = 0;
    let mut next = wish.offset;
    let entries = ledger.of_queue(&wish.topic, wish.queue, from);
    for entry in entries.take(MAX_LOOKS) {
        let full = count >= wish.count || body.len() + entry.record_size() > MAX_BYTES;
        if full && count > 0 {
            break;
        }
        next = entry.offset + 1;
        if wish.wants(entry) && entry.record().encode(&mut body).is_ok() {
            count += 1;
        }
    }
    if count == 0 {
        return (
            response::PULL_RETRY_IMMEDIATELY,
            "NO_MATCHED_MESSAGE",
            next,
            body,
        );
    }
    (response::SUCCESS, "FOUND", next, body)
}

/// The custom fields of every answer that looked at a queue.
struct PullResponse {
    next: i64,
    max: i64,
}

impl EncodeHeader for PullResponse {
    fn write(&self, fields: &mut dyn FieldWriter) {
        fields.int("suggestWhichBrokerId", 0);
        fields.int("nextBeginOffset", self.next);
        fields.int("minOffset", 0);
        fields.int("maxOffset", self.max);
        fields.int("topicSysFlag", 0);
        fields.int("groupSysFlag", 0);
    }
}
