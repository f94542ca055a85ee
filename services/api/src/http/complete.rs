//! `POST /_matrix/media/unstable/com.beeper.msc3870/upload/{serverName}/{mediaId}/complete` (MSC3870)
//! <https://github.com/matrix-org/matrix-spec-proposals/pull/3870>

use std::sync::Arc;

use actix_web::HttpResponse;
use heliograph_matrix::Requester;
use heliograph_proto::Complete;
use serde_json::json;

use crate::{
    auth,
    http::{create, target, upload},
    limits::Caller,
    params::{self, Query},
    routes::{Call, Outcome},
};

pub(crate) async fn handle(Call { front, request, body }: Call<'_>, requester: Requester) -> Outcome {
    let mxc = params::own_mxc(front, request)?;
    let (store, file_name) = (params::store(request)?, upload::file_name(front, request)?);
    auth::not_suspended(front, &requester).await?;
    front.limits.create(&Caller::of(front, request, &requester)).await?;
    create::check_body(front, body).await?;
    // Who fills the id through a point of presence must still be the one who does. The claim is not
    // given back: whoever missed the answer asks again.
    let claim = target::find_claim(&mxc, &requester.user_id, &Query::of(request))?;
    if let Some(claim) = &claim {
        target::keep(front, claim).await?;
    }
    let complete = Complete { mxc: mxc.clone(), uploader: requester.user_id, store, file_name };
    // Once begun, it ends, even if the client leaves.
    let uploads = Arc::clone(&front.uploads);
    front.work.run_to_the_end(async move { uploads.complete(complete).await }).await?;
    // What it is, only its record says: the thumbnailer looks.
    front.premake.tell(front, &mxc);
    Ok(HttpResponse::Ok().json(json!({ "content_uri": mxc.to_string() })))
}
