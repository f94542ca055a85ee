//! A homeserver that knows everybody, asked over HTTP as real ones are.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

const WHO: &str = r#"{"user_id":"@alice:ours.example","device_id":"DEVICE"}"#;

/// Answers until the process ends.
pub(crate) fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().flatten().for_each(answer));
    address
}

/// One request, which comes in one piece.
fn answer(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 8192]);
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: ";
    let _ = write!(stream, "{head}{}\r\n\r\n{WHO}", WHO.len());
}
