//! Properties of every file: reading never panics, and a fault names the faulty key.

use proptest::prelude::*;

use crate::stand_in::{VALID, load_bytes};

/// Loads and renders, which must not panic; the result does not matter.
fn survives(bytes: &[u8], overrides: &[&str]) {
    if let Err(faults) = load_bytes(bytes, overrides) {
        assert!(!faults.is_empty(), "a refusal without a reason");
        faults.render(true);
        faults.to_json();
    }
}

/// Pieces of the grammar, so that random texts get past the first character.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just("[[variant]]\n".to_owned()),
        Just("[grid]\n".to_owned()),
        Just("\"a.b\" = ".to_owned()),
        Just("name = ".to_owned()),
        Just("model.kind = ".to_owned()),
        Just("seeds = ".to_owned()),
        Just("\"ü\u{200d}\t\"".to_owned()),
        Just("{ kind = \"exact\" }".to_owned()),
        Just("\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("\u{feff}".to_owned()),
        "[-+0-9.einf]{1,6}",
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_bytes_as_file(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survives(&bytes, &[]);
    }

    #[test]
    fn any_fragments_as_file_or_override(pieces in prop::collection::vec(fragment(), 0..12)) {
        let text = pieces.concat();
        survives(text.as_bytes(), &[]);
        survives(VALID.as_bytes(), &[&text]);
        survives(format!("{VALID}{text}").as_bytes(), &[]);
    }

    #[test]
    fn a_damaged_file(at in 0..VALID.len(), insert in fragment(), cut in 0..20_usize) {
        let end = (at + cut).min(VALID.len());
        survives([&VALID[..at], &insert, &VALID[end..]].concat().as_bytes(), &[]);
    }
}

/// The lines `key = value` of the valid file, by line number from 1.
fn keys() -> impl Iterator<Item = (usize, &'static str)> {
    let lines = VALID.lines().enumerate();
    lines.filter_map(|(index, line)| Some((index + 1, line.split_once(" = ")?.0)))
}

fn spoil(line: usize, change: impl Fn(&str) -> String) -> String {
    let lines = VALID.lines().enumerate();
    let lines: Vec<String> = lines
        .map(|(index, text)| {
            if index + 1 == line {
                change(text)
            } else {
                text.to_owned()
            }
        })
        .collect();
    lines.join("\n")
}

#[test]
fn a_misspelt_key_is_pointed_at() {
    for (line, key) in keys() {
        let text = spoil(line, |text| format!("x_{text}"));
        let json = load_bytes(text.as_bytes(), &[]).expect_err(key).to_json();
        let faults = json.as_array().unwrap();
        let points_at_it = |fault: &serde_json::Value| fault["at"]["line"] == line && fault["at"]["column"] == 1;
        assert!(faults.iter().any(points_at_it), "`{key}` of line {line}: {json:#}");
    }
}

#[test]
fn a_value_of_a_wrong_form_is_pointed_at() {
    for (line, key) in keys() {
        let text = spoil(line, |_| format!("{key} = 1979-05-27"));
        let json = load_bytes(text.as_bytes(), &[]).expect_err(key).to_json();
        let place = (json[0]["at"]["line"].as_u64(), json[0]["at"]["column"].as_u64());
        assert_eq!(
            place,
            (Some(line as u64), Some(key.len() as u64 + 4)),
            "`{key}`: {json:#}"
        );
        assert_eq!(json.as_array().unwrap().len(), 1, "`{key}` of line {line}: {json:#}");
    }
}
