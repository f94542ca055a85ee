//! Keys of a server at second hand: what to ask a notary, and whether to believe it.
//! <https://spec.matrix.org/latest/server-server-api/#querying-keys-through-another-server>

use heliograph_types::{ServerName, Timestamp};
use ruma_common::{CanonicalJsonObject, CanonicalJsonValue};
use serde_json::json;

use crate::{
    KeyDocument, KeyId, canonical,
    key_document::{MOST_KEY_DOCUMENT_BYTES, check_document, check_signatures},
};

/// A larger answer is not read. A notary gives a document for each key that it has heard of.
pub const MOST_NOTARY_BYTES: usize = 4 * MOST_KEY_DOCUMENT_BYTES;

/// The body of `POST /_matrix/key/v2/query`: the document with this key, valid now.
pub fn ask_notary(server_name: &ServerName, key_id: &KeyId, now: Timestamp) -> String {
    let criteria = json!({ "minimum_valid_until_ts": now.as_millis() });
    json!({ "server_keys": { server_name.as_str(): { key_id.as_str(): criteria } } }).to_string()
}

/// The document of `server_name` in the answer of `notary`, which must have signed it as its
/// server has. Of several, one with `key_id` is preferred, and then the one that is valid longest.
pub fn read_notary(
    json: &[u8],
    (server_name, key_id): (&ServerName, &KeyId),
    (notary, keys): (&ServerName, &KeyDocument),
    now: Timestamp,
) -> Result<KeyDocument, String> {
    let answer = canonical::parse_object(json)?;
    let documents = answer.get("server_keys").and_then(CanonicalJsonValue::as_array).ok_or("server_keys is missing")?;
    let documents = documents.iter().filter_map(CanonicalJsonValue::as_object);
    let check = |document: &CanonicalJsonObject| {
        let checked = check_document(document, server_name, now)?;
        check_signatures(document, notary, &keys.keys)?;
        Ok(checked)
    };
    let checked: Vec<Result<KeyDocument, String>> = documents.map(check).collect();
    let reason = checked.iter().find_map(|result| result.clone().err());
    let best = checked.into_iter().flatten().max_by_key(|found| (found.keys.contains_key(key_id), found.valid_until));
    best.ok_or_else(|| reason.unwrap_or_else(|| "it does not have them".to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{SigningKey, base64, publish_key};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const HOUR: u64 = 3_600_000;

    fn name(text: &str) -> ServerName {
        text.parse().unwrap()
    }

    fn key(id: &str, seed: u8) -> SigningKey {
        SigningKey::new(id.parse().unwrap(), [seed; 32])
    }

    /// The origin's document with one key, signed by `notary` too.
    fn document(key: &SigningKey, hours: u64, notary: &SigningKey) -> Value {
        let until = Timestamp::from_millis(NOW.as_millis() + hours * HOUR);
        let mut document = publish_key(&name("origin.example"), key, until);
        let message = canonical::to_signed_form(canonical::parse_object(document.to_string().as_bytes()).unwrap());
        let signature = base64::encode(&notary.sign(message.as_bytes()));
        document["signatures"]["notary.example"] = json!({ notary.id().as_str(): signature });
        document
    }

    fn read(documents: &[Value]) -> Result<KeyDocument, String> {
        let notary = key("ed25519:n", 9);
        let keys = KeyDocument {
            keys: [(notary.id().clone(), notary.public_key())].into(),
            valid_until: NOW + std::time::Duration::from_hours(1),
        };
        let answer = json!({ "server_keys": documents }).to_string();
        let wanted = (&name("origin.example"), &"ed25519:a".parse().unwrap());
        read_notary(answer.as_bytes(), wanted, (&name("notary.example"), &keys), NOW)
    }

    #[test]
    fn the_question_is_that_of_the_specification() {
        let question = ask_notary(&name("origin.example"), &"ed25519:1".parse().unwrap(), Timestamp::from_millis(5));

        assert_eq!(question, r#"{"server_keys":{"origin.example":{"ed25519:1":{"minimum_valid_until_ts":5}}}}"#);
    }

    #[test]
    fn a_document_that_both_have_signed_is_believed() {
        let origin = key("ed25519:a", 1);

        let found = read(&[document(&origin, 2, &key("ed25519:n", 9))]).unwrap();

        assert_eq!(found.keys.get(origin.id()), Some(&origin.public_key()));
        assert_eq!(found.valid_until.as_millis(), NOW.as_millis() + 2 * HOUR);
    }

    #[test]
    fn of_several_documents_the_one_with_the_key_counts_and_then_the_youngest() {
        let (notary, a, b) = (key("ed25519:n", 9), key("ed25519:a", 1), key("ed25519:b", 2));
        let documents = [document(&b, 9, &notary), document(&a, 1, &notary), document(&a, 3, &notary)];

        let found = read(&documents).unwrap();

        assert!(found.keys.contains_key(a.id()) && found.valid_until.as_millis() == NOW.as_millis() + 3 * HOUR);
        assert!(read(&documents[..1]).unwrap().keys.contains_key(b.id()), "the key may be gone");
    }

    #[test]
    fn what_one_of_the_two_has_not_signed_is_refused() {
        let (notary, origin) = (key("ed25519:n", 9), key("ed25519:a", 1));
        let good = document(&origin, 2, &notary);
        let spoilt = |spoil: fn(&mut Value)| {
            let mut document = good.clone();
            spoil(&mut document);
            document
        };
        for (case, document) in [
            (
                "not by the notary",
                spoilt(|it| drop(it["signatures"].as_object_mut().unwrap().remove("notary.example"))),
            ),
            (
                "not by its server",
                spoilt(|it| drop(it["signatures"].as_object_mut().unwrap().remove("origin.example"))),
            ),
            ("by another notary", document(&origin, 2, &key("ed25519:n", 8))),
            ("by a key that the notary does not publish", document(&origin, 2, &key("ed25519:m", 9))),
            ("changed since", spoilt(|it| it["valid_until_ts"] = (NOW.as_millis() + 5 * HOUR).into())),
            ("of another server", spoilt(|it| it["server_name"] = "other.example".into())),
            ("expired", document(&origin, 0, &notary)),
        ] {
            assert!(read(&[document]).is_err(), "{case}");
        }
        assert_eq!(read(&[]), Err("it does not have them".to_owned()));
        assert!(read_notary(b"{}", (&name("a"), notary.id()), (&name("b"), &read(&[good]).unwrap()), NOW).is_err());
    }
}
