//! A server's statement of its keys (`/_matrix/key/v2/server`), and whether to believe it.

use std::{collections::BTreeMap, time::Duration};

use ed25519_dalek::{Signature, VerifyingKey};
use heliograph_types::{ServerName, Timestamp};
use ruma_common::{CanonicalJsonObject, CanonicalJsonValue};
use serde::{Deserialize, Serialize};

use crate::{KeyId, base64, canonical};

/// A key is never believed for longer, whatever its server says (specification: 7 days).
const LONGEST_VALIDITY: Duration = Duration::from_hours(168);

/// A larger document is not read.
pub const MOST_KEY_DOCUMENT_BYTES: usize = 64 << 10;

/// The keys with which a server signs its requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDocument {
    /// Public keys by id. Keys of old events are not among them.
    pub keys: BTreeMap<KeyId, [u8; 32]>,
    /// From then on nothing of this is to be believed.
    pub valid_until: Timestamp,
}

/// Why a document is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key document of {server_name} is not to be believed: {reason}")]
pub struct InvalidKeyDocument {
    /// Whose it should be.
    pub server_name: ServerName,
    /// What is wrong with it.
    pub reason: String,
}

impl KeyDocument {
    /// Reads and checks the document of `server_name` as it was fetched at `now`.
    pub fn check(json: &[u8], server_name: &ServerName, now: Timestamp) -> Result<Self, InvalidKeyDocument> {
        check(json, server_name, now).map_err(|reason| InvalidKeyDocument { server_name: server_name.clone(), reason })
    }
}

fn check(json: &[u8], server_name: &ServerName, now: Timestamp) -> Result<KeyDocument, String> {
    check_document(&canonical::parse_object(json)?, server_name, now)
}

/// The same for a document that has been read, whoever gave it.
pub(crate) fn check_document(
    document: &CanonicalJsonObject,
    server_name: &ServerName,
    now: Timestamp,
) -> Result<KeyDocument, String> {
    if document.get("server_name").and_then(CanonicalJsonValue::as_str) != Some(server_name.as_str()) {
        return Err("it is not of this server".to_owned());
    }
    let valid_until = document
        .get("valid_until_ts")
        .and_then(CanonicalJsonValue::as_integer)
        .and_then(|millis| u64::try_from(i64::from(millis)).ok())
        .map(Timestamp::from_millis)
        .ok_or("valid_until_ts is missing")?;
    if valid_until <= now {
        return Err("it has expired".to_owned());
    }
    let keys = read_keys(object_member(document, "verify_keys").ok_or("verify_keys is missing")?)?;
    check_signatures(document, server_name, &keys)?;
    Ok(KeyDocument { keys, valid_until: valid_until.min(now + LONGEST_VALIDITY) })
}

fn object_member<'a>(object: &'a CanonicalJsonObject, name: &str) -> Option<&'a CanonicalJsonObject> {
    object.get(name).and_then(CanonicalJsonValue::as_object)
}

/// The Ed25519 keys; those of other algorithms are left out.
fn read_keys(verify_keys: &CanonicalJsonObject) -> Result<BTreeMap<KeyId, [u8; 32]>, String> {
    let ours = verify_keys.iter().filter_map(|(id, key)| Some((id.parse::<KeyId>().ok()?, key)));
    ours.map(|(id, key)| {
        let text = key.as_object().and_then(|key| key.get("key")).and_then(CanonicalJsonValue::as_str);
        let bytes = text.and_then(base64::decode).ok_or_else(|| format!("{id} is not 32 bytes of base64"))?;
        Ok((id, bytes))
    })
    .collect()
}

/// At least one of the keys must have signed, and no signature by one of them may be wrong.
pub(crate) fn check_signatures(
    document: &CanonicalJsonObject,
    server_name: &ServerName,
    keys: &BTreeMap<KeyId, [u8; 32]>,
) -> Result<(), String> {
    let signatures = object_member(document, "signatures")
        .and_then(|signatures| object_member(signatures, server_name.as_str()))
        .cloned()
        .unwrap_or_default();
    let message = canonical::to_signed_form(document.clone());
    let mut signed = false;
    for (id, key) in keys {
        let Some(signature) = signatures.get(id.as_str()) else { continue };
        if !verifies(key, &message, signature) {
            return Err(format!("the signature of {id} is wrong"));
        }
        signed = true;
    }
    if signed { Ok(()) } else { Err(format!("no key of {server_name} has signed it")) }
}

fn verifies(key: &[u8; 32], message: &str, signature: &CanonicalJsonValue) -> bool {
    let signature = signature.as_str().and_then(base64::decode).map(|bytes| Signature::from_bytes(&bytes));
    match (VerifyingKey::from_bytes(key), signature) {
        (Ok(key), Some(signature)) => key.verify_strict(message.as_bytes(), &signature).is_ok(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::SigningKey;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn server() -> ServerName {
        "origin.example".parse().unwrap()
    }

    fn key(id: &str, seed: u8) -> SigningKey {
        SigningKey::new(id.parse().unwrap(), [seed; 32])
    }

    fn unsigned(keys: &[&SigningKey]) -> Value {
        let verify_keys: serde_json::Map<_, _> =
            keys.iter().map(|key| (key.id().to_string(), json!({"key": base64::encode(&key.public_key())}))).collect();
        json!({
            "server_name": "origin.example",
            "valid_until_ts": NOW.as_millis() + 3_600_000,
            "verify_keys": verify_keys,
            "old_verify_keys": {},
        })
    }

    fn signed(mut document: Value, keys: &[&SigningKey]) -> Vec<u8> {
        let message = canonical::to_signed_form(canonical::parse_object(document.to_string().as_bytes()).unwrap());
        for key in keys {
            let signature = base64::encode(&key.sign(message.as_bytes()));
            document["signatures"]["origin.example"][key.id().as_str()] = signature.into();
        }
        document.to_string().into_bytes()
    }

    #[test]
    fn the_vector_of_the_reference_is_believed_for_seven_days() {
        let json = r#"{"old_verify_keys":{},"server_name":"origin.example","valid_until_ts":1893456000000,"verify_keys":{"ed25519:1":{"key":"XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI"}},"signatures":{"origin.example":{"ed25519:1":"xS0z/HBLji/isHg5mlbT35wo5Yrm5+yod1wJuU1yNbt8V4VyFWoiihLK6OQ2dkhB568T1vktN6HN/CGA8C9mAg"}}}"#;

        let document = KeyDocument::check(json.as_bytes(), &server(), NOW).unwrap();

        assert_eq!(document.keys.len(), 1);
        assert_eq!(document.valid_until, NOW + LONGEST_VALIDITY);
    }

    #[test]
    fn one_good_signature_makes_all_keys_usable() {
        let (a, b) = (key("ed25519:a", 1), key("ed25519:b", 2));
        let mut document = unsigned(&[&a, &b]);
        document["verify_keys"]["rsa:1"] = json!({"key": "?"});
        document["unsigned"] = json!({"age": 1});

        let document = KeyDocument::check(&signed(document, &[&a]), &server(), NOW).unwrap();

        assert_eq!(document.keys.into_keys().map(|id| id.to_string()).collect::<Vec<_>>(), ["ed25519:a", "ed25519:b"]);
        assert_eq!(document.valid_until.as_millis(), NOW.as_millis() + 3_600_000);
    }

    #[test]
    fn a_wrong_signature_spoils_a_document_that_has_a_good_one_too() {
        let (a, b) = (key("ed25519:a", 1), key("ed25519:b", 2));
        let impostor = key("ed25519:b", 3);

        let result = KeyDocument::check(&signed(unsigned(&[&a, &b]), &[&a, &impostor]), &server(), NOW);

        assert_eq!(result.unwrap_err().reason, "the signature of ed25519:b is wrong");
    }

    #[test]
    fn documents_that_prove_nothing_are_refused() {
        let (a, b) = (key("ed25519:a", 1), key("ed25519:b", 2));
        let with = |name: &str, value: Value| {
            let mut document = unsigned(&[&a]);
            document[name] = value;
            signed(document, &[&a])
        };
        for (case, json) in [
            ("signed by a key that it does not list", signed(unsigned(&[&a]), &[&b])),
            ("not signed", signed(unsigned(&[&a]), &[])),
            ("another server's", with("server_name", json!("Origin.example"))),
            ("expired", with("valid_until_ts", NOW.as_millis().into())),
            ("negative time", with("valid_until_ts", (-1).into())),
            ("no keys", with("verify_keys", json!({}))),
            ("a short key", with("verify_keys", json!({"ed25519:a": {"key": "AAAA"}}))),
            ("not JSON", b"<html>".to_vec()),
        ] {
            assert!(KeyDocument::check(&json, &server(), NOW).is_err(), "{case}");
        }
    }
}
