//! `tp1`: the pixel. One event out of the query string, nothing checked; a body is ignored.

use super::{Adapted, AdapterContext, input, query};
use crate::enrich::loader::Collected;

pub(super) fn read<'c>(collected: &'c Collected<'c>, _: &AdapterContext<'_, '_>) -> Adapted<'c> {
    let params = query(collected);
    if params.is_empty() {
        return Err(vec![input("querystring", None, "at least one parameter")]);
    }
    Ok(vec![params])
}
