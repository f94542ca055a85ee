//! `GET /_matrix/client/versions`
//! <https://spec.matrix.org/latest/client-server-api/#get_matrixclientversions>
//!
//! What the homeserver says, with the flags of what we serve in its place.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, VARY},
};
use heliograph_matrix::Reply;
use heliograph_types::{ErrorCode, Secret};
use serde_json::{Map, Value, json};

use crate::{
    auth,
    error::ApiError,
    http::logout::pass_on,
    routes::{Call, Outcome},
    server::Front,
};

/// What clients look for to use the authenticated endpoints; some look for nothing else.
const AUTHENTICATED_MEDIA: &str = "v1.11";
/// What is served here, whatever the homeserver does.
const FLAGS: [&str; 4] = ["fi.mau.msc2246", "fi.mau.msc2246.stable", "org.matrix.msc3916", "org.matrix.msc3916.stable"];
/// And these, if clients may put content straight into the store: the number of the proposal, and
/// the one that its text names.
const DIRECT_FLAGS: [&str; 2] = ["com.beeper.msc3870", "com.beeper.msc3880"];

pub(crate) async fn handle(Call { front, request, .. }: Call<'_>) -> Outcome {
    let reply = ask(front, request).await?;
    if reply.status != 200 {
        return pass_on(reply);
    }
    let mut body: Map<String, Value> = serde_json::from_slice(&reply.body)
        .map_err(|_| ApiError::new(ErrorCode::BadGateway, "the homeserver's versions are no JSON object"))?;
    let adds_version = front.sites.get(&front.tenant_by_host(request)).is_none_or(|site| site.force_v1_11);
    merge(&mut body, adds_version, front.direct_uploads);
    Ok(HttpResponse::Ok()
        .insert_header((VARY, "Authorization"))
        .insert_header((CACHE_CONTROL, reply.cache_control.unwrap_or_else(|| "private, no-store".to_owned())))
        .json(body))
}

/// The list needs no token. One that has expired must not make it look as if there were no
/// authenticated media: clients remember that for hours.
async fn ask(front: &Front, request: &HttpRequest) -> Result<Reply, ApiError> {
    let tenant = front.tenant_by_host(request);
    let site = front.sites.get(&tenant);
    let token = auth::find_token(front, request).map(Secret::new);
    let out_of_reach = |error| {
        tracing::warn!(%error, "the homeserver does not tell its versions");
        ApiError::new(ErrorCode::BadGateway, "the homeserver is out of reach")
    };
    let reply = front.homeservers.versions(&tenant, token.as_ref()).await.map_err(out_of_reach)?;
    let asks_again = token.is_some() && site.is_none_or(|site| site.versions_without_expired_token);
    if reply.status != 401 || !asks_again {
        return Ok(reply);
    }
    front.homeservers.versions(&tenant, None).await.map_err(out_of_reach)
}

fn merge(body: &mut Map<String, Value>, adds_version: bool, direct_uploads: bool) {
    if adds_version
        && let Value::Array(versions) = body.entry("versions").or_insert_with(|| json!([]))
        && !versions.iter().any(|version| version == AUTHENTICATED_MEDIA)
    {
        versions.push(AUTHENTICATED_MEDIA.into());
    }
    if let Value::Object(features) = body.entry("unstable_features").or_insert_with(|| json!({})) {
        let direct = DIRECT_FLAGS.iter().filter(|_| direct_uploads);
        features.extend(FLAGS.iter().chain(direct).map(|flag| ((*flag).to_owned(), true.into())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(body: Value, adds_version: bool) -> Value {
        let Value::Object(mut body) = body else { panic!("an object") };
        merge(&mut body, adds_version, false);
        body.into()
    }

    #[test]
    fn the_version_is_added_once_and_only_if_it_is_missing() {
        assert_eq!(merged(json!({"versions": ["v1.1"]}), true)["versions"], json!(["v1.1", "v1.11"]));
        assert_eq!(merged(json!({"versions": ["v1.11", "v1.12"]}), true)["versions"], json!(["v1.11", "v1.12"]));
        assert_eq!(merged(json!({"versions": ["v1.1"]}), false)["versions"], json!(["v1.1"]));
        assert_eq!(merged(json!({}), true)["versions"], json!(["v1.11"]));
    }

    #[test]
    fn the_flags_of_the_homeserver_stay() {
        let merged = merged(json!({"unstable_features": {"a": true, "org.matrix.msc3916": false}, "x": 1}), true);

        assert_eq!(merged["unstable_features"]["a"], true);
        assert_eq!(merged["unstable_features"]["org.matrix.msc3916"], true);
        assert_eq!(merged["unstable_features"]["fi.mau.msc2246.stable"], true);
        assert_eq!(merged["x"], 1);
    }
}
