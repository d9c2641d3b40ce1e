//! `heal-status`: once, until healed, for monitors, or redrawn.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rfs_model::admin::{HealState, Operation, Reply, Request, VolumeReport};
use rfs_model::ids::VolumeId;

use crate::args::{Args, HealStatus};
use crate::client::{Client, ClientError};
use crate::run::{Failure, json, out_of_turn};
use crate::show;

const POLL: Duration = Duration::from_millis(200);
const REDRAW: Duration = Duration::from_millis(500);
/// How long --check gives the bricks of a healthy volume to apply what was committed when it was called.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) fn command(args: &Args, status: &HealStatus) -> Result<String, Failure> {
    let volume = match status.what.as_slice() {
        [] => None,
        [word, rest @ ..] if word == "divergent" => {
            return divergent(args, status.forget, rest.first().cloned());
        }
        [volume] if volume == "all" => None,
        [volume] => Some(volume.clone()),
        [_, second, ..] => {
            return Err(Failure::Usage(format!("heal-status takes one volume: what is '{second}'?")));
        }
    };
    if status.forget {
        return Err(Failure::Usage("--forget goes with 'heal-status divergent VOLUME'".into()));
    }
    let source = || reports(args, volume.clone());
    if status.check {
        return check(source);
    }
    if status.watch {
        return watch(source);
    }
    if status.wait {
        wait(source, status.timeout.map(Duration::from_secs))?;
    }
    let reports = source()?;
    if args.json { json(&reports) } else { Ok(show::heal_status(&reports)) }
}

/// A connection for each look: the daemon may restart between two.
fn reports(args: &Args, volume: Option<String>) -> Result<Vec<VolumeReport>, Failure> {
    let request = Request::Status { volume };
    match ask(args, request)? {
        Reply::Reports(reports) => Ok(reports),
        _ => Err(out_of_turn()),
    }
}

fn ask(args: &Args, request: Request) -> Result<Reply, Failure> {
    let connected = Client::connect(args.server.as_deref(), args.state_dir.as_deref(), request.right());
    match connected.and_then(|mut client| client.ask(request)) {
        Err(ClientError::NoDaemon(why)) if is_check(args) => {
            eprintln!("{why}");
            Err(Failure::Exit(3))
        }
        other => Ok(other?),
    }
}

fn is_check(args: &Args) -> bool {
    matches!(&args.command, crate::args::Command::HealStatus(HealStatus { check: true, .. }))
}

fn divergent(args: &Args, forget: bool, volume: Option<String>) -> Result<String, Failure> {
    let volumes = match volume.filter(|volume| volume != "all") {
        Some(volume) => vec![volume],
        None if forget => {
            return Err(Failure::Usage("heal-status divergent --forget: give the volume".into()));
        }
        None => match ask(args, Request::VolumeList)? {
            Reply::Names(names) => names,
            _ => return Err(out_of_turn()),
        },
    };
    let mut all = Vec::new();
    for volume in volumes {
        let operation = if forget { Operation::ForgetDivergent } else { Operation::ListDivergent };
        match ask(args, Request::Operate { volume, operation })? {
            Reply::Divergent(rows) => all.extend(rows),
            Reply::Done { note } if forget => {
                return Ok(format!("{}\n", note.unwrap_or_else(|| "none".to_owned())));
            }
            _ => return Err(out_of_turn()),
        }
    }
    if args.json { json(&all) } else { Ok(show::divergent(&all)) }
}

/// What each volume has to reach: its leader's committed index when first seen with a leader.
#[derive(Default)]
struct Targets(BTreeMap<VolumeId, u64>);

impl Targets {
    fn note(&mut self, reports: &[VolumeReport]) {
        for r in reports {
            if let Some(target) = r.target {
                self.0.entry(r.id).or_insert(target);
            }
        }
    }

    fn reached(&self, r: &VolumeReport) -> bool {
        self.0.get(&r.id).is_some_and(|target| r.reached(*target))
    }

    fn healed(&self, reports: &[VolumeReport]) -> bool {
        reports.iter().all(|r| r.state == HealState::Healthy && self.reached(r))
    }
}

fn wait(
    source: impl Fn() -> Result<Vec<VolumeReport>, Failure>,
    limit: Option<Duration>,
) -> Result<(), Failure> {
    let start = Instant::now();
    let mut targets = Targets::default();
    loop {
        let reports = source()?;
        targets.note(&reports);
        if targets.healed(&reports) {
            return Ok(());
        }
        if let Some(limit) = limit
            && start.elapsed() >= limit
        {
            return Err(Failure::Refused(not_healed(&reports, &targets, limit)));
        }
        thread::sleep(POLL);
    }
}

fn not_healed(reports: &[VolumeReport], targets: &Targets, limit: Duration) -> String {
    let late = reports.iter().find(|r| r.state != HealState::Healthy || !targets.reached(r));
    let which = late.map_or_else(String::new, |r| {
        let lines = r.bricks.iter().map(|b| format!("{} {}", b.brick, show::watch_line(b)));
        format!(": volume {}: {}", r.volume, lines.collect::<Vec<_>>().join(", "))
    });
    format!("not healed within {} s{which}", limit.as_secs())
}

fn check(source: impl Fn() -> Result<Vec<VolumeReport>, Failure>) -> Result<String, Failure> {
    let start = Instant::now();
    let mut targets = Targets::default();
    loop {
        let reports = source()?;
        targets.note(&reports);
        let status = check_status(&reports, &targets);
        let settling = status == 1 && reports.iter().all(|r| r.state == HealState::Healthy);
        if status == 0 || !settling || start.elapsed() >= SETTLE {
            print!(
                "{}",
                reports
                    .iter()
                    .map(|r| format!("{}: {}\n", r.volume, show::heal_word(r.state)))
                    .collect::<String>()
            );
            return if status == 0 { Ok(String::new()) } else { Err(Failure::Exit(status)) };
        }
        thread::sleep(POLL / 4);
    }
}

fn check_status(reports: &[VolumeReport], targets: &Targets) -> u8 {
    let one = |r: &VolumeReport| match r.state {
        HealState::Healthy if targets.reached(r) => 0,
        HealState::Healthy | HealState::Healing => 1,
        HealState::Degraded | HealState::Blocked => 2,
    };
    reports.iter().map(one).max().unwrap_or(0)
}

fn watch(source: impl Fn() -> Result<Vec<VolumeReport>, Failure>) -> Result<String, Failure> {
    let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
    let mut shown: Vec<(ProgressBar, Line)> = Vec::new();
    loop {
        let lines: Vec<Line> = source()?.iter().flat_map(lines_of).collect();
        if shown.len() != lines.len() {
            shown.drain(..).for_each(|(bar, _)| bar.finish_and_clear());
            shown =
                lines.iter().map(|_| (screen.add(ProgressBar::new(0)), Line::Text(String::new()))).collect();
        }
        for ((bar, before), line) in shown.iter_mut().zip(lines) {
            if *before != line {
                draw(bar, &line);
                *before = line;
            }
        }
        thread::sleep(REDRAW);
    }
}

#[derive(PartialEq, Eq)]
enum Line {
    Text(String),
    Bar { brick: String, applied: u64, target: u64, text: String },
}

fn lines_of(r: &VolumeReport) -> Vec<Line> {
    let mut lines = vec![Line::Text(format!("Volume {}: {}", r.volume, show::heal_word(r.state)))];
    lines.extend(r.bricks.iter().map(|b| {
        let target = r.target.or(b.committed).unwrap_or(0);
        let applied = b.applied.unwrap_or(0).min(target);
        Line::Bar { brick: b.brick.clone(), applied, target, text: show::watch_line(b) }
    }));
    lines.extend(r.now.iter().map(|path| Line::Text(format!("  now: {path}"))));
    lines
}

fn draw(bar: &ProgressBar, line: &Line) {
    let style = |template: &str| {
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
    };
    match line {
        Line::Text(text) => {
            bar.set_style(style("{msg}"));
            bar.set_message(text.clone());
        }
        Line::Bar { brick, applied, target, text } => {
            bar.set_style(style("  {prefix:<24} [{bar:30}] {percent:>3} %  {msg}").progress_chars("=> "));
            bar.set_length(*target);
            bar.set_position(*applied);
            bar.set_prefix(brick.clone());
            bar.set_message(text.clone());
        }
    }
    bar.tick();
}

#[cfg(test)]
mod tests {
    use super::*;
    use rfs_model::NodeId;
    use rfs_model::admin::{BrickReport, BrickRole};
    use std::cell::RefCell;

    fn report(state: HealState, target: Option<u64>, applied: [u64; 2]) -> VolumeReport {
        let bricks = applied.map(|applied| BrickReport {
            brick: "server1:/data".into(),
            node: NodeId::NIL,
            state: BrickRole::InSync,
            online: true,
            pid: None,
            committed: target,
            applied: Some(applied),
            behind_ops: 0,
            behind_bytes: 0,
            rate_bytes_per_s: 0,
            eta_s: None,
            lag_ms: 0,
            doubts: 0,
            fault: None,
            scrub: None,
        });
        VolumeReport {
            volume: "datavol".into(),
            id: VolumeId::NIL,
            started: true,
            state,
            leader: target.map(|_| NodeId::NIL),
            target,
            pending: false,
            witness: None,
            waits_for: vec![],
            now: None,
            as_of_ms: None,
            bricks: bricks.to_vec(),
        }
    }

    /// Hands the reports out one after the other, the last one again and again.
    fn script(reports: Vec<VolumeReport>) -> impl Fn() -> Result<Vec<VolumeReport>, Failure> {
        let left = RefCell::new(reports);
        move || {
            let mut left = left.borrow_mut();
            let next = if left.len() > 1 { left.remove(0) } else { left[0].clone() };
            Ok(vec![next])
        }
    }

    #[test]
    fn wait_wants_what_was_committed_at_the_call_on_every_brick() {
        use HealState::{Blocked, Healing, Healthy};
        // The target grows while writers go on; only the first one counts.
        let story = vec![
            report(Blocked, None, [5, 5]),
            report(Healing, Some(10), [10, 5]),
            report(Healthy, Some(20), [20, 10]),
        ];
        wait(script(story), Some(Duration::from_secs(30))).unwrap();
    }

    #[test]
    fn wait_gives_up_and_says_on_whom() {
        let never = vec![report(HealState::Blocked, None, [5, 5])];
        let Err(Failure::Refused(why)) = wait(script(never), Some(Duration::ZERO)) else { panic!("healed?") };
        assert!(why.contains("not healed within 0 s: volume datavol: server1:/data"), "{why}");
    }

    #[test]
    fn check_has_a_status_for_monitors() {
        use HealState::{Blocked, Degraded, Healing, Healthy};
        let table = [
            (report(Healthy, Some(7), [7, 7]), None),
            (report(Healthy, Some(7), [9, 8]), None),
            (report(Healing, Some(7), [7, 7]), Some(1)),
            (report(Degraded, Some(7), [7, 7]), Some(2)),
            (report(Blocked, None, [7, 7]), Some(2)),
        ];
        for (report, want) in table {
            let got = match check(script(vec![report.clone()])) {
                Ok(_) => None,
                Err(Failure::Exit(status)) => Some(status),
                Err(other) => panic!("{other:?}"),
            };
            assert_eq!(got, want, "{report:?}");
        }
    }

    #[test]
    fn check_gives_a_busy_healthy_volume_a_moment() {
        let busy =
            vec![report(HealState::Healthy, Some(7), [7, 6]), report(HealState::Healthy, Some(9), [9, 7])];
        assert!(check(script(busy)).is_ok());
    }
}
