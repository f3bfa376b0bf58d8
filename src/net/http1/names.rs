//! The header names that this program asks for, told apart once while a head is read.

/// A header name that means something here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Name {
    /// Any other.
    Other,
    Host,
    Connection,
    ContentLength,
    TransferEncoding,
    Expect,
    ContentType,
    ContentEncoding,
    Cookie,
    Origin,
    UserAgent,
    Referer,
    SpAnonymous,
    Authorization,
    XForwardedFor,
    Forwarded,
    /// A header by which a proxy or CDN tells the client's address: `X-Real-Ip`, `CF-Connecting-IP` and their like.
    ClientAddress,
}

/// Headers in which proxies and content delivery networks are known to put the client's address.
const CLIENT_ADDRESS: [&[u8]; 21] = [
    b"client-ip",
    b"x-real-ip",
    b"x-client-ip",
    b"x-forwarded",
    b"fly-client-ip",
    b"forwarded-for",
    b"true-client-ip",
    b"cf-pseudo-ipv4",
    b"cf-connecting-ip",
    b"fastly-client-ip",
    b"x-azure-clientip",
    b"x-azure-socketip",
    b"do-connecting-ip",
    b"cf-connecting-ipv6",
    b"x-cluster-client-ip",
    b"x-appengine-user-ip",
    b"x-vercel-forwarded-for",
    b"x-original-forwarded-for",
    b"x-envoy-external-address",
    b"cloudfront-viewer-address",
    b"x-nf-client-connection-ip",
];

impl Name {
    /// Which one `name` is; case does not matter.
    #[inline]
    pub fn of(name: &[u8]) -> Name {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match name.len() {
            4 if is(b"host") => Name::Host,
            6 if is(b"cookie") => Name::Cookie,
            6 if is(b"origin") => Name::Origin,
            6 if is(b"expect") => Name::Expect,
            7 if is(b"referer") => Name::Referer,
            9 if is(b"forwarded") => Name::Forwarded,
            10 if is(b"connection") => Name::Connection,
            10 if is(b"user-agent") => Name::UserAgent,
            12 if is(b"content-type") => Name::ContentType,
            12 if is(b"sp-anonymous") => Name::SpAnonymous,
            13 if is(b"authorization") => Name::Authorization,
            14 if is(b"content-length") => Name::ContentLength,
            15 if is(b"x-forwarded-for") => Name::XForwardedFor,
            16 if is(b"content-encoding") => Name::ContentEncoding,
            17 if is(b"transfer-encoding") => Name::TransferEncoding,
            9 | 11 | 13 | 14 | 16 | 18 | 19 | 22 | 24 | 25 if CLIENT_ADDRESS.iter().any(|k| is(k)) => {
                Name::ClientAddress
            }
            _ => Name::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        for (name, known) in [
            ("Host", Name::Host),
            ("COOKIE", Name::Cookie),
            ("user-agent", Name::UserAgent),
            ("SP-Anonymous", Name::SpAnonymous),
            ("X-Forwarded-For", Name::XForwardedFor),
            ("X-Real-Ip", Name::ClientAddress),
            ("True-Client-IP", Name::ClientAddress),
            ("CF-Connecting-IP", Name::ClientAddress),
            ("Fastly-Client-IP", Name::ClientAddress),
            ("Transfer-Encoding", Name::TransferEncoding),
            ("Accept", Name::Other),
            ("", Name::Other),
        ] {
            assert_eq!(Name::of(name.as_bytes()), known, "{name}");
        }
        for name in CLIENT_ADDRESS {
            assert_eq!(Name::of(name), Name::ClientAddress, "{}", String::from_utf8_lossy(name));
        }
    }
}
