//! The views' tables.

use super::*;

fn all_of(rig: &Rig, chunks: &[Arc<crate::event::Chunk>]) -> Vec<Groups> {
    rig.views
        .iter()
        .map(|view| {
            let mut fold = Fold::new(view.clone());
            chunks.iter().for_each(|c| fold.add(&c.rows).unwrap());
            fold.into_groups()
        })
        .collect()
}

fn stored(rig: &Rig, opened: &Opened) -> Vec<Groups> {
    let mut snapshot = opened.reader.snapshot(Duration::ZERO).unwrap();
    rig.views
        .iter()
        .map(|view| {
            let mut groups = Groups::new(view.clone());
            let question = ViewQuery::range(EPOCH - 86_400_000, EPOCH + 86_400_000);
            for batch in snapshot.view_groups(view, &question).unwrap() {
                groups.add_record_batch(&batch).unwrap();
            }
            groups
        })
        .collect()
}

fn assert_same(a: &[Groups], b: &[Groups]) {
    for (a, b) in a.iter().zip(b) {
        let view = a.view();
        assert!(!a.is_empty());
        assert_eq!(a.len(), b.len());
        for (a, b) in a.sorted().iter().zip(b.sorted()) {
            let values = |g: &Group<'_>| -> Vec<Value> {
                view.measures().iter().zip(g.aggregates).map(|(m, a)| a.value(m)).collect()
            };
            assert_eq!((a.key, a.rows, values(a)), (b.key, b.rows, values(&b)), "view {}", view.name());
        }
    }
}

#[test]
fn view_tables_hold_what_a_fold_over_all_events_gives() {
    let mut rig = Rig::new();
    let mut opened = rig.open();
    let chunks: Vec<_> = (0..21u64).map(|i| chunk(i * 150, i * 150..(i + 1) * 150, 0)).collect();
    for c in &chunks {
        opened.writer.commit(&rig.load(std::slice::from_ref(c))).unwrap();
    }
    let expected = all_of(&rig, &chunks);
    assert_same(&expected, &stored(&rig, &opened));
    let table = format!("derived.{}", rig.views[0].name());
    let before = number(&opened.reader, &format!("SELECT count(*) FROM {table}"));
    let mut folds = 0;
    while opened.writer.maintain().unwrap() {
        folds += 1;
    }
    // 21 sets by four: five folds of level 0, one of level 1, per view.
    assert_eq!(folds, 6 * rig.views.len());
    assert_same(&expected, &stored(&rig, &opened));
    assert!(number(&opened.reader, &format!("SELECT count(*) FROM {table}")) < before);
    let sets = ask(
        &opened.reader,
        &format!(
            "SELECT batch_from, batch_to, level FROM snowshed.deltas WHERE view = '{}' ORDER BY 1",
            rig.views[0].name()
        ),
    );
    assert_eq!(sets, [["0", "2400", "2"], ["2400", "3000", "1"], ["3000", "3150", "0"]]);
    drop(opened);

    // A definition that changed, and a view that was away: made again from the events.
    let mut def = rig.views[0].def().clone();
    def.grain = Span::from_secs(1);
    let away = std::mem::replace(&mut rig.views, vec![def.compile().unwrap()]);
    let mut opened = rig.open();
    assert_same(&all_of(&rig, &chunks), &stored(&rig, &opened));
    opened.writer.commit(&rig.load_range(3150..3300)).unwrap();
    drop(opened);
    rig.views = away;
    let opened = rig.open();
    let chunks: Vec<_> = chunks.into_iter().chain([chunk(3150, 3150..3300, 0)]).collect();
    assert_same(&all_of(&rig, &chunks), &stored(&rig, &opened));
}
