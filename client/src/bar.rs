//! How far something long is, in marks: for a terminal and for a log.

/// A bar of so many marks, and the share in percent.
pub fn bar(done: u64, of: u64, width: u8) -> String {
    let part = |whole: u64| (u128::from(done.min(of)) * u128::from(whole)).checked_div(of.into());
    let marks = part(width.into()).unwrap_or(0) as usize;
    let empty = usize::from(width) - marks;
    format!("[{}{}] {} %", "#".repeat(marks), ".".repeat(empty), part(100).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_never_more_than_full() {
        let bars = [(0, 0), (1, 3), (5, 5), (9, 5), (u64::MAX - 1, u64::MAX)];
        let bars = bars.map(|(done, of)| bar(done, of, 4));
        assert_eq!(
            bars,
            ["[....] 0 %", "[#...] 33 %", "[####] 100 %", "[####] 100 %", "[###.] 99 %"]
        );
    }
}
