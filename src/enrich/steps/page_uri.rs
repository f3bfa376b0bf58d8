//! Always on: the page URL and its parts.
//!
//! The URL is the parameter `url`, else the request's `Referer` header. The column is written as the parser gives it back;
//! when nothing makes sense of the text, the text stays and the parts are absent.

use super::{Enrichment, StepContext};
use crate::enrich::map::sanitise;
use crate::enrich::uri::{Parts, Span, Uri};
use crate::event::columns as c;
use crate::event::{Cell, Event};
use std::borrow::Cow;

struct PageUri;

pub(super) fn make() -> Box<dyn Enrichment> {
    Box::new(PageUri)
}

impl Enrichment for PageUri {
    fn identifier(&self) -> &'static str {
        "page_url"
    }

    fn apply(&self, cx: &mut StepContext<'_>) {
        let own = !cx.event.is_null(c::PAGE_URL);
        let source = if own { cx.params.get("url") } else { cx.referer_header };
        let Some(text) = source.map(sanitise).filter(|t| !t.is_empty()) else { return };
        match parse(text) {
            Ok(uri) => {
                if cx.event.text(c::PAGE_URL) != Some(uri.text()) {
                    cx.event.set_text(c::PAGE_URL, uri.text());
                }
                set_parts(cx.event, &uri, c::PAGE_URL, &PAGE);
                cx.page = Some(uri);
            }
            Err((text, why)) => cx.fail_plain(format!("the page URL \"{text}\" cannot be parsed: {why}")),
        }
    }
}

/// Parses a text that may have been changed by sanitising. On failure the text comes back with the reason.
pub(super) fn parse(text: Cow<'_, str>) -> Result<Uri<'_>, (String, String)> {
    match text {
        Cow::Borrowed(text) => Uri::parse(text).map_err(|e| (text.to_owned(), e.to_string())),
        Cow::Owned(text) => Uri::parse(&text).map(Uri::into_owned).map_err(|e| (text.clone(), e.to_string())),
    }
}

/// Columns of the parts: scheme, host, port, path, query, fragment.
pub(super) type PartColumns = [usize; 6];

const PAGE: PartColumns =
    [c::PAGE_URLSCHEME, c::PAGE_URLHOST, c::PAGE_URLPORT, c::PAGE_URLPATH, c::PAGE_URLQUERY, c::PAGE_URLFRAGMENT];

/// Sets the columns of the parts. When column `whole` holds exactly the URI's text they share its bytes.
pub(super) fn set_parts(event: &mut Event, uri: &Uri<'_>, whole: usize, columns: &PartColumns) {
    let [scheme, host, port, path, query, fragment] = *columns;
    let Parts { scheme: s, host: h, path: p, query: q, fragment: f, .. } = *uri.parts();
    event.set(port, Cell::Int(uri.port()));
    let shared = match event.cell(whole) {
        Cell::Text { at, .. } if event.text(whole) == Some(uri.text()) => Some(at),
        _ => None,
    };
    for (column, span) in [(scheme, s), (host, h), (path, p), (query, q), (fragment, f)] {
        let Some(span) = span else { continue };
        match shared {
            Some(at) => event.set(column, part(at, span)),
            None => {
                let text = uri.text().get(span.from..span.to).unwrap_or_default();
                event.set_text_with(column, |out| crate::enrich::map::sanitise_into(text, out));
            }
        }
    }
}

fn part(at: u32, span: Span) -> Cell {
    Cell::Text { at: at + span.from as u32, len: (span.to - span.from) as u32 }
}
