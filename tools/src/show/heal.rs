//! `heal-status`.

use rfs_model::admin::{BrickReport, HealState, VolumeReport};

use super::number::{bytes, duration, grouped};
use super::table::{Align, table};
use super::volume::{remarks, role};

#[must_use]
pub fn heal_status(reports: &[VolumeReport]) -> String {
    if reports.is_empty() {
        return "No volumes present\n".to_owned();
    }
    let parts: Vec<String> = reports.iter().map(one).collect();
    parts.join("\n")
}

fn one(r: &VolumeReport) -> String {
    let head = [
        ("BRICK", Align::Left),
        ("STATE", Align::Left),
        ("COMMITTED", Align::Right),
        ("APPLIED", Align::Right),
        ("BEHIND", Align::Right),
        ("RATE", Align::Right),
        ("ETA", Align::Right),
    ];
    let rows: Vec<[String; 7]> = r.bricks.iter().map(row).collect();
    let mut out = format!("Volume {}: {}\n", r.volume, heal_word(r.state));
    out += &table("  ", head, &rows);
    out += &remarks(&r.bricks);
    if let Some(path) = &r.now {
        out += &format!("  now: {path}\n");
    }
    if !r.waits_for.is_empty() {
        out += &format!("  waits for {}\n", r.waits_for.join(", "));
    }
    out
}

fn row(b: &BrickReport) -> [String; 7] {
    let index = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), grouped);
    let rate = match b.rate_bytes_per_s {
        0 => "-".to_owned(),
        n => format!("{}/s", bytes(n)),
    };
    let eta = b.eta_s.map_or_else(|| "-".to_owned(), duration);
    [b.brick.clone(), role(b.state).to_owned(), index(b.committed), index(b.applied), behind(b), rate, eta]
}

fn behind(b: &BrickReport) -> String {
    match (b.behind_ops, b.behind_bytes) {
        (0, 0) => "-".to_owned(),
        (ops, 0) => format!("{} ops", grouped(ops)),
        (ops, size) => format!("{} ops, {}", grouped(ops), bytes(size)),
    }
}

/// The state as one word.
#[must_use]
pub fn heal_word(state: HealState) -> &'static str {
    match state {
        HealState::Healthy => "healthy",
        HealState::Healing => "healing",
        HealState::Degraded => "degraded",
        HealState::Blocked => "blocked",
    }
}

/// What stands behind a brick's progress bar.
#[must_use]
pub fn watch_line(b: &BrickReport) -> String {
    let [_, state, _, _, behind, rate, eta] = row(b);
    match behind.as_str() {
        "-" => state,
        _ => format!("{state}  {behind} behind  {rate}  {eta}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rfs_model::admin::BrickRole;
    use rfs_model::{NodeId, VolumeId};

    fn report() -> VolumeReport {
        let leader = BrickReport {
            brick: "server2:/data".into(),
            node: NodeId([2; 16]),
            state: BrickRole::Leader,
            online: true,
            pid: Some(7),
            committed: Some(184_223),
            applied: Some(184_223),
            behind_ops: 0,
            behind_bytes: 0,
            rate_bytes_per_s: 0,
            eta_s: None,
            lag_ms: 0,
            doubts: 0,
            fault: None,
            scrub: None,
        };
        let learner = BrickReport {
            brick: "server1:/data".into(),
            node: NodeId([1; 16]),
            state: BrickRole::Learner,
            applied: Some(183_010),
            behind_ops: 1213,
            behind_bytes: 48 << 20,
            rate_bytes_per_s: 92 << 20,
            eta_s: Some(1),
            ..leader.clone()
        };
        VolumeReport {
            volume: "datavol".into(),
            id: VolumeId::NIL,
            started: true,
            state: HealState::Healing,
            leader: Some(leader.node),
            target: Some(184_223),
            pending: false,
            witness: None,
            waits_for: vec![],
            now: Some("/photos/2026/img_0231.jpg".into()),
            as_of_ms: None,
            bricks: vec![learner, leader],
        }
    }

    #[test]
    fn the_table_lines_up() {
        let want = "Volume datavol: healing
  BRICK          STATE    COMMITTED  APPLIED             BEHIND      RATE  ETA
  server1:/data  learner    184,223  183,010  1,213 ops, 48 MiB  92 MiB/s  1 s
  server2:/data  leader     184,223  184,223                  -         -    -
  now: /photos/2026/img_0231.jpg
";
        assert_eq!(heal_status(&[report()]), want);
    }

    #[test]
    fn what_is_not_known_is_a_dash() {
        let mut r = report();
        r.state = HealState::Blocked;
        r.waits_for = vec!["server1:/data".into()];
        r.bricks[0].committed = None;
        r.bricks[0].applied = None;
        r.bricks[0].state = BrickRole::Offline;
        let text = heal_status(&[r]);
        assert!(text.contains("Volume datavol: blocked\n"));
        assert!(text.contains("server1:/data  offline          -        -"), "{text}");
        assert!(text.ends_with("waits for server1:/data\n"));
    }

    #[test]
    fn json_has_the_keys_of_the_contract() {
        let json = serde_json::to_value(report()).unwrap();
        for key in ["volume", "state", "bricks"] {
            assert!(json.get(key).is_some(), "{key}");
        }
        let brick = &json["bricks"][0];
        let keys =
            ["brick", "state", "committed", "applied", "behind_ops", "behind_bytes", "rate_bytes_per_s"];
        for key in keys.into_iter().chain(["eta_s", "online"]) {
            assert!(brick.get(key).is_some(), "{key}");
        }
        assert_eq!((&json["state"], &brick["state"]), (&"healing".into(), &"learner".into()));
    }

    #[test]
    fn the_bar_tells_how_far_it_is() {
        let r = report();
        assert_eq!(watch_line(&r.bricks[0]), "learner  1,213 ops, 48 MiB behind  92 MiB/s  1 s");
        assert_eq!(watch_line(&r.bricks[1]), "leader");
    }
}
