//! Every endpoint: its paths, its methods, who may call it.

use actix_web::{
    HttpResponse,
    http::header::{ALLOW, HeaderValue},
    web::{self, ServiceConfig},
};
use heliograph_types::ErrorCode;

use crate::{error::ApiError, http};

/// An endpoint; who may call it is written beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    /// Users.
    Upload,
    /// Users.
    Create,
    /// The user who created the id.
    Put,
    /// Users.
    Config,
    /// Users and guests.
    Download,
    /// Users and guests.
    Thumbnail,
    /// Anyone.
    LegacyDownload,
    /// Anyone.
    LegacyThumbnail,
    /// Servers, by signature.
    FederationDownload,
    /// Servers, by signature.
    FederationThumbnail,
}

/// `{file_name}` may be empty, but has no slash.
const ROUTES: [(Endpoint, &[&str]); 10] = [
    (Endpoint::Upload, &["/_matrix/media/v3/upload", "/_matrix/media/r0/upload", "/_matrix/media/v1/upload"]),
    (Endpoint::Create, &["/_matrix/media/v1/create"]),
    (
        Endpoint::Put,
        &[
            "/_matrix/media/v3/upload/{server_name}/{media_id}",
            "/_matrix/media/r0/upload/{server_name}/{media_id}",
            "/_matrix/media/v1/upload/{server_name}/{media_id}",
        ],
    ),
    (
        Endpoint::Config,
        &[
            "/_matrix/client/v1/media/config",
            "/_matrix/media/v3/config",
            "/_matrix/media/r0/config",
            "/_matrix/media/v1/config",
        ],
    ),
    (
        Endpoint::Download,
        &[
            "/_matrix/client/v1/media/download/{server_name}/{media_id}",
            "/_matrix/client/v1/media/download/{server_name}/{media_id}/{file_name:[^/]*}",
        ],
    ),
    (Endpoint::Thumbnail, &["/_matrix/client/v1/media/thumbnail/{server_name}/{media_id}"]),
    (
        Endpoint::LegacyDownload,
        &[
            "/_matrix/media/v3/download/{server_name}/{media_id}",
            "/_matrix/media/v3/download/{server_name}/{media_id}/{file_name:[^/]*}",
            "/_matrix/media/r0/download/{server_name}/{media_id}",
            "/_matrix/media/r0/download/{server_name}/{media_id}/{file_name:[^/]*}",
            "/_matrix/media/v1/download/{server_name}/{media_id}",
            "/_matrix/media/v1/download/{server_name}/{media_id}/{file_name:[^/]*}",
        ],
    ),
    (
        Endpoint::LegacyThumbnail,
        &[
            "/_matrix/media/v3/thumbnail/{server_name}/{media_id}",
            "/_matrix/media/r0/thumbnail/{server_name}/{media_id}",
            "/_matrix/media/v1/thumbnail/{server_name}/{media_id}",
        ],
    ),
    (Endpoint::FederationDownload, &["/_matrix/federation/v1/media/download/{media_id}"]),
    (Endpoint::FederationThumbnail, &["/_matrix/federation/v1/media/thumbnail/{media_id}"]),
];

/// Adds every route to the server.
pub(crate) fn configure(config: &mut ServiceConfig) {
    for (endpoint, paths) in ROUTES {
        for path in paths {
            config.service(resource(endpoint, path));
        }
    }
    config.default_service(web::to(unrecognized));
}

fn resource(endpoint: Endpoint, path: &str) -> actix_web::Resource {
    let resource = web::resource(path);
    let get = || [web::get(), web::head()];
    macro_rules! reading {
        ($handler:path) => {
            get().into_iter().fold(resource, |resource, route| resource.route(route.to($handler)))
        };
    }
    let (resource, allowed) = match endpoint {
        Endpoint::Upload => (resource.route(web::post().to(http::upload::handle)), "POST, OPTIONS"),
        Endpoint::Create => (resource.route(web::post().to(http::create::handle)), "POST, OPTIONS"),
        Endpoint::Put => (resource.route(web::put().to(http::put::handle)), "PUT, OPTIONS"),
        Endpoint::Config => (reading!(http::config::handle), READING),
        Endpoint::Download => (reading!(http::download::handle), READING),
        Endpoint::Thumbnail => (reading!(http::thumbnail::handle), READING),
        Endpoint::LegacyDownload => (reading!(http::download::handle_legacy), READING),
        Endpoint::LegacyThumbnail => (reading!(http::thumbnail::handle_legacy), READING),
        Endpoint::FederationDownload => (reading!(http::federation_download::handle), READING),
        Endpoint::FederationThumbnail => (reading!(http::federation_thumbnail::handle), READING),
    };
    resource.default_service(web::to(move || std::future::ready(method_not_allowed(allowed))))
}

const READING: &str = "GET, HEAD, OPTIONS";

fn method_not_allowed(allowed: &'static str) -> HttpResponse {
    let error = ApiError::new(ErrorCode::MethodNotAllowed, "this endpoint does not know the method");
    let mut answer = HttpResponse::from_error(error);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

async fn unrecognized() -> Result<HttpResponse, ApiError> {
    Err(ApiError::new(ErrorCode::Unrecognized, "no such endpoint"))
}
