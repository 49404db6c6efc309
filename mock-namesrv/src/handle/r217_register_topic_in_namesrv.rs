//! 217: a broker adds one topic. Answered 0 even if nothing comes of it.

use rmq_remoting::request::RegisterTopicInNamesrv;
use rmq_remoting::route::TopicRouteData;
use rmq_remoting::service::Response;

use super::{Ask, Fault, success};

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    let header: RegisterTopicInNamesrv<'_> = ask.request.header()?;
    if !ask.request.body.is_empty() {
        let route = TopicRouteData::decode(&ask.request.body)?;
        let topic = header.topic.into();
        let added = ask
            .tables
            .register_topic(ask.channel, &topic, &route.queue_datas);
        ask.changes = added.ok_or(Fault::TooMuch)?;
    }
    Ok(success())
}
