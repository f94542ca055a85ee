//! Key documents as servers and notaries sign them.

use heliograph_matrix::SigningKey;

pub(super) fn key(id: &str, seed: u8) -> SigningKey {
    SigningKey::new(id.parse().unwrap(), [seed; 32])
}

/// The document of `server_name`, signed by its first key, and by a notary if there is one.
pub(super) fn signed_document(
    server_name: &str,
    keys: &[SigningKey],
    valid_until: u64,
    notary: Option<(&str, &SigningKey)>,
) -> String {
    let listed: Vec<_> =
        keys.iter().map(|key| format!(r#""{}":{{"key":"{}"}}"#, key.id(), base64(&key.public_key()))).collect();
    let signed = format!(
        r#""server_name":"{server_name}","valid_until_ts":{valid_until},"verify_keys":{{{}}}"#,
        listed.join(",")
    );
    let signatures = [Some((server_name, &keys[0])), notary].into_iter().flatten().map(|(name, key)| {
        let signature = base64(&key.sign(format!("{{{signed}}}").as_bytes()));
        format!(r#""{name}":{{"{}":"{signature}"}}"#, key.id())
    });
    format!(r#"{{{signed},"signatures":{{{}}}}}"#, signatures.collect::<Vec<_>>().join(","))
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let digit = |bits: &[u8]| (0..6).fold(0, |value, at| value << 1 | usize::from(*bits.get(at).unwrap_or(&0)));
    bits.chunks(6).map(|bits| char::from(ALPHABET[digit(bits)])).collect()
}
