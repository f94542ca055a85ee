//! `POST /_matrix/media/unstable/com.beeper.msc3870/upload/{serverName}/{mediaId}/complete` (MSC3870)
//! <https://github.com/matrix-org/matrix-spec-proposals/pull/3870>
//!
//! No upload URLs are given out yet, so there never is anything at one: an id stays pending,
//! or was filled by an ordinary upload.

use heliograph_catalog::Lookup;
use heliograph_matrix::Requester;
use heliograph_types::{ErrorCode, Failure};

use crate::{
    auth,
    error::ApiError,
    http::create,
    limits::Caller,
    params,
    routes::{Call, Outcome},
};

pub(crate) async fn handle(Call { front, request, body }: Call<'_>, requester: Requester) -> Outcome {
    let mxc = params::own_mxc(front, request)?;
    auth::not_suspended(front, &requester).await?;
    front.limits.create(&Caller::of(front, request, &requester)).await?;
    create::check_body(front, body).await?;
    let (uploader, code) = match front.catalog.lookup(&mxc).await? {
        Lookup::Missing => return Err(Failure::not_found().into()),
        Lookup::Pending(reserved) => (Some(reserved.uploader), ErrorCode::NothingUploaded),
        Lookup::Ready(record) => (record.uploader.clone(), ErrorCode::CannotOverwriteMedia),
    };
    if uploader != Some(requester.user_id) {
        return Err(ApiError::new(ErrorCode::Forbidden, "this id belongs to another user"));
    }
    let message = match code {
        ErrorCode::NothingUploaded => "nothing was uploaded to this id yet",
        _ => "this id has content already",
    };
    Err(ApiError::new(code, message))
}
