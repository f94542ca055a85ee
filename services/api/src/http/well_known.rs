//! `GET /.well-known/matrix/client` and `GET /.well-known/matrix/server` (MSC3859)
//! <https://github.com/matrix-org/matrix-spec-proposals/pull/3859>
//!
//! What the settings or the homeserver say, with the name of this media repository in it.

use actix_web::{HttpRequest, HttpResponse, http::header::CACHE_CONTROL};
use heliograph_matrix::{AuthError, HomeserverConfig, WellKnownFile};
use heliograph_types::{ErrorCode, Failure, ServerName};
use serde_json::{Map, Value, json};

use crate::{
    error::ApiError,
    routes::{Call, Outcome},
    server::Front,
};

const MEMBER: &str = "m.media_server";
const UNSTABLE_MEMBER: &str = "com.beeper.msc3859.m.media_server";
/// How long others keep the files, if the homeserver does not say.
const KEPT: &str = "public, max-age=3600";

pub(crate) async fn handle_client(Call { front, request, .. }: Call<'_>) -> Outcome {
    let (site, mut file) = find(front, request, WellKnownFile::Client).await?;
    // Without the homeserver the file is of no use to a client.
    let Some((content, _)) = file.as_mut().filter(|(content, _)| content.contains_key("m.homeserver")) else {
        return Err(nothing());
    };
    if let Some(url) = site.and_then(|site| Some((site, site.media_base_url.as_ref()?))) {
        let (site, url) = url;
        add(content, site, &json!({ "base_url": url.as_str().trim_end_matches('/') }));
    }
    file.map(answer).ok_or_else(nothing)
}

pub(crate) async fn handle_server(Call { front, request, .. }: Call<'_>) -> Outcome {
    let (site, file) = find(front, request, WellKnownFile::Server).await?;
    let media_server = site.and_then(|site| Some((site, site.media_server_name.as_ref()?)));
    let (mut content, kept) = match (file, media_server) {
        (Some(file), _) => file,
        (None, Some(_)) => (Map::new(), KEPT.to_owned()),
        (None, None) => return Err(nothing()),
    };
    if let Some((site, name)) = media_server {
        add(&mut content, site, &json!(name.as_str()));
    }
    Ok(answer((content, kept)))
}

type File = (Map<String, Value>, String);

/// The settings of the tenant, and what the file says without us.
async fn find<'a>(
    front: &'a Front,
    request: &HttpRequest,
    file: WellKnownFile,
) -> Result<(Option<&'a HomeserverConfig>, Option<File>), ApiError> {
    let tenant = front.tenant_by_host(request);
    let site = front.sites.get(&tenant);
    let template = site.and_then(|site| match file {
        WellKnownFile::Client => site.well_known_client.as_ref(),
        WellKnownFile::Server => site.well_known_server.as_ref(),
    });
    let content = match template {
        Some(text) => Some((parse(text.as_bytes())?, KEPT.to_owned())),
        None => ask(front, &tenant, file).await?,
    };
    Ok((site, content))
}

async fn ask(front: &Front, tenant: &ServerName, file: WellKnownFile) -> Result<Option<File>, ApiError> {
    match front.published.find(&*front.homeservers, &*front.clock, tenant, file).await {
        Ok(None) => Ok(None),
        Ok(Some(reply)) => {
            let kept = reply.cache_control.clone().unwrap_or_else(|| KEPT.to_owned());
            Ok(Some((parse(&reply.body)?, kept)))
        }
        Err(AuthError::Refused(_) | AuthError::Unavailable(_)) => {
            Err(ApiError::new(ErrorCode::BadGateway, "the homeserver is out of reach"))
        }
    }
}

fn parse(text: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let nonsense = |_| ApiError::new(ErrorCode::BadGateway, "what the homeserver publishes is no JSON object");
    serde_json::from_slice(text).map_err(nonsense)
}

fn add(content: &mut Map<String, Value>, site: &HomeserverConfig, value: &Value) {
    content.insert(UNSTABLE_MEMBER.to_owned(), value.clone());
    if site.publish_unprefixed {
        content.insert(MEMBER.to_owned(), value.clone());
    }
}

fn answer((content, kept): File) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, kept)).json(content)
}

fn nothing() -> ApiError {
    ApiError::Failure(Failure::new(ErrorCode::NotFound, "nothing is published here"))
}
