//! Media that an administrator has looked at and found good: they are not quarantined.

use heliograph_tests::{Setup, Shape, both_shapes};
use reqwest::Method;
use serde_json::json;

const MEDIA: &str = "/_synapse/admin/v1/media";

both_shapes! {
    async fn what_is_protected_is_not_quarantined(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let (alice, bob) = (deployment.alice(), deployment.bob());
        let id = bob.upload("hello", "text/plain").await;
        let media_id = id.split_once('/').unwrap().1;
        let post = async |path: &str| alice.post(&format!("{MEDIA}/{path}"), &json!({})).await;
        let is_safe = async || {
            alice.get(&format!("{MEDIA}/{id}")).await.json()["media_info"]["safe_from_quarantine"].clone()
        };

        assert_eq!(post(&format!("protect/{media_id}")).await.json(), json!({}));
        assert_eq!(is_safe().await, true);
        post(&format!("quarantine/{id}")).await.ok();
        assert_eq!(bob.download(&id).await.ok(), "hello");

        assert_eq!(post(&format!("unprotect/{media_id}")).await.json(), json!({}));
        assert_eq!(is_safe().await, false);
        post(&format!("quarantine/{id}")).await.ok();
        bob.download(&id).await.refused(404, "M_NOT_FOUND");
    }

    async fn only_an_administrator_protects_and_only_what_is_there(shape: Shape) {
        let deployment = Setup::new(shape).start().await;

        for action in ["protect", "unprotect"] {
            let path = format!("{MEDIA}/{action}/abc");
            deployment.alice().ask(Method::POST, &path).await.refused(404, "M_NOT_FOUND");
            deployment.bob().ask(Method::POST, &path).await.refused(403, "M_FORBIDDEN");
            deployment.stranger().ask(Method::POST, &path).await.refused(401, "M_MISSING_TOKEN");
        }
    }
}
