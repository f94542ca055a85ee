//! The key document of a server name for which no homeserver speaks.
//! <https://spec.matrix.org/latest/server-server-api/#publishing-keys>

use heliograph_types::{ServerName, Timestamp};
use ruma_common::CanonicalJsonValue;
use serde_json::{Value, json};

use crate::{SigningKey, base64};

/// The document of `server_name`, signed by its only key, which is to be believed until
/// `valid_until`.
///
/// # Panics
///
/// Never: what is written here is canonical JSON.
#[expect(clippy::expect_used, reason = "it has neither fractions nor large numbers")]
pub fn publish_key(server_name: &ServerName, key: &SigningKey, valid_until: Timestamp) -> Value {
    let key_id = key.id().to_string();
    let mut document = json!({
        "server_name": server_name,
        "verify_keys": { key_id.as_str(): { "key": base64::encode(&key.public_key()) } },
        "old_verify_keys": {},
        "valid_until_ts": valid_until.as_millis(),
    });
    let message = CanonicalJsonValue::try_from(document.clone()).expect("it is canonical JSON").to_string();
    let signature = base64::encode(&key.sign(message.as_bytes()));
    document["signatures"] = json!({ server_name.as_str(): { key_id.as_str(): signature } });
    document
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyDocument;

    #[test]
    fn what_is_published_is_what_others_believe() {
        let (name, key) = ("a.example:8448".parse().unwrap(), SigningKey::generate());
        let document = publish_key(&name, &key, Timestamp::from_millis(2_000_000_000_000));

        let believed = KeyDocument::check(document.to_string().as_bytes(), &name, Timestamp::from_millis(5)).unwrap();

        assert_eq!(believed.keys.get(key.id()), Some(&key.public_key()));
    }
}
