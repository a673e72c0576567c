//! Whose requests are taken: `Host` and `Origin` against lists, so that a page in somebody's browser
//! cannot speak to a listener on their machine (DNS rebinding; MCP, transports, security).

use std::net::{IpAddr, SocketAddr};

use http::header::ORIGIN;
use http::request::Parts;
use http::{StatusCode, Uri};

use super::strict::host_of;

/// Names and origins that are taken beside the built-in ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `Host` names, without a port, that are taken beside loopback names and the address that the
    /// connection came to.
    pub hosts: Vec<String>,
    /// Origins (`https://app.example`) that are taken beside loopback origins. `null` never is.
    pub origins: Vec<String>,
}

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// The `Host` is not on the list.
    #[error("this Host is not served here; allow it in the configuration")]
    Host,
    /// The `Origin` is not on the list.
    #[error("this Origin is not allowed; allow it in the configuration")]
    Origin,
}

impl Stranger {
    /// 421 for a host, 403 for an origin.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Origin => StatusCode::FORBIDDEN,
        }
    }
}

impl Settings {
    /// Holds a request's host and origin against the lists. `local` is where it came to.
    ///
    /// # Errors
    /// See [`Stranger`].
    pub fn check(&self, head: &Parts, local: SocketAddr) -> Result<(), Stranger> {
        let host = host_of(head).map(without_port).ok_or(Stranger::Host)?;
        let listed = |name: &String| name.eq_ignore_ascii_case(host);
        if !is_loopback(host) && !is_address(host, local.ip()) && !self.hosts.iter().any(listed) {
            return Err(Stranger::Host);
        }
        for origin in head.headers.get_all(ORIGIN) {
            let origin = origin.to_str().map_err(|_| Stranger::Origin)?;
            let listed = |allowed: &String| allowed.eq_ignore_ascii_case(origin);
            if origin == "null" || (!is_loopback_origin(origin) && !self.origins.iter().any(listed))
            {
                return Err(Stranger::Origin);
            }
        }
        Ok(())
    }
}

fn is_loopback_origin(origin: &str) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else { return false };
    matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(is_loopback)
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || bare(host).parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn is_address(host: &str, address: IpAddr) -> bool {
    bare(host).parse().is_ok_and(|host: IpAddr| host.to_canonical() == address.to_canonical())
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit())
                && !name.ends_with(':')
                && (!name.contains(':') || name.starts_with('[')) =>
        {
            name
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn hosts_and_origins_are_held_against_the_lists() {
        let settings = Settings {
            hosts: vec!["tools.example".to_owned()],
            origins: vec!["https://app.example".to_owned(), "vscode-webview://x".to_owned()],
        };
        let rows: &[(&str, Option<&str>, Result<(), Stranger>)] = &[
            ("localhost", None, Ok(())),
            ("LOCALHOST:7411", None, Ok(())),
            ("127.0.0.1:1", None, Ok(())),
            ("127.9.9.9", None, Ok(())),
            ("[::1]:80", None, Ok(())),
            ("[::1]", None, Ok(())),
            ("10.0.0.7:7411", None, Ok(())),
            ("Tools.example:443", None, Ok(())),
            ("evil.example", None, Err(Stranger::Host)),
            ("localhost.evil.example", None, Err(Stranger::Host)),
            ("10.0.0.8", None, Err(Stranger::Host)),
            ("127.0.0.1.nip.io", None, Err(Stranger::Host)),
            ("localhost", Some("http://localhost:6274"), Ok(())),
            ("localhost", Some("https://127.0.0.1"), Ok(())),
            ("localhost", Some("http://[::1]:3"), Ok(())),
            ("localhost", Some("https://app.example"), Ok(())),
            ("localhost", Some("vscode-webview://x"), Ok(())),
            ("localhost", Some("null"), Err(Stranger::Origin)),
            ("localhost", Some("https://evil.example"), Err(Stranger::Origin)),
            ("localhost", Some("http://localhost.evil.example"), Err(Stranger::Origin)),
            ("localhost", Some("http://localhost@evil.example"), Err(Stranger::Origin)),
            ("localhost", Some("file://localhost"), Err(Stranger::Origin)),
        ];
        for (host, origin, expected) in rows {
            let mut request = Request::get("/mcp").header("host", *host);
            if let Some(origin) = origin {
                request = request.header("origin", *origin);
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            let local = SocketAddr::from(([10, 0, 0, 7], 7411));
            assert_eq!(settings.check(&head, local), *expected, "{host} {origin:?}");
        }
    }
}
