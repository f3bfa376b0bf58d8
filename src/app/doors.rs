//! What one box needs of another, as closures: stages do not know one another.

use crate::batch;
use crate::batch::lake::Table;
use crate::batch::warehouse::LocalFile;
use crate::cli::traffic::{self, Sent, Shape, Target};
use crate::dedupe::Index;
use crate::enrich::Enricher;
use crate::event::{EnrichedBatch, Flow, Offset, OffsetRange, Processed};
use crate::journal::{Journal, ReadError, RecordKind, Recovery};
use crate::pipeline::drain::Drain;
use crate::pipeline::link::{LinkGauge, LinkSender};
use crate::platform::clock::Clock;
use crate::platform::units::Span;
use crate::serving::{DEMO_APP_ID, Demo, JournalDoor, RawKind, RawRecord};
use crate::speed::streams::Published;
use crate::speed::{Files, Speed, SpeedError, State};
use crate::view::View;
use futures_util::future::BoxFuture;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Bytes of the journal that are read again at once.
const BLOCK: u64 = 1 << 20;

/// Says what opening the journal found and put right.
pub(super) fn tell_recovery(found: &Recovery) {
    if let Some((file, torn)) = &found.torn {
        tracing::warn!("journal: a write that was never acknowledged was cut off {}: {torn:?}", file.display());
    }
    found.notes.iter().for_each(|note| tracing::warn!("journal: {note}"));
    tracing::info!("journal: records {} to {} in {} segments", found.first, found.end, found.segments);
}

/// The journal as the private port sees it.
pub(super) fn journal_door(journal: &Journal) -> JournalDoor {
    let (end, first, read) = (journal.clone(), journal.clone(), journal.clone());
    JournalDoor {
        end: Box::new(move || end.durable_end()),
        first: Box::new(move || first.first()),
        read_at: Box::new(move |offset| {
            let batch = match read.reader(offset) {
                Ok(mut reader) => reader.next(1, Duration::ZERO).map_err(io::Error::from)?,
                Err(ReadError::Gone { .. } | ReadError::Beyond { .. }) => None,
                Err(e) => return Err(e.into()),
            };
            let entry = batch.and_then(|b| b.records.into_iter().next()).filter(|e| e.offset == offset);
            Ok(entry.map(|e| {
                let kind = match e.kind {
                    RecordKind::Payload => RawKind::Payload,
                    RecordKind::BadRow => RawKind::BadRow,
                    RecordKind::Replay => RawKind::Replay,
                };
                RawRecord { kind, body: e.body }
            }))
        }),
    }
}

/// Reads a stretch of the journal again through the same enrichment, before any verdict on duplicates.
pub(super) fn read_again(
    journal: Journal,
    enricher: Arc<Enricher>,
    clock: Clock,
) -> impl FnMut(Offset, Offset) -> io::Result<Option<(OffsetRange, Vec<Processed>)>> + Send {
    move |from, to| {
        let mut reader = match journal.reader(from) {
            Ok(reader) => reader,
            Err(ReadError::Gone { .. }) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let Some(batch) = reader.next(BLOCK, Duration::ZERO).map_err(io::Error::from)? else { return Ok(None) };
        let etl_ms = clock.now_ms();
        let mut items = Vec::new();
        let mut end = from;
        for entry in batch.records.iter().filter(|e| e.offset < to) {
            let done = enricher.process(entry.offset, entry.kind, &entry.body, etl_ms).map_err(io::Error::other)?;
            items.extend(done.items);
            end = entry.offset.next();
        }
        Ok((end > from).then_some((OffsetRange::new(from, end), items)))
    }
}

/// As [`read_again`], with the verdicts that were given when the events first came by.
pub(super) fn refeed(
    mut again: impl FnMut(Offset, Offset) -> io::Result<Option<(OffsetRange, Vec<Processed>)>> + Send + 'static,
    index: Index,
    journal_id: Uuid,
) -> crate::speed::streams::Refeed {
    Box::new(move |from, to| {
        let Some((range, mut items)) = again(from, to)? else { return Ok(None) };
        let mut counted = Vec::with_capacity(items.len());
        for item in &mut items {
            counted.push(index.decide_again(item, &journal_id)?);
        }
        // What failed then and passes today is in no answer before it is replayed.
        let mut counted = counted.into_iter();
        items.retain(|_| counted.next().unwrap_or(true));
        Ok(Some((range, items)))
    })
}

type EnrichDoor = Box<dyn Fn(Offset, &RawRecord) -> Result<Vec<Processed>, String> + Send + Sync>;

/// Today's enrichment of one journal record, for audits, with the verdicts on duplicates that were given before.
pub(super) fn enrich_door(enricher: Arc<Enricher>, index: Index, journal_id: Uuid, clock: Clock) -> EnrichDoor {
    Box::new(move |offset, record| {
        let kind = match record.kind {
            RawKind::Payload => RecordKind::Payload,
            RawKind::BadRow => RecordKind::BadRow,
            RawKind::Replay => RecordKind::Replay,
        };
        let done = enricher.process(offset, kind, &record.body, clock.now_ms()).map_err(|e| e.to_string())?;
        let mut items = done.items;
        for item in &mut items {
            index.decide_again(item, &journal_id).map_err(|e| e.to_string())?;
        }
        Ok(items)
    })
}

/// Real requests to our own collector, for a page that is still empty.
pub(super) fn demo_door(
    collector: String,
    clock: Clock,
    drain: Drain,
) -> Arc<dyn Fn(Demo) -> BoxFuture<'static, Result<(), String>> + Send + Sync> {
    Arc::new(move |demo| {
        let target = Target { collector: collector.clone() };
        let (clock, drain) = (clock.clone(), drain.clone());
        Box::pin(async move {
            match demo {
                Demo::Events(n) => traffic::send_some(&target, DEMO_APP_ID, n as usize, &clock).await,
                Demo::Seconds(n) => {
                    let shape = Shape { app_id: Some(DEMO_APP_ID.to_owned()), rate: 50, sites: 1, ..Shape::default() };
                    let time = Some(Duration::from_secs(u64::from(n)));
                    tokio::spawn(traffic::run(target, shape, clock, time, drain, Arc::new(Sent::default())));
                    Ok(())
                }
            }
        })
    })
}

/// Tells the journal that a consumer no longer needs what lies below an offset.
pub(super) fn release(journal: &Journal, consumer: &'static str) -> Box<dyn Fn(Offset) + Send + Sync> {
    let journal = journal.clone();
    Box::new(move |upto| journal.release(consumer, upto))
}

/// An address that a client on this machine can use: loopback of the same family where every address is listened on.
pub fn reachable(at: SocketAddr) -> SocketAddr {
    match at.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, at.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, at.port()).into(),
        _ => at,
    }
}

/// Why the program is not ready: the journal cannot be written now.
pub(super) fn not_ready(journal: &Journal) -> Box<dyn Fn() -> Vec<String> + Send + Sync> {
    let journal = journal.clone();
    Box::new(move || journal.health().err().into_iter().collect())
}

/// All links between the stages, in flow order.
pub(super) fn gauges(enriched: &LinkSender<EnrichedBatch>, outputs: &[LinkSender<Flow>]) -> Vec<LinkGauge> {
    std::iter::once(enriched.gauge()).chain(outputs.iter().map(LinkSender::gauge)).collect()
}

/// What the batch layer tells the others: how far each micro-batch is, and that the boundary moved.
pub(super) fn batch_events(speed: &Speed, journal: &Journal, index: &Index) -> batch::Callbacks {
    let (states, moved, staged, index) = (speed.clone(), speed.clone(), speed.clone(), index.clone());
    let release = release(journal, "warehouse");
    batch::Callbacks {
        on_staged: Some(Box::new(move |id, files| staged.staged(id, staged_files(files)))),
        on_commit: vec![
            Box::new(move |boundary| moved.boundary_moved(boundary)),
            Box::new(move |boundary| release(boundary.offset)),
            Box::new(move |boundary| index.committed(boundary.offset)),
        ],
        on_state: Some(Arc::new(move |batch| {
            let steps: &[State] = match batch.phase {
                batch::Phase::Sealed => &[State::Sealed],
                batch::Phase::Staged => &[State::Written],
                // What is uploaded is committed next, without a wait between.
                batch::Phase::Uploaded => &[State::Uploaded, State::Committing],
                batch::Phase::Committed => &[State::Committed],
            };
            steps.iter().for_each(|state| states.note_state(batch.id, *state));
        })),
    }
}

/// What the speed layer reads instead of memory.
fn staged_files(local: &[LocalFile]) -> Files {
    let of = |table| local.iter().find(|f| f.lake.table == table);
    let path = |table| of(table).map(|f: &LocalFile| f.path.clone());
    let columns = of(Table::Events).map(|f| f.columns.iter().map(|c| c.name.clone()).collect());
    Files {
        events: path(Table::Events),
        failed: path(Table::Failed),
        bad_rows: path(Table::Bad),
        columns: columns.unwrap_or_default(),
    }
}

/// The views that are published to the stream.
pub(super) fn published(speed: &Speed, views: &[Arc<View>]) -> Result<Vec<Published>, SpeedError> {
    let published = views.iter().filter_map(|view| Some((view, view.publish_ms()?)));
    published.map(|(view, every)| Ok((Span::from_millis(every), speed.publisher(view.name())?))).collect()
}
