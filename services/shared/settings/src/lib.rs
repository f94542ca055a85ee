//! Settings: declared once with their documentation, read with every problem at once.
//!
//! A crate declares its section with [`settings!`]; the binary puts the sections together,
//! reads them from one TOML file and then from the environment, and prints the reference
//! and the sample from the same declarations. Pure: the caller reads the file.

mod document;
mod problem;
mod rate;
mod section;
mod value;

pub use document::Document;
pub use problem::{Problem, Problems};
pub use rate::{ByteRate, Rate};
pub use section::{Field, Section};
pub use value::Setting;

/// Declares one section: a struct whose fields have documentation and defaults.
///
/// ```
/// heliograph_settings::settings! {
///     /// Uploads of users.
///     pub struct UploadsConfig {
///         /// The largest upload that is accepted; a larger one is refused with `M_TOO_LARGE`.
///         pub max_bytes: bytesize::ByteSize = bytesize::ByteSize::mib(100),
///     }
/// }
/// assert_eq!(UploadsConfig::default().max_bytes.as_u64(), 100 << 20);
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[doc = $section_doc:literal])+
        $vis:vis struct $name:ident {
            $( $(#[doc = $doc:literal])+ $field_vis:vis $field:ident: $kind:ty = $default:expr, )+
        }
    ) => {
        $(#[doc = $section_doc])+
        #[derive(Debug, Clone)]
        $vis struct $name {
            $( $(#[doc = $doc])+ $field_vis $field: $kind, )+
        }

        impl ::std::default::Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )+ }
            }
        }

        impl $crate::Section for $name {
            const DOC: &'static [&'static str] = &[$($section_doc),+];

            fn fields() -> ::std::vec::Vec<$crate::Field> {
                let defaults = Self::default();
                ::std::vec![$(
                    $crate::Field::new::<$kind>(stringify!($field), &[$($doc),+], &defaults.$field),
                )+]
            }

            fn set(&mut self, key: &str, value: &$crate::toml::Value) -> ::std::option::Option<::std::result::Result<(), ::std::string::String>> {
                match key {
                    $( stringify!($field) => ::std::option::Option::Some(
                        <$kind as $crate::Setting>::read(value).map(|value| self.$field = value)
                    ), )+
                    _ => ::std::option::Option::None,
                }
            }
        }
    };
}

#[doc(hidden)]
pub use toml;
