//! Sends a few events of every kind with the unmodified Rust tracker; prints how many.
//!
//! usage: rust-tracker URL

use serde_json::json;
use snowplow_tracker::{
    ScreenViewEvent, SelfDescribingEvent, SelfDescribingJson, Snowplow, StructuredEvent, Subject, TimingEvent,
};
use uuid::Uuid;

const ROUNDS: u32 = 8;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: rust-tracker URL")?;
    let subject = Subject::builder().user_id("grüße").language("de").build()?;
    let mut tracker = Snowplow::create_tracker("rs", "rust-post", &url, Some(subject));
    // This version sends the tracker's subject only with events that have one of their own.
    let nobody = Subject::default();
    let page = || {
        let data = json!({"id": "8b1ad7b5-4c53-4f8e-9d34-6f2f3b0d6f01"});
        vec![SelfDescribingJson::new("iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0", data)]
    };
    let mut count = 0;
    for i in 0..ROUNDS {
        let event = StructuredEvent::builder()
            .category("shop")
            .action("add")
            .label("Straße")
            .value(1.25)
            .subject(nobody.clone())
            .build()?;
        tracker.track(event, Some(page()))?;
        let event = SelfDescribingEvent::builder()
            .schema("iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1")
            .data(json!({"targetUrl": format!("https://shop.example/target/{i}?q=ü")}))
            .subject(nobody.clone())
            .build()?;
        tracker.track(event, None)?;
        tracker.track(
            ScreenViewEvent::builder().id(Uuid::new_v4()).name("a screen").subject(nobody.clone()).build()?,
            None,
        )?;
        tracker.track(
            TimingEvent::builder().category("load").variable("page").timing(123).subject(nobody.clone()).build()?,
            None,
        )?;
        count += 4;
        // Closing does not send what is still in the buffer.
        tracker.flush()?;
    }
    tracker.close_emitter()?;
    // Waits for the replies.
    drop(tracker);
    println!("{count}");
    Ok(())
}
