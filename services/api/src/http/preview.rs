//! `GET /_matrix/client/v1/media/preview_url`
//! <https://spec.matrix.org/latest/client-server-api/#get_matrixclientv1mediapreview_url>
//!
//! Previews are not made yet: the answer is that of a server where they are switched off.

use heliograph_matrix::Requester;
use heliograph_types::ErrorCode;

use crate::{
    error::ApiError,
    routes::{Call, Outcome},
};

pub(crate) async fn handle(_: Call<'_>, _: Requester) -> Outcome {
    Err(ApiError::new(ErrorCode::Unrecognized, "URL previews are switched off"))
}
