//! Replies as HTTP/1.1 text.

use crate::collector::reply::Reply;
use crate::collector::settings::Settings;
use crate::collector::wall::Wall;

/// What a reply must say about the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Persistence {
    /// It stays, as HTTP/1.1 has it by default.
    Stays,
    /// It stays, which an HTTP/1.0 client must be told.
    StaysTold,
    /// It is closed.
    Closes,
}

/// Appends a reply. `head_only`: to HEAD, the body is announced and not sent.
#[inline]
pub fn render(
    reply: &Reply,
    settings: &Settings,
    wall: &Wall,
    head_only: bool,
    persistence: Persistence,
    out: &mut Vec<u8>,
) {
    status_line(reply.status(), out);
    out.extend_from_slice(b"Date: ");
    out.extend_from_slice(wall.date());
    out.extend_from_slice(b"\r\n");
    reply.headers(settings, wall, |name, value| {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        value.iter().for_each(|piece| out.extend_from_slice(piece));
        out.extend_from_slice(b"\r\n");
    });
    match persistence {
        Persistence::Stays => {}
        Persistence::StaysTold => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        Persistence::Closes => out.extend_from_slice(b"Connection: close\r\n"),
    }
    if !reply.may_have_body() {
        out.extend_from_slice(b"\r\n");
        return;
    }
    let body = reply.body();
    out.extend_from_slice(b"Content-Length: ");
    out.extend_from_slice(itoa::Buffer::new().format(body.len()).as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
    if !head_only {
        out.extend_from_slice(body);
    }
}

/// Appends the status line. The reason phrase of a status that only `root.status` can ask for is empty (RFC 9112 §4 allows it).
fn status_line(status: u16, out: &mut Vec<u8>) {
    let line: &[u8] = match status {
        200 => b"HTTP/1.1 200 OK\r\n",
        302 => b"HTTP/1.1 302 Found\r\n",
        400 => b"HTTP/1.1 400 Bad Request\r\n",
        404 => b"HTTP/1.1 404 Not Found\r\n",
        408 => b"HTTP/1.1 408 Request Timeout\r\n",
        413 => b"HTTP/1.1 413 Content Too Large\r\n",
        417 => b"HTTP/1.1 417 Expectation Failed\r\n",
        501 => b"HTTP/1.1 501 Not Implemented\r\n",
        503 => b"HTTP/1.1 503 Service Unavailable\r\n",
        505 => b"HTTP/1.1 505 HTTP Version Not Supported\r\n",
        other => {
            out.extend_from_slice(b"HTTP/1.1 ");
            out.extend_from_slice(itoa::Buffer::new().format(other).as_bytes());
            b" \r\n"
        }
    };
    out.extend_from_slice(line);
}
