//! How one field of a typed header is written and read, and the macro that lists a header's fields.

use std::borrow::Cow;

use crate::command::ExtFields;
use crate::header::{FieldWriter, HeaderError};

/// A type that a header field can have.
pub trait FieldValue<'a>: Sized {
    /// Reads the field of this name.
    ///
    /// # Errors
    /// It is missing and must not be, or it is no number of this type.
    fn read(ext: &'a ExtFields, name: &'static str) -> Result<Self, HeaderError>;
    /// Writes the field under this name.
    fn write(&self, name: &'static str, fields: &mut dyn FieldWriter);
}

impl<'a> FieldValue<'a> for &'a str {
    fn read(ext: &'a ExtFields, name: &'static str) -> Result<Self, HeaderError> {
        ext.text(name)
    }

    fn write(&self, name: &'static str, fields: &mut dyn FieldWriter) {
        fields.str(name, self);
    }
}

impl<'a> FieldValue<'a> for Cow<'a, str> {
    fn read(ext: &'a ExtFields, name: &'static str) -> Result<Self, HeaderError> {
        ext.text(name).map(Cow::Borrowed)
    }

    fn write(&self, name: &'static str, fields: &mut dyn FieldWriter) {
        fields.str(name, self);
    }
}

/// A flag that is absent is false, as in Java.
impl<'a> FieldValue<'a> for bool {
    fn read(ext: &'a ExtFields, name: &'static str) -> Result<Self, HeaderError> {
        Ok(ext.flag(name).unwrap_or_default())
    }

    fn write(&self, name: &'static str, fields: &mut dyn FieldWriter) {
        fields.bool(name, *self);
    }
}

impl<'a> FieldValue<'a> for i32 {
    fn read(ext: &'a ExtFields, name: &'static str) -> Result<Self, HeaderError> {
        ext.number(name)
    }

    fn write(&self, name: &'static str, fields: &mut dyn FieldWriter) {
        fields.int(name, i64::from(*self));
    }
}

impl<'a> FieldValue<'a> for i64 {
    fn read(ext: &'a ExtFields, name: &'static str) -> Result<Self, HeaderError> {
        ext.number(name)
    }

    fn write(&self, name: &'static str, fields: &mut dyn FieldWriter) {
        fields.int(name, *self);
    }
}

impl<'a, T: FieldValue<'a>> FieldValue<'a> for Option<T> {
    fn read(ext: &'a ExtFields, name: &'static str) -> Result<Self, HeaderError> {
        ext.get(name)
            .is_some()
            .then(|| T::read(ext, name))
            .transpose()
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
