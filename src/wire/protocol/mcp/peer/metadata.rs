//! Reads what the peer says of itself as a protected resource (RFC 9728), at the configured origin and
//! nowhere else.

use http::{HeaderMap, Method, Request};

use super::line::{self, Line};
use super::{PeerClient, PeerError, within};
use crate::domain::json::{Item, Kind};
use crate::domain::policy::Grants;
use crate::wire::transport::body::Body;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
/// Longest document that is read.
const LONGEST: usize = 64 * 1024;
/// Most hosts or scopes of it, and longest of them.
const MOST: (usize, usize) = (64, 256);
/// How long the question may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

impl PeerClient {
    /// What the protected resource says: under the endpoint's path, else for the whole origin. `None`
    /// where it says nothing.
    ///
    /// # Errors
    /// Where it cannot be reached, or what it says is no such document.
    pub async fn grants(&self) -> Result<Option<Grants>, PeerError> {
        let Line::Http(upstream) = &self.line else { return Ok(None) };
        let path = upstream.endpoint().path_and_query();
        let path = path.split('?').next().unwrap_or_default().trim_end_matches('/').to_owned();
        within(PATIENCE, async {
            for place in [format!("{WELL_KNOWN}{path}"), WELL_KNOWN.to_owned()] {
                let mut request = Request::new(Body::empty());
                *request.method_mut() = Method::GET;
                *request.headers_mut() = HeaderMap::new();
                *request.uri_mut() = place.parse().unwrap_or_default();
                let answer = upstream.send(request).await?;
                if !answer.status().is_success() {
                    continue;
                }
                let text = line::whole(answer, LONGEST).await?;
                return line::read(&text, |root| Ok(Some(grants(root))));
            }
            Ok(None)
        })
        .await
    }
}

fn grants(root: Item<'_>) -> Grants {
    let texts = |name: &str| -> Vec<String> {
        let list = root.get(name).filter(|list| list.kind() == Kind::Array);
        let texts = list.into_iter().flat_map(|list| list.items());
        let texts = texts.filter_map(|text| text.as_str().map(|text| text.into_owned()));
        texts.take(MOST.0).map(|text| text.chars().take(MOST.1).collect()).collect()
    };
    let host = |url: &String| {
        let uri = url.parse::<http::Uri>().ok()?;
        uri.authority().map(|host| host.as_str().to_ascii_lowercase())
    };
    Grants {
        hosts: texts("authorization_servers").iter().filter_map(host).collect(),
        scopes: texts("scopes_supported").into_iter().collect(),
    }
}
