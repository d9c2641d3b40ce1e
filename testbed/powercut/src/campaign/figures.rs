//! What a campaign found.

use std::fmt;
use std::ops::AddAssign;

use serde::Serialize;

use super::Job;
use crate::record;

/// A cut after which something was wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    pub cut: u64,
    pub what: Vec<String>,
}

/// Sums over all cuts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    pub recorded_writes: u64,
    pub recorded_flushes: u64,
    pub recorded_bytes: u64,
    pub recorded_operations: u64,
    pub cuts: u64,
    /// One brick lost power, while the other one and the client went on; in the other cuts all went down.
    pub of_one_brick: u64,
    pub at_a_flush: u64,
    pub cut_twice: u64,
    /// Writes that no flush had covered; how many of them did not survive, and how many survived in part.
    pub unflushed: u64,
    pub lost: u64,
    pub torn: u64,
    /// Sums over the cuts: fsyncs that had returned, and operations that they cover.
    pub fsyncs_checked: u64,
    pub operations_checked: u64,
    /// Cuts after which each worker's folder was as after some operation of it, and all together as at one time.
    pub exact: u64,
    /// Cuts after which something durable was missing, or something was there that never was.
    pub losses: u64,
    /// Cuts after which a file held what it never did, in bytes that no fsync covered.
    pub mixed: u64,
    /// Cuts after which the bricks' trees differed.
    pub unequal: u64,
    /// Of these, cuts after which the only difference was names that no mount shows.
    pub left_over: u64,
    /// Cuts after which the work could not go on as if nothing had been.
    pub later: u64,
    pub slowest_ms: u64,
    /// Starts of a daemon that hung, and were done again.
    pub hung: u64,
    pub failures: Vec<Failure>,
}

impl Figures {
    #[must_use]
    pub fn of(recorded: record::Figures, operations: u64) -> Figures {
        Figures {
            recorded_writes: recorded.writes,
            recorded_flushes: recorded.flushes,
            recorded_bytes: recorded.bytes,
            recorded_operations: operations,
            ..Figures::default()
        }
    }

    pub(super) fn begin(&mut self, job: &Job) {
        self.cuts += 1;
        self.at_a_flush += u64::from(job.cut.moment.at_flush);
        self.cut_twice += u64::from(job.cut.twice);
        self.unflushed += job.tally.unflushed as u64;
        self.lost += job.tally.lost as u64;
        self.torn += job.tally.torn as u64;
    }
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Figures) {
        let sums = [
            (&mut self.recorded_writes, other.recorded_writes),
            (&mut self.recorded_flushes, other.recorded_flushes),
            (&mut self.recorded_bytes, other.recorded_bytes),
            (&mut self.recorded_operations, other.recorded_operations),
            (&mut self.cuts, other.cuts),
            (&mut self.of_one_brick, other.of_one_brick),
            (&mut self.at_a_flush, other.at_a_flush),
            (&mut self.cut_twice, other.cut_twice),
            (&mut self.unflushed, other.unflushed),
            (&mut self.lost, other.lost),
            (&mut self.torn, other.torn),
            (&mut self.fsyncs_checked, other.fsyncs_checked),
            (&mut self.operations_checked, other.operations_checked),
            (&mut self.exact, other.exact),
            (&mut self.losses, other.losses),
            (&mut self.mixed, other.mixed),
            (&mut self.unequal, other.unequal),
            (&mut self.left_over, other.left_over),
            (&mut self.later, other.later),
            (&mut self.hung, other.hung),
        ];
        sums.into_iter().for_each(|(sum, more)| *sum += more);
        self.slowest_ms = self.slowest_ms.max(other.slowest_ms);
        self.failures.extend(other.failures);
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = [
            ("recorded writes", self.recorded_writes),
            ("recorded flushes", self.recorded_flushes),
            ("recorded MiB", self.recorded_bytes >> 20),
            ("recorded operations", self.recorded_operations),
            ("cuts", self.cuts),
            ("  of one brick", self.of_one_brick),
            ("  at a flush", self.at_a_flush),
            ("  cut again while recovering", self.cut_twice),
            ("unflushed writes", self.unflushed),
            ("  lost", self.lost),
            ("  torn", self.torn),
            ("fsyncs checked", self.fsyncs_checked),
            ("operations checked", self.operations_checked),
            ("exact prefixes", self.exact),
            ("slowest recovery, ms", self.slowest_ms),
            ("starts that hung", self.hung),
            ("cuts with a loss", self.losses),
            ("cuts with mixed contents", self.mixed),
            ("cuts with unequal trees", self.unequal),
            ("  only names left over", self.left_over),
            ("cuts with trouble later on", self.later),
            ("cuts that failed", self.failures.len() as u64),
        ];
        lines.iter().try_for_each(|(what, number)| writeln!(f, "{what:<30} {number:>12}"))
    }
}
