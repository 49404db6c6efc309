//! The independent network model of `turmoil`: a second opinion on a scenario.
