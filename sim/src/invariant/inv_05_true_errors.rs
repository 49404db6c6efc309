//! An error says what really happened.
//!
//! The class of a failed send is that of the attempt that ended last (ties: the higher number), or
//! one of the route if there was no attempt. A wrong class sends people to the wrong machine.

use rmq_producer::event::{Failure, Outcome, Stage};

use super::{Case, Invariant, Judge, Judged, Source};
use crate::trace::story::{Moment, SendStory};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "INV-05",
    title: "True errors",
    source: Source::Testimony,
    rate_per_mille: 100,
    judge: Judge::Run(judge),
    #[cfg(test)]
    examples: tests::EXAMPLES,
};

fn judge(case: &Case<'_>, judged: &mut Judged) {
    for send in &case.story.sends {
        let Some((done, Outcome::Failed(failure))) = send.done.first() else {
            continue;
        };
        let (who, number) = (case.name(send.node), send.number);
        let text = match failure {
            Failure::Attempts(stage) => match last(send, *done) {
                Some((k, ended)) if ended != *stage => {
                    format!("{who} s{number} fails as {stage:?}, but #{k} ended last: {ended:?}")
                }
                None => format!("{who} s{number} fails as {stage:?}, but no attempt has ended"),
                Some(_) => String::new(),
            },
            Failure::NoRoute | Failure::RouteUnreachable | Failure::NoNameServer
                if !send.attempts.is_empty() =>
            {
                format!("{who} s{number} fails for its route, but it had attempts")
            }
            _ => String::new(),
        };
        judged.case();
        if !text.is_empty() {
            judged.wrong(*done, text);
        }
    }
}

/// The attempt that ended last by itself, and how.
fn last(send: &SendStory<'_>, done: Moment) -> Option<(u32, Stage)> {
    let ended = send.attempts.iter().filter_map(|attempt| {
        let end = attempt.ended?;
        let own = end.stage != Stage::Superseded && end.moment <= done;
        own.then_some((end.moment.ms, attempt.number, end.stage))
    });
    ended
        .max_by_key(|(ms, number, _)| (*ms, *number))
        .map(|(_, number, stage)| (number, stage))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::scene::{Example, Scene, accepts, rejects};

    pub(super) const EXAMPLES: &[Example] = &[
        accepts("the last attempt's end is the error", || {
            lost_then_refused().failed(1, Failure::Attempts(Stage::Refused))
        }),
        accepts("without an attempt the route is the error", || {
            Scene::new().at(0).call(1).failed(1, Failure::NoRoute)
        }),
        rejects("the first attempt's end is called the error", || {
            lost_then_refused()
                .failed(1, Failure::Attempts(Stage::Lost))
                .wrong()
        }),
        rejects("the route is blamed for a refusal", || {
            lost_then_refused().failed(1, Failure::NoRoute).wrong()
        }),
        rejects("an attempt is blamed that never was", || {
            Scene::new()
                .at(0)
                .call(1)
                .failed(1, Failure::Attempts(Stage::Lost))
                .wrong()
        }),
    ];

    fn lost_then_refused() -> Scene {
        let scene = Scene::new().at(0).call(1).attempt(1, 1, "a/0").at(5);
        scene
            .ended(1, 1, Stage::Lost, None)
            .attempt(1, 2, "b/0")
            .refused(1, 2, 13)
    }
}
