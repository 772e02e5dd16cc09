//! The log-likelihood of the generator that made the data, and the gap to it.

use super::metric::{PER_DATUM, TEST_ROWS};
use super::{Condition, Declared, Evaluator, Family};
use crate::Result;
use crate::train::evaluation::{Evaluation, Found, Part};

const KNOWN_DENSITY: Condition = Condition {
    what: "a density that is known",
    write: "a generator as `data.source`",
    holds: |tables| tables.data.source.generator().is_some(),
};

const METRICS: &[Declared] = &[
    Declared {
        parts: &[],
        name: "test/oracle",
        title: "oracle (test log-likelihood)",
        formula: "mean log-density of the test rows under the generator that made them. For `growth` it is the estimate by 8 \
                  bootstrap particle filters of 2,500 particles each, with test/oracle_standard_error. For \
                  `krishnan_nonlinear` it is summed over a grid of the state that is refined until no sequence changes by \
                  1e-5 nats per step. For others it is exact. In roll-outs the oracle is the success rate of the expert",
        needs: "a generator with a known density as `data.source`",
        conditions: &[TEST_ROWS, KNOWN_DENSITY],
        unit: PER_DATUM,
        larger_is_better: None,
    },
    Declared {
        parts: &[],
        name: "test/oracle_standard_error",
        title: "standard error of the oracle",
        formula: "standard error of test/oracle over repeated particle filters: that of test/log_likelihood_estimate, for the \
                  generator's own state space",
        needs: "`data.source = \"growth\"`",
        conditions: &[TEST_ROWS, KNOWN_DENSITY],
        unit: PER_DATUM,
        larger_is_better: None,
    },
    Declared {
        parts: &[],
        name: "test/oracle_gap",
        title: "gap to the oracle",
        formula: "test/oracle − the log-likelihood of the test rows, which is exact or summed over a grid",
        needs: "a generator with a known density as `data.source`, a likelihood that is exact or summed over a grid",
        conditions: &[TEST_ROWS, KNOWN_DENSITY],
        unit: PER_DATUM,
        larger_is_better: Some(false),
    },
];

/// The family.
pub(super) struct Oracle;

impl Family for Oracle {
    fn declared(&self) -> &'static [Declared] {
        METRICS
    }

    fn evaluator<'a>(&self, evaluation: Evaluation<'a>) -> Option<Box<dyn Evaluator + 'a>> {
        Some(Box::new(Computation(evaluation)))
    }
}

struct Computation<'a>(Evaluation<'a>);

impl Evaluator for Computation<'_> {
    fn after_part(&mut self, part: &Part, found: &mut Found) -> Result<()> {
        let splits = self.0.job.splits;
        if let Some(oracle) = splits.oracle
            && part.name == "test"
        {
            found.push("test/oracle", oracle);
            if let Some(error) = splits.oracle_standard_error {
                found.push("test/oracle_standard_error", error);
            }
            if let Some(value) = test_log_likelihood(found) {
                found.push("test/oracle_gap", oracle - value);
            }
        }
        Ok(())
    }
}

/// The log-likelihood of the test rows; none unless it is exact or summed over a grid.
pub(super) fn test_log_likelihood(found: &Found) -> Option<f64> {
    let names = ["test/log_likelihood", "test/log_likelihood_grid"];
    names.into_iter().find_map(|name| found.get(name))
}
