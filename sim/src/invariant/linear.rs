//! Judging costs in proportion to the run: with twice the queues, brokers or sends it looks at no
//! more than about twice as many things. Counted, not timed, and on real runs.

use std::sync::Arc;

use super::CheckedRun;
use crate::fault::EngineKind;
use crate::run;
use crate::scenario::Scenario;
use crate::trace::work;

/// How big a run is.
#[derive(Clone, Copy)]
struct Size {
    brokers: usize,
    queues: u32,
    sends: u32,
}

const SIZE: Size = Size {
    brokers: 4,
    queues: 8,
    sends: 60,
};

/// What all checkers look at in a run of this size, with a broker that crashes, one that stands still
/// and one that answers late, so that every checker has something to look at.
fn work_of(size: Size) -> u64 {
    let brokers = ('a'..='z').take(size.brokers);
    let brokers: Vec<String> = brokers.map(|it| format!("\"broker-{it}\"")).collect();
    let Size { queues, sends, .. } = size;
    let every = 48_000 / sends;
    let text = format!(
        "format = 2\nseconds = 60\n[cluster]\nbrokers = [{}]\ntopics = {{ orders = {queues} }}\n\
         [producer.p1]\n[[workload]]\nproducer = \"p1\"\ntopic = \"orders\"\nmode = \"async\"\n\
         sends = {sends}\nevery = \"{every}ms\"\n\
         [[fault]]\ndo = \"crash\"\non = \"broker-a\"\nat = \"10s\"\nfor = \"5s\"\n\
         [[fault]]\ndo = \"freeze\"\non = \"broker-b\"\nat = \"20s\"\nfor = \"4s\"\n\
         [[fault]]\ndo = \"delay\"\non = \"broker-c\"\nat = \"30s\"\nfor = \"8s\"\nby = \"1200ms\"\n",
        brokers.join(", ")
    );
    let none = |_: &str| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
    let scenario = Scenario::parse("linear.toml", &text, &none).unwrap();
    let run = run::run(&Arc::new(scenario), 3, EngineKind::Event).unwrap();
    work::taken();
    super::check(&CheckedRun::of(&run.trace));
    work::taken()
}

/// Four times the size is at most about four times the work.
#[track_caller]
fn grows_in_proportion(what: &str, sizes: [Size; 3]) {
    let [one, two, four] = sizes.map(work_of);
    assert!(one > 0, "{what}: nothing was counted");
    let text = format!("{what}: {one}, {two}, {four}");
    assert!(two * 10 <= one * 23 && four * 10 <= one * 48, "{text}");
}

#[test]
fn twice_the_queues_are_at_most_twice_the_work_for_the_judges() {
    let size = |queues| Size { queues, ..SIZE };
    grows_in_proportion("queues", [25, 50, 100].map(size));
}

#[test]
fn twice_the_brokers_are_at_most_twice_the_work_for_the_judges() {
    let size = |brokers| Size { brokers, ..SIZE };
    grows_in_proportion("brokers", [6, 12, 24].map(size));
}

#[test]
fn twice_the_sends_are_at_most_twice_the_work_for_the_judges() {
    let size = |sends| Size { sends, ..SIZE };
    grows_in_proportion("sends", [120, 240, 480].map(size));
}

#[test]
fn work_that_grows_with_the_square_is_seen() {
    let square = |n: u64| n * n;
    let [one, two, _] = [10, 20, 40].map(square);
    assert!(two * 10 > one * 23);
}
