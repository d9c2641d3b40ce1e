//! Inputs that chance made: fewer and blinder than the fuzzers', and other ones. `RFS_SEEDS=FROM..TO` takes others.

use rfs_core::testing::Rng;

/// Bytes with many small numbers among them, as the targets' choices are.
fn input(seed: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let len = [8, 40, 200, 1200][rng.below(4) as usize];
    let small = rng.one_in(2);
    let byte = |rng: &mut Rng| if small && !rng.one_in(4) { rng.below(24) } else { rng.below(256) } as u8;
    (0..1 + rng.below(len)).map(|_| byte(&mut rng)).collect()
}

fn chance(target: &str, count: u64) {
    let asked = std::env::var("RFS_SEEDS").ok();
    let ends = asked.as_deref().and_then(|text| text.split_once(".."));
    let (from, to) = ends.map_or((0, count), |(from, to)| (from.parse().unwrap(), to.parse().unwrap()));
    for seed in from..to {
        let data = input(seed);
        let ended = std::panic::catch_unwind(|| rfs_hostile::run(target, &data));
        assert!(ended.is_ok(), "{target}: RFS_SEEDS={seed}..{}", seed + 1);
    }
}

macro_rules! by_chance {
    ($($target:ident $count:literal),*) => {$(
        #[test]
        fn $target() {
            chance(stringify!($target), $count);
        }
    )*};
}
by_chance!(parsers 20_000, consensus 3_000, admit 1_500, tree 60, journal 60, mount 2_000);
