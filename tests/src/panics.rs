//! A panic in what is looked at is a finding, and no end of the look.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What came of it, or the words of the panic that ended it. What it changed may be half done: look
/// at it, and do not go on with it.
pub fn caught<T>(act: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(act)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        format!("panicked: {}", text.unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_in_its_own_words() {
        assert_eq!(caught(|| 7), Ok(7));
        assert_eq!(caught(|| panic!("as it is")), Err::<(), _>("panicked: as it is".into()));
        assert_eq!(caught(|| panic!("seed {}", 3)), Err::<(), _>("panicked: seed 3".into()));
    }
}
