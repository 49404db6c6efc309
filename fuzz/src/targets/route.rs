//! Routes: what a name server says of a topic, and what a producer makes of it.

use rmq_remoting::route::{RouteForm, TopicRouteData};

/// The dialects of JSON that a route is written in.
const FORMS: [RouteForm; 2] = [RouteForm::Legacy, RouteForm::Standard];

/// A route that was read is written in both dialects and read again, the same; and no part of it
/// takes less than its share of the input.
///
/// # Panics
///
/// What the target checks does not hold: the fuzzer takes the panic as a find.
pub fn route(data: &[u8]) {
    let Ok(route) = TopicRouteData::decode(data) else {
        return;
    };
    let brokers = &route.broker_datas;
    let addresses: usize = brokers.iter().map(|broker| broker.broker_addrs.len()).sum();
    let parts = brokers.len() + addresses + route.queue_datas.len();
    assert!(parts <= data.len(), "{parts} parts of {} bytes", data.len());
    for form in FORMS {
        let bytes = route.encode(form);
        // A letter becomes at most two escapes of six bytes, a member at most its default.
        let most = 512 + 12 * data.len() + 256 * parts;
        assert!(bytes.len() <= most, "a route of {} bytes", bytes.len());
        let again = TopicRouteData::decode(&bytes);
        assert_eq!(again.ok().as_ref(), Some(&route), "{form:?}");
    }
}
