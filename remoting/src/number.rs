//! Numbers that are told in events, each of a type of its own.
//!
//! What a client does is numbered: its connections, its sends, its lookups. All of them are small
//! numbers from 1, and a place that takes one of them would take any other, were they of one type.

/// Declares the types of numbers, each with its words. A number is written, printed and read as the
/// bare number: traces and logs show no type, the name of the field says it.
#[doc(hidden)]
#[macro_export]
macro_rules! number {
    ($($(#[$words:meta])* $name:ident;)+) => {$(
        $(#[$words])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(::serde::Serialize, ::serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The number without its type.
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl From<u64> for $name {
            fn from(number: u64) -> Self {
                Self(number)
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Debug::fmt(&self.0, f)
            }
        }
    )+};
}

#[cfg(test)]
mod tests {
    use crate::event::{ConnectionNumber, Event};

    #[test]
    fn a_number_is_printed_and_written_as_the_bare_number_and_read_back_from_it() {
        let ninth = ConnectionNumber::from(9);
        assert_eq!(
            format!("{ninth} {ninth:?} {ninth:>3} {ninth:03?}"),
            "9 9   9 009"
        );
        assert_eq!(serde_json::to_string(&ninth).unwrap(), "9");
        let read: ConnectionNumber = serde_json::from_str("9").unwrap();
        assert_eq!((read, read.get()), (ninth, 9));
    }

    #[test]
    fn an_event_shows_the_field_and_no_type_of_a_number() {
        let late = Event::Late {
            connection: 2.into(),
            opaque: 7,
        };
        assert_eq!(format!("{late:?}"), "Late { connection: 2, opaque: 7 }");
        let json = serde_json::to_string(&late).unwrap();
        assert_eq!(json, r#"{"late":{"connection":2,"opaque":7}}"#);
    }
}
