//! The seeds of an experiment: `10` means 0 to 9, `"20..30"` means 20 to 29, `[3, 5, 8]` means these three.
//!
//! The file's `seeds` and the command line's `--seeds` are read by the same code. Ranges as other tools write them are
//! read too: `20:30` excludes its end (Python), `20-29` includes it (Slurm).

use std::borrow::Cow;
use std::str::FromStr;

use super::diagnostic::brief;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// More seeds than this are taken for a mistake.
const MOST: u64 = 100_000;

/// Distinct seeds, at least one, in the order they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(Vec<u64>);

/// Why something does not name seeds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SeedsError {
    /// What is wrong.
    pub message: String,
    /// The two places of a list that hold the same seed, or the faulty place twice.
    pub places: Option<(usize, usize)>,
}

impl SeedsError {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            places: None,
        }
    }
}

impl Seeds {
    /// The seeds.
    pub fn as_slice(&self) -> &[u64] {
        &self.0
    }

    /// The first `n` seeds, 0 to n − 1.
    pub fn count(n: i64) -> Result<Self, SeedsError> {
        match u64::try_from(n) {
            Ok(0) => Err(SeedsError::new("there are no seeds in 0")),
            Ok(n) => Self::range(0, n),
            Err(_) => Err(SeedsError::new(format!("the number of seeds is negative: {n}"))),
        }
    }

    /// The seeds from `first` to `end`, without `end`.
    pub fn range(first: u64, end: u64) -> Result<Self, SeedsError> {
        if end < first {
            Err(SeedsError::new(format!("the range {first}..{end} runs backwards")))
        } else if end == first {
            Err(SeedsError::new(format!(
                "the range {first}..{end} is empty: its end is left out"
            )))
        } else if end - first > MOST || i64::try_from(end).is_err() {
            Err(SeedsError::new(format!(
                "the seeds {first} to {} are more than {MOST}, or above 2^63",
                end - 1
            )))
        } else {
            Ok(Self((first..end).collect()))
        }
    }

    /// Exactly these seeds.
    pub fn list(seeds: &[i64]) -> Result<Self, SeedsError> {
        if seeds.is_empty() {
            return Err(SeedsError::new("the list of seeds is empty"));
        }
        if seeds.len() as u64 > MOST {
            return Err(SeedsError::new(format!("the list has more than {MOST} seeds")));
        }
        let mut places = std::collections::HashMap::new();
        let mut distinct = Vec::with_capacity(seeds.len());
        for (place, &seed) in seeds.iter().enumerate() {
            let Ok(value) = u64::try_from(seed) else {
                return Err(SeedsError {
                    message: format!("the seed {seed} is negative"),
                    places: Some((place, place)),
                });
            };
            if let Some(first) = places.insert(value, place) {
                return Err(SeedsError {
                    message: format!("the seed {seed} is listed twice"),
                    places: Some((first, place)),
                });
            }
            distinct.push(value);
        }
        Ok(Self(distinct))
    }
}

impl FromStr for Seeds {
    type Err = SeedsError;

    /// Reads `10`; a range `20..30`, `20..=29`, `20:30` or `20-29` (with both ends); or a list of seeds and ranges such
    /// as `3, 5, 8` or `0-2, 7`, with or without brackets.
    fn from_str(text: &str) -> Result<Self, SeedsError> {
        let unreadable = || SeedsError::new(format!("cannot read seeds from {:?}", brief(text)));
        let whole = text.trim();
        if let Ok(n) = whole.parse() {
            return Self::count(n);
        }
        let brackets = whole.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let inner = brackets.unwrap_or(whole);
        if inner.trim().is_empty() && brackets.is_some() {
            return Self::list(&[]);
        }
        let inner = inner.trim_end().strip_suffix(',').unwrap_or(inner);
        let mut seeds: Vec<i64> = Vec::new();
        for item in inner.split(',').map(str::trim) {
            match item.parse() {
                Ok(seed) => seeds.push(seed),
                Err(_) => {
                    let (first, end) = ends(item).ok_or_else(unreadable)?;
                    let range = Self::range(first, end)?;
                    seeds.extend(range.0.iter().map(|seed| *seed as i64));
                }
            }
            if seeds.len() as u64 > MOST {
                return Err(SeedsError::new(format!("there are more than {MOST} seeds")));
            }
        }
        Self::list(&seeds)
    }
}

/// The first seed of a range and the one after its last.
fn ends(text: &str) -> Option<(u64, u64)> {
    let bound = |text: &str| text.trim().parse::<u64>().ok();
    let separators = [("..=", 1), ("..", 0), (":", 0), ("-", 1), ("–", 1)];
    let (separator, extra) = separators.into_iter().find(|(separator, _)| text.contains(separator))?;
    let (first, last) = text.split_once(separator)?;
    Some((bound(first)?, bound(last)?.checked_add(extra)?))
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Count(i64),
    Text(String),
    List(Vec<i64>),
}

impl<'de> Deserialize<'de> for Seeds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seeds = match Written::deserialize(deserializer)? {
            Written::Count(n) => Self::count(n),
            Written::Text(text) => text.parse(),
            Written::List(list) => Self::list(&list),
        };
        seeds.map_err(D::Error::custom)
    }
}

impl Serialize for Seeds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (first, count) = (self.0[0], self.0.len() as u64);
        let consecutive = self.0.windows(2).all(|pair| pair[1] == pair[0] + 1);
        match (consecutive, first) {
            (true, 0) => serializer.serialize_u64(count),
            (true, _) => serializer.serialize_str(&format!("{first}..{}", first + count)),
            (false, _) => self.0.serialize(serializer),
        }
    }
}

impl JsonSchema for Seeds {
    fn schema_name() -> Cow<'static, str> {
        "Seeds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The seeds: `10` means 0 to 9, `\"20..30\"` means 20 to 29, `[3, 5, 8]` means these three. \
                            `\"20:30\"` is read like `\"20..30\"`, and `\"20-29\"` includes both ends.",
            "anyOf": [
                { "type": "integer", "minimum": 1, "maximum": MOST },
                { "type": "string", "pattern": r"^[\s\d.,:=\[\]–-]*\d[\s\d.,:=\[\]–-]*$" },
                { "type": "array", "items": { "type": "integer", "minimum": 0 }, "minItems": 1, "maxItems": MOST },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_counts_ranges_and_lists() {
        let read = |text: &str| text.parse::<Seeds>().map(|seeds| seeds.0);
        assert_eq!(read("3"), Ok(vec![0, 1, 2]));
        assert_eq!(read(" 20 .. 23 "), Ok(vec![20, 21, 22]));
        assert_eq!(read("[3, 5,8]"), Ok(vec![3, 5, 8]));
        assert_eq!(read("3,5,8"), Ok(vec![3, 5, 8]));
        assert_eq!(read("0:3"), Ok(vec![0, 1, 2]));
        assert_eq!(read("3-5"), Ok(vec![3, 4, 5]));
        assert_eq!(read("3..=5"), Ok(vec![3, 4, 5]));
        assert_eq!(read("0-2, 7"), Ok(vec![0, 1, 2, 7]));
        assert_eq!(read("5,"), Ok(vec![5]));
        for bad in [
            "",
            "0",
            "-1",
            "3..3",
            "5..3",
            "-1..3",
            "a",
            "1..",
            "[]",
            "[1, 1]",
            "[1, -1]",
            "0..9999999999",
            "0-100000",
            "0-99999, 100000-199999",
            "0:10:2",
            "1-2-3",
            "0-2, 1",
            "2020-01-01",
            "07:32:00",
            "1,,2",
            "0..18446744073709551615",
            "9223372036854775807..9223372036854775808",
        ] {
            assert!(read(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in ["10", "20..30", "[3, 5, 8]", "[5]", "[2, 1]"] {
            let seeds: Seeds = text.parse().unwrap();
            let json = serde_json::to_string(&seeds).unwrap();
            assert_eq!(
                serde_json::from_str::<Seeds>(&json).unwrap(),
                seeds,
                "{text} became {json}"
            );
        }
    }
}
