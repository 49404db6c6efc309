//! The table of targets.

/// No input of any target may make it allocate more than this, in sum.
pub const MEMORY: u64 = 64 << 20;

/// A function of bytes that panics when a promise is broken.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: of its function, of its wrapper and of its folder in the corpus.
    pub name: &'static str,
    /// The function that is given each input.
    pub run: fn(&[u8]),
    /// Words of its language, for mutations.
    pub words: &'static [&'static str],
    /// Bytes that it may allocate in sum for each byte of its input, beside [`FIXED`]. Each target
    /// reads its input more than once and writes it again, so this is no measure of one decoder.
    pub bytes_per_byte: u64,
}

/// Bytes that any target may allocate whatever its input is.
pub const FIXED: u64 = 1 << 20;

impl Target {
    /// Bytes that it may allocate in sum over an input of this length.
    #[must_use]
    pub fn memory(&self, len: usize) -> u64 {
        let bytes = (len as u64).saturating_mul(self.bytes_per_byte);
        bytes.saturating_add(FIXED).min(MEMORY)
    }

    /// The target of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().copied().find(|target| target.name == name)
    }
}

macro_rules! targets {
    ($($name:ident $bytes_per_byte:literal [$($word:literal)*],)*) => {
        /// Every target, in the order in which `targets!` lists them.
        pub const ALL: &[Target] = &[$(Target {
            name: stringify!($name),
            run: crate::$name,
            words: &[$($word),*],
            bytes_per_byte: $bytes_per_byte,
        }),*];
    };
}

targets! {
    frame 512 ["{\"code\":" "\"extFields\":{" "\"opaque\":" "\"remark\":\"" "\u{0}\u{0}\u{0}\u{4}" "\\u00" "{}"],
    header_json 512 [
        "\"code\":" "\"extFields\":{" "\"flag\":" "\"language\":\"" "\"opaque\":" "\"remark\":\""
        "\"version\":" "null" "true" "false" "\\u0001" "\\ud83d" "\\ude00" "\\\"" "{\"a\":" "[[" "]]"
        "\"a\":\"b\"," "\u{2028}" "\u{85}" "}," "-1" "1e9" "\"queueId\":\"0\"," "\"topic\":\"t\","
    ],
    header_rocketmq 512 ["queueId" "topic" "brokerId" "\u{0}\u{0}\u{0}\u{1}0" "\u{0}\u{1}a"],
    ext_fields 512 ["true" "TRUE" "\u{1}" "\u{2}" "\"" "\\" "\u{2028}" "\u{85}" "\u{9f}" "\u{7f}"],
    route 1024 [
        "\"brokerDatas\":[" "\"brokerAddrs\":{" "\"brokerName\":\"" "\"cluster\":" "\"queueDatas\":["
        "\"orderTopicConf\":\"" "\"topicQueueMappingByBroker\":{" "\"filterServerTable\":{" "0:" "-1:"
        "\"enableActingMaster\":true" "\"perm\":6" "\"writeQueueNums\":" "\"readQueueNums\":" "null"
        "\"topicSynFlag\":" "\"topicSysFlag\":" "\"zoneName\":\"" "{}" "[]" "\\u4E2D" "1e5" "\"4\"" "{{" "[[[["
    ],
    bodies 512 [
        "\"brokerAddrTable\":{" "\"clusterAddrTable\":{" "\"clientID\":" "\"producerDataSet\":["
        "\"consumerDataSet\":[" "\"groupName\":" "\"topicList\":[" "\"table\":{" "null" "{}" "[]"
    ],
    registration 4096 [
        "\"topicConfigTable\":{" "\"dataVersion\":{" "\"counter\":" "\"stateVersion\":" "null" "{}"
        "\"topicConfigSerializeWrapper\":{" "\"filterServerList\":[" "\"topicName\":\"" "\"order\":true"
        "\"attributes\":{" "\"topicQueueMappingInfoMap\":{" "\"mappingDataVersion\":"
    ],
    record 64 ["\u{1}" "\u{2}" "\u{0}\u{0}\u{0}\u{0}"],
    batch 64 ["\u{1}" "\u{2}" "\u{0}\u{0}\u{0}\u{0}"],
    properties 512 ["\u{1}" "\u{2}" "KEYS\u{1}" "TAGS\u{1}" "\u{1}\u{2}" "a\u{1}b\u{2}" "\u{2}\u{2}"],
    ids 64 ["00000000" "FFFFFFFF" "00002A9F" "7F000001"],
    scenario 8192 [
        "format = 2" "seconds = " "[cluster]\n" "brokers = [" "topics = { t = 4 }" "[[fault]]\n" "do = \"crash\"\n"
        "on = \"broker-a\"\n" "at = \"1s\"\n" "for = \"1s\"\n" "[[workload]]\n" "producer = \"p1\"\n"
        "[producer.p1]\n" "policy = \"strict\"\n" "sends = " "every = \"1ms\"\n" "[expect]\n" "\"1h\"" "ms"
        "9223372036854775807" "4294967296" "-1" "0" "\u{7f}" "per-mille = 1000\n" "mode = \"async\"\n" "name-servers = "
    ],
    sweep_file 1024 [
        "{\"format\":1" "\"sweep\":" "\"seeds\":[" "\"from\":" "\"to\":" "\"found\":{" "18446744073709551615"
        "\"runs\":" "\"classes\":{" "\"pass\":" "\"exercised\":{" "\"failures\":[" "\"digest\":\"" "\n" "null"
    ],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_wrapper_and_a_corpus() {
        let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        for target in ALL {
            let wrapper = here.join("fuzz_targets").join(target.name);
            assert!(wrapper.with_extension("rs").is_file(), "{}", target.name);
            let corpus = std::fs::read_dir(here.join("corpus").join(target.name));
            assert!(
                corpus.is_ok_and(|files| files.count() > 0),
                "{}",
                target.name
            );
        }
        assert!(Target::named("no such target").is_none());
    }

    #[test]
    fn memory_grows_with_the_input_and_ends_at_the_limit() {
        let target = ALL[0];
        assert_eq!(target.memory(0), FIXED);
        assert_eq!(target.memory(10), FIXED + 10 * target.bytes_per_byte);
        assert_eq!(target.memory(usize::MAX), MEMORY);
    }
}
