//! Opening a port, with words for the operator when it fails.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

/// A port could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {advice}")]
pub struct ListenError {
    /// Where.
    pub address: SocketAddr,
    /// Why not, and what to do.
    pub advice: String,
    /// What the system said.
    pub source: io::Error,
}

/// Opens `address`. `key` names the setting that it came from.
pub fn bind(address: SocketAddr, key: &str) -> Result<TcpListener, ListenError> {
    let open = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    open().map_err(|source| ListenError { address, advice: advice(&source, key), source })
}

fn advice(error: &io::Error, key: &str) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another process listens there: stop it, or choose another port with {key}")
        }
        io::ErrorKind::PermissionDenied => format!("not permitted: choose a port from 1024 up with {key}"),
        io::ErrorKind::AddrNotAvailable => format!("this machine has no such address: correct {key}"),
        _ => format!("{error}: correct {key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_told_with_its_setting() {
        let first = bind("127.0.0.1:0".parse().unwrap(), "api.listen").unwrap();
        let address = first.local_addr().unwrap();

        let error = bind(address, "api.listen").unwrap_err();

        assert_eq!(
            error.to_string(),
            format!(
                "cannot listen on {address}: another process listens there: stop it, or choose another port with api.listen"
            )
        );
    }

    #[test]
    fn an_address_of_another_machine_is_told() {
        let error = bind("192.0.2.1:0".parse().unwrap(), "api.listen").unwrap_err();

        assert!(error.to_string().ends_with("this machine has no such address: correct api.listen"), "{error}");
    }
}
