//! Formulas of named numbers, as a user writes them, with their derivatives.

use exmex::{Differentiate, Express, FlatEx, FloatOpsFactory, MatchLiteral, literal_matcher_from_pattern};

// Numbers, also with an exponent: 2, .5, 1.5e-3.
literal_matcher_from_pattern!(Number, r"^(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?");

type Expression = FlatEx<f64, FloatOpsFactory<f64>, Number>;

/// The longest formula, in bytes, and the deepest nesting of parentheses: far more than anyone writes by hand.
const LONGEST: usize = 2000;
const DEEPEST: usize = 50;

/// What a formula may use.
pub const FUNCTIONS: &str = "+ - * / ^ ( ), sin cos tan asin acos atan sinh cosh tanh exp ln log2 log10 sqrt, PI, E";

/// Whether `text` can be the name of a parameter: letters, digits and _, a letter first.
pub fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_part)
}

/// A function of named numbers.
#[derive(Debug, Clone)]
pub struct Formula {
    value: Part,
    /// Derivatives by the name that they are taken by; none where the formula does not contain it.
    derivatives: Vec<Option<Part>>,
}

/// An expression, and which of the names its variables are, in its own order.
#[derive(Debug, Clone)]
struct Part {
    expression: Expression,
    variables: Vec<usize>,
}

impl Part {
    fn new(expression: Expression, names: &[String]) -> Result<Self, String> {
        let place = |name: &String| {
            let found = names.iter().position(|other| other == name);
            found.ok_or_else(|| format!("`{name}` is not known"))
        };
        let variables = expression.var_names().iter().map(place).collect::<Result<_, _>>()?;
        Ok(Self { expression, variables })
    }

    fn at(&self, values: &[f64]) -> f64 {
        let own: Vec<f64> = self.variables.iter().map(|&at| values[at]).collect();
        self.expression.eval(&own).unwrap_or(f64::NAN)
    }
}

impl Formula {
    /// The formula `text` of these names.
    ///
    /// # Errors
    /// A text that says why it is none.
    pub fn parse(text: &str, names: &[String]) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("it has {} characters, more than {LONGEST}", text.len()));
        }
        let depth = text.bytes().scan(0usize, |depth, byte| {
            match byte {
                b'(' => *depth += 1,
                b')' => *depth = depth.saturating_sub(1),
                _ => {}
            }
            Some(*depth)
        });
        if depth.max().unwrap_or(0) > DEEPEST {
            return Err(format!("its parentheses are nested deeper than {DEEPEST}"));
        }
        if text.contains(['{', '}']) {
            return Err("it contains a brace".to_owned());
        }
        Self::of(Expression::parse(text).map_err(|error| error.to_string())?, names)
    }

    fn of(expression: Expression, names: &[String]) -> Result<Self, String> {
        let derivatives = names.iter().map(|name| {
            let Some(at) = expression.var_names().iter().position(|other| other == name) else {
                return Ok(None);
            };
            let derivative = expression.clone().partial(at);
            let derivative = derivative.map_err(|error| format!("it has no derivative by {name}: {error}"))?;
            Part::new(derivative, names).map(Some)
        });
        Ok(Self {
            derivatives: derivatives.collect::<Result<_, _>>()?,
            value: Part::new(expression, names)?,
        })
    }

    /// Its value, with `values` in the order of the names; NaN where it is not defined.
    pub fn value(&self, values: &[f64]) -> f64 {
        self.value.at(values)
    }

    /// Its derivative by name number `name`.
    pub fn derivative(&self, name: usize, values: &[f64]) -> f64 {
        self.derivatives[name].as_ref().map_or(0.0, |part| part.at(values))
    }

    /// Its derivative by name number `name`, as a formula of the same `names`; none where it does not contain the name.
    ///
    /// # Errors
    /// A text that says why there is none.
    pub fn derived(&self, name: usize, names: &[String]) -> Result<Option<Self>, String> {
        let part = self.derivatives[name].as_ref();
        part.map(|part| Self::of(part.expression.clone(), names)).transpose()
    }

    /// Whether it contains name number `name`.
    pub fn contains(&self, name: usize) -> bool {
        self.derivatives[name].is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["x1", "x2", "u1", "gain"].map(str::to_owned).to_vec()
    }

    #[test]
    fn derivatives_are_those_of_finite_differences() {
        let values = [0.3, -1.2, 0.7, 2.5];
        for text in [
            "2 * sin(x1) + x1",
            "gain * x1 / (1 + x1^2) - exp(-x2) * u1",
            "tanh(x1 * x2) + sqrt(gain) + ln(gain) - atan(u1) + cos(PI * x2)",
            "-x1^3 + 1.5e-3 * x2^2",
        ] {
            let formula = Formula::parse(text, &names()).expect("a formula");
            for name in 0..4 {
                let nudged = |amount: f64| {
                    let mut values = values;
                    values[name] += amount;
                    formula.value(&values)
                };
                let difference = (nudged(1e-6) - nudged(-1e-6)) / 2e-6;
                let exact = formula.derivative(name, &values);
                assert!(
                    (difference - exact).abs() < 1e-7 * exact.abs().max(1.0),
                    "{text}, {name}: {difference} {exact}"
                );
                assert_eq!(formula.contains(name), text.contains(names()[name].as_str()));
            }
        }
    }

    #[test]
    fn what_is_no_formula_is_refused() {
        let deep = format!("{}x1{}", "(".repeat(60), ")".repeat(60));
        let long = "x1 + ".repeat(1000);
        for text in [
            "",
            "x1 +",
            "x3",
            "sin",
            "x1 x2",
            "(x1",
            "{x1}",
            "foo(x1)",
            "1e999 +",
            deep.as_str(),
            long.as_str(),
        ] {
            assert!(Formula::parse(text, &names()).is_err(), "{text:?}");
        }
    }
}
