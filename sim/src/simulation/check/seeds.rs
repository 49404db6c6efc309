//! Seeds side by side on several threads, and their ends in the order of the seeds: what comes out does not
//! depend on how many threads there are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use parking_lot::Mutex;
use tracing::dispatcher::{self, Dispatch};

/// Plays every seed on up to `jobs` threads, and hands each end to `take`, in the order of the seeds, until
/// that returns something. Seeds behind it may have been played for nothing.
pub(super) fn in_order<T: Send, R>(
    seeds: impl Iterator<Item = u64> + Send,
    jobs: usize,
    play: impl Fn(u64) -> T + Sync,
    mut take: impl FnMut(u64, T) -> Option<R>,
) -> Option<R> {
    if jobs <= 1 {
        // On the caller's own thread, whose thread-locals a program may have set.
        let mut seeds = seeds;
        return seeds.find_map(|seed| take(seed, play(seed)));
    }
    let seeds = Mutex::new(seeds.enumerate());
    let enough = AtomicBool::new(false);
    // A bounded channel would stop the one thread whose seed the others wait for.
    let (ended, ends) = mpsc::channel();
    let subscriber = dispatcher::get_default(Dispatch::clone);
    let work = |ended: mpsc::Sender<(usize, u64, T)>| {
        let _subscribed = dispatcher::set_default(&subscriber);
        while !enough.load(Ordering::Relaxed) {
            // Not held while the seed is played.
            let next = seeds.lock().next();
            let Some((nth, seed)) = next else { return };
            if ended.send((nth, seed, play(seed))).is_err() {
                return;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs {
            let ended = ended.clone();
            scope.spawn(|| work(ended));
        }
        drop(ended);
        let mut waiting = BTreeMap::new();
        let mut due = 0;
        for (nth, seed, end) in ends {
            waiting.insert(nth, (seed, end));
            while let Some((seed, end)) = waiting.remove(&due) {
                due += 1;
                if let Some(result) = take(seed, end) {
                    enough.store(true, Ordering::Relaxed);
                    return Some(result);
                }
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn the_first_end_in_the_order_of_the_seeds_counts_whatever_the_number_of_threads() {
        for jobs in [0, 1, 2, 7] {
            let played = AtomicU64::new(0);
            let mut taken = Vec::new();
            // The later a seed, the sooner it is through.
            let play = |seed: u64| {
                played.fetch_add(1, Ordering::Relaxed);
                (0..(60 - seed) * 2_000).sum::<u64>();
                seed * 2
            };
            let found = in_order(3..60, jobs, play, |seed, end| {
                assert_eq!(end, seed * 2);
                taken.push(seed);
                (seed == 20 || seed == 21).then_some(seed)
            });
            assert_eq!(found, Some(20), "{jobs} threads");
            assert_eq!(taken, (3..=20).collect::<Vec<_>>(), "{jobs} threads");
            assert!(played.into_inner() >= 18);
        }
    }

    #[test]
    fn every_seed_is_played_once_if_nothing_ends_it() {
        for jobs in [1, 3] {
            let mut taken = Vec::new();
            let end = in_order(
                0..40,
                jobs,
                |seed| seed,
                |seed, _| {
                    taken.push(seed);
                    None::<()>
                },
            );
            assert_eq!((end, taken), (None, (0..40).collect::<Vec<_>>()));
        }
        let none = in_order(0..0, 2, |seed| seed, |seed, _| Some(seed));
        assert_eq!(none, None);
    }
}
