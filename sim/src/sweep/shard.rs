//! Which part of a sweep a process runs.

/// The environment variables in which batch engines tell a job its number: array jobs of Slurm,
/// indexed jobs of Kubernetes.
const VARIABLES: [&str; 2] = ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"];

/// One of several equal parts of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// The number of this shard, from 0.
    pub index: u64,
    /// How many shards the sweep has.
    pub of: u64,
}

/// Why a text names no shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// The text has not the form `I/N` or `env/N`.
    #[error(
        "\"{0}\" is no shard\n  remedy: write I/N with I from 0 to N-1, for example 0/4, or env/4"
    )]
    Form(String),
    /// There are not so many.
    #[error("there is no shard {index} of {of}\n  remedy: shards are numbered from 0 to {last}", last = of - 1)]
    Range {
        /// The number that was asked for.
        index: u64,
        /// How many shards there are.
        of: u64,
    },
    /// No batch engine says which.
    #[error("no batch engine says which shard this is: neither {} nor {} is a number\n  remedy: start it as an array job of Slurm or an indexed job of Kubernetes, or write I/N", VARIABLES[0], VARIABLES[1])]
    Environment,
}

impl Shard {
    /// The only shard of a sweep that is not divided.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// Reads `2/8`, or `env/8` for the number that a batch engine gave; `variable` reads one
    /// variable of the environment.
    ///
    /// # Errors
    ///
    /// The text has another form, or there is no such shard.
    pub fn parse(
        text: &str,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ShardError> {
        let form = || ShardError::Form(text.to_owned());
        let (index, of) = text.split_once('/').ok_or_else(form)?;
        let of: u64 = of.trim().parse().map_err(|_| form())?;
        if of == 0 {
            return Err(form());
        }
        let index = match index.trim() {
            // A job has one of the two; what the other one says, if anything, is not its number.
            "env" => VARIABLES
                .iter()
                .find_map(|name| variable(name)?.trim().parse().ok())
                .ok_or(ShardError::Environment)?,
            number => number.parse().map_err(|_| form())?,
        };
        if index >= of {
            return Err(ShardError::Range { index, of });
        }
        Ok(Self { index, of })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn a_shard_is_read_from_its_text_or_from_a_batch_engine() {
        let of = |index, of| Ok(Shard { index, of });
        assert_eq!(Shard::parse("2/8", &nothing), of(2, 8));
        let slurm = |name: &str| (name == "SLURM_ARRAY_TASK_ID").then(|| "3".to_owned());
        assert_eq!(Shard::parse("env/4", &slurm), of(3, 4));
        let kubernetes = |name: &str| (name == "JOB_COMPLETION_INDEX").then(|| "1".to_owned());
        assert_eq!(Shard::parse("env/4", &kubernetes), of(1, 4));
    }

    #[test]
    fn a_shard_that_does_not_exist_is_refused_with_the_range() {
        let error = Shard::parse("4/4", &nothing).unwrap_err();
        assert!(error.to_string().contains("from 0 to 3"), "{error}");
        assert_eq!(
            Shard::parse("env/4", &nothing),
            Err(ShardError::Environment)
        );
        assert!(Shard::parse("4", &nothing).is_err() && Shard::parse("0/0", &nothing).is_err());
    }
}
