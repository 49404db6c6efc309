//! How one field of a typed header is written and read, and the macro that lists a header's fields.

use std::borrow::Cow;
use std::str::FromStr;

use crate::command::ExtFields;
use crate::header::{FieldWriter, HeaderError};

/// A type that a header field can have.
pub trait FieldValue<'a>: Sized {
    /// Reads a field from its text, if it is there.
    ///
    /// # Errors
    /// It is missing and must not be, or it is no number of this type.
    fn parse(value: Option<&'a str>, name: &'static str) -> Result<Self, HeaderError>;
    /// Writes the field under this name.
    fn write(&self, name: &'static str, fields: &mut dyn FieldWriter);

    /// Reads the field of this name.
    ///
    /// # Errors
    /// As for [`FieldValue::parse`].
    fn read(ext: &'a ExtFields, name: &'static str) -> Result<Self, HeaderError> {
        Self::parse(ext.get(name), name)
    }
}

impl<'a> FieldValue<'a> for &'a str {
    fn parse(value: Option<&'a str>, name: &'static str) -> Result<Self, HeaderError> {
        value.ok_or(HeaderError::Missing { field: name })
    }

    fn write(&self, name: &'static str, fields: &mut dyn FieldWriter) {
        fields.str(name, self);
    }
}

impl<'a> FieldValue<'a> for Cow<'a, str> {
    fn parse(value: Option<&'a str>, name: &'static str) -> Result<Self, HeaderError> {
        <&str>::parse(value, name).map(Cow::Borrowed)
    }

    fn write(&self, name: &'static str, fields: &mut dyn FieldWriter) {
        fields.str(name, self);
    }
}

/// As in Java a flag that is absent is false, and so is everything but `true` (in any case).
impl<'a> FieldValue<'a> for bool {
    fn parse(value: Option<&'a str>, _name: &'static str) -> Result<Self, HeaderError> {
        Ok(value.is_some_and(|value| value.eq_ignore_ascii_case("true")))
    }

    fn write(&self, name: &'static str, fields: &mut dyn FieldWriter) {
        fields.bool(name, *self);
    }
}

impl<'a> FieldValue<'a> for i32 {
    fn parse(value: Option<&'a str>, name: &'static str) -> Result<Self, HeaderError> {
        number(value, name)
    }

    fn write(&self, name: &'static str, fields: &mut dyn FieldWriter) {
        fields.int(name, i64::from(*self));
    }
}

impl<'a> FieldValue<'a> for i64 {
    fn parse(value: Option<&'a str>, name: &'static str) -> Result<Self, HeaderError> {
        number(value, name)
    }

    fn write(&self, name: &'static str, fields: &mut dyn FieldWriter) {
        fields.int(name, *self);
    }
}

fn number<T: FromStr>(value: Option<&str>, name: &'static str) -> Result<T, HeaderError> {
    let value = <&str>::parse(value, name)?;
    value.parse().map_err(|_| HeaderError::NotANumber {
        field: name,
        value: value.into(),
    })
}

impl<'a, T: FieldValue<'a>> FieldValue<'a> for Option<T> {
    fn parse(value: Option<&'a str>, name: &'static str) -> Result<Self, HeaderError> {
        value.map(|value| T::parse(Some(value), name)).transpose()
    }

    fn write(&self, name: &'static str, fields: &mut dyn FieldWriter) {
        if let Some(value) = self {
            value.write(name, fields);
        }
    }
}

/// Declares a header: its fields in the order in which they are written, with their names on the
/// wire. `for CODE` makes it the request header of that code; request headers
/// always borrow.
macro_rules! header {
    (
        $(#[$doc:meta])*
        $name:ident $(<$life:lifetime>)? $(for $code:ident)? {
            $($(#[$field_doc:meta])* $field:ident: $kind:ty = $wire:literal,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name $(<$life>)? {
            $($(#[$field_doc])* pub $field: $kind,)*
        }

        impl $(<$life>)? $crate::header::EncodeHeader for $name $(<$life>)? {
            fn write(&self, fields: &mut dyn $crate::header::FieldWriter) {
                fields.open();
                $($crate::request::FieldValue::write(&self.$field, $wire, fields);)*
            }
        }

        $crate::request::field::header!(@read $name $(<$life>)? { $($field = $wire,)* });

        $(impl $crate::header::RequestHeader for $name<'_> {
            const CODE: i32 = $crate::code::request::$code;
        })?
    };
    (@read $name:ident <$life:lifetime> { $($field:ident = $wire:literal,)* }) => {
        impl<$life> $crate::header::DecodeHeader<$life> for $name<$life> {
            $crate::request::field::header!(@body $life { $($field = $wire,)* });
        }
    };
    (@read $name:ident { $($field:ident = $wire:literal,)* }) => {
        impl<'a> $crate::header::DecodeHeader<'a> for $name {
            $crate::request::field::header!(@body 'a { $($field = $wire,)* });
        }
    };
    (@body $life:lifetime { $($field:ident = $wire:literal,)* }) => {
        fn read(
            ext: &$life $crate::command::ExtFields,
        ) -> Result<Self, $crate::header::HeaderError> {
            Ok(Self { $($field: $crate::request::FieldValue::read(ext, $wire)?,)* })
        }
    };
}

/// Declares a request that has no header fields at all.
macro_rules! bare_request {
    ($(#[$doc:meta])* $name:ident for $code:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name;

        impl $crate::header::EncodeHeader for $name {
            fn write(&self, _fields: &mut dyn $crate::header::FieldWriter) {}
        }

        impl $crate::header::RequestHeader for $name {
            const CODE: i32 = $crate::code::request::$code;
        }
    };
}

pub(crate) use {bare_request, header};
