//! What a request announces, and what that costs.

use heliograph_tests::{Deployment, Setup, Shape, Wire, both_shapes};

const UPLOAD: &str = "POST /_matrix/media/v3/upload";

/// An upload of which only the head is ever sent.
async fn announce(deployment: &Deployment, headers: &str) -> (u16, String) {
    let mut wire = Wire::connect(deployment.address()).await;
    wire.head(UPLOAD, "bob-token", headers).await;
    wire.answer().await
}

both_shapes! {
    /// What can never be sent is not put off until later: it is too large.
    async fn a_length_beyond_all_limits_is_too_large(shape: Shape) {
        let deployment = Setup::new(shape).start().await;

        for length in ["999999999999", "9223372036854775807", "18446744073709551615"] {
            let (status, body) = announce(&deployment, &format!("Content-Length: {length}\r\n")).await;
            assert_eq!(status, 413, "{length}: {body}");
            assert!(body.contains("M_TOO_LARGE"), "{body}");
        }
    }

    /// Bytes that were never taken are not counted.
    async fn what_was_refused_as_too_large_costs_no_bytes(shape: Shape) {
        let deployment = Setup::new(shape)
            .set("uploads", "max_bytes", "1 MiB")
            .set("limits", "user_upload_bytes", "4 MiB/1h")
            .start()
            .await;

        for nth in 0..5 {
            let (status, body) = announce(&deployment, "Content-Length: 2000000\r\n").await;
            assert_eq!(status, 413, "{nth}: {body}");
        }
        deployment.bob().try_upload("hello", "text/plain").await.ok();
    }

    /// Who waits for leave to send gets none if the upload is refused.
    async fn who_is_refused_gets_no_leave_to_send(shape: Shape) {
        let deployment = Setup::new(shape).set("uploads", "max_bytes", "1 MiB").start().await;

        let (status, body) = announce(&deployment, "Content-Length: 1048577\r\nExpect: 100-continue\r\n").await;

        assert_eq!(status, 413, "{body}");
    }
}
