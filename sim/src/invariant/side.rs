//! What a checker objects to, beside what it lets pass.

/// One thing that a checker objects to.
#[derive(Debug, Clone, Copy)]
pub struct Side {
    /// What its findings say, with `…` for the names and figures of a run.
    pub objects_to: &'static str,
    /// The example traces beside it, in words: nothing is wrong with them.
    pub accepts: &'static [&'static str],
}

/// A side of a checker: what its findings say, and the accepted examples beside it.
pub(super) const fn side(objects_to: &'static str, accepts: &'static [&'static str]) -> Side {
    Side {
        objects_to,
        accepts,
    }
}

impl Side {
    /// Whether it is what a finding says.
    pub fn is_of(&self, finding: &str) -> bool {
        let mut rest = finding;
        self.objects_to.split('…').all(|part| {
            let found = rest.split_once(part);
            rest = found.map_or("", |(_, after)| after);
            found.is_some()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_of_the_side_whose_words_it_has_in_their_order() {
        let side = side("takes … ms, and … ms when a sibling stops", &[]);
        assert!(side.is_of("p1 s7 takes 4 ms, and 904 ms when a sibling stops"));
        assert!(!side.is_of("p1 s7 takes 4 ms when a sibling stops"));
        assert!(!side.is_of("when a sibling stops p1 s7 takes 4 ms, and 904 ms"));
    }
}
