//! Texts for faulty keys: which key, what is expected, what came, what to try.

/// A finite number, or the text that says otherwise.
pub fn finite(key: &str, value: f64) -> Result<(), String> {
    match value.is_finite() {
        true => Ok(()),
        false => Err(format!("`{key}` should be a finite number, got {value}: try 0.0")),
    }
}

/// A finite number above zero, or the text that says otherwise.
pub fn positive(key: &str, value: f64, attempt: f64) -> Result<(), String> {
    match value.is_finite() && value > 0.0 {
        true => Ok(()),
        false => Err(format!(
            "`{key}` should be a finite number above 0, got {value}: try {attempt}"
        )),
    }
}
