//! Unpacks a reply that came packed although nobody asked for it, within bounds.

use std::io::Read as _;

use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HeaderName};

use super::budget::{BodyBudget, CollectError, Collected};

/// No text that is meant to be read packs better than this; a bomb does.
const RATIO: usize = 200;
/// How much is unpacked before the bounds are looked at again.
const PIECE: usize = 64 * 1024;

/// Digests of the packed bytes (RFC 9530 and before).
const DIGESTS: [HeaderName; 3] = [
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

/// Why a body was not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Anything but one `gzip`: we ask for `identity`.
    #[error("expected Content-Encoding identity or gzip")]
    Unknown,
    /// The bytes are not what the header says.
    #[error("the body is not gzip: {0}")]
    NotGzip(#[source] std::io::Error),
    /// It unpacks to more than 200 times its length.
    #[error("the body unpacks to more than {RATIO} times its length")]
    Bomb,
    /// It unpacks to more than the limit, or than all bodies together may take.
    #[error(transparent)]
    TooLarge(#[from] CollectError),
}

/// The body as it is meant to be read; headers that describe the packed bytes are removed. A body
/// that is not packed comes back as it is.
///
/// # Errors
/// See [`DecodeError`].
pub async fn decode(
    packed: Collected,
    headers: &mut HeaderMap,
    limit: usize,
    budget: &BodyBudget,
) -> Result<Collected, DecodeError> {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter().map(|coding| coding.as_bytes());
    match (codings.next(), codings.next()) {
        (None, _) => return Ok(packed),
        (Some(one), None) if one.eq_ignore_ascii_case(b"identity") => return Ok(packed),
        (Some(one), None) if one.eq_ignore_ascii_case(b"gzip") => {}
        _ => return Err(DecodeError::Unknown),
    }
    let mut decoder = MultiGzDecoder::new(&packed.bytes[..]);
    let mut permit = budget.take(PIECE).await?;
    let mut unpacked = BytesMut::with_capacity(PIECE);
    let mut piece = vec![0; PIECE];
    loop {
        let length = decoder.read(&mut piece).map_err(DecodeError::NotGzip)?;
        if length == 0 {
            break;
        }
        let whole = unpacked.len() + length;
        if whole > limit {
            return Err(CollectError::TooLarge { limit }.into());
        }
        if whole > packed.bytes.len().saturating_mul(RATIO) {
            return Err(DecodeError::Bomb);
        }
        permit.grow_to(whole, budget).await?;
        unpacked.put_slice(&piece[..length]);
    }
    for described in [CONTENT_ENCODING, CONTENT_LENGTH, ETAG].into_iter().chain(DIGESTS) {
        headers.remove(described);
    }
    Ok(Collected { bytes: Bytes::from(unpacked), permit })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Duration;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http::HeaderValue;

    use super::*;
    use crate::wire::transport::body::Body;
    use crate::wire::transport::budget::collect;

    async fn run(
        bytes: Vec<u8>,
        coding: Option<&'static str>,
        limit: usize,
    ) -> Result<(Bytes, HeaderMap), DecodeError> {
        let budget = BodyBudget::new(4 << 20, Duration::ZERO);
        let mut headers = HeaderMap::new();
        headers.insert(ETAG, HeaderValue::from_static("\"x\""));
        if let Some(coding) = coding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        let packed = collect(Body::full(bytes.into()), 8 << 20, &budget).await.unwrap();
        let decoded = decode(packed, &mut headers, limit, &budget).await?;
        Ok((decoded.bytes, headers))
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn gzip_is_unpacked_and_its_headers_go() {
        let text: Vec<u8> = (0..200_000u32).flat_map(|n| n.to_string().into_bytes()).collect();
        let (bytes, headers) = run(gzip(&text), Some("gzip"), 4 << 20).await.unwrap();
        assert_eq!(bytes, text);
        assert!(headers.is_empty());
        let (bytes, headers) = run(b"{}".to_vec(), None, 10).await.unwrap();
        assert_eq!((&bytes[..], headers.len()), (&b"{}"[..], 1));
    }

    #[tokio::test]
    async fn bombs_and_unknown_codings_are_refused() {
        let noise: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
        type Row = (Vec<u8>, &'static str, usize, fn(&DecodeError) -> bool);
        let rows: [Row; 5] = [
            (gzip(&vec![0; 2 << 20]), "gzip", 32 << 20, |e| matches!(e, DecodeError::Bomb)),
            (gzip(&noise), "gzip", 1 << 20, |e| {
                matches!(e, DecodeError::TooLarge(CollectError::TooLarge { .. }))
            }),
            (gzip(&noise), "gzip", 32 << 20, |e| {
                matches!(e, DecodeError::TooLarge(CollectError::OverBudget))
            }),
            (b"{}".to_vec(), "gzip", 10, |e| matches!(e, DecodeError::NotGzip(_))),
            (b"{}".to_vec(), "gzip, gzip", 10, |e| matches!(e, DecodeError::Unknown)),
        ];
        for (bytes, coding, limit, expected) in rows {
            let failed = run(bytes, Some(coding), limit).await.unwrap_err();
            assert!(expected(&failed), "{coding} {limit} gave {failed:?}");
        }
    }
}
