//! Scripts of clicks, the oracle, a disk that forgets, and running the real thing over them.

pub mod binary;
pub mod browser;
pub mod dice;
pub mod disk;
pub mod in_step;
pub mod kafka;
pub mod live;
pub mod oracle;
pub mod proxy;
pub mod python;
pub mod run;
pub mod s3;
pub mod script;
pub mod scripts;
pub mod server;
pub mod told;

/// So many random cases, unless `PROPTEST_CASES` says otherwise; a seed that failed is printed and
/// kept in `proptest-regressions`.
pub fn cases(cases: u32) -> proptest::test_runner::Config {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|asked| asked.parse().ok());
    proptest::test_runner::Config::with_cases(asked.unwrap_or(cases))
}
