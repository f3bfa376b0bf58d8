//! The PROXY protocol, versions 1 and 2: how a TCP load balancer says whom it speaks for.
//!
//! Specified by HAProxy (proxy-protocol.txt, 2.2). The header comes before anything else on the connection, before TLS too,
//! and is read with small exact reads so that not a byte of what follows is taken.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tokio::io::{AsyncRead, AsyncReadExt};

const V2_SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Longest version 1 line, CR LF included.
const V1_MAX: usize = 107;
/// Most bytes of addresses and extensions that a version 2 header may announce; real ones stay below a few hundred.
const V2_MAX: usize = 4096;

/// Why a header is refused.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// No header, or a broken one.
    #[error("no valid PROXY protocol header: {0}")]
    Malformed(&'static str),
    /// The connection ended or failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads the header. `None` when the balancer speaks for itself (`LOCAL`, `UNKNOWN`, or not IP): the peer stands.
///
/// # Errors
/// [`ProxyError`]; the connection is of no use then.
pub async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Option<IpAddr>, ProxyError> {
    let mut start = [0u8; 12];
    stream.read_exact(&mut start).await?;
    if start == V2_SIGNATURE {
        return read_v2(stream).await;
    }
    if !start.starts_with(b"PROXY ") {
        return Err(ProxyError::Malformed("neither signature"));
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() >= V1_MAX {
            return Err(ProxyError::Malformed("version 1 line too long"));
        }
        line.push(stream.read_u8().await?);
    }
    parse_v1(&line[..line.len() - 2])
}

fn parse_v1(line: &[u8]) -> Result<Option<IpAddr>, ProxyError> {
    let text = std::str::from_utf8(line).map_err(|_| ProxyError::Malformed("version 1 line is not ASCII"))?;
    let mut words = text.split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        return Ok(None);
    }
    let rest: Vec<&str> = words.collect();
    let [source, destination, from, to] = rest[..] else {
        return Err(ProxyError::Malformed("version 1 line has not six words"));
    };
    let addr = |text: &str| match family {
        "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => None,
    };
    let port = |text: &str| text.parse::<u16>().is_ok();
    match (addr(source), addr(destination), port(from) && port(to)) {
        (Some(source), Some(_), true) => Ok(Some(source)),
        _ => Err(ProxyError::Malformed("version 1 addresses")),
    }
}

async fn read_v2<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Option<IpAddr>, ProxyError> {
    let version_command = stream.read_u8().await?;
    let family = stream.read_u8().await?;
    let len = usize::from(stream.read_u16().await?);
    if len > V2_MAX {
        return Err(ProxyError::Malformed("version 2 header too long"));
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await?;
    parse_v2(version_command, family, &body)
}

fn parse_v2(version_command: u8, family: u8, body: &[u8]) -> Result<Option<IpAddr>, ProxyError> {
    match version_command {
        0x20 => return Ok(None),
        0x21 => {}
        _ => return Err(ProxyError::Malformed("version 2 version or command")),
    }
    let short = || ProxyError::Malformed("version 2 addresses are cut short");
    match family >> 4 {
        1 if body.len() >= 12 => {
            let source: [u8; 4] = *body.first_chunk().ok_or_else(short)?;
            Ok(Some(IpAddr::from(source)))
        }
        2 if body.len() >= 36 => {
            let source: [u8; 16] = *body.first_chunk().ok_or_else(short)?;
            Ok(Some(IpAddr::from(source)))
        }
        1 | 2 => Err(short()),
        0 | 3 => Ok(None),
        _ => Err(ProxyError::Malformed("version 2 address family")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(mut bytes: &[u8]) -> (Result<Option<IpAddr>, String>, Vec<u8>) {
        let got = read(&mut bytes).await.map_err(|e| e.to_string());
        (got, bytes.to_vec())
    }

    #[tokio::test]
    async fn both_versions_give_the_source_and_leave_the_rest() {
        let (got, rest) = read_all(b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\nGET /").await;
        assert_eq!((got.unwrap().unwrap().to_string().as_str(), &rest[..]), ("203.0.113.7", &b"GET /"[..]));
        let (got, _) = read_all(b"PROXY TCP6 2001:db8::7 ::1 4711 80\r\n").await;
        assert_eq!(got.unwrap().unwrap().to_string(), "2001:db8::7");
        assert_eq!(read_all(b"PROXY UNKNOWN\r\nrest").await, (Ok(None), b"rest".to_vec()));

        let v2 =
            [&V2_SIGNATURE[..], &[0x21, 0x11, 0, 15], &[203, 0, 113, 9, 10, 0, 0, 1, 1, 1, 0, 80], b"tlvX"].concat();
        let (got, rest) = read_all(&v2).await;
        assert_eq!((got.unwrap().unwrap().to_string().as_str(), &rest[..]), ("203.0.113.9", &b"X"[..]));
        let local = [&V2_SIGNATURE[..], &[0x20, 0, 0, 0]].concat();
        assert_eq!(read_all(&local).await.0, Ok(None));
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        let long = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat();
        for bad in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"PROXY TCP4 203.0.113.7 10.0.0.1 4711\r\n",
            b"PROXY TCP4 203.0.113.777 10.0.0.1 1 2\r\n",
            b"PROXY TCP4 203.0.113.7 10.0.0.1 1 99999\r\n",
            b"PROXY TCP6 203.0.113.7 10.0.0.1 1 2\r\n",
            &long,
            &[&V2_SIGNATURE[..], &[0x21, 0x11, 0, 4], &[1, 2, 3, 4]].concat(),
            &[&V2_SIGNATURE[..], &[0x31, 0x11, 0, 12], &[0; 12]].concat(),
            &[&V2_SIGNATURE[..], &[0x21, 0x11, 0xff, 0xff]].concat(),
            b"PROXY",
        ] {
            assert!(read_all(bad).await.0.is_err(), "{bad:?}");
        }
    }
}
