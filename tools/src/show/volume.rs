//! `volume info`, `list`, `status`, `get` and `set help`.

use rfs_model::admin::{BrickReport, BrickRole, OptionRow, ScrubPhase, VolumeReport, VolumeRow};
use rfs_model::options::OPTIONS;

use super::number::{bytes, date_utc, grouped as count};
use super::table::{Align, table};

#[must_use]
pub fn volume_info(volumes: &[VolumeRow]) -> String {
    if volumes.is_empty() {
        return "No volumes present\n".to_owned();
    }
    volumes.iter().map(info).collect()
}

fn info(v: &VolumeRow) -> String {
    let kind = if v.replica > 1 { "Replicate" } else { "Distribute" };
    let status = match v.started {
        Some(true) => "Started",
        Some(false) => "Stopped",
        None => "Unknown (no brick can be asked)",
    };
    let mut out = format!("\nVolume Name: {}\nType: {kind}\nVolume ID: {}\nStatus: {status}\n", v.name, v.id);
    out += &as_of(v.as_of_ms);
    let count = match v.replica {
        0 | 1 => v.bricks.len().to_string(),
        replica => format!("{} x {replica} = {}", v.sets, v.bricks.len()),
    };
    out += &format!("Number of Bricks: {count}\nTransport-type: {}\nBricks:\n", v.transport);
    for (i, brick) in v.bricks.iter().enumerate() {
        out += &format!("Brick{}: {brick}\n", i + 1);
    }
    if !v.options.is_empty() {
        out += "Options Reconfigured:\n";
    }
    for (key, value) in &v.options {
        out += &format!("{key}: {value}\n");
    }
    out
}

/// A line for answers that no leader vouches for.
fn as_of(ms: Option<u64>) -> String {
    match ms {
        None => String::new(),
        Some(0) => "As of: an unknown time (the volume has no leader now)\n".to_owned(),
        Some(ms) => format!("As of: {} (the volume has no leader now)\n", date_utc(ms)),
    }
}

#[must_use]
pub fn volume_list(names: &[String]) -> String {
    if names.is_empty() {
        return "No volumes present in cluster\n".to_owned();
    }
    names.iter().map(|name| format!("{name}\n")).collect()
}

/// A brick in sync that is so far behind is worth a line.
const SLOW_MS: u64 = 500;

#[must_use]
pub fn volume_status(reports: &[VolumeReport]) -> String {
    if reports.is_empty() {
        return "No volumes present\n".to_owned();
    }
    let parts: Vec<String> = reports.iter().map(status).collect();
    parts.join("\n")
}

fn status(r: &VolumeReport) -> String {
    let stopped = if r.started { "" } else { " (stopped)" };
    let mut out = format!("Status of volume: {}{stopped}\n", r.volume);
    out += &as_of(r.as_of_ms);
    let head =
        [("BRICK", Align::Left), ("ONLINE", Align::Left), ("PID", Align::Right), ("ROLE", Align::Left)];
    let rows: Vec<[String; 4]> = r.bricks.iter().map(status_row).collect();
    out += &table("  ", head, &rows);
    out += &remarks(&r.bricks);
    out += &unrepaired(r);
    out += &match &r.witness {
        Some(w) => {
            let offline = if w.online { "" } else { ", offline" };
            format!("  witness: {} ({}{offline})\n", w.host, w.class)
        }
        None => "  witness: none\n".to_owned(),
    };
    if !r.waits_for.is_empty() {
        out += &format!("  waits for {}\n", r.waits_for.join(", "));
    }
    out
}

/// What there is to say of a brick that does not fit into a row.
pub(super) fn remarks(bricks: &[BrickReport]) -> String {
    let one = |b: &BrickReport| match (&b.fault, b.lag_ms) {
        (Some(fault), _) => format!("  {} is closed: {fault}\n", b.brick),
        (None, SLOW_MS..) if matches!(b.state, BrickRole::Leader | BrickRole::InSync) => {
            format!("  {} is slow: {:.1} s behind in writing\n", b.brick, b.lag_ms as f64 / 1000.0)
        }
        (None, _) if b.doubts > 0 => {
            format!(
                "  {} compares {} files with the leader's after a loss of power\n",
                b.brick,
                count(b.doubts)
            )
        }
        _ => String::new(),
    };
    bricks.iter().map(one).collect()
}

/// `volume scrub VOLUME status`
#[must_use]
pub fn scrub_status(reports: &[VolumeReport]) -> String {
    reports.iter().map(scrub).collect()
}

fn scrub(r: &VolumeReport) -> String {
    let head = [
        ("BRICK", Align::Left),
        ("SCRUB", Align::Left),
        ("INODES", Align::Right),
        ("READ", Align::Right),
        ("RATE", Align::Right),
        ("ROTTEN", Align::Right),
        ("REPAIRED", Align::Right),
        ("NOT REPAIRED", Align::Right),
    ];
    let rows: Vec<[String; 8]> = r.bricks.iter().map(scrub_row).collect();
    format!("Volume {}\n", r.volume) + &table("  ", head, &rows) + &unrepaired(r)
}

fn scrub_row(b: &BrickReport) -> [String; 8] {
    let Some(s) = &b.scrub else {
        let none = || "-".to_owned();
        return [b.brick.clone(), "never".to_owned(), none(), none(), none(), none(), none(), none()];
    };
    let phase = match s.phase {
        ScrubPhase::Never => "never",
        ScrubPhase::Running => "runs",
        ScrubPhase::Done => "done",
        ScrubPhase::Stopped => "stopped",
    };
    [
        b.brick.clone(),
        phase.to_owned(),
        format!("{} of {}", count(s.inodes), count(s.inodes_total)),
        bytes(s.bytes),
        format!("{}/s", bytes(s.bytes_per_s)),
        count(s.rotten),
        count(s.repaired),
        count(s.unrepaired.len() as u64),
    ]
}

/// What is wrong on a brick and was not put right.
fn unrepaired(r: &VolumeReport) -> String {
    let of = |b: &BrickReport| {
        let lines = b.scrub.iter().flat_map(|s| &s.unrepaired);
        lines.map(|line| format!("  {}: rot: {line}\n", b.brick)).collect::<String>()
    };
    r.bricks.iter().map(of).collect()
}

fn status_row(b: &BrickReport) -> [String; 4] {
    let online = if b.online { "Y" } else { "N" };
    let pid = b.pid.map_or_else(|| "N/A".to_owned(), |pid| pid.to_string());
    [b.brick.clone(), online.to_owned(), pid, role(b.state).to_owned()]
}

pub(super) fn role(role: BrickRole) -> &'static str {
    match role {
        BrickRole::Leader => "leader",
        BrickRole::InSync => "in sync",
        BrickRole::Learner => "learner",
        BrickRole::Suspect => "suspect",
        BrickRole::Failed => "failed",
        BrickRole::Offline => "offline",
    }
}

/// `volume get`
#[must_use]
pub fn options(rows: &[OptionRow]) -> String {
    let rows: Vec<[String; 2]> = rows
        .iter()
        .map(|row| {
            let mark = if row.default { " (DEFAULT)" } else { "" };
            [row.key.clone(), format!("{}{mark}", row.value)]
        })
        .collect();
    table("", [("OPTION", Align::Left), ("VALUE", Align::Left)], &rows)
}

/// `volume set help`
#[must_use]
pub fn options_help() -> String {
    let one = |o: &rfs_model::options::VolumeOption| {
        let default = if o.default.is_empty() { "(none)" } else { o.default };
        format!(
            "Option: {}\nDefault Value: {default}\nValues: {}\nDescription: {}\n",
            o.key,
            o.kind.describe(),
            o.help
        )
    };
    let all: Vec<String> = OPTIONS.iter().map(one).collect();
    all.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rfs_model::admin::{HealState, ScrubReport, WitnessReport};
    use rfs_model::{NodeId, VolumeId};

    fn row() -> VolumeRow {
        VolumeRow {
            name: "datavol".into(),
            id: "185ef7c6-7c7f-461d-8690-eec24a1a4c38".parse().unwrap(),
            started: Some(true),
            sets: 1,
            replica: 2,
            transport: "tcp".into(),
            bricks: vec!["server1:/data".into(), "server2:/data".into()],
            options: vec![("auth.allow".into(), "192.168.199.102".into())],
            as_of_ms: None,
        }
    }

    #[test]
    fn volume_info_is_the_contract_s() {
        let want = "\n\
            Volume Name: datavol\n\
            Type: Replicate\n\
            Volume ID: 185ef7c6-7c7f-461d-8690-eec24a1a4c38\n\
            Status: Started\n\
            Number of Bricks: 1 x 2 = 2\n\
            Transport-type: tcp\n\
            Bricks:\n\
            Brick1: server1:/data\n\
            Brick2: server2:/data\n\
            Options Reconfigured:\n\
            auth.allow: 192.168.199.102\n";
        assert_eq!(volume_info(&[row()]), want);
    }

    #[test]
    fn an_answer_without_a_leader_says_from_when_it_is() {
        let old = VolumeRow { as_of_ms: Some(1000), started: None, ..row() };
        let text = volume_info(&[old]);
        assert!(
            text.contains("Status: Unknown (no brick can be asked)\nAs of: 1970-01-01 00:00:01 UTC"),
            "{text}"
        );
    }

    #[test]
    fn volume_status_names_who_is_waited_for() {
        let brick = |brick: &str, online, state| BrickReport {
            brick: brick.into(),
            node: NodeId::NIL,
            state,
            online,
            pid: online.then_some(4711),
            committed: None,
            applied: None,
            behind_ops: 0,
            behind_bytes: 0,
            rate_bytes_per_s: 0,
            eta_s: None,
            lag_ms: 0,
            doubts: 0,
            fault: None,
            scrub: None,
        };
        let report = VolumeReport {
            volume: "datavol".into(),
            id: VolumeId::NIL,
            started: true,
            state: HealState::Blocked,
            leader: None,
            target: None,
            pending: false,
            witness: Some(WitnessReport { host: "client".into(), class: "mount".into(), online: true }),
            waits_for: vec!["server2:/data".into()],
            now: None,
            as_of_ms: None,
            bricks: vec![
                brick("server1:/data", true, BrickRole::InSync),
                brick("server2:/data", false, BrickRole::Offline),
            ],
        };
        let want = "Status of volume: datavol
  BRICK          ONLINE   PID  ROLE
  server1:/data  Y       4711  in sync
  server2:/data  N        N/A  offline
  witness: client (mount)
  waits for server2:/data
";
        assert_eq!(volume_status(std::slice::from_ref(&report)), want);
        let mut report = report;
        report.bricks[0].scrub = Some(ScrubReport {
            phase: ScrubPhase::Running,
            inodes: 803,
            inodes_total: 1213,
            bytes: 512 << 20,
            bytes_per_s: 32 << 20,
            rotten: 2,
            repaired: 1,
            unsummed_files: 0,
            unrepaired: vec!["/a/file".into()],
        });
        let want = "Volume datavol
  BRICK          SCRUB        INODES     READ      RATE  ROTTEN  REPAIRED  NOT REPAIRED
  server1:/data  runs   803 of 1,213  512 MiB  32 MiB/s       2         1             1
  server2:/data  never             -        -         -       -         -             -
  server1:/data: rot: /a/file
";
        assert_eq!(scrub_status(std::slice::from_ref(&report)), want);
        assert!(volume_status(&[report]).contains("  server1:/data: rot: /a/file\n"));
    }

    #[test]
    fn the_help_knows_every_option() {
        let text = options_help();
        for o in OPTIONS {
            assert!(text.contains(&format!("Option: {}\n", o.key)));
        }
    }

    #[test]
    fn values_that_are_defaults_are_marked() {
        let row = |key: &str, default| OptionRow { key: key.into(), value: "2s".into(), default };
        let text = options(&[row("peer-timeout", true), row("sync", false)]);
        assert_eq!(text, "OPTION        VALUE\npeer-timeout  2s (DEFAULT)\nsync          2s\n");
    }
}
