#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rfs_hostile::run("tree", data));
