//! Registrations: which topics a broker says it has. The first byte chooses the form.

use rmq_remoting::request::RegisterBrokerBody;

/// A registration that was read is written in both forms and read again, the same.
///
/// # Panics
///
/// What the target checks does not hold: the fuzzer takes the panic as a find.
pub fn registration(data: &[u8]) {
    let Some((form, body)) = data.split_first() else {
        return;
    };
    let compressed = form & 1 == 1;
    let Ok(read) = RegisterBrokerBody::decode(body, compressed) else {
        return;
    };
    let again = RegisterBrokerBody::decode(&read.encode(), false);
    assert_eq!(again.ok().map(looked_into), Some(looked_into(read.clone())));

    // The compressed form has fewer members: what it says it says twice alike. A name with a blank
    // in it, or another key than its topic's name, is one that its lines cannot hold.
    let Some(folded) = folded(&read) else {
        return;
    };
    let again = folded.encode_compressed().ok();
    let again = again.and_then(|packed| RegisterBrokerBody::decode(&packed, true).ok());
    assert_eq!(again, Some(folded));
}

/// A registration without what nobody looks into: the mappings of static topics are any JSON, and a
/// number in them may have more digits than a machine's.
fn looked_into(mut body: RegisterBrokerBody) -> RegisterBrokerBody {
    let wrapper = &mut body.topic_config_serialize_wrapper;
    let details = wrapper.topic_queue_mapping_detail_map.values_mut();
    let mappings = details.chain(wrapper.topic_queue_mapping_info_map.values_mut());
    mappings.for_each(|mapping| *mapping = serde_json::Value::Null);
    body
}

/// What the compressed form can say of a registration.
fn folded(read: &RegisterBrokerBody) -> Option<RegisterBrokerBody> {
    let mut folded = read.clone();
    let wrapper = &mut folded.topic_config_serialize_wrapper;
    let holds = wrapper.topic_config_table.iter().all(|(name, topic)| {
        let filter = &topic.topic_filter_type;
        *name == topic.topic_name && !name.contains(' ') && !filter.contains(' ')
    });
    if !holds {
        return None;
    }
    wrapper.mapping_data_version = None;
    wrapper.topic_queue_mapping_detail_map.clear();
    wrapper.topic_queue_mapping_info_map.clear();
    for topic in wrapper.topic_config_table.values_mut() {
        topic.order = false;
        topic.topic_sys_flag = 0;
    }
    Some(folded)
}
