//! Replays: an earlier record in a later place.

use super::*;
use crate::event::replay::{Carried, Replay};
use crate::event::{EventAddr, Repair};

const AT: Offset = Offset(900);

fn replayed(kit: &Kit, body: &Bytes) -> Processing {
    kit.enricher.process(AT, RecordKind::Replay, body, ETL).unwrap()
}

fn header(indexes: &[u32]) -> Replay {
    Replay { offset: Offset(7), kind: Carried::Payload, repairs: None, indexes: indexes.to_vec(), whole: false }
}

/// A request with an event that fails, one that passes and one that passes without an id of its own.
fn three() -> Bytes {
    let event = |eid: &str, data: &str| {
        let datum = serde_json::Value::String(unstruct(&click(data)));
        format!(r#"{{"e":"ue","p":"web","tv":"t"{eid},"ue_pr":{datum}}}"#)
    };
    let eid = format!(r#","eid":"{EID}""#);
    let events = [event("", "{}"), event(&eid, r#"{"id":1}"#), event("", r#"{"id":2}"#)].join(",");
    let mut p = request(TP2, "");
    p.content_type = Some(Bytes::from_static(b"application/json"));
    p.body = Some(payload_data(&events).into());
    record(&p)
}

#[test]
fn a_replayed_event_is_the_one_that_its_own_place_would_have_given() {
    let kit = kit();
    let carried = three();
    let there = kit.record(RecordKind::Payload, &carried);
    let done = replayed(&kit, &header(&[0, 1, 2]).encode(&carried).unwrap());
    assert_eq!(done.received_ms, 0, "it did not arrive now");
    assert_eq!(done.items.len(), 2, "what still fails has no second outcome: {:?}", done.items);
    for (item, index) in done.items.iter().zip([1u32, 2]) {
        let original = &there[index as usize];
        assert_eq!(item.addr, EventAddr { offset: AT, index });
        let Outcome::Enriched(event) = &item.outcome else { panic!("{item:?}") };
        let id = uuid::Uuid::try_parse(&cell(event, "event_id")).unwrap();
        assert_eq!(item.repairs, Some(Repair { of: original.addr, event_id: Some(id) }));
        assert_eq!(item.outcome, original.outcome);
    }
    let only = replayed(&kit, &header(&[2]).encode(&carried).unwrap());
    assert_eq!(only.items.iter().map(|i| i.addr.index).collect::<Vec<_>>(), [2]);
    assert!(replayed(&kit, &header(&[0, 77]).encode(&carried).unwrap()).items.is_empty());
}

#[test]
fn a_request_that_had_failed_as_a_whole_comes_with_all_its_events() {
    let kit = kit();
    let whole = Replay { whole: true, repairs: Some(Offset(50)), ..header(&[0]) };
    let done = replayed(&kit, &whole.encode(&three()).unwrap());
    let ends: Vec<_> = done.items.iter().map(|i| i.repairs.map(|r| r.of)).collect();
    assert_eq!(ends, [Some(EventAddr { offset: Offset(50), index: 0 }), None, None]);
    let unreadable = whole.encode(&record(&request("/nowhere", "e=pv"))).unwrap();
    assert!(replayed(&kit, &unreadable).items.is_empty(), "it still fails as a whole");
}

#[test]
fn a_recorded_bad_row_stays_one_and_a_replay_that_cannot_be_read_is_a_failure() {
    let kit = kit();
    let row = br#"{"schema":"iglu:com.snowplowanalytics.snowplow.badrows/size_violation/jsonschema/1-0-0","data":{"failure":{}}}"#;
    let replay = Replay { kind: Carried::BadRow, ..header(&[0]) };
    assert!(replayed(&kit, &replay.encode(row).unwrap()).items.is_empty());
    let failure = failed(replayed(&kit, &Bytes::from_static(b"garbage")).items);
    assert_eq!(kind(&failure), BadRowKind::GenericError);
    assert!(failure.bad_row.contains("no header line"), "{}", failure.bad_row);
}
