//! The part of the test harness that runs inside hosts; see `rfs_cluster::inside`.

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let code = rfs_cluster::inside::main(&args).unwrap_or_else(|error| {
        eprintln!("rfs-testload {}: {error}", args.join(" "));
        125
    });
    std::process::exit(code);
}
