//! The addresses of name servers, as programs and files write them.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

/// The addresses of the name servers of one cluster: a list, or a text with `;` between them.
///
/// Each is `host:port`: a name, an IPv4 address, an IPv6 address (`[::1]:9876` or `::1:9876`), or the
/// `http://…:80` of a hosted instance. They are read when a client is built or its list replaced, which
/// names the entry that is no address.
///
/// ```
/// use rmq_producer::NameServerAddresses;
///
/// let text = NameServerAddresses::from("10.0.0.1:9876;10.0.0.2:9876");
/// assert_eq!(text, NameServerAddresses::from(["10.0.0.1:9876", "10.0.0.2:9876"]));
/// assert_eq!(text, ["10.0.0.1:9876", "10.0.0.2:9876"].into_iter().collect());
/// assert_eq!(text.to_string(), "10.0.0.1:9876;10.0.0.2:9876");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NameServerAddresses(String);

impl NameServerAddresses {
    /// The addresses with `;` between them.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NameServerAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for NameServerAddresses {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<&String> for NameServerAddresses {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<String> for NameServerAddresses {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl<S: AsRef<str>> FromIterator<S> for NameServerAddresses {
    fn from_iter<I: IntoIterator<Item = S>>(addresses: I) -> Self {
        let mut text = String::new();
        for address in addresses {
            if !text.is_empty() {
                text.push(';');
            }
            text.push_str(address.as_ref());
        }
        Self(text)
    }
}

impl<S: AsRef<str>, const N: usize> From<[S; N]> for NameServerAddresses {
    fn from(addresses: [S; N]) -> Self {
        addresses.into_iter().collect()
    }
}

impl<S: AsRef<str>> From<&[S]> for NameServerAddresses {
    fn from(addresses: &[S]) -> Self {
        addresses.iter().collect()
    }
}

impl<S: AsRef<str>> From<Vec<S>> for NameServerAddresses {
    fn from(addresses: Vec<S>) -> Self {
        addresses.into_iter().collect()
    }
}

/// A text, or a list of texts.
impl<'de> Deserialize<'de> for NameServerAddresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrList;

        impl<'de> Visitor<'de> for TextOrList {
            type Value = NameServerAddresses;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("addresses of name servers, as a list or with `;` between them")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(text.into())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut addresses = Vec::<String>::new();
                while let Some(address) = list.next_element()? {
                    addresses.push(address);
                }
                Ok(addresses.into())
            }
        }

        deserializer.deserialize_any(TextOrList)
    }
}
