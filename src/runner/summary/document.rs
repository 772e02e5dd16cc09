//! The summary as files: `summary.json` and `summary.csv`.

use super::{FORMAT, Summary, VariantSummary};
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::path::Path;

impl Summary {
    /// The document that a run left in `folder`, an experiment's folder of records.
    ///
    /// # Errors
    /// [`Error::Record`] if there is none, or it cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        let file = folder.join("summary.json");
        let text = std::fs::read_to_string(&file).map_err(|error| {
            Error::Record(format!(
                "{}: {error}; expected the folder of a finished experiment, such as results/NAME: see `run`",
                file.display()
            ))
        })?;
        let refuse = |why: String| {
            let advice = "run the experiment again: finished runs are kept, and the summary is made anew";
            Error::Record(format!("{}: {why}; {advice}", file.display()))
        };
        #[derive(serde::Deserialize)]
        struct Layout {
            #[serde(default)]
            format: u32,
        }
        let Layout { format } = serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
        if format != FORMAT {
            let version = if format < FORMAT { "an older" } else { "a newer" };
            return Err(refuse(format!("{version} version of the program wrote this summary")));
        }
        serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))
    }

    /// The document as JSON text.
    pub fn to_json(&self) -> Result<String> {
        let json = serde_json::to_string_pretty(self);
        json.map(|json| json + "\n")
            .map_err(|error| Error::Other(format!("cannot write the summary: {error}")))
    }

    /// One line per run: variant, the value of every key that any variant changes, seed, status, the reason of a
    /// failure, seconds on the wall clock, and every final metric.
    pub fn to_csv(&self) -> Result<String> {
        fn all<'a>(variants: &'a [VariantSummary], of: impl Fn(&'a VariantSummary) -> Vec<&'a String>) -> Vec<&'a str> {
            let names: BTreeSet<&str> = variants.iter().flat_map(of).map(String::as_str).collect();
            names.into_iter().collect()
        }
        let keys = all(&self.variants, |variant| variant.settings.keys().collect());
        let metrics = all(&self.variants, |variant| variant.summary.keys().collect());
        let mut writer = csv::Writer::from_writer(Vec::new());
        let failed = |error: csv::Error| Error::Other(format!("cannot write the summary: {error}"));
        let head = ["variant", "seed", "status", "reason", "seconds"];
        writer
            .write_record(head.iter().chain(&keys).chain(&metrics))
            .map_err(failed)?;
        for variant in &self.variants {
            for seed in &variant.seeds {
                let number = |value: Option<&f64>| value.map_or(String::new(), f64::to_string);
                let setting = |key: &&str| match variant.settings.get(*key) {
                    Some(serde_json::Value::String(text)) => text.clone(),
                    Some(value) => value.to_string(),
                    None => String::new(),
                };
                let start = [
                    variant.name.clone(),
                    seed.seed.to_string(),
                    seed.status.clone(),
                    seed.reason.clone().unwrap_or_default(),
                    number(seed.seconds.as_ref()),
                ];
                let row = start.into_iter().chain(keys.iter().map(setting));
                let row = row.chain(metrics.iter().map(|name| number(seed.metrics.get(*name))));
                writer.write_record(row).map_err(failed)?;
            }
        }
        let bytes = writer.into_inner().map_err(|error| Error::Other(error.to_string()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::summary::tests::{summary, variant};

    #[test]
    fn the_table_has_a_column_for_every_key_that_differs() {
        let metric = "test/log_likelihood";
        let mut variants = [
            variant("a", "", metric, &[(0, 1.0)]),
            variant("b", "", metric, &[(0, 2.0)]),
        ];
        for (variant, rate) in variants.iter_mut().zip([0.1, 0.01]) {
            let setting = ("training.learning_rate".to_owned(), serde_json::json!(rate));
            variant.settings.insert(setting.0, setting.1);
        }
        variants[1].seeds[0].reason = Some("NaN, alas".to_owned());
        variants[1].settings.insert("posterior.kind".to_owned(), "exact".into());
        let csv = summary(variants.to_vec()).to_csv().unwrap();
        let expected = "variant,seed,status,reason,seconds,posterior.kind,training.learning_rate,test/log_likelihood\n\
                        a,0,done,,2,,0.1,1\nb,0,done,\"NaN, alas\",2,exact,0.01,2\n";
        assert_eq!(csv, expected);
    }

    #[test]
    fn a_document_reads_back_and_an_older_one_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let scores: Vec<(u64, f64)> = (0..6).map(|seed| (seed, (seed * seed) as f64)).collect();
        let metric = "test/log_likelihood";
        let written = summary(vec![
            variant("a", "", metric, &scores),
            variant("b", "", metric, &scores[1..]),
        ]);
        let json = written.to_json().unwrap();
        let file = folder.path().join("summary.json");
        std::fs::write(&file, &json).unwrap();
        assert_eq!(Summary::read(folder.path()).unwrap().to_json().unwrap(), json);
        for (text, why) in [
            ("{\"experiment\": \"e\"}", "an older version"),
            ("{\"format\": 99}", "a newer version"),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = Summary::read(folder.path()).unwrap_err().to_string();
            assert!(
                error.contains(why) && error.contains("run the experiment again"),
                "{error}"
            );
        }
    }
}
