//! Numbers of things, for people.

/// `1 commit`, `2 commits`.
pub fn some(count: impl TryInto<u64>, what: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!([0, 1, 2].map(|count| some(count, "row")), ["0 rows", "1 row", "2 rows"]);
    }
}
