//! `snowshed demo`: the pipeline with built-in traffic, and where to look.

use super::Exit;
use super::door;
use super::run::{signal, with_app};
use super::traffic::{Sent, Shape, Target, run as send};
use crate::app::{App, reachable};
use crate::config::Loaded;
use crate::pipeline::drain::Drain;
use crate::platform::clock::Clock;
use crate::serving::Token;
use clap::Args;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const EXAMPLES: &str = "\
Examples:
  snowshed demo                                    200 sites, until Ctrl-C
  snowshed demo --sites 20 --rate 50 --seconds 60    less of it, for a minute
  snowshed demo --only-traffic --collector http://127.0.0.1:8080    traffic for a collector that runs";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct DemoArgs {
    /// Sites that send
    #[arg(long, default_value_t = 200)]
    sites: usize,
    /// Events a second over all sites
    #[arg(long, default_value_t = 400)]
    rate: u32,
    /// Share of events that fail, 0 to 1
    #[arg(long, default_value_t = 0.004)]
    failing: f64,
    /// Stop after so many seconds; without it: until Ctrl-C
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Send to another collector and run no pipeline here
    #[arg(long, requires = "collector")]
    only_traffic: bool,
    /// Base URL of that collector
    #[arg(long, value_name = "URL")]
    collector: Option<String>,
}

impl DemoArgs {
    fn shape(&self) -> Result<Shape, String> {
        if !(0.0..=1.0).contains(&self.failing) {
            return Err(format!("--failing {}: allowed: 0 to 1", self.failing));
        }
        if !(1..=200_000).contains(&self.rate) || !(1..=10_000).contains(&self.sites) {
            return Err("--rate: allowed 1 to 200000; --sites: allowed 1 to 10000".to_owned());
        }
        Ok(Shape { sites: self.sites, rate: self.rate, failing: self.failing, ..Shape::default() })
    }
}

pub(super) fn demo(loaded: Loaded, args: DemoArgs) -> Exit {
    let shape = match args.shape() {
        Ok(shape) => shape,
        Err(why) => {
            eprintln!("snowshed demo: {why}");
            return Exit::Usage;
        }
    };
    let until = args.seconds.map(Duration::from_secs);
    if args.only_traffic {
        return only_traffic(&args, shape, until);
    }
    // A token file that cannot be read is told by the private port.
    let token = door::token(&loaded.config.serving).ok().flatten();
    with_app(loaded, "demo", |app, drain| async move {
        println!("{}", welcome(&app, &shape, token.as_ref(), std::io::stdout().is_terminal()));
        let collector = reachable(app.collector_addr());
        let sent = Arc::new(Sent::default());
        let stop = Drain::new();
        let traffic = tokio::spawn(send(
            Target { collector: format!("http://{collector}") },
            shape,
            Clock::System,
            until,
            stop.clone(),
            sent.clone(),
        ));
        first_answer(&app).await;
        tokio::select! {
            () = signal(&drain) => {}
            () = async { if let Some(time) = until { tokio::time::sleep(time).await } else { std::future::pending().await } } => {}
        }
        stop.raise();
        let _ = tokio::time::timeout(Duration::from_secs(5), traffic).await;
        println!(
            "  {} events accepted, {} refused",
            sent.accepted.load(Ordering::Relaxed),
            sent.refused.load(Ordering::Relaxed)
        );
        app
    })
}

/// Where to look.
fn welcome(app: &App, shape: &Shape, token: Option<&Token>, terminal: bool) -> String {
    let (collector, board) = (reachable(app.collector_addr()), reachable(app.serving_addr()));
    let header = if token.is_some() { "-H \"Authorization: Bearer $SNOWSHED_TOKEN\" " } else { "" };
    // Where the output may be kept, the reader has to add the token.
    let add = if token.is_some() && !terminal { "#token=<token>" } else { "" };
    format!(
        "\n  snowshed demo: {} sites, {} events/s, {:.1} % of them bad\n\n  \
         live page    {}{add}\n  \
         one answer   curl -s {header}'http://{board}/v1/views/traffic?layer=split' | head -c 600\n  \
         SQL          snowshed sql \"SELECT app_id, count(*) FROM events GROUP BY 1 ORDER BY 2 DESC LIMIT 5\"\n  \
         events       snowshed tail\n  \
         send one     curl 'http://{collector}/i?e=pv&p=web&tv=curl&aid=mine&url=https%3A%2F%2Fmine.example%2F'\n\n  \
         Ctrl-C ends it; what was collected stays in {}\n",
        shape.sites,
        shape.rate,
        shape.failing * 100.0,
        door::link(app.serving_addr(), token, terminal),
        app.data_dir().display(),
    )
}

/// Says how long it took until the first event was in a merged answer.
async fn first_answer(app: &App) {
    let start = Instant::now();
    while app.answered() == 0 && start.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    if app.answered() > 0 {
        println!("  first event in a merged answer {} ms after the first request\n", start.elapsed().as_millis());
    }
}

fn only_traffic(args: &DemoArgs, shape: Shape, until: Option<Duration>) -> Exit {
    let Some(collector) = args.collector.clone() else { return Exit::Usage };
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() else {
        return Exit::CannotStart;
    };
    let sent = Arc::new(Sent::default());
    let drain = Drain::new();
    let target = Target { collector: collector.trim_end_matches('/').to_owned() };
    let result = runtime.block_on(async {
        tokio::select! {
            r = send(target, shape, Clock::System, until, drain.clone(), sent.clone()) => r,
            () = signal(&drain) => Ok(()),
        }
    });
    println!(
        "{} events accepted, {} refused",
        sent.accepted.load(Ordering::Relaxed),
        sent.refused.load(Ordering::Relaxed)
    );
    match result {
        Ok(()) => Exit::Done,
        Err(e) => {
            eprintln!("snowshed demo: {e}");
            Exit::Failed
        }
    }
}
