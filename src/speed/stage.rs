//! The driver: one thread that takes the flow in.

use super::error::SpeedError;
use super::handle::Speed;
use crate::event::Flow;
use crate::pipeline::drain::Drain;
use crate::pipeline::link::{LinkReceiver, Received};
use std::io;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(100);
const WAIT: Duration = Duration::from_millis(10);

/// Starts the stage. It ends when the link is closed and empty, or when the flow breaks its promises: then the answers
/// would be wrong, so it stops taking and the error says what came.
///
/// # Errors
/// When the thread cannot be started.
pub fn spawn(speed: Speed, input: LinkReceiver<Flow>, drain: Drain) -> io::Result<JoinHandle<Result<(), SpeedError>>> {
    Builder::new().name("speed".to_owned()).spawn(move || run(&speed, &input, &drain))
}

fn run(speed: &Speed, input: &LinkReceiver<Flow>, drain: &Drain) -> Result<(), SpeedError> {
    let mut tidied = Instant::now();
    loop {
        match input.recv_timeout(TICK) {
            Received::Message(flow) => {
                if let Err(problem) = speed.apply(&flow) {
                    tracing::error!(%problem, "the speed layer stops");
                    return Err(problem);
                }
            }
            Received::Nothing => {}
            Received::Closed => return Ok(()),
        }
        if tidied.elapsed() >= TICK {
            speed.tidy();
            tidied = Instant::now();
        }
        wait_for_room(speed, drain);
    }
}

/// Lets the pipeline back up while memory is full of rows that no file holds yet (promise P7).
fn wait_for_room(speed: &Speed, drain: &Drain) {
    if !speed.is_full() {
        return;
    }
    tracing::warn!("the tail is at twice speed.max_tail_bytes: waiting for the batch layer");
    speed.0.metrics.waits.inc();
    while speed.is_full() && !drain.is_raised() {
        speed.tidy();
        std::thread::sleep(WAIT);
    }
}
