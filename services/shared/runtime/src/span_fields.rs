//! The fields of a span, as JSON.
//!
//! Those of `tracing-subscriber` put all fields into a sorted map first, and read them all again
//! when one is added: a quarter of what a download from memory costs.

use std::fmt::{self, Write};

use tracing::{field::Field, span::Record};
use tracing_subscriber::{
    field::{RecordFields, Visit},
    fmt::{FormatFields, FormattedFields, format::Writer},
};

/// Writes fields in the order in which they are recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpanFields;

impl<'writer> FormatFields<'writer> for SpanFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        writer.write_char('{')?;
        let mut pairs = Pairs { writer, is_first: true, outcome: Ok(()) };
        fields.record(&mut pairs);
        pairs.outcome?;
        pairs.writer.write_char('}')
    }

    fn add_fields(&self, current: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let is_first = matches!(current.fields.as_str(), "" | "{}");
        if current.fields.pop().is_none() {
            current.fields.push('{');
        }
        let mut pairs = Pairs { writer: current.as_writer(), is_first, outcome: Ok(()) };
        fields.record(&mut pairs);
        pairs.outcome?;
        pairs.writer.write_char('}')
    }
}

struct Pairs<'writer> {
    writer: Writer<'writer>,
    is_first: bool,
    outcome: fmt::Result,
}

impl Pairs<'_> {
    fn write(&mut self, field: &Field, write: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.outcome.is_ok() {
            self.outcome = self.write_key(field).and_then(|()| write(&mut self.writer));
        }
    }

    fn write_key(&mut self, field: &Field) -> fmt::Result {
        if !std::mem::take(&mut self.is_first) {
            self.writer.write_char(',')?;
        }
        // Names of fields have nothing that JSON writes in another way.
        write!(self.writer, "\"{}\":", field.name().trim_start_matches("r#"))
    }
}

impl Visit for Pairs<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.write(
            field,
            |writer| if value.is_finite() { write!(writer, "{value}") } else { writer.write_str("null") },
        );
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, |writer| write_text(writer, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write(field, |writer| {
            writer.write_char('"')?;
            write!(Escaped(writer), "{value:?}")?;
            writer.write_char('"')
        });
    }
}

fn write_text(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    writer.write_char('"')?;
    Escaped(writer).write_str(text)?;
    writer.write_char('"')
}

/// What is written through it is the inside of a JSON string.
struct Escaped<'a, 'writer>(&'a mut Writer<'writer>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        let must_be = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        while let Some(at) = text.bytes().position(must_be) {
            self.0.write_str(&text[..at])?;
            match text.as_bytes()[at] {
                byte @ (b'"' | b'\\') => write!(self.0, "\\{}", char::from(byte))?,
                byte => write!(self.0, "\\u{byte:04x}")?,
            }
            text = &text[at + 1..];
        }
        self.0.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tracing::{Span, field::Empty, info_span};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    use super::*;

    /// Keeps the fields of the span in which something is told.
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<String>>);

    impl<S> Layer<S> for Seen
    where
        S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    {
        fn on_event(&self, _: &tracing::Event<'_>, context: Context<'_, S>) {
            let span = context.lookup_current().unwrap();
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<SpanFields>>().unwrap();
            *self.0.lock().unwrap() = fields.fields.clone();
        }
    }

    fn fields_of(open: impl FnOnce() -> Span) -> Value {
        let seen = Seen::default();
        let lines = tracing_subscriber::fmt::layer().json().fmt_fields(SpanFields).with_writer(std::io::sink);
        let subscriber = tracing_subscriber::registry().with(lines).with(seen.clone());
        tracing::subscriber::with_default(subscriber, || open().in_scope(|| tracing::info!("look")));
        let text = seen.0.lock().unwrap().clone();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn every_kind_of_field_is_json() {
        let fields = fields_of(
            || info_span!("s", a.b = "x", n = -1_i64, u = u64::MAX, f = 1.5, inf = f64::INFINITY, yes = true, d = ?Some("q")),
        );

        let expected =
            json!({ "a.b": "x", "n": -1, "u": u64::MAX, "f": 1.5, "inf": null, "yes": true, "d": "Some(\"q\")" });
        assert_eq!(fields, expected);
    }

    #[test]
    fn fields_that_come_later_are_added() {
        let all = fields_of(|| {
            let span = info_span!("s", early = 1, late = Empty, last = Empty);
            span.record("late", "2");
            span.record("last", 3);
            span
        });
        let late_alone = fields_of(|| {
            let span = info_span!("s", late = Empty);
            span.record("late", 2);
            span
        });

        assert_eq!(all, json!({ "early": 1, "late": "2", "last": 3 }));
        assert_eq!(late_alone, json!({ "late": 2 }));
        assert_eq!(fields_of(|| info_span!("s")), json!({}));
    }

    proptest! {
        #[test]
        fn whatever_a_client_wrote_stays_within_its_field(text in any::<String>()) {
            let fields = fields_of(|| info_span!("s", shown = text.as_str(), debug = %text));

            prop_assert_eq!(fields, json!({ "shown": text, "debug": text }));
        }
    }
}
