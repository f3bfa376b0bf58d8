//! Hand-made events for the tests of this box: web events of a plausible shape, made from their offset alone, so that the
//! same offset always gives the same event.

use super::config::WarehouseConfig;
use super::error::{ReadError, StartError};
use super::fields::Fields;
use super::planner::Decision;
use super::warehouse::{Load, Opened, Reader, SqlColumn, SqlRequest, SqlSink, SqlTail, duckdb};
use super::work::{Batch, StageTools};
use crate::event::columns::{self as c, COLUMNS, Kind};
use crate::event::rows;
use crate::event::{
    BadRowKind, Cause, Cell, Chunk, Event, EventAddr, Failure, Offset, OffsetRange, Outcome, Processed, SchemaKey,
    SelfDescribing, Tally,
};
use crate::platform::clock::Clock;
use crate::platform::testing::PATIENCE;
use crate::view::View;
use arrow::array::{ArrayRef, RecordBatch};
use parking_lot::Mutex;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Column of the context that every good event has.
pub const WEB_PAGE: &str = "contexts_com_snowplowanalytics_snowplow_web_page_1";
/// Column of the unstruct event that every fifth event is.
pub const CART: &str = "unstruct_event_com_acme_cart_action_1";
/// Receive time of offset 0.
pub const EPOCH: i64 = 1_764_000_000_000;

pub fn datum(uri: &str, data: String) -> SelfDescribing {
    SelfDescribing { schema: SchemaKey::parse(uri).unwrap(), data: data.into() }
}

/// The event of an offset.
pub fn event(n: u64) -> Event {
    let mut e = Event::new();
    let at = EPOCH + (n as i64) * 7;
    for (column, text) in [
        (c::APP_ID, format!("site{}", n % 5)),
        (c::PLATFORM, "web".to_owned()),
        (c::EVENT_ID, format!("{:08x}-0000-4000-8000-{:012x}", n.wrapping_mul(2_654_435_761) as u32, n)),
        (c::NAME_TRACKER, "sp".to_owned()),
        (c::V_TRACKER, "js-4.10.1".to_owned()),
        (c::V_COLLECTOR, "snowshed-0.1.0".to_owned()),
        (c::V_ETL, "snowshed-0.1.0".to_owned()),
        (c::USER_IPADDRESS, format!("192.0.2.{}", n % 250)),
        (c::DOMAIN_USERID, format!("{:032x}", (n % 997).wrapping_mul(0x9E37_79B9_7F4A_7C15))),
        (c::NETWORK_USERID, format!("{:032x}", (n % 991).wrapping_mul(0xD1B5_4A32_D192_ED03))),
        (c::DOMAIN_SESSIONID, format!("{:032x}", (n / 10).wrapping_mul(0x94D0_49BB_1331_11EB))),
        (c::PAGE_URL, format!("https://site{}.example.com/section/{}/page?utm_source=news&n={n}", n % 5, n % 37)),
        (c::PAGE_TITLE, format!("Page {} of section {}", n % 101, n % 37)),
        (c::PAGE_REFERRER, "https://search.example.org/results".to_owned()),
        (c::PAGE_URLSCHEME, "https".to_owned()),
        (c::PAGE_URLHOST, format!("site{}.example.com", n % 5)),
        (c::PAGE_URLPATH, format!("/section/{}/page", n % 37)),
        (c::PAGE_URLQUERY, format!("utm_source=news&n={n}")),
        (c::REFR_URLHOST, "search.example.org".to_owned()),
        (c::MKT_SOURCE, "news".to_owned()),
        (
            c::USERAGENT,
            format!("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/{}.0.0.0 Safari/537.36", 90 + n % 40),
        ),
        (c::BR_LANG, "en-GB".to_owned()),
        (c::OS_TIMEZONE, "Europe/London".to_owned()),
        (c::DOC_CHARSET, "UTF-8".to_owned()),
        (c::EVENT_FORMAT, "jsonschema".to_owned()),
        (c::EVENT_VERSION, "1-0-0".to_owned()),
    ] {
        e.set_text(column, &text);
    }
    for (column, shift) in [(c::ETL_TSTAMP, 30), (c::COLLECTOR_TSTAMP, 0), (c::DVCE_CREATED_TSTAMP, -900)] {
        e.set(column, Cell::Time(at + shift));
    }
    for (column, shift) in [(c::DVCE_SENT_TSTAMP, -850), (c::DERIVED_TSTAMP, -50)] {
        e.set(column, Cell::Time(at + shift));
    }
    for (column, value) in [
        (c::DOMAIN_SESSIONIDX, (n % 9) as i32),
        (c::PAGE_URLPORT, 443),
        (c::BR_VIEWWIDTH, 1280),
        (c::BR_VIEWHEIGHT, 720),
        (c::DVCE_SCREENWIDTH, 1920),
        (c::DVCE_SCREENHEIGHT, 1080),
        (c::DOC_WIDTH, 1265),
        (c::DOC_HEIGHT, 4000),
    ] {
        e.set(column, Cell::Int(value));
    }
    e.set(c::BR_COOKIES, Cell::Bool(true));
    let page = format!(r#"{{"id":"{:08x}-0000-4000-9000-000000000000"}}"#, n / 3);
    e.contexts.push(datum("iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0", page));
    let user =
        format!(r#"{{"plan":"basic","seats":{},"tags":["a","b"],"address":{{"city":"Leeds","zip":null}}}}"#, n % 8);
    e.contexts.push(datum("iglu:com.acme/user/jsonschema/1-0-2", user));
    if n % 5 == 4 {
        let cart = format!(r#"{{"sku":"item-{}","quantity":{},"price":{}.50}}"#, n % 100, n % 3 + 1, n % 90);
        e.unstruct = Some(datum("iglu:com.acme/cart_action/jsonschema/1-0-0", cart));
        e.set_text(c::EVENT, "unstruct");
        e.set_text(c::EVENT_VENDOR, "com.acme");
        e.set_text(c::EVENT_NAME, "cart_action");
        e.set_text(c::TR_TOTAL, &format!("{}.125", n % 90));
    } else {
        e.set_text(c::EVENT, "page_view");
        e.set_text(c::EVENT_VENDOR, "com.snowplowanalytics.snowplow");
        e.set_text(c::EVENT_NAME, "page_view");
    }
    e.fingerprint = u128::from(n);
    debug_assert!(COLUMNS.iter().filter(|column| column.kind == Kind::Json).count() == 3);
    e
}

/// The outcome of an offset: every 17th fails, every 50th of those without an incomplete event.
pub fn outcome(n: u64) -> Outcome {
    if n % 17 != 13 {
        return Outcome::Enriched(Box::new(event(n)));
    }
    let mut incomplete = event(n);
    incomplete.contexts.clear();
    let failure = format!(r#"{{"failureType":"ValidationError","errors":[{{"n":{n}}}]}}"#);
    incomplete.derived.push(datum("iglu:com.snowplowanalytics.snowplow/failure/jsonschema/1-0-0", failure));
    Outcome::Failed(Box::new(Failure {
        bad_row: format!(r#"{{"schema":"iglu:x","data":{{"offset":{n}}}}}"#),
        cause: Cause {
            kind: BadRowKind::SchemaViolations,
            failure: "ValidationError".into(),
            schema: Some("iglu:com.acme/user/jsonschema/1-0-2".into()),
            path: Some("$.seats".into()),
            keyword: Some("type".into()),
            message: "no integer".into(),
        },
        app_id: Some(format!("site{}", n % 5)),
        collector_ms: EPOCH + (n as i64) * 7,
        incomplete: (n % 50 != 13).then(|| Box::new(incomplete)),
    }))
}

/// One outcome per offset of `range`; every outcome whose offset is a multiple of `duplicates` beyond 1 is a duplicate.
pub fn chunk(batch_from: u64, range: Range<u64>, duplicates: u64) -> Arc<Chunk> {
    let items: Vec<Processed> = range
        .clone()
        .map(|n| {
            let repeated = duplicates > 2 && n % duplicates == 0;
            let first = EventAddr { offset: Offset(n.saturating_sub(1)), index: 0 };
            let outcome = if repeated { Outcome::Duplicate(first) } else { outcome(n) };
            Processed::new(EventAddr { offset: Offset(n), index: 0 }, outcome)
        })
        .collect();
    chunk_of(batch_from, range, items)
}

/// A chunk of these outcomes.
pub fn chunk_of(batch_from: u64, range: Range<u64>, items: Vec<Processed>) -> Arc<Chunk> {
    let (rows, failed_rows) = rows::build(&items);
    let mut tally = Tally::default();
    items.iter().for_each(|item| tally.count(item));
    Arc::new(Chunk {
        range: OffsetRange::new(Offset(range.start), Offset(range.end)),
        batch_from: Offset(batch_from),
        tally,
        rows: Arc::new(rows),
        failed_rows: Arc::new(failed_rows),
        received_ms: (EPOCH + range.start as i64 * 7, EPOCH + range.end as i64 * 7),
        bytes: 1200 * (range.end - range.start),
        items,
    })
}

/// A data directory with an open warehouse.
pub struct Rig {
    pub dir: tempfile::TempDir,
    pub views: Vec<Arc<View>>,
    pub config: WarehouseConfig,
    pub max_columns: usize,
}

impl Rig {
    pub fn new() -> Self {
        let views = crate::view::defaults().iter().map(|d| d.compile().unwrap()).collect();
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("staging")).unwrap();
        let config = WarehouseConfig { fold_after: 4, ..WarehouseConfig::default() };
        Rig { dir, views, config, max_columns: 100 }
    }

    pub fn open(&self) -> Opened {
        self.try_open().unwrap()
    }

    pub fn try_open(&self) -> Result<Opened, StartError> {
        let needs = duckdb::Needs {
            data_dir: self.dir.path(),
            staging: &self.staging(),
            views: &self.views,
            clock: Clock::fixed(EPOCH),
            config_hash: "hash".into(),
        };
        duckdb::open(&self.config, needs)
    }

    pub fn staging(&self) -> PathBuf {
        self.dir.path().join("staging")
    }

    /// Writes the files of a micro-batch of these chunks.
    pub fn load(&self, chunks: &[Arc<Chunk>]) -> Load {
        let fields = Mutex::new(Fields::open(&self.dir.path().join("fields"), &[], self.max_columns).unwrap());
        let clock = Clock::fixed(EPOCH);
        let from = chunks[0].range.from;
        let mut open = Batch::new(from);
        chunks.iter().for_each(|c| open.add(c.clone(), &mut fields.lock()).unwrap());
        let id = OffsetRange::new(from, open.to());
        let sealed = open.seal(Decision { id, load_ms: EPOCH + from.0 as i64 }, EPOCH).unwrap();
        let mut tools =
            StageTools { folder: &self.staging(), fields: &fields, views: &self.views, zstd_level: 1, clock: &clock };
        let proof = sealed.write(&mut tools).unwrap();
        sealed.staged(proof).load().clone()
    }

    /// The micro-batch of one chunk of [`outcome`]s.
    pub fn load_range(&self, range: Range<u64>) -> Load {
        self.load(&[chunk(range.start, range, 0)])
    }
}

/// Collects an answer.
#[derive(Default)]
pub struct Collected {
    pub columns: Vec<SqlColumn>,
    pub batches: Vec<RecordBatch>,
}

impl SqlSink for Collected {
    fn columns(&mut self, columns: &[SqlColumn]) -> bool {
        self.columns = columns.to_vec();
        true
    }
    fn rows(&mut self, rows: RecordBatch) -> bool {
        self.batches.push(rows);
        true
    }
}

impl Collected {
    /// Every cell as text, NULL as an empty one.
    pub fn cells(&self) -> Vec<Vec<String>> {
        let mut out = Vec::new();
        for batch in &self.batches {
            for row in 0..batch.num_rows() {
                let cell = |c: &ArrayRef| arrow::util::display::array_value_to_string(c, row).unwrap();
                out.push(batch.columns().iter().map(cell).collect());
            }
        }
        out
    }
}

pub fn request(sql: &str) -> SqlRequest {
    SqlRequest {
        sql: sql.into(),
        params: Vec::new(),
        max_rows: 10_000,
        max_bytes: 100 << 20,
        timeout: Duration::from_secs(30),
    }
}

/// The answer to a statement, committed rows and `tail` together.
pub fn ask_with(reader: &Arc<dyn Reader>, sql: &str, tail: &SqlTail) -> Result<Vec<Vec<String>>, ReadError> {
    let mut out = Collected::default();
    reader.snapshot(PATIENCE)?.sql(&request(sql), tail, &mut out)?;
    Ok(out.cells())
}

/// The answer of the committed rows.
pub fn ask(reader: &Arc<dyn Reader>, sql: &str) -> Vec<Vec<String>> {
    ask_with(reader, sql, &SqlTail::default()).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// The one number of an answer.
pub fn number(reader: &Arc<dyn Reader>, sql: &str) -> i64 {
    ask(reader, sql)[0][0].parse().unwrap()
}
