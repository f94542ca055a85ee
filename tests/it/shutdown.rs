//! The end of a process: what is in progress is finished, unless somebody insists.

use std::net::TcpStream;

use heliograph_tests::{Deployment, Setup, Shape, Wire, both_shapes, eventually, noise};

/// More than all buffers between the two take.
const LENGTH: usize = 64 << 20;

/// A download of which only the beginning has been read.
async fn begin_download(deployment: &Deployment) -> (Wire, Vec<u8>) {
    let id = deployment.alice().upload(noise(LENGTH, 1), "video/mp4").await;
    let mut wire = Wire::connect(deployment.address()).await;
    wire.head(&format!("GET /_matrix/client/v1/media/download/{id}"), "bob-token", "Connection: close\r\n").await;
    let beginning = wire.read_until(|got| got.len() > 100_000).await;
    (wire, beginning)
}

both_shapes! {
    async fn the_first_signal_lets_a_download_finish(shape: Shape) {
        let mut deployment = Setup::new(shape).start().await;
        let (mut wire, mut got) = begin_download(&deployment).await;

        deployment.api().signal("INT");
        let address = deployment.address();
        eventually("nobody new is let in", async || TcpStream::connect(address).is_err().then_some(())).await;
        got.extend(wire.read_until(|_| false).await);

        assert!(got.ends_with(&noise(LENGTH, 1)), "the download was cut: {} bytes", got.len());
        assert!(deployment.api().wait().success());
    }

    async fn the_second_signal_ends_it_at_once(shape: Shape) {
        // Much longer than the test waits for its end.
        let mut deployment = Setup::new(shape).set("process", "shutdown_grace", "1h").start().await;
        let (mut wire, got) = begin_download(&deployment).await;

        deployment.api().signal("INT");
        let address = deployment.address();
        eventually("nobody new is let in", async || TcpStream::connect(address).is_err().then_some(())).await;
        deployment.api().signal("INT");
        deployment.api().wait();

        let rest = wire.read_until(|_| false).await;
        assert!(got.len() + rest.len() < LENGTH, "it was to be cut");
    }

    async fn every_process_ends_well_when_it_is_asked_to(shape: Shape) {
        let mut deployment = Setup::new(shape).start().await;
        deployment.alice().upload("hello", "text/plain").await;

        for process in deployment.processes().iter_mut().rev() {
            process.signal("TERM");
            let status = process.wait();
            assert!(status.success(), "{status}: {}", process.log());
        }
    }
}
