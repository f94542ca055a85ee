//! An answer in XML: one element whose children are the members.

use quick_xml::{Reader, escape::resolve_predefined_entity, events::Event};
use serde_json::{Map, Value};

use crate::text::up_to;

/// Members that are kept.
const MOST: usize = 64;
const LONGEST: usize = 64 << 10;

/// The members as texts; `None` if it is no XML. Entities of its own are not expanded.
pub(super) fn parse(bytes: &[u8]) -> Option<Map<String, Value>> {
    let text = std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)).ok()?;
    let mut reader = Reader::from_str(text);
    let (mut members, mut depth, mut value) = (Map::new(), 0usize, String::new());
    loop {
        match reader.read_event().ok()? {
            Event::Start(element) => {
                depth += 1;
                if depth == 1 && element.local_name().as_ref() != b"oembed" {
                    return None;
                }
                if depth == 2 {
                    value.clear();
                }
            }
            Event::End(element) => {
                if depth == 2 && members.len() < MOST {
                    let name = String::from_utf8_lossy(element.local_name().as_ref()).into_owned();
                    members.entry(name).or_insert_with(|| up_to(&value, LONGEST).into());
                }
                depth = depth.checked_sub(1)?;
            }
            Event::Text(text) => value.push_str(&text.decode().ok()?),
            Event::CData(text) => value.push_str(&text.decode().ok()?),
            Event::GeneralRef(reference) => {
                let name = reference.decode().ok()?;
                match reference.resolve_char_ref() {
                    Ok(Some(character)) => value.push(character),
                    _ => value.push_str(resolve_predefined_entity(&name).unwrap_or_default()),
                }
            }
            Event::Eof => return (depth == 0 && !members.is_empty()).then_some(members),
            _ => {}
        }
    }
}
