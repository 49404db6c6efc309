//! Free configuration that administrators keep in name servers.

use std::collections::BTreeMap;

use rmq_remoting::body::KvTable;
use rmq_remoting::observe::Name;

/// The namespace that brokers get with every registration's answer.
pub const ORDER_TOPICS: &str = "ORDER_TOPIC_CONFIG";

/// Values by namespace and key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyValues {
    namespaces: BTreeMap<Name, KvTable>,
}

impl KeyValues {
    /// Sets the value of a key in a namespace, which is made if there is none.
    pub fn put(&mut self, namespace: Name, key: Name, value: String) {
        self.namespaces
            .entry(namespace)
            .or_default()
            .table
            .insert(key, value);
    }

    /// A value, if it was set.
    pub fn get(&self, namespace: &str, key: &str) -> Option<&str> {
        self.namespaces
            .get(namespace)?
            .table
            .get(key)
            .map(String::as_str)
    }

    /// Removes a value. Its namespace stays, empty or not.
    pub fn delete(&mut self, namespace: &str, key: &str) {
        if let Some(values) = self.namespaces.get_mut(namespace) {
            values.table.remove(key);
        }
    }

    /// All values of a namespace; `None` if nothing was ever put there.
    pub fn list(&self, namespace: &str) -> Option<&KvTable> {
        self.namespaces.get(namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_outlives_its_last_key() {
        let mut kv = KeyValues::default();
        assert_eq!(kv.list("n"), None);
        kv.put("n".into(), "k".into(), "v".into());
        assert_eq!(kv.get("n", "k"), Some("v"));
        kv.delete("n", "k");
        assert_eq!(kv.get("n", "k"), None);
        assert_eq!(kv.list("n"), Some(&KvTable::default()));
    }
}
