//! The proxy through which everything goes, if one is set.

use std::{borrow::Cow, net::SocketAddr};

use ::base64::{Engine, engine::general_purpose::STANDARD};
use heliograph_types::Secret;
use http::{HeaderValue, Uri};
use hyper_util::{
    client::legacy::connect::proxy::{SocksV5, Tunnel},
    rt::TokioIo,
};
use percent_encoding::percent_decode_str;
use tokio::net::TcpStream;
use tower::{Service, service_fn};
use url::Url;

use super::{
    dial::{ConnectError, Plain},
    place::{Host, Place},
};
use crate::{ClientError, Lookup};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `CONNECT` of HTTP.
    Http,
    Socks5,
}

/// A proxy. It looks names up itself, and which addresses they lead to is its duty.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    /// User and password.
    credentials: Option<Secret<(String, String)>>,
}

impl Proxy {
    /// Reads the URL of a proxy. The error shows nothing of it.
    pub(crate) fn read(url: &Secret<String>) -> Result<Self, ClientError> {
        let bad = |reason: &str| ClientError::BadProxy(reason.to_owned());
        let url = Url::parse(url.expose()).map_err(|error| bad(&error.to_string()))?;
        let (kind, default_port) = match url.scheme() {
            "http" => (Kind::Http, 80),
            "socks5" => (Kind::Socks5, 1080),
            _ => return Err(bad("it has another scheme")),
        };
        let port = url.port().unwrap_or(default_port);
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| bad("it has no host"))?;
        let decode = |text: &str| percent_decode_str(text).decode_utf8().map(Cow::into_owned);
        let user = decode(url.username()).map_err(|_| bad("it has a user that is not UTF-8"))?;
        let password = decode(url.password().unwrap_or_default());
        let password = password.map_err(|_| bad("it has a password that is not UTF-8"))?;
        if kind == Kind::Socks5 && user.len().max(password.len()) > 255 {
            return Err(bad("it has a user or password of more than 255 bytes"));
        }
        let credentials = (!user.is_empty() || !password.is_empty()).then(|| Secret::new((user, password)));
        Ok(Self { kind, host: host.to_owned(), port, credentials })
    }

    /// A connection through it.
    pub(crate) async fn open(&self, lookup: &dyn Lookup, place: &Place) -> Result<Plain, ConnectError> {
        let stream = self.reach(lookup).await?;
        let mut stream = Some(TokioIo::new(stream));
        let connected = service_fn(move |_: Uri| {
            let stream = stream.take().ok_or(std::io::ErrorKind::NotConnected);
            async move { stream.map_err(std::io::Error::from) }
        });
        let target = target(place)?;
        let (proxy, failed) = (Uri::from_static("http://proxy"), |error: String| ConnectError::Proxy(error));
        match self.kind {
            Kind::Http => {
                let mut tunnel = Tunnel::new(proxy, connected);
                if let Some(header) = self.authorization()? {
                    tunnel = tunnel.with_auth(header);
                }
                tunnel.call(target).await.map_err(|error| failed(error.to_string()))
            }
            Kind::Socks5 => {
                let mut socks = SocksV5::new(proxy, connected);
                if let Some(credentials) = &self.credentials {
                    let (user, password) = credentials.expose().clone();
                    socks = socks.with_auth(user, password);
                }
                socks.call(target).await.map_err(|error| failed(error.to_string()))
            }
        }
    }

    /// Whoever set the proxy may have it anywhere: no address is refused.
    async fn reach(&self, lookup: &dyn Lookup) -> Result<TcpStream, ConnectError> {
        let addresses = match Host::read(&self.host) {
            Some(Host::Address(address)) => vec![SocketAddr::new(address, self.port)],
            _ => lookup.find_addresses(&self.host).await?,
        };
        let addresses: Vec<_> = addresses.iter().map(|address| SocketAddr::new(address.ip(), self.port)).collect();
        let stream = TcpStream::connect(&*addresses).await.map_err(|error| ConnectError::Proxy(error.to_string()))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn authorization(&self) -> Result<Option<HeaderValue>, ConnectError> {
        let Some(credentials) = &self.credentials else { return Ok(None) };
        let (user, password) = credentials.expose();
        let header = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let header = HeaderValue::try_from(header).map_err(|error| ConnectError::Proxy(error.to_string()))?;
        Ok(Some(header))
    }
}

fn target(place: &Place) -> Result<Uri, ConnectError> {
    let port = place.port;
    let target = match &place.host {
        Host::Address(address) => format!("https://{}/", SocketAddr::new(*address, port)),
        Host::Name(name) => format!("https://{name}:{port}/"),
    };
    target.parse().map_err(|error: http::uri::InvalidUri| ConnectError::Proxy(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Proxy, String> {
        Proxy::read(&Secret::new(url.to_owned())).map_err(|error| error.to_string())
    }

    #[test]
    fn a_url_tells_kind_place_and_credentials() {
        let http = read("http://user:p%40ss@proxy.example:3129").unwrap();
        assert_eq!((http.kind, http.host.as_str(), http.port), (Kind::Http, "proxy.example", 3129));
        assert_eq!(http.credentials.as_ref().unwrap().expose(), &("user".to_owned(), "p@ss".to_owned()));
        let socks = read("socks5://10.0.0.1").unwrap();
        assert_eq!((socks.kind, socks.host.as_str(), socks.port), (Kind::Socks5, "10.0.0.1", 1080));
        assert!(socks.credentials.is_none());
        assert_eq!((read("http://a").unwrap().port, read("http://a:80").unwrap().port), (80, 80));
    }

    #[test]
    fn what_is_wrong_is_told_without_the_secret() {
        for url in ["https://u:hidden@a", "socks4://u:hidden@a", "u:hidden@a", "http://u:hidden@", ""] {
            let error = read(url).unwrap_err();
            assert!(!error.contains("hidden"), "{error}");
        }
        assert!(!format!("{:?}", read("http://u:hidden@a").unwrap()).contains("hidden"));
    }
}
