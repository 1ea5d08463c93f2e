//! What a topic does with old records.

use clicks_dataflows::time::Millis;

use crate::failure::Failure;
use crate::kafka::admin::{Admin, Settings};
use crate::kafka::client::Cluster;

/// Whether a topic keeps only the newest record of each key.
///
/// # Errors
///
/// When the brokers do not answer, or will not say.
pub fn is_compacted(cluster: &Cluster, topic: &str) -> Result<bool, Failure> {
    let settings = Admin::new(cluster)?.settings(&[topic])?.pop().flatten();
    settings.map(|settings| has_policy(&settings, "compact")).ok_or_else(|| {
        Failure::new(format!(
            "cannot find out whether topic {topic} is compacted: this user may not read its \
             settings (DescribeConfigs)",
        ))
    })
}

/// How long a topic keeps a record after the time that its producer states.
///
/// Nothing if it keeps it for ever, goes by its own time, or will not say.
pub fn stated_time_kept_ms(cluster: &Cluster, topic: &str) -> Option<Millis> {
    let settings = Admin::new(cluster).ok()?.settings(&[topic]).ok()?.pop().flatten()?;
    let is_stated = settings.get("message.timestamp.type")? == "CreateTime";
    kept_ms(&settings).filter(|_| is_stated)
}

/// How long a topic with these settings keeps a record; nothing if for ever.
pub fn kept_ms(settings: &Settings) -> Option<Millis> {
    // For ever is -1.
    settings.get("retention.ms")?.parse().ok().filter(|_| has_policy(settings, "delete"))
}

/// Whether `policy` is what a topic with these settings does with old records.
pub fn has_policy(settings: &Settings, policy: &str) -> bool {
    let policies = settings.get("cleanup.policy").map_or("", String::as_str);
    policies.split(',').any(|word| word.trim() == policy)
}
