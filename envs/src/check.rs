//! Messages for invalid keys: the key, what is expected, what came, what to try.

/// Checks that a number is finite; the error is the message.
pub fn finite(key: &str, value: f64) -> Result<(), String> {
    match value.is_finite() {
        true => Ok(()),
        false => Err(format!("`{key}` should be a finite number, got {value}: try 0.0")),
    }
}

/// Checks that a number is finite and above zero; the error is the message.
pub fn positive(key: &str, value: f64, attempt: f64) -> Result<(), String> {
    match value.is_finite() && value > 0.0 {
        true => Ok(()),
        false => Err(format!(
            "`{key}` should be a finite number above 0, got {value}: try {attempt}"
        )),
    }
}
