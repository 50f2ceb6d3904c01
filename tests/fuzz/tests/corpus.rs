//! Every parser over its corpus, and over each piece of it with something changed: the same changes each time.

use std::path::Path;
use std::time::Duration;

use chancery_fuzz::{LONGEST, TARGETS, frames};

/// Changes of each piece of a corpus.
const CHANGES: u64 = 60;

/// The pieces of a corpus, with their names.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    if name == "frames" {
        let seeds = frames::seeds().into_iter().enumerate();
        return seeds.map(|(number, octets)| (number.to_string(), octets)).collect();
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut files: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| (file.display().to_string(), std::fs::read(file).unwrap())).collect()
}

/// The numbers after this one (SplitMix64).
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn changed(octets: &[u8], seed: u64) -> Vec<u8> {
    let mut seed = seed;
    let mut octets = octets.to_vec();
    for _ in 0..=next(&mut seed) % 3 {
        let mut below = |bound: usize| usize::try_from(next(&mut seed) % (bound.max(1) as u64)).unwrap();
        let (at, length) = (below(octets.len()), below(32));
        let until = (at + length).min(octets.len());
        match below(4) {
            0 if at < octets.len() => octets[at] = u8::try_from(below(256)).unwrap(),
            1 => drop(octets.drain(at..until)),
            2 => {
                let piece = octets[at..until].to_vec();
                let to = below(octets.len());
                octets.splice(to..to, piece);
            }
            _ => drop(octets.splice(at..at, [u8::try_from(below(256)).unwrap()])),
        }
    }
    octets
}

#[test]
fn no_parser_panics_or_takes_long_over_its_corpus_or_near_it() {
    for target in TARGETS {
        let pieces = corpus(target.name);
        assert!(!pieces.is_empty(), "{}: no corpus", target.name);
        let mut longest = Duration::ZERO;
        for (name, octets) in &pieces {
            for seed in 0..=CHANGES {
                let octets = if seed == 0 { octets.clone() } else { changed(octets, seed) };
                let mut took = target.timed(&octets);
                // An unoptimised build and a page fault are no finding; the same twice is one.
                if took > LONGEST {
                    took = took.min(target.timed(&octets));
                }
                longest = longest.max(took);
                assert!(took <= LONGEST, "{}: {took:?} for {name} changed by {seed}", target.name);
            }
        }
        println!("{}: {} in the corpus, the longest took {longest:?}", target.name, pieces.len());
    }
}

#[test]
fn every_corpus_has_its_parser() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for entry in std::fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(TARGETS.iter().any(|target| target.name == name), "nothing reads {name}");
    }
}

#[test]
fn what_octets_begin_with_is_read_and_what_is_wrong_is_not() {
    use chancery::auth::readers;
    use chancery::wire::evidence::TlsVersion;
    let piece = |target: &str, name: &str| {
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target).join(name)).unwrap()
    };
    for (name, version, other) in
        [("tls-13", TlsVersion::V13, TlsVersion::V12), ("tls-12", TlsVersion::V12, TlsVersion::V13)]
    {
        let octets = piece("handshake", name);
        assert!(readers::messages(version, &octets[1..]) && !readers::messages(other, &octets[1..]), "{name}");
    }
    assert!(readers::path(&piece("path", "one")) && readers::path(&piece("path", "three")));
    assert!(!readers::path(&piece("path", "none")) && !readers::path(&piece("path", "more-behind")));
    for name in ["bound", "refused", "extended", "entry", "reference", "page"] {
        assert!(readers::answer(&piece("directory", name)), "{name}");
    }
    assert!(!readers::answer(&piece("directory", "farewell")));
}
