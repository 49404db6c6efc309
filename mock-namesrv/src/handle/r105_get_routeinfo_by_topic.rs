//! 105: a client asks which brokers serve a topic.

use rmq_remoting::code::response;
use rmq_remoting::route::RouteForm;
use rmq_remoting::service::Response;

use super::{Ask, Fault, group_texts, must_fit, success};
use crate::tables::{RouteAlteration, Zone};

/// Clients from this version on (4.9.4) are answered in legal JSON.
const STANDARD_JSON_SINCE: i32 = 401;

pub(super) fn handle(ask: &mut Ask<'_>) -> Result<Response, Fault> {
    let ext = &ask.request.ext;
    // A request without a topic is no exception here: it asks for the topic "null".
    let topic = ext.get("topic").unwrap_or("null");
    let zoned = ext.flag("__ZONE_MODE") == Some(true);
    let zone = ext
        .get("__ZONE_NAME")
        .filter(|name| zoned && !name.trim().is_empty())
        .map(Zone);
    let route = ask.tables.route(topic, zone).and_then(|mut route| {
        let alteration = ask.alteration;
        let stays = alteration.is_none_or(|alteration| alteration.apply(&mut route));
        stays.then_some(route)
    });
    let Some(route) = route else {
        let remark = format!(
            "No topic route info in name server for the topic: {topic}\n\
             See {} for further details.",
            ask.profile.help_url()
        );
        return Ok(Response::refuse(response::TOPIC_NOT_EXIST, remark));
    };
    must_fit(route.broker_datas.iter().map(group_texts))?;
    let standard = ask.request.version >= STANDARD_JSON_SINCE
        || ext.flag("acceptStandardJsonOnly") == Some(true);
    // A route that was filtered by zone is written anew, in the legacy form for every client.
    let form = if standard && zone.is_none() {
        RouteForm::Standard
    } else {
        RouteForm::Legacy
    };
    let body = match ask.alteration {
        Some(RouteAlteration::Odd { form }) => form.encode(&route),
        _ => route.encode(form),
    };
    Ok(success().body(body))
}
