//! Which requests the edge does more for than to pass them on.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Data, Payload, ServiceConfig},
};

use crate::{forward, read, server::Edge, upload};

/// Under which content is read, with a token and without. Which versions there are, the core says.
const READING: [&str; 3] =
    ["/_matrix/client/{version}/media", "/_matrix/client/unstable/{proposal}/media", "/_matrix/media/{version}"];
/// Under which ids are created and filled.
const IDS: [&str; 2] = ["/_matrix/media/{version}", "/_matrix/media/unstable/{proposal}"];

/// Adds all routes to the server.
pub(crate) fn configure(config: &mut ServiceConfig) {
    for under in READING {
        for path in [
            "/{kind:download|thumbnail}/{server_name}/{media_id}",
            "/{kind:download}/{server_name}/{media_id}/{file_name:[^/]*}",
        ] {
            config.service(resource(&format!("{under}{path}"), web::get().to(read)).route(web::head().to(read)));
        }
        config.service(resource(&format!("{under}/upload"), web::post().to(upload)));
    }
    for under in IDS {
        let id = format!("{under}/upload/{{server_name}}/{{media_id}}");
        config.service(resource(&id, web::put().to(put)));
        config.service(resource(&format!("{id}/complete"), web::post().to(pass_on_with_store)));
        config.service(resource(&format!("{under}/create"), web::post().to(pass_on_with_store)));
    }
    config.service(web::resource("/{rest:.*}").to(pass_on));
}

fn resource(path: &str, route: actix_web::Route) -> actix_web::Resource {
    web::resource(path).route(route).default_service(web::to(pass_on))
}

async fn read(edge: Data<Edge>, request: HttpRequest, payload: Payload) -> HttpResponse {
    match read::read(&edge, &request).await {
        Ok(answer) => answer,
        Err(error) => forward::refuse(&edge, &request, error, payload).await,
    }
}

async fn upload(edge: Data<Edge>, request: HttpRequest, payload: Payload) -> HttpResponse {
    upload::post(edge, request, payload).await
}

async fn put(edge: Data<Edge>, request: HttpRequest, payload: Payload) -> HttpResponse {
    upload::put(edge, request, payload).await
}

async fn pass_on(edge: Data<Edge>, request: HttpRequest, payload: Payload) -> HttpResponse {
    forward::forward(&edge, &request, payload).await
}

/// What is put into a bucket is to be put into that of this region.
async fn pass_on_with_store(edge: Data<Edge>, request: HttpRequest, payload: Payload) -> HttpResponse {
    match edge.upstream.url_with_store(forward::target(&request)) {
        Ok(url) => forward::forward_to(&edge, &request, payload, url).await,
        Err(error) => forward::refuse(&edge, &request, error, payload).await,
    }
}
