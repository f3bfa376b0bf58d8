//! Finding the requests in the bytes of an HTTP/1.1 connection, and answering each as soon as it is complete.
//!
//! No socket here: bytes go in, answers come out in order. What is not complete stays with the caller, and of a request in
//! parts only how many bytes it needs is remembered; its head is read again then, which is cheaper than keeping it.

use crate::collector::answer::{Answer, answer};
use crate::collector::metrics::Refusal;
use crate::collector::record::Records;
use crate::collector::reply::{Recipe, Reply};
use crate::collector::request::{Headers, Method, Peer, Request, Target};
use crate::collector::worker::{Hot, Worker};
use crate::net::http1::{ChunkError, Chunked, Framing, Head, HeadError, Parsed, Version};
use memchr::memmem;
use std::net::IpAddr;

/// The most requests that are answered in one round.
const MAX_PIPELINE: usize = 64;
/// A body that means nothing (of GET and the like) is read over up to this size; a larger one costs the connection.
const MAX_IGNORED_BODY: u64 = 64 * 1024;
/// How an HTTP/2 client begins that knows what it speaks to (RFC 9113 §3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What reading came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// There are answers in the queue; some may have records that wait for the journal.
    Answered {
        /// Whether some have.
        stored: bool,
    },
    /// The head of a request is not complete.
    NeedHead,
    /// A head is complete, its body is not.
    BodyBegins,
    /// Still more of a body is needed.
    NeedBody,
    /// The client speaks HTTP/2.
    Http2,
}

/// An answer in the order of the requests.
#[derive(Debug)]
pub struct Queued {
    /// The answer.
    pub ready: Ready,
    /// To HEAD: without body.
    pub head_only: bool,
    /// To an HTTP/1.0 client.
    pub http10: bool,
    /// The connection ends after it.
    pub close: bool,
    /// The client may still be sending.
    pub linger: bool,
}

/// Whether an answer waits for the journal.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Ready {
    Now(Reply),
    Stored(Recipe),
}

impl Queued {
    /// A reply after which the connection ends, to a client that may still be sending.
    pub fn last(reply: Reply) -> Self {
        Queued { ready: Ready::Now(reply), head_only: false, http10: false, close: true, linger: true }
    }
}

/// A chunked body under way.
#[derive(Debug)]
struct ChunkedBody {
    head: Box<[u8]>,
    decoder: Chunked,
    body: Vec<u8>,
}

/// The requests of one connection.
#[derive(Debug)]
pub struct Requests {
    peer: Peer,
    served: u64,
    /// Bytes of the request under way, head and body, once they are known; 0 before.
    need: usize,
    /// Bytes of an incomplete head that were looked at.
    scanned: usize,
    chunked: Option<Box<ChunkedBody>>,
    /// A chunked body has just begun.
    begins: bool,
    wants_continue: bool,
}

impl Requests {
    /// Requests of `peer`.
    pub fn new(peer: IpAddr) -> Self {
        Requests {
            peer: peer.into(),
            served: 0,
            need: 0,
            scanned: 0,
            chunked: None,
            begins: false,
            wants_continue: false,
        }
    }

    /// Whether a request is under way of which nothing may be left in the buffer.
    pub fn is_inside(&self) -> bool {
        self.need > 0 || self.chunked.is_some()
    }

    /// Whether the bytes at hand may hold something to answer; if not, more are needed first. Each byte of an incomplete head
    /// is looked at once, however small the pieces are that it comes in.
    pub fn may_be_ready(&self, buf: &[u8], worker: &Worker) -> bool {
        if buf.is_empty() || self.chunked.is_some() {
            return !buf.is_empty();
        }
        if self.need > 0 || self.scanned == 0 {
            return buf.len() >= self.need;
        }
        let limits = &worker.shared.limits.head;
        let fresh = buf.get(self.scanned.saturating_sub(3)..).unwrap_or_default();
        buf.len() > self.scanned
            && (buf.len() > limits.line + limits.headers
                || memmem::find(fresh, b"\n\r\n").is_some()
                || memmem::find(fresh, b"\n\n").is_some())
    }

    /// How many more bytes the request under way is known to need.
    pub fn wanted(&self, buf: &[u8]) -> usize {
        self.need.saturating_sub(buf.len())
    }

    /// Bytes held here beside the caller's buffer.
    pub fn held_bytes(&self) -> usize {
        self.chunked.as_ref().map_or(0, |c| c.head.len() + c.body.capacity())
    }

    /// Forgets the request under way.
    pub fn give_up(&mut self) {
        self.need = 0;
        self.chunked = None;
    }

    /// Whether the client waits for `100 Continue`; asked once.
    pub fn take_continue(&mut self) -> bool {
        std::mem::take(&mut self.wants_continue)
    }

    /// Answers every complete request in `data`. Returns how many bytes are done with.
    pub fn read(&mut self, data: &[u8], worker: &Worker, hot: &mut Hot, queue: &mut Vec<Queued>) -> (usize, Progress) {
        hot.wall.set(worker.shared.clock.now_ms());
        let mut round = Round { worker, hot, queue, stored: false };
        let mut at = 0;
        let stopped = loop {
            if self.chunked.is_some() {
                match self.read_chunks(&data[at..], &mut round) {
                    Ok((taken, done)) => {
                        at += taken;
                        if done {
                            continue;
                        }
                        break if std::mem::take(&mut self.begins) { Progress::BodyBegins } else { Progress::NeedBody };
                    }
                    Err(()) => {
                        at = data.len();
                        break Progress::NeedHead;
                    }
                }
            }
            let rest = &data[at..];
            if rest.is_empty() || round.queue.len() >= MAX_PIPELINE || round.queue.last().is_some_and(|q| q.close) {
                self.scanned = 0;
                break Progress::NeedHead;
            }
            if self.served == 0 && worker.shared.limits.http2.is_some() && is_http2(rest) {
                if rest.len() >= HTTP2_PREFACE.len() {
                    return (at, Progress::Http2);
                }
                self.scanned = rest.len();
                break Progress::NeedHead;
            }
            match self.read_one(rest, &mut round) {
                Step::Done(taken) => at += taken,
                Step::Stop(progress) => break progress,
            }
        };
        if round.queue.is_empty() { (at, stopped) } else { (at, Progress::Answered { stored: round.stored }) }
    }

    /// Reads the request at the start of `data`.
    fn read_one(&mut self, data: &[u8], round: &mut Round<'_>) -> Step {
        // Taken out so that the round can be used beside it; given back whatever happens.
        let mut head = std::mem::take(&mut round.hot.head);
        let step = match head.parse(data, &round.worker.shared.limits.head) {
            Ok(Parsed::Complete) => self.framed(&head, data, round),
            Ok(Parsed::Partial) => {
                self.scanned = data.len();
                Step::Stop(Progress::NeedHead)
            }
            Err(e) => {
                round.refuse_head(e);
                Step::Done(data.len())
            }
        };
        round.hot.head = head;
        step
    }

    fn framed(&mut self, head: &Head, data: &[u8], round: &mut Round<'_>) -> Step {
        self.scanned = 0;
        let limits = &round.worker.shared.limits;
        let method = Method::of(head.method.of(data));
        let body_len = match head.framing {
            Framing::None => 0,
            Framing::Length(n) if method == Method::Post && n >= limits.body_max as u64 => {
                round.refuse(Reply::too_large(), Refusal::TooLarge);
                return Step::Done(data.len());
            }
            Framing::Length(n) if method != Method::Post && n > MAX_IGNORED_BODY => {
                self.finish(head, data, b"", true, round);
                return Step::Done(data.len());
            }
            // Bounded just above.
            Framing::Length(n) => n as usize,
            Framing::Chunked => {
                let most = if method == Method::Post { limits.body_max as u64 - 1 } else { MAX_IGNORED_BODY };
                let decoder = Chunked::new(most);
                self.chunked = Some(Box::new(ChunkedBody { head: data[..head.len].into(), decoder, body: Vec::new() }));
                self.wants_continue = head.expects_continue && data.len() == head.len;
                self.begins = true;
                return Step::Done(head.len);
            }
        };
        let end = head.len + body_len;
        let Some(body) = data.get(head.len..end) else {
            let first = self.need == 0;
            self.need = end;
            self.wants_continue = first && head.expects_continue && data.len() == head.len;
            return Step::Stop(if first { Progress::BodyBegins } else { Progress::NeedBody });
        };
        self.need = 0;
        self.finish(head, data, body, false, round);
        Step::Done(end)
    }

    /// Takes chunks. `Err`: refused. Otherwise how many bytes were taken, and whether the request is complete.
    fn read_chunks(&mut self, data: &[u8], round: &mut Round<'_>) -> Result<(usize, bool), ()> {
        let Some(mut chunked) = self.chunked.take() else { return Ok((0, true)) };
        let ChunkedBody { head: head_bytes, decoder, body } = chunked.as_mut();
        let taken = match decoder.decode(data, body) {
            Ok(taken) => taken,
            Err(ChunkError::TooLarge) => {
                round.refuse(Reply::too_large(), Refusal::TooLarge);
                return Err(());
            }
            Err(_) => {
                round.refuse(Reply::refused(400, b"malformed chunked body"), Refusal::Malformed);
                return Err(());
            }
        };
        if !decoder.is_done() {
            self.chunked = Some(chunked);
            return Ok((taken, false));
        }
        let mut head = std::mem::take(&mut round.hot.head);
        // It was complete when it was kept.
        if head.parse(head_bytes, &round.worker.shared.limits.head) == Ok(Parsed::Complete) {
            self.finish(&head, head_bytes, body, false, round);
        }
        round.hot.head = head;
        Ok((taken, true))
    }

    /// A request is complete.
    fn finish(&mut self, head: &Head, data: &[u8], body: &[u8], close: bool, round: &mut Round<'_>) {
        self.served += 1;
        let Some(target) = Target::of(head.target.of(data)) else {
            round.refuse(Reply::refused(400, b"malformed request target"), Refusal::Malformed);
            return;
        };
        let request = Request {
            method: Method::of(head.method.of(data)),
            target,
            authority: None,
            headers: Headers::new(data, &head.headers),
            body,
            peer: self.peer,
        };
        let ready = round.answer(&request);
        let last = self.served >= round.worker.shared.limits.requests;
        if round.queue.capacity() == 0 {
            // One at a time is the rule, and the room stays with the connection while it rests.
            round.queue.reserve_exact(1);
        }
        round.queue.push(Queued {
            ready,
            head_only: request.method == Method::Head,
            http10: head.version == Version::Http10,
            close: close || last || !head.keep_alive,
            linger: close || last,
        });
    }
}

enum Step {
    /// So many bytes are done with.
    Done(usize),
    /// More bytes are needed.
    Stop(Progress),
}

/// What one round of reading works with.
struct Round<'r> {
    worker: &'r Worker,
    hot: &'r mut Hot,
    queue: &'r mut Vec<Queued>,
    stored: bool,
}

impl Round<'_> {
    fn answer(&mut self, request: &Request<'_>) -> Ready {
        let shared = &self.worker.shared;
        let Hot { open, wall, entropy, .. } = &mut *self.hot;
        let draining = self.worker.is_draining();
        let has_room = self.worker.has_room(open);
        let mut thrown_away = Records::default();
        let records = if has_room { &mut open.records } else { &mut thrown_away };
        match answer(&shared.settings, request, wall, draining, entropy, records) {
            Answer::Now(reply) => Ready::Now(reply),
            Answer::SinkHealth => Ready::Now(Reply::sink_health((shared.health)().is_ok())),
            Answer::Store(recipe) if has_room => {
                self.stored = true;
                Ready::Stored(recipe)
            }
            Answer::Store(recipe) => {
                shared.metrics.refused(Refusal::Overload, 1);
                Ready::Now(recipe.overloaded())
            }
        }
    }

    fn refuse(&mut self, reply: Reply, refusal: Refusal) {
        self.worker.shared.metrics.refused(refusal, 1);
        self.queue.push(Queued::last(reply));
    }

    fn refuse_head(&mut self, e: HeadError) {
        let reply = match e {
            HeadError::Malformed(_) => Reply::refused(400, b"malformed request"),
            HeadError::Ambiguous(_) => Reply::refused(400, b"ambiguous request"),
            HeadError::LineTooLong => Reply::refused(400, b"the request line is too long"),
            HeadError::HeadersTooLong => Reply::refused(400, b"the header fields are too long or too many"),
            HeadError::Expectation => Reply::refused(417, b"unknown expectation"),
            HeadError::Coding => Reply::refused(501, b"unknown transfer coding"),
            HeadError::Version => Reply::refused(505, b"unknown HTTP version"),
        };
        self.refuse(reply, Refusal::Malformed);
    }
}

fn is_http2(data: &[u8]) -> bool {
    let len = data.len().min(HTTP2_PREFACE.len());
    data.first() == Some(&b'P') && data[..len] == HTTP2_PREFACE[..len]
}
