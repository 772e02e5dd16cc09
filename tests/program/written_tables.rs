//! A random table in every style in which programs write text is read as its numbers.

use crate::tables::values;
use crate::tables_of_text::folder;
use latent_lab::data::Rows;
use proptest::prelude::*;
use std::io::Write;

/// How a table is written.
#[derive(Debug, Clone)]
struct Style {
    separator: char,
    comma: bool,
    end: &'static str,
    flags: [bool; 7],
}

fn style() -> impl Strategy<Value = Style> {
    let separator = prop::sample::select(vec![',', ';', '\t', '|']);
    let end = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    (separator, any::<bool>(), end, any::<[bool; 7]>()).prop_map(|(separator, comma, end, flags)| Style {
        separator,
        comma: comma && separator != ',',
        end,
        flags,
    })
}

/// The bytes of a table in this style.
fn written(names: &[String], rows: &[Vec<Option<f64>>], style: &Style) -> Vec<u8> {
    let [bom, comments, blanks, quotes, trailing, spaces, exponents] = style.flags;
    let separator = style.separator.to_string();
    let quoted = |cell: &str| match quotes || cell.contains([',', ';', '\t', '|', ' ', '"']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    };
    let number = |value: &f64| {
        let text = if exponents {
            format!("{value:e}")
        } else {
            value.to_string()
        };
        if style.comma { text.replace('.', ",") } else { text }
    };
    let pad = |cell: String| {
        if spaces && !cell.contains('"') {
            format!(" {cell}  ")
        } else {
            cell
        }
    };
    let line = |cells: Vec<String>| cells.join(&separator) + if trailing { &separator } else { "" } + style.end;
    let mut text = String::from(if bom { "\u{feff}" } else { "" });
    let between = |text: &mut String| {
        if comments {
            text.push_str(&format!("# a note, with; marks|{}", style.end));
        }
        if blanks && names.len() > 1 {
            text.push_str(style.end);
        }
    };
    between(&mut text);
    text.push_str(&line(names.iter().map(|name| quoted(name)).collect()));
    for (number_of_row, row) in rows.iter().enumerate() {
        let missing = ["NA", "nan", "?", "null"][number_of_row % 4];
        let cell = |cell: &Option<f64>| cell.as_ref().map_or(missing.to_owned(), |value| quoted(&number(value)));
        text.push_str(&line(row.iter().map(|value| pad(cell(value))).collect()));
        between(&mut text);
    }
    text.into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// In every style, the numbers that are read are those that were written, to the bit.
    #[test]
    fn any_table_in_any_style(
        style in style(),
        gzip in any::<bool>(),
        names in prop::collection::hash_set("[a-zäé∑][a-zäé 0-9_.%;,|()]{0,5}[a-z0-9]", 1..5),
        numbers in prop::collection::vec(prop::collection::vec(prop::option::weighted(0.8, -1e9..1e9_f64), 5), 1..8),
    ) {
        let names: Vec<String> = names.into_iter().collect();
        let columns = names.len();
        // The first row shows which mark is decimal.
        let first = vec![Some(0.5); columns];
        let rows = numbers.iter().map(|row| row[..columns].to_vec());
        let rows: Vec<Vec<Option<f64>>> = std::iter::once(first).chain(rows).collect();
        let mut bytes = written(&names, &rows, &style);
        let mut file = "p.csv";
        if gzip {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&bytes).expect("text");
            (file, bytes) = ("p.csv.gz", encoder.finish().expect("gzip"));
        }
        let folder = folder(file, &bytes);
        let read = values(folder.path(), &format!("path = {file:?}\nobserved = {names:?}"), Rows::Steps);
        let read = read.map_err(|fault| TestCaseError::fail(format!("{fault}\n{}", String::from_utf8_lossy(&bytes))))?;
        let expected = rows.concat();
        prop_assert_eq!(read.len(), expected.len());
        for (read, expected) in read.iter().zip(expected) {
            prop_assert_eq!(read.is_nan(), expected.is_none());
            prop_assert!(expected.is_none_or(|expected| expected.to_bits() == read.to_bits()), "{} {:?}", read, expected);
        }
    }
}
