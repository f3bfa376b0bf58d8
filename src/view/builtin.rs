//! The views that exist without being written.

use super::def::{Pairs, TimeColumn, ViewDef};
use crate::platform::units::Span;

/// Name of the view that every instance has.
pub const PULSE: &str = "pulse";

/// `pulse`: events per second of arrival. Always there; its name is taken.
pub fn builtin() -> Vec<ViewDef> {
    vec![ViewDef {
        name: PULSE.to_owned(),
        grain: Span::from_secs(1),
        time: TimeColumn::Collector,
        dimensions: Vec::new(),
        only: Pairs::default(),
        windows: seconds(&[1, 10, 60, 300, 3600]),
        publish: None,
        max_groups: super::def::MAX_GROUPS,
        measures: measures(&[("events", "count")]),
    }]
}

/// The views that the default configuration writes out: what the first page of the dashboard shows.
pub fn defaults() -> Vec<ViewDef> {
    let view = |name: &str, dimensions: &[&str], windows: &[i64], of: &[(&str, &str)]| ViewDef {
        name: name.to_owned(),
        grain: Span::from_secs(60),
        time: TimeColumn::Derived,
        dimensions: dimensions.iter().map(|d| (*d).to_owned()).collect(),
        only: Pairs::default(),
        windows: seconds(windows),
        publish: None,
        max_groups: super::def::MAX_GROUPS,
        measures: measures(of),
    };
    vec![
        ViewDef {
            publish: Some(Span::from_secs(1)),
            ..view(
                "traffic",
                &["app_id", "platform", "event_name"],
                &[1, 10, 60, 300, 3600],
                &[("events", "count"), ("users", "distinct(domain_userid)")],
            )
        },
        ViewDef {
            only: Pairs(vec![(
                "event_name".to_owned(),
                super::def::Allowed::One(super::def::Literal::Text("page_view".to_owned())),
            )]),
            ..view("pages", &["app_id"], &[300, 3600], &[("views", "count"), ("pages", "top(page_urlpath, 20)")])
        },
    ]
}

fn seconds(windows: &[i64]) -> Vec<Span> {
    windows.iter().map(|w| Span::from_secs(*w)).collect()
}

fn measures(of: &[(&str, &str)]) -> Pairs<String> {
    Pairs(of.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
}
