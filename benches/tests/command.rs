//! The program as a whole.

use std::path::Path;
use std::process::{Command, Output};

fn benches(args: &[&str], path: Option<&Path>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rfs-benches"));
    if let Some(path) = path {
        command.env("PATH", path);
    }
    command.args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_job_runs_in_a_plain_directory_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().to_str().unwrap();
    let args = ["fio", at, "--jobs", "rand-write-4k-fsync,create", "--runtime", "1", "--size", "1M"];
    let table = benches(&args, None);
    assert!(table.status.success(), "{}", text(&table.stderr));
    let lines: Vec<String> = text(&table.stdout).lines().map(str::to_owned).collect();
    assert!(lines[0].starts_with("JOB") && lines[0].ends_with("DONE MEANS"), "{lines:?}");
    let column = lines[0].find("DONE MEANS").unwrap();
    let meanings: Vec<&str> = lines.iter().skip(1).filter_map(|l| l.get(column..)).collect();
    let sync = "fsync() after each write";
    assert_eq!(meanings[..5], [sync, sync, sync, sync, "close() returned"], "{lines:#?}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

    let json = benches(&[&args[..], &["--json"]].concat(), None);
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let kinds: Vec<_> =
        value["rows"].as_array().unwrap().iter().map(|r| r["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["write", "sync", "write", "sync", "create"]);
    assert!(value["rows"].as_array().unwrap().iter().all(|r| r["per_s"].as_f64().unwrap() > 0.0));
}

#[test]
fn what_cannot_be_is_said_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().to_str().unwrap();
    let nowhere = dir.path().join("none");
    let cases: [(&[&str], Option<&Path>, &str); 4] = [
        (&["fio", at], Some(dir.path()), "fio is not installed"),
        (&["fio", nowhere.to_str().unwrap()], None, "cannot write to"),
        (&["fio", at, "--jobs", "nonsense"], None, "no job is called 'nonsense'"),
        (&["fio", at, "--jobs", "seq-write-4k", "--size", "nonsense"], None, "fio failed at seq-write-4k"),
    ];
    for (args, path, want) in cases {
        let said = benches(args, path);
        assert_eq!(said.status.code(), Some(1), "{args:?}");
        assert!(text(&said.stderr).contains(want), "{args:?}: {}", text(&said.stderr));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn the_works_are_listed_and_what_is_unknown_is_refused() {
    let list = benches(&["compare", "--list"], None);
    let text_of = text(&list.stdout);
    assert!(list.status.success() && text_of.starts_with("WORK"), "{text_of}");
    let line = text_of.lines().find(|l| l.starts_with("create-4k")).unwrap();
    assert!(line.contains("close() returned"), "{line}");
    let unknown = benches(&["compare", "--works", "nonsense"], None);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("no work is called 'nonsense'"), "{}", text(&unknown.stderr));
}

/// Every kind of work but heals, on the systems that are here: each result is a number that somebody measured.
#[test]
fn rfs_is_compared_with_a_directory() {
    let works = "seq-write-fsync,rand-write-fsync-8jobs,mix,create,stat,rename,unlink,tar,ls,rm-rf,git-clone,git-status";
    let args = [
        "compare",
        "--systems",
        "plain,rfs",
        "--works",
        works,
        "--rounds",
        "1",
        "--seconds",
        "1",
        "--disk",
        "as-is",
        "--memory",
    ];
    let small = ["as-is", "--long-mib", "8", "--random-mib", "8", "--files", "40", "--tree", "50"];
    let out = tempfile::tempdir().unwrap();
    let rest = ["--json", "--out", out.path().to_str().unwrap()];
    let done = benches(&[&args[..], &small, &rest].concat(), None);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), works.split(',').count());
    for row in rows {
        let cells = row["cells"].as_array().unwrap();
        let systems: Vec<_> = cells.iter().map(|c| c["system"].as_str().unwrap()).collect();
        assert_eq!(systems, ["plain", "rfs"], "{row}");
        assert!(cells.iter().all(|c| c["median"].as_f64().unwrap() > 0.0), "{row}");
        let rfs = &cells[1];
        assert!(rfs["memory_bytes"].as_u64().unwrap() > 1 << 20, "{row}");
    }
    let of = |work: &str| rows.iter().find(|r| r["work"] == work).unwrap();
    let wire = of("seq-write-fsync")["cells"][1]["wire_bytes"].as_u64().unwrap();
    assert!(
        (16 << 20..20 << 20).contains(&wire),
        "8 MiB go to the leader, and from there to the other brick: {wire}"
    );
    assert!(of("create-4k")["cells"][1]["cpu_s_per_1000"].as_f64().unwrap() > 0.0);
    let table = std::fs::read_to_string(out.path().join("compare.txt")).unwrap();
    assert!(table.contains("RFS/PLAIN") && table.contains("close, names: in both logs"), "{table}");
}

/// An axis, how many points and gates it has, and what belongs to each point.
type Grows = (&'static str, usize, usize, &'static [&'static str]);

/// Some axes in their smallest form: each point has all that belongs to it, and each axis its files.
fn grow(expected: &[Grows]) -> serde_json::Value {
    let out = tempfile::tempdir().unwrap();
    let axes = expected.iter().map(|(axis, ..)| *axis).collect::<Vec<_>>().join(",");
    let sizes = ["--sizes-kib", "4,64", "--each-mib", "1"];
    let counts =
        ["--files", "1000", "--names", "1000", "--doublings", "1", "--looks", "20", "--mounts", "1,2"];
    let times = ["--seconds", "0.2", "--delays-ms", "1", "--stream-mib", "1", "--minutes", "0.05"];
    let args = [
        "grow",
        "--axes",
        &axes,
        "--memory",
        "as-is",
        "--disk",
        "as-is",
        "--json",
        "--out",
        out.path().to_str().unwrap(),
    ];
    let done = benches(&[&args[..], &sizes, &counts, &times].concat(), None);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report.as_array().unwrap().len(), expected.len());
    for (grown, (axis, points, gates, keys)) in report.as_array().unwrap().iter().zip(expected) {
        assert_eq!(grown["axis"], *axis);
        assert!(text(&done.stderr).contains(&format!(" {axis}: ")), "a line for each step");
        let all = grown["points"].as_array().unwrap();
        assert_eq!((all.len(), grown["gates"].as_array().unwrap().len()), (*points, *gates), "{grown:#}");
        let measured = |key: &&str| all.iter().all(|point| point[*key].as_f64().is_some_and(|v| v > 0.0));
        assert!(keys.iter().all(measured), "{axis}: {grown:#}");
        let read =
            |end: &str| std::fs::read_to_string(out.path().join(format!("grow-{axis}.{end}"))).unwrap();
        assert!(read("svg").starts_with("<svg") && read("svg").contains("<circle"), "{axis}");
        assert!(read("json").contains(keys[0]) && read("txt").starts_with(axis), "{axis}");
    }
    report
}

/// Those that take seconds; with `RFS_FULL` all of them.
#[test]
fn cost_grows() {
    let mut axes: Vec<Grows> = vec![
        ("size", 2, 0, &["size_kib", "write_mib_s", "write_ms", "read_mib_s", "mountd_mib", "log1_mib"]),
        ("names", 2, 0, &["names", "create_per_s", "look_p50_us", "miss_p50_us", "list_ms", "again_ms"]),
        ("latency", 1, 0, &["delay_ms", "create_p50_ms", "stat_p50_ms", "sync_p99_ms", "stream_read_mib_s"]),
    ];
    if rfs_cluster::full() {
        axes.extend([FILES, MOUNTS, TIME]);
    }
    let report = grow(&axes);
    let create_ms = report[2]["points"][0]["create_p50_ms"].as_f64().unwrap();
    assert!(create_ms >= 2.0, "a millisecond there and one back: {create_ms}");
}

const FILES: Grows = ("files", 20, 5, &["files", "mountd_mib", "brickd1_mib", "brickd2_mib", "index1_mib"]);
const MOUNTS: Grows =
    ("mounts", 2, 0, &["mounts", "create_per_s", "create_p99_us", "write_per_s", "write_p99_us"]);
const TIME: Grows = ("time", 10, 10, &["minutes", "write_p50_us", "sync_p50_ms", "brickd2_mib", "log2_mib"]);
