//! The blurhash of a picture, in the answer to its upload (MSC2448).

use heliograph_tests::{Answer, Client, Setup, Shape, both_shapes, jpeg, noise, png};
use reqwest::Method;
use serde_json::Value;

const MEMBER: &str = "xyz.amorgan.blurhash";
/// The digits of a blurhash.
const DIGITS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~";

async fn upload(client: &Client, query: &str, body: Vec<u8>, kind: &str) -> Value {
    let request = client.request(Method::POST, &format!("/_matrix/media/v3/upload?{query}"));
    let answer = Answer::of(request.header("content-type", kind).body(body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.json()["content_uri"].is_string(), "{answer:?}");
    answer.json()
}

#[track_caller]
fn assert_blurhash(answer: &Value) {
    let hash = answer[MEMBER].as_str().unwrap_or_else(|| panic!("no blurhash: {answer}"));
    assert!(hash.chars().all(|digit| DIGITS.contains(digit)), "{hash}");
    // Its first digit says how many components it has, and so how long it is.
    let first = DIGITS.find(&hash[..1]).unwrap();
    let components = (first % 9 + 1) * (first / 9 + 1);
    assert_eq!(hash.len(), 4 + 2 * components, "{hash}");
}

both_shapes! {
    async fn who_asks_for_it_gets_the_blurhash_of_a_picture(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let bob = deployment.bob();
        let wanted = "xyz.amorgan.generate_blurhash=true";

        let answer = upload(&bob, wanted, jpeg(400, 300), "image/jpeg").await;
        assert_blurhash(&answer);
        assert_blurhash(&upload(&bob, wanted, png(64, 48), "image/png").await);
        assert_eq!(upload(&bob, wanted, jpeg(400, 300), "image/jpeg").await[MEMBER], answer[MEMBER]);
    }

    async fn nobody_else_does_and_other_files_have_none(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let bob = deployment.bob();
        let wanted = "xyz.amorgan.generate_blurhash=true";

        for query in ["", "xyz.amorgan.generate_blurhash=false"] {
            assert_eq!(upload(&bob, query, jpeg(40, 30), "image/jpeg").await[MEMBER], Value::Null);
        }
        assert_eq!(upload(&bob, wanted, noise(3000, 1), "image/jpeg").await[MEMBER], Value::Null);
        assert_eq!(upload(&bob, wanted, b"hello".to_vec(), "text/plain").await[MEMBER], Value::Null);
        assert_eq!(upload(&bob, wanted, Vec::new(), "image/png").await[MEMBER], Value::Null);
        let wrong = bob.request(Method::POST, "/_matrix/media/v3/upload?xyz.amorgan.generate_blurhash=1").body("x");
        Answer::of(wrong).await.refused(400, "M_INVALID_PARAM");
    }

    async fn a_created_id_has_one_too(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let bob = deployment.bob();
        let id = bob.create().await;

        let path = format!("/_matrix/media/v3/upload/{id}?xyz.amorgan.generate_blurhash=true");
        let request = bob.request(Method::PUT, &path).header("content-type", "image/jpeg").body(jpeg(400, 300));

        assert_blurhash(&Answer::of(request).await.json());
    }
}
