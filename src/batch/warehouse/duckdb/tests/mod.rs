//! The warehouse against a real DuckDB file.

mod commits;
mod endurance;
mod sql;
mod tail;
mod views;

use super::instance::abort_next_checkpoint;
use super::{Database, Needs, Opened, Settings, open_parts};
use crate::batch::error::{CommitError, ReadError};
use crate::batch::lake::Table;
use crate::batch::testing::*;
use crate::batch::warehouse::{Load, SqlParam, SqlRequest, SqlTail};
use crate::event::rows::Rows;
use crate::event::{Cell, EventAddr, Offset, Outcome, Processed, columns};
use crate::platform::clock::Clock;
use crate::platform::units::{ByteSize, Span};
use crate::view::{Fold, Group, Groups, Value, ViewQuery};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
