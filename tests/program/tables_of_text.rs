//! Tables of text as people and programs write them: how they are read, and what is refused as ambiguous.

use crate::laboratory::Laboratory;
use crate::tables::{load, values};
use latent_lab::data::Rows;
use std::path::Path;

/// A folder with the file `name`.
pub fn folder(name: &str, text: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(name), text).expect("a file");
    folder
}

/// The observed values of the columns `names` of a file `p.csv`, as the steps of a sequence.
fn read_as(text: &str, names: &str, keys: &str) -> Result<Vec<f64>, String> {
    let folder = folder("p.csv", text.as_bytes());
    let keys = format!("path = \"p.csv\"\nobserved = [{names}]\n{keys}");
    values(folder.path(), &keys, Rows::Steps)
}

#[track_caller]
fn refused(text: &str, names: &str, keys: &str, parts: &[&str]) {
    let fault = read_as(text, names, keys).expect_err("a fault");
    for part in parts {
        assert!(fault.contains(part), "no {part:?} in {fault}");
    }
}

#[test]
fn the_separator_is_the_one_that_fits() {
    let expected = Ok(vec![1.0, 2.0, 3.5, 4.0]);
    for text in [
        "x,y\n1,2\n3.5,4\n",
        "x;y\n1;2\n3.5;4\n",
        "x;y\n1;2\n3,5;4\n",
        "x\ty\n1\t2\n3.5\t4\n",
        "x|y\n1|2\n3,5|4\n",
        "sep in the notes, here;x;y\n0,1;1;2\n0,2;3,5;4\n",
        "x;y;\n1;2;\n3,5;4;\n",
        "x,y\n1,2,\n3.5,4,\n",
        "\"x\" , \"y\"\n 1 , 2\n 3.5, \"4\"\n",
        "# from here\r\n\r\nx,y\r\n1,2\r\n# one was left out\r\n\r\n3.5,4\r\n",
        "x,y\r1,2\r3.5,4\r",
    ] {
        assert_eq!(read_as(text, "\"x\", \"y\"", ""), expected, "{text:?}");
    }
    let folder = folder("p.tsv", b"x\ty\n1\t2\n3.5\t4\n");
    assert_eq!(
        values(
            folder.path(),
            "path = \"p.tsv\"\nobserved = [\"x\", \"y\"]",
            Rows::Steps
        ),
        expected
    );
    // Keys say what the file cannot.
    assert_eq!(
        read_as(
            "% note\nx;y\n1,234;2\n",
            "\"x\"",
            "decimal = \",\"\ncomment = \"%\"\nseparator = \";\""
        ),
        Ok(vec![1.234])
    );
    assert_eq!(read_as("#x,y\n1,2\n", "\"#x\"", "comment = \"\""), Ok(vec![1.0]));
    // One column of decimal commas is no table of two columns.
    assert_eq!(read_as("x\n1,5\n2,25\n", "\"x\"", ""), Ok(vec![1.5, 2.25]));
}

#[test]
fn what_may_be_two_numbers_is_refused() {
    refused(
        "x;y\n1,234;5\n2,500;6\n",
        "\"x\"",
        "",
        &["line 2", "`x`", "\"1,234\"", "decimal = \",\"", "1.234", "1234"],
    );
    refused(
        "x;y\n1.234;5\n2.500;6\n",
        "\"x\"",
        "",
        &["line 2", "\"1.234\"", "decimal = \".\"", "1234"],
    );
    refused(
        "x;y\n1,5;5\n2.5;6\n",
        "\"x\"",
        "",
        &["line 3", "\"2.5\"", "line 2 has \"1,5\"", "one decimal mark"],
    );
    for cell in ["\"1,234,567\"", "1 234", "1_000", "\"1.234,5\"", "1'234"] {
        refused(&format!("x,y\n1,2\n{cell},2\n"), "\"x\"", "", &["line 3", "thousands"]);
    }
    refused(
        "x,y\n1,2\n\"1,5\",2\n",
        "\"x\"",
        "",
        &["line 3", "\"1,5\"", "decimal = \",\""],
    );
    assert_eq!(
        read_as("x,y\n1,2\n\"1,5\",2\n", "\"x\"", "decimal = \",\"\nseparator = \",\""),
        Ok(vec![1.0, 1.5])
    );
}

#[test]
fn cells_that_are_no_numbers_say_what_to_write() {
    for (cell, parts) in [
        ("1e400", "beyond 1.8e308"),
        ("0x10", "decimal notation"),
        ("∞", "infinite"),
        ("-inf", "infinite"),
        ("5 %", "percent"),
        ("−5", "minus sign"),
        ("2020-01-31", "`time`"),
        ("three", "line 2 of this column holds a number"),
    ] {
        refused(
            &format!("x,y\n1,2\n{cell},2\n"),
            "\"x\"",
            "",
            &["line 3, column `x`", parts],
        );
    }
    // A line of units below the names.
    refused(
        "x,y\ncm,s\n1,2\n",
        "\"x\"",
        "",
        &["line 2, column `x` is \"cm\"", "line 3 holds the number 1"],
    );
    for (text, part) in [
        ("x,y\n1,2\n3,4,5\n", "line 3 has 3 cells, the header 2"),
        ("x,y\n1,2\n3\n", "line 3 has 1 cell, the header 2"),
        ("1,2\n3,4\n", "hold numbers"),
        ("sep=;\nx;y\n1;2\n", "remove this line"),
        ("# x,y\n1,2\n3,4\n", "comment line holds this name"),
        ("X,Y\n1,2\n", "capital and small letters"),
        ("x y\n1 2\n", "separator seems to be the space"),
        ("x,x,y\n1,2,3\n", "several columns called `x`"),
    ] {
        refused(text, "\"x\"", "", &[part]);
    }
    let long = format!("{},y\n1,2\n", "n".repeat(1 << 20));
    assert!(read_as(&long, "\"x\"", "").expect_err("no x").len() < 1000);
    let wide: Vec<String> = (0..20_000).map(|number| format!("c{number}")).collect();
    assert!(
        read_as(&format!("{}\n", wide.join(";")), "\"x\"", "")
            .expect_err("no x")
            .len()
            < 1000
    );
    assert!(
        read_as(&format!("x\n1\n{}\n", "9a".repeat(1 << 20)), "\"x\"", "")
            .expect_err("text")
            .len()
            < 1000
    );
}

#[test]
fn truth_values_are_one_and_zero() {
    let text = "x,y\ntrue,Yes\nFALSE,no\nTrue,no\n";
    assert_eq!(
        read_as(text, "\"x\", \"y\"", ""),
        Ok(vec![1.0, 1.0, 0.0, 0.0, 1.0, 0.0])
    );
    refused(
        "x,y\ntrue,1\n1,2\n",
        "\"x\"",
        "",
        &["line 2", "\"true\"", "line 3 holds the number 1"],
    );
}

const COLOURS: &str = "x,colour\n1,red\n2,blue\n3,green\n4,red\n";

#[test]
fn categories_become_columns_but_the_first() {
    refused(
        COLOURS,
        "\"x\", \"colour\"",
        "",
        &["`colour`", "3 categories: blue, green, red", "encode = \"one_hot\""],
    );
    assert_eq!(
        read_as(COLOURS, "\"x\", \"colour\"", "encode = \"one_hot\""),
        Ok(vec![1.0, 0.0, 1.0, 2.0, 0.0, 0.0, 3.0, 1.0, 0.0, 4.0, 0.0, 1.0])
    );
    // A category that no row has any more; missing ones are missing in all columns.
    let read = read_as(&COLOURS.replace("4,red", "4,NA"), "\"colour\"", "encode = \"one_hot\"").expect("columns");
    assert!(read[..6] == [0.0, 1.0, 0.0, 0.0, 1.0, 0.0] && read[6..].iter().all(|value| value.is_nan()));
    refused(
        "x,c\n1,a\n2,a\n",
        "\"c\"",
        "encode = \"one_hot\"",
        &["is \"a\" in every row"],
    );
    refused(
        "x,c\n1,a\n2,b\n",
        "\"x\"",
        "encode = \"one_hot\"",
        &["encode: no column", "does nothing"],
    );
    refused(
        "x,c\n1,a\n2,7\n",
        "\"c\"",
        "encode = \"one_hot\"",
        &["line 2", "\"a\"", "line 3 holds the number 7"],
    );
    let many: String = (0..2000).map(|row| format!("{row},name{row}\n")).collect();
    refused(
        &format!("x,c\n{many}"),
        "\"c\"",
        "encode = \"one_hot\"",
        &["more than 1000 different texts"],
    );
}

#[test]
fn a_test_file_has_the_categories_of_the_training_file() {
    let with_test = |test: &str, names: &str| {
        let folder = folder("p.csv", COLOURS.as_bytes());
        std::fs::write(folder.path().join("q.csv"), test).expect("a file");
        let keys = format!("path = \"p.csv\"\ntest_path = \"q.csv\"\nobserved = [{names}]\nencode = \"one_hot\"");
        let splits = load(folder.path(), &keys, Rows::Independent).map_err(|fault| fault.to_string())?;
        Ok::<_, String>(splits.test.expect("test rows").observed.values().to_vec())
    };
    // Only some of them, in another order.
    assert_eq!(
        with_test("colour,x\nred,1\ngreen,2\n", "\"colour\""),
        Ok(vec![0.0, 1.0, 1.0, 0.0])
    );
    for (test, names, part) in [
        (
            "colour,x\nred,1\nteal,2\n",
            "\"colour\"",
            "line 3, column `colour` is \"teal\"",
        ),
        ("colour,x\n1,1\n2,2\n", "\"colour\"", "holds numbers"),
        (
            "colour,x\nred,a\nred,b\n",
            "\"colour\", \"x\"",
            "training file has numbers",
        ),
    ] {
        let fault = with_test(test, names).expect_err("another file");
        assert!(fault.contains(part), "{fault}");
    }
}

#[test]
fn dates_are_times() {
    let table = |times: [&str; 4]| {
        times
            .iter()
            .zip(1..)
            .map(|(time, x)| format!("{time};{x}\n"))
            .collect::<String>()
    };
    let of = |times| read_as(&format!("t;x\n{}", table(times)), "\"x\"", "time = \"t\"");
    for times in [
        ["2020-02-27", "2020-02-28", "2020-02-29", "2020-03-02"],
        ["2020-01-01", "2020-02-01", "2020-03-01", "2020-05-01"],
        ["2019-11-30", "2019-12-31", "2020-01-31", "2020-03-31"],
        ["2019-11", "2019-12", "2020-01", "2020-03"],
        [
            "2020-01-01 00:00",
            "2020-01-01 06:00",
            "2020-01-01 12:00",
            "2020-01-02 00:00",
        ],
        [
            "2020-01-01T00:00:00Z",
            "2020-01-01T00:00:01Z",
            "2020-01-01T01:00:02+01:00",
            "2020-01-01T00:00:04Z",
        ],
        ["0,5", "1,0", "1,5", "2,5"],
    ] {
        let read = of(times).unwrap_or_else(|fault| panic!("{times:?}: {fault}"));
        assert!(read.len() == 5 && read[3].is_nan(), "{times:?}: {read:?}");
    }
    for (times, part) in [
        (
            ["2020-01-01", "2020-01-02", "2020-01-02", "2020-01-03"],
            "line 4 is not later than the row before: at the same time",
        ),
        (
            ["2020-01-01", "2020-01-03", "2020-01-02", "2020-01-04"],
            "line 4 is not later than the row before: 1 day earlier",
        ),
        (
            ["2020-01-01", "2020-01-03", "2020-01-06", "2020-01-08"],
            "line 4 comes 3 days after the row before, no multiple of the shortest interval, 2 days",
        ),
        (
            ["2020-01-01", "soon", "2020-01-06", "2020-01-07"],
            "line 3, column `t` is \"soon\"",
        ),
        (["01/02/2020", "02/02/2020", "03/02/2020", "04/02/2020"], "ISO 8601"),
        (
            ["20200130", "20200131", "20200201", "20200202"],
            "dates written as numbers",
        ),
        (
            [
                "2020-01-01T00:00Z",
                "2020-01-01T01:00",
                "2020-01-01T02:00Z",
                "2020-01-01T03:00Z",
            ],
            "line 3",
        ),
        (["1", "2", "2020-01-01", "3"], "line 4, column `t` is \"2020-01-01\""),
    ] {
        let fault = of(times).expect_err("no clock");
        assert!(fault.contains(part), "{times:?}: {fault}");
    }
}

#[test]
fn episodes_may_have_names() {
    let folder = folder("p.csv", b"who,x\nada,1\nada,2\nbob,3\n");
    let keys = "path = \"p.csv\"\nobserved = [\"x\"]\nepisode = \"who\"";
    let splits = load(folder.path(), keys, Rows::Steps).expect("two sequences");
    assert_eq!(splits.train.lengths, Some(vec![2, 1]));
    std::fs::write(folder.path().join("p.csv"), "who,x\nada,1\nbob,2\nada,3\n").expect("a file");
    let fault = load(folder.path(), keys, Rows::Steps)
        .expect_err("in pieces")
        .to_string();
    assert!(fault.contains("line 4: episode `ada` begins a second time"), "{fault}");
}

const SEQUENCE: &str = "question = \"?\"\nseeds = 1\n[data]\nsource = \"file\"\npath = \"p.csv\"\nobserved = [\"x\"]\n[model]\n\
     kind = \"linear_gaussian_ssm\"\n[training]\noptimizer = \"em\"\nsteps = 2\n";

/// A file without `time` and `episode` is one sequence, also where values are missing.
#[test]
fn a_model_of_sequences_takes_a_plain_table_as_one_sequence() {
    let rows = |x: &[&str]| x.iter().map(|x| format!("{x},0\n")).collect::<String>();
    let table = format!("x,y\n{}", rows(&["1", "2", "", "3", "1", "NA", "2", "4"]));
    Laboratory::with(SEQUENCE)
        .and("p.csv", &table)
        .say(&["run", "e.toml", "--quiet"])
        .expect(0);
    let folder = folder("p.csv", table.as_bytes());
    let splits = load(folder.path(), "path = \"p.csv\"\nobserved = [\"x\"]", Rows::Steps).expect("a sequence");
    assert_eq!(splits.train.lengths, Some(vec![8]));
    assert_eq!(splits.train.total_weight(), 6.0);
    // A model of rows needs them whole, and says where they are not.
    let density = SEQUENCE.replace("linear_gaussian_ssm", "gaussian");
    let said = Laboratory::with(&density)
        .and("p.csv", &table)
        .say(&["check", "e.toml"])
        .expect(2);
    for part in [
        "p.csv: line 4, column `x` is missing",
        "needs complete rows",
        "models of sequences accept",
    ] {
        assert!(said.err.contains(part), "{}", said.err);
    }
    // An empty line is no row, unless it may be one.
    refused("x\n1\n2\n\n3\n", "\"x\"", "", &["line 4 is empty", "write NA"]);
    assert_eq!(read_as("x\n1\n# note\n2\n\n", "\"x\"", ""), Ok(vec![1.0, 2.0]));
    assert_eq!(read_as("x\r\n1\r\n2\r\n", "\"x\"", ""), Ok(vec![1.0, 2.0]));
    refused("x\r\n1\r\n\r\n3\r\n", "\"x\"", "", &["line 3 is empty"]);
}

/// Variants of both kinds read one file, each its own way.
#[test]
fn models_of_rows_and_of_sequences_share_a_file() {
    let both = format!(
        "{SEQUENCE}[[variant]]\nname = \"rows\"\nmodel = {{ kind = \"gaussian\" }}\n[[variant]]\nname = \"steps\"\n"
    );
    let said = Laboratory::with(&both)
        .and("p.csv", "x,y\n1,0\n2,0\n4,0\n3,0\n")
        .say(&["run", "e.toml", "--quiet"]);
    assert!(!said.expect(0).out.contains("failed"));
}

#[test]
fn few_rows_are_counted() {
    let density = SEQUENCE.replace("linear_gaussian_ssm", "gaussian");
    for (experiment, table, part) in [
        (&density[..], "x\n1\n", "p.csv holds 1 row\n"),
        (SEQUENCE, "x\n1\n", "p.csv holds 1 step\n"),
        (&density, "x\n", "p.csv holds no data"),
        (&density, "x\n1\n1\n", "column `x` of p.csv is 1 in every row"),
    ] {
        let said = Laboratory::with(experiment)
            .and("p.csv", table)
            .say(&["check", "e.toml"])
            .expect(2);
        assert!(said.err.contains(part), "{}", said.err);
    }
}

#[test]
fn files_that_are_something_else() {
    let of = |name: &str, bytes: &[u8]| {
        let folder = folder(name, bytes);
        values(
            folder.path(),
            &format!("path = {name:?}\nobserved = [\"x\"]"),
            Rows::Independent,
        )
        .expect_err("a fault")
    };
    assert!(of("p.csv", b"\xff\xfex\0\n\0").contains("UTF-16"));
    assert!(of("p.csv", b"\x1f\x8b\x08\0").contains("compressed by gzip"));
    assert!(of("p.csv", b"PK\x03\x04").contains("spreadsheet"));
    assert!(of("p.csv.gz", b"x\n1\n").contains("cannot be decompressed"));
    assert!(of("p.xlsx", b"PK\x03\x04").contains(".csv, .tsv, .csv.gz"));
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("p.csv")).expect("a folder");
    let keys = "path = \"p.csv\"\nobserved = [\"x\"]";
    assert!(
        values(folder.path(), keys, Rows::Independent)
            .expect_err("a fault")
            .contains("is a folder")
    );
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/dev/zero", folder.path().join("q.csv")).expect("a link");
        let fault = values(
            folder.path(),
            &keys.replace('p', "q").replace("qath", "path"),
            Rows::Independent,
        );
        assert!(fault.expect_err("a fault").contains("not a regular file"));
    }
}

/// A folder may have any name that the system allows.
#[cfg(target_os = "linux")]
#[test]
fn folders_whose_names_are_not_utf8() {
    use std::os::unix::ffi::OsStrExt;
    let outer = tempfile::tempdir().expect("a folder");
    let inner = outer.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    std::fs::create_dir(&inner).expect("a folder");
    std::fs::write(inner.join("p.csv"), "x\n1\n2\n").expect("a file");
    assert_eq!(
        values(&inner, "path = \"p.csv\"\nobserved = [\"x\"]", Rows::Independent),
        Ok(vec![1.0, 2.0])
    );
    assert!(
        values(
            Path::new(&inner),
            "path = \"q.csv\"\nobserved = [\"x\"]",
            Rows::Independent
        )
        .is_err()
    );
}
