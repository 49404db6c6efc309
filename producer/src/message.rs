//! A message as a program gives it to the producer.
//!
//! The reserved property names of the protocol are refused here, at the place where the mistake is
//! made, and the names that the protocol uses have methods of their own.

use bytes::Bytes;
use rmq_remoting::observe::Name;
use rmq_remoting::properties::{NAME_END, VALUE_END, is_reserved, name};

/// A property that cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum PropertyError {
    /// The protocol uses this name itself.
    #[error("The Property<{0}> is used by system, input another please")]
    Reserved(String),
    /// An empty or blank name or value would vanish on the way.
    #[error("The name or value of property can not be null or blank string!")]
    Blank,
    /// The protocol separates names and values by the bytes 1 and 2 and knows no escape.
    #[error("property {0} contains a byte 0x01 or 0x02, which separates properties on the wire")]
    Separator(String),
}

/// A message to send.
///
/// ```
/// use rmq_producer::Message;
///
/// let message = Message::new("orders", "hello")
///     .with_tag("created")
///     .with_key("order-42")
///     .with_property("region", "north")?;
/// assert!(Message::new("orders", "hello").with_property("KEYS", "x").is_err());
/// # Ok::<(), rmq_producer::PropertyError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    topic: Name,
    body: Bytes,
    tag: Option<String>,
    keys: String,
    properties: Vec<(String, String)>,
    flag: i32,
    delay_level: Option<u32>,
    wait_stored: bool,
    unique_key: Option<Name>,
    flaw: Option<PropertyError>,
}

impl Message {
    /// A message for a topic. A topic given as `Arc<str>` is not copied.
    pub fn new(topic: impl Into<Name>, body: impl Into<Bytes>) -> Self {
        Self {
            topic: topic.into(),
            body: body.into(),
            tag: None,
            keys: String::new(),
            properties: Vec::new(),
            flag: 0,
            delay_level: None,
            wait_stored: true,
            unique_key: None,
            flaw: None,
        }
    }

    /// Sends it under this unique key instead of a fresh one. A program that sends a message again,
    /// because it does not know what became of the first send, gives it the
    /// [`message_id`](crate::SendError::message_id) of that send: then a consumer that looks at the
    /// key takes both copies for one.
    ///
    /// ```
    /// # use rmq_producer::Message;
    /// let again = Message::new("orders", "hello").with_id("7F0000010F2A18B4AAC20EF3A5B10000")?;
    /// assert_eq!(again.unique_key(), Some("7F0000010F2A18B4AAC20EF3A5B10000"));
    /// assert!(Message::new("orders", "hello").with_id(" ").is_err());
    /// # Ok::<(), rmq_producer::PropertyError>(())
    /// ```
    ///
    /// # Errors
    /// The key is blank or contains a byte that separates properties.
    pub fn with_id(mut self, key: impl Into<Name>) -> Result<Self, PropertyError> {
        let key = key.into();
        carried(name::UNIQ_KEY, &key)?;
        self.unique_key = Some(key);
        Ok(self)
    }

    /// Consumers can subscribe to a tag. A message has one; an empty one is none.
    ///
    /// A tag with a byte 0x01 or 0x02, which separate properties on the wire, makes the message
    /// unacceptable: see [`flaw`](Self::flaw).
    #[must_use]
    pub fn with_tag(mut self, tag: impl Into<String>) -> Self {
        let tag = tag.into();
        self.note_flaw(name::TAGS, &tag);
        self.tag = Some(tag).filter(|tag| !tag.is_empty());
        self
    }

    /// Adds a key, by which the message can be found at the broker. Keys are separated by a blank.
    ///
    /// A key with a byte 0x01 or 0x02, which separate properties on the wire, makes the message
    /// unacceptable: see [`flaw`](Self::flaw).
    #[must_use]
    pub fn with_key(mut self, key: impl AsRef<str>) -> Self {
        let key = key.as_ref();
        self.note_flaw(name::KEYS, key);
        if !self.keys.is_empty() && !key.is_empty() {
            self.keys.push(' ');
        }
        self.keys.push_str(key);
        self
    }

    /// Adds several keys, each as [`with_key`](Self::with_key) does.
    ///
    /// ```
    /// # use rmq_producer::Message;
    /// let message = Message::new("orders", "hello").with_key("order-42").with_keys(["eu", "web"]);
    /// assert_eq!(message.keys(), "order-42 eu web");
    /// ```
    #[must_use]
    pub fn with_keys<K: AsRef<str>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        keys.into_iter().fold(self, Self::with_key)
    }

    /// Sets a property of the program's own. The same name again replaces the value.
    ///
    /// ```
    /// # use rmq_producer::{Message, PropertyError};
    /// let message = Message::new("orders", "hello").with_property("region", "north")?;
    /// assert_eq!(message.property("region"), Some("north"));
    /// let reserved = message.with_property("UNIQ_KEY", "mine");
    /// assert_eq!(reserved, Err(PropertyError::Reserved("UNIQ_KEY".to_owned())));
    /// # Ok::<(), PropertyError>(())
    /// ```
    ///
    /// # Errors
    /// The name is reserved, or name or value cannot be carried.
    pub fn with_property(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<Self, PropertyError> {
        self.set_property(name, value)?;
        Ok(self)
    }

    /// Sets a property of the program's own in place: for a [`MessageHook`](crate::MessageHook).
    ///
    /// # Errors
    /// The name is reserved, or name or value cannot be carried; the message stays as it was.
    pub fn set_property(
        &mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<(), PropertyError> {
        let (name, value) = (name.into(), value.into());
        if is_reserved(&name) {
            return Err(PropertyError::Reserved(name));
        }
        carried(&name, &value)?;
        match self.properties.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.properties.push((name, value)),
        }
        Ok(())
    }

    /// A number of the program's own that travels with the message; the broker does not read it.
    #[must_use]
    pub fn with_flag(mut self, flag: i32) -> Self {
        self.flag = flag;
        self
    }

    /// Lets the broker deliver the message later, by one of its delay levels (1 is 1 s, 3 is 10 s,
    /// 18 is 2 h by default; 0 is at once).
    ///
    /// ```
    /// # use rmq_producer::Message;
    /// let reminder = Message::new("reminders", "pay").with_delay_level(16); // 30 minutes
    /// assert_eq!(reminder.delay_level(), 16);
    /// ```
    #[must_use]
    pub fn with_delay_level(mut self, level: u32) -> Self {
        self.delay_level = Some(level).filter(|level| *level > 0);
        self
    }

    /// Lets the broker answer as soon as it has the message, before it is as safe as the broker is
    /// configured to make it (flushed, replicated): quicker, and lost if the broker fails then. Java
    /// calls that `setWaitStoreMsgOK(false)`.
    #[must_use]
    pub fn without_wait_stored(mut self) -> Self {
        self.wait_stored = false;
        self
    }

    /// Why no producer would send it: its tag or a key contains a byte that separates properties.
    /// Every send of it fails as invalid, before anything is sent.
    ///
    /// ```
    /// # use rmq_producer::Message;
    /// let message = Message::new("orders", "hello").with_tag("a\u{2}DELAY\u{1}3");
    /// assert!(message.flaw().is_some(), "it would become a property of its own");
    /// ```
    #[must_use]
    pub fn flaw(&self) -> Option<&PropertyError> {
        self.flaw.as_ref()
    }

    fn note_flaw(&mut self, name: &str, value: &str) {
        if value.contains(is_separator) {
            self.flaw = Some(PropertyError::Separator(name.to_owned()));
        }
    }

    /// The topic that the message goes to.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    pub(crate) fn topic_name(&self) -> &Name {
        &self.topic
    }

    /// The same message for another topic.
    #[must_use]
    pub fn with_topic(mut self, topic: impl Into<Name>) -> Self {
        self.topic = topic.into();
        self
    }

    /// The unique key that the program gave it.
    #[must_use]
    pub fn unique_key(&self) -> Option<&str> {
        self.unique_key.as_deref()
    }

    pub(crate) fn unique_key_name(&self) -> Option<&Name> {
        self.unique_key.as_ref()
    }

    /// The bytes of the message, as the program gave them.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The tag, if it has one.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The keys, separated by blanks; empty if there are none.
    #[must_use]
    pub fn keys(&self) -> &str {
        &self.keys
    }

    /// The program's own property of this name.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        let found = self.properties().find(|(known, _)| *known == name);
        found.map(|(_, value)| value)
    }

    /// The application's flag, which RocketMQ carries and does not read.
    #[must_use]
    pub fn flag(&self) -> i32 {
        self.flag
    }

    /// The delay level; 0 if the message is delivered at once.
    #[must_use]
    pub fn delay_level(&self) -> u32 {
        self.delay_level.unwrap_or(0)
    }

    /// Whether the broker answers only when the message is stored as safely as it is configured to.
    #[must_use]
    pub fn waits_stored(&self) -> bool {
        self.wait_stored
    }

    /// The program's own properties, in the order in which they were set first.
    pub fn properties(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let own = self.properties.iter();
        own.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The properties in the order in which they are written, without the unique key.
    pub(crate) fn for_each_property(&self, mut each: impl FnMut(&str, &str)) {
        if !self.keys.is_empty() {
            each(name::KEYS, &self.keys);
        }
        if let Some(tag) = &self.tag {
            each(name::TAGS, tag);
        }
        each(name::WAIT, if self.wait_stored { "true" } else { "false" });
        if let Some(level) = self.delay_level {
            each(name::DELAY, &level.to_string());
        }
        for (name, value) in &self.properties {
            each(name, value);
        }
    }
}

/// Whether a property arrives as it was sent.
fn carried(name: &str, value: &str) -> Result<(), PropertyError> {
    if name.trim().is_empty() || value.trim().is_empty() {
        return Err(PropertyError::Blank);
    }
    if name.contains(is_separator) || value.contains(is_separator) {
        return Err(PropertyError::Separator(name.to_owned()));
    }
    Ok(())
}

fn is_separator(c: char) -> bool {
    c == NAME_END || c == VALUE_END
}

/// A message that is not sent because it cannot be accepted. Code and text are the Java client's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub struct InvalidMessage {
    /// 13 for the message's content, -1 for its topic.
    pub code: i32,
    /// What is wrong with the property, in words.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(message: &Message) -> String {
        let mut text = String::new();
        message.for_each_property(|name, value| text.push_str(&format!("{name}={value};")));
        text
    }

    #[test]
    fn a_plain_message_waits_until_it_is_stored() {
        assert_eq!(properties(&Message::new("t", "b")), "WAIT=true;");
    }

    #[test]
    fn keys_are_joined_by_one_blank_and_an_empty_tag_is_none() {
        let message = Message::new("t", "b")
            .with_keys(["k1", "k2"])
            .with_key("k3")
            .with_tag("");
        assert_eq!(properties(&message), "KEYS=k1 k2 k3;WAIT=true;");
    }

    #[test]
    fn a_property_set_twice_has_its_last_value_in_its_first_place() {
        let message = Message::new("t", "b")
            .with_property("x", "1")
            .and_then(|message| message.with_property("y", "2"))
            .and_then(|message| message.with_property("x", "3"))
            .unwrap()
            .with_delay_level(3)
            .without_wait_stored();
        assert_eq!(properties(&message), "WAIT=false;DELAY=3;x=3;y=2;");
    }

    #[test]
    fn a_reserved_name_is_refused_and_its_neighbours_are_not() {
        for name in [
            "KEYS",
            "UNIQ_KEY",
            "__BORNHOST",
            "TIMER_DELIVER_MS",
            "__CRC32#",
        ] {
            let error = Message::new("t", "b").with_property(name, "v").unwrap_err();
            assert_eq!(error, PropertyError::Reserved(name.to_owned()));
        }
        for name in ["__SHARDINGKEY", "keys", "CHECK_IMMUNITY_TIME_IN_SECONDS"] {
            assert!(Message::new("t", "b").with_property(name, "v").is_ok());
        }
    }

    #[test]
    fn a_separator_in_a_tag_or_a_key_is_a_flaw_and_its_neighbours_are_not() {
        let message = || Message::new("t", "b");
        let flaw = |name: &str| Some(PropertyError::Separator(name.to_owned()));
        for separator in ["\u{1}", "\u{2}", "a\u{2}DELAY\u{1}3\u{2}x"] {
            assert_eq!(message().with_tag(separator).flaw().cloned(), flaw("TAGS"));
            assert_eq!(message().with_key(separator).flaw().cloned(), flaw("KEYS"));
            let keys = message().with_keys(["a", separator]);
            assert_eq!(keys.flaw().cloned(), flaw("KEYS"));
        }
        let sound = message().with_tag("\u{0}\u{3}é").with_keys(["a b", ""]);
        assert_eq!(sound.flaw(), None);
    }

    #[test]
    fn what_would_be_lost_on_the_wire_is_refused() {
        let message = Message::new("t", "b");
        let set = |name: &str, value: &str| message.clone().with_property(name, value).unwrap_err();
        assert_eq!(set(" ", "v"), PropertyError::Blank);
        assert_eq!(set("n", ""), PropertyError::Blank);
        assert_eq!(
            set("n", "a\u{2}b"),
            PropertyError::Separator("n".to_owned())
        );
    }
}
