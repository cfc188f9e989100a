//! Plain HTTP through a proxy: requests the absolute URI (`GET http://HOST/PATH`), as in RFC 9112. The client library
//! only uses tunnels, which most proxies refuse for port 80.
//!
//! Knows proxies and the request line; never knows what is downloaded.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ureq::{
    Error, Proxy, ProxyProtocol,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{Buffers, ConnectionDetails, Connector, NextTimeout, TcpConnector, Transport},
    },
};

/// Whether a request to this proxy uses the absolute URI instead of a tunnel.
pub(super) fn is_forwarded(url: &str, proxy: &Proxy) -> bool {
    // The library evaluates NO_PROXY.
    let is_plain = url.parse().is_ok_and(|uri: Uri| uri.scheme_str() == Some("http") && !proxy.is_no_proxy(&uri));
    is_plain && proxy.protocol() == ProxyProtocol::Http
}

/// The header with the proxy's credentials, if its URL contains any.
pub(super) fn credentials(proxy: &Proxy) -> Option<String> {
    if proxy.username().is_none() && proxy.password().is_none() {
        return None;
    }
    let [user, password] = [proxy.username(), proxy.password()].map(Option::unwrap_or_default);
    Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
}

/// Resolves every host to the proxy.
#[derive(Debug)]
pub(super) struct ToProxy(pub(super) Uri);

impl Resolver for ToProxy {
    fn resolve(&self, _: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        DefaultResolver::default().resolve(&self.0, config, timeout)
    }
}

/// Connects, and replaces the path in the request line by the absolute URI.
#[derive(Debug, Default)]
pub(super) struct Forward(TcpConnector);

impl Connector for Forward {
    type Out = WholeAddress<<TcpConnector as Connector>::Out>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<()>) -> Result<Option<Self::Out>, Error> {
        let inner = self.0.connect(details, chained)?;
        let authority = details.uri.authority().map(ToString::to_string).unwrap_or_default();
        Ok(inner.map(|inner| WholeAddress { inner, origin: Some(format!("http://{authority}")) }))
    }
}

#[derive(Debug)]
pub(super) struct WholeAddress<T> {
    inner: T,
    /// The origin to insert before the path; `None` once that is done.
    origin: Option<String>,
}

impl<T: Transport> Transport for WholeAddress<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let Some(origin) = self.origin.take() else { return self.inner.transmit_output(amount, timeout) };
        let output = self.inner.buffers().output();
        let path = output[..amount].iter().position(|byte| *byte == b' ').map(|space| space + 1);
        let (Some(path), Some(len)) = (path, Some(amount + origin.len()).filter(|len| *len <= output.len())) else {
            return Err(Error::Other("the request does not fit".into()));
        };
        output.copy_within(path..amount, path + origin.len());
        output[path..path + origin.len()].copy_from_slice(origin.as_bytes());
        self.inner.transmit_output(len, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.inner.await_input(timeout)
    }

    /// Not reused, because each request needs a new request line.
    fn is_open(&mut self) -> bool {
        false
    }
}
