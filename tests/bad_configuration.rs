//! Bad configuration is refused before anything is written: exit code 2, the key, what is right.

use crate::golden::shell::{Shell, click};

/// What `clicks run` says when it refuses `flags`, with `file` as its configuration.
fn refused(file: &str, variables: &[&str], flags: &str) -> String {
    let shell = Shell::with_input([click("ad001", "12:00:00")]);
    shell.write("clicks.toml", file);
    let words = format!("run --input in --output out --config clicks.toml {flags}");
    refuses(&shell, variables, &words)
}

/// What `clicks` says when it refuses `words`; no ledger is begun.
fn refuses(shell: &Shell, variables: &[&str], words: &str) -> String {
    let ended = shell.clicks_under(variables, words);
    assert_eq!(ended.code, Some(2), "{words}: {ended:?}");
    assert_eq!(ended.stdout, "", "{words}");
    assert!(!shell.path("out/clicks.ledger.jsonl").exists(), "{words}");
    assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
    ended.stderr
}

fn assert_says(said: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(said.contains(part), "{part:?} is not in {said:?}"));
}

#[test]
fn settings_that_cannot_be() {
    for (setting, right) in [
        ("job.refresh=7s", "divides a minute"),
        ("job.refresh=50ms", "at least 100ms"),
        ("job.refresh=1", "a duration has a unit"),
        ("job.horizon=59s", "at least 1m"),
        ("job.lateness=7h", "at most `job.horizon`, 6h"),
        ("job.lateness=-1s", "a duration"),
        ("job.windows=", "one window or more"),
        ("job.windows=1,x", "whole numbers"),
        ("job.windows=0", "1 to 1440 minutes"),
        ("job.top=0", "from 1 to 10000"),
        ("job.top=ten", "a whole number"),
        ("job.correct_every=1500ms", "a multiple of `job.refresh`, 1s"),
        ("job.emit=all", "final or changes"),
        ("job.identity=ip,page", "the time is a part of every identity"),
        ("job.identity=sometimes", "the time is a part of every identity"),
        ("job.name=a/b", "A-Z a-z 0-9"),
        ("input.format=xml", "json or csv"),
        ("input.columns=ad_id,click_timestamp", "columns go with `input.format` csv"),
        ("input.fields.ad_id=", "ad_id"),
        ("job.no_such=1", "unknown key"),
    ] {
        let (key, _) = setting.split_once('=').unwrap();
        let said = refused("", &[], &format!("--set {setting}"));
        assert_says(&said, &[&format!("`{key}`"), "--set", right]);
    }
}

/// What follows from the refresh is not blamed for it.
#[test]
fn a_refresh_of_nothing() {
    assert_says(&refused("", &[], "--set job.refresh=0s"), &["`job.refresh`", "at least 100ms"]);
}

/// Both are named, as either may be the wrong one.
#[test]
fn a_horizon_below_the_lateness() {
    let said = refused("[job]\nlateness = \"10m\"\nhorizon = \"5m\"", &[], "");
    assert_says(&said, &["`job.lateness`", "`job.horizon`", "10m", "5m", "clicks.toml"]);
}

#[test]
fn columns_without_an_ad() {
    let said = refused("", &[], "--set input.format=csv --set input.columns=click_timestamp,ip");
    assert_says(&said, &["`input.columns`", "ad_id", "there is no column"]);
    let identity = "--set job.identity=click_timestamp,page";
    let columns = "--set input.format=csv --set input.columns=ad_id,click_timestamp";
    let said = refused("", &[], &format!("{columns} {identity}"));
    assert_says(&said, &["page", "there is no column"]);
    let said =
        refused("", &[], "--set input.format=csv --set input.columns=ad_id,click_timestamp,ip,ip");
    assert_says(&said, &["`input.columns`", "two columns are named \"ip\""]);
}

/// A header is read with its file, so the ledger has begun by then.
#[test]
fn a_header_without_an_ad() {
    let shell = Shell::new();
    shell.write_lines("in/p0.csv", ["click_timestamp,ip", "1,1.2.3.4"]);
    let ended = shell.clicks("run --input in --output out --set input.format=csv");
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_says(&ended.stderr, &["p0.csv", "ad_id", "there is no column"]);
}

#[test]
fn filters_that_cannot_be() {
    for (filter, parts) in [
        ("[[filter]]\nid = 1\n[[filter]]\nid = \"001\"", ["1", "two filters"]),
        ("[[filter]]\nid = 0", ["0", "every click"]),
        ("[[filter]]\nid = 1\nwhere.ip = [\"203.0.113.0/33\"]", ["203.0.113.0/33", "CIDR block"]),
        ("[[filter]]\nid = 1\nwhere.ip = [\"203.0.113\"]", ["203.0.113", "CIDR block"]),
        ("[[filter]]\nname = \"no number\"", ["number 1 of the file", "`id`"]),
        ("[filter]\nid = 1", ["`filter`", "[[filter]]"]),
    ] {
        assert_says(&refused(filter, &[], ""), &["`filter`", "clicks.toml"]);
        assert_says(&refused(filter, &[], ""), &parts);
    }
}

/// A value that should be a list is told with its field and what would be right.
#[test]
fn a_filter_of_the_wrong_type() {
    for field in ["country", "user_id", "ip"] {
        let said = refused(&format!("[[filter]]\nid = 1\nwhere.{field} = \"USA\""), &[], "");
        assert_says(&said, &["filter", field, "list"]);
    }
}

#[test]
fn an_unknown_key_is_told_with_the_nearest_known_one() {
    for (file, unknown, nearest) in [
        ("[job]\nrefesh = \"1s\"", "job.refesh", "job.refresh"),
        ("[job]\nallowed_lateness = \"1s\"", "job.allowed_lateness", "job.lateness"),
        ("[inputs]\nformat = \"csv\"", "inputs", "input"),
        ("[input.fields]\nadid = \"app\"", "input.fields.adid", "input.fields.ad_id"),
        ("[input.fields]\ntimestamp = \"ts\"", "input.fields.timestamp", "click_timestamp"),
        ("[[filter]]\nid = 1\nwhere.user = [\"u\"]", "filter.where.user", "filter.where.user_id"),
        ("[[filter]]\nid = 1\nwhre.ip = []", "filter.whre", "filter.where"),
    ] {
        let said = refused(file, &[], "");
        let parts = [format!("unknown key `{unknown}`; did you mean `{nearest}`?")];
        let parts = parts.map(|part| part.replace("`click_", "`input.fields.click_"));
        assert_says(&said, &[&parts[0], "clicks.toml"]);
    }
}

/// A section within a section has a name as well.
#[test]
fn an_unknown_section_is_told_with_the_nearest_known_one() {
    let said = refused("[input]\nfield = { ip = \"a\" }", &[], "");
    assert_says(&said, &["unknown key `input.field`; did you mean `input.fields`?"]);
}

#[test]
fn values_of_the_wrong_type() {
    for (file, key, right) in [
        ("job = 1", "job", "a table"),
        ("[job]\nrefresh = 1", "job.refresh", "a duration in quotes"),
        ("[job]\ntop = \"100\"", "job.top", "a whole number"),
        ("[job]\ntop = 1.5", "job.top", "a whole number"),
        ("[job]\nwindows = 5", "job.windows", "a list of whole numbers"),
        ("[job]\nname = true", "job.name", "text in quotes"),
        ("[job]\nidentity = 1", "job.identity", "a list of input fields"),
        ("[input]\ncolumns = \"ad_id\"", "input.columns", "a list of texts"),
        ("[input.fields]\nad_id = 1", "input.fields.ad_id", "text in quotes"),
    ] {
        assert_says(&refused(file, &[], ""), &[&format!("`{key}`"), right, "clicks.toml"]);
    }
    assert_says(&refused("[job\n", &[], ""), &["clicks.toml is not TOML", "line 1"]);
}

#[test]
fn unknown_variables_of_our_own() {
    for (variable, nearest) in [
        ("CLICKS_JOB_REFRSH=1s", "CLICKS_JOB_REFRESH"),
        ("CLICKS_JOB_IDLE_AFTR=1s", "CLICKS_JOB_IDLE_AFTER"),
        ("CLICKS_INPUT_FIELDS_ADID=app", "CLICKS_INPUT_FIELDS_AD_ID"),
    ] {
        let (name, _) = variable.split_once('=').unwrap();
        assert_says(&refused("", &[variable], ""), &[name, "did you mean", nearest]);
    }
    let said = refused("", &["CLICKS_JOB_REFRESH=7s"], "");
    assert_says(&said, &["`job.refresh`", "environment CLICKS_JOB_REFRESH", "divides a minute"]);
}

/// What exactness rests on is not for properties to change, wherever they are set.
#[test]
fn properties_of_kafka_that_are_not_the_users_to_set() {
    for (property, why) in [
        ("bootstrap.servers=b:1", "kafka.brokers"),
        ("transactional.id=mine", "the job's name"),
        ("enable.idempotence=false", "may come twice"),
        ("acks=1", "all replicas"),
        ("message.max.bytes=1", "max.message.bytes"),
        ("group.id=mine", "the job's name"),
        ("auto.offset.reset=earliest", "clicks are missing"),
        ("enable.auto.commit=true", "the ledger"),
        ("isolation.level=read_uncommitted", "aborted"),
        ("check.crcs=false", "damaged"),
    ] {
        let (name, value) = property.split_once('=').unwrap();
        let key = format!("`kafka.properties.{name}`");
        assert_says(&refused("", &[], &format!("-X {property}")), &[&key, "flag -X", why]);
        for table in ["consumer", "producer"] {
            let file = format!("[kafka.{table}]\n\"{name}\" = \"{value}\"");
            let key = format!("`kafka.{table}.{name}` (file clicks.toml)");
            assert_says(&refused(&file, &[], ""), &[&key, why]);
        }
    }
    let variable = "CLICKS_KAFKA_CONSUMER_ISOLATION_LEVEL=read_uncommitted";
    assert_says(&refused("", &[variable], ""), &["environment CLICKS_KAFKA_CONSUMER", "aborted"]);
}

/// They are refused before a broker is asked for anything: there is none here.
#[test]
fn properties_that_librdkafka_does_not_know() {
    let shell = Shell::new();
    let run = "run --input kafka:clicks --output kafka: -b localhost:1";
    for (flags, key, why) in [
        ("-X fetch.min.byte=1", "kafka.properties.fetch.min.byte", "No such configuration"),
        ("-X fetch.min.bytes=some", "kafka.properties.fetch.min.bytes", "Invalid value"),
        ("--set kafka.producer.linger=1", "kafka.producer.linger", "No such configuration"),
    ] {
        assert_says(&refuses(&shell, &[], &format!("{run} {flags}")), &[key, why]);
    }
}

/// A secret comes from a file, and is said nowhere; one of a flag is seen by others.
#[test]
fn secrets_of_kafka() {
    let shell = Shell::new();
    let run = "run --input kafka:clicks --output kafka: -b localhost:1";
    let sasl = "-X security.protocol=SASL_PLAINTEXT -X sasl.mechanisms=PLAIN -X sasl.username=me";
    let key = "kafka.properties.sasl.password.file";
    let variable = "CLICKS_KAFKA_PROPERTIES_SASL_PASSWORD_FILE=secret";
    assert_says(&refuses(&shell, &[variable], run), &[key, "cannot read secret"]);

    shell.write("secret", "hunter2\n");
    // Now it is the broker that is missing.
    let ended = shell.clicks_under(&[variable], &format!("{run} {sasl}"));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(!ended.stderr.contains("hunter2") && !ended.stderr.contains("secret"), "{ended:?}");

    let ended = shell.clicks(&format!("config show {sasl} -X sasl.password=hunter2"));
    assert_says(&ended.stdout, &["# properties.\"sasl.password\" is set, and secret", "flag -X"]);
    assert_says(
        &ended.stderr,
        &["`kafka.properties.sasl.password` (flag -X)", "sasl.password.file"],
    );
    assert!(!format!("{ended:?}").contains("hunter2"), "{ended:?}");
    let both = format!("{run} -X sasl.password=hunter2 -X sasl.password.file=secret");
    let said = refuses(&shell, &[], &both);
    assert_says(&said, &[key, "sasl.password is set too"]);
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn properties_for_which_a_build_has_no_library() {
    if cfg!(feature = "kafka-ssl") {
        return;
    }
    let shell = Shell::new();
    let run = "run --input kafka:clicks --output kafka:";
    for (property, feature) in [
        ("security.protocol=SSL", "--features kafka-ssl"),
        ("sasl.mechanisms=SCRAM-SHA-512", "--features kafka-ssl"),
        ("sasl.mechanisms=GSSAPI", "--features kafka-gssapi"),
    ] {
        let (name, _) = property.split_once('=').unwrap();
        let said = refuses(&shell, &[], &format!("{run} -X {property}"));
        assert_says(&said, &[&format!("kafka.properties.{name}"), "this build", feature]);
    }
}

#[test]
fn inputs_that_cannot_be() {
    let shell = Shell::new();
    shell.write("in/truth.json", "{}");
    shell.write("in/p0.csv", "ad_id");
    shell.write("in/p0.jsonl.bz2", "");
    let said = refuses(&shell, &[], "run --input in --output out");
    assert_says(&said, &["--input", "in (*.jsonl)", "no partition", "at least one file"]);

    shell.write("in/p0.jsonl", "");
    shell.write("in/p0.jsonl.gz", "");
    let said = refuses(&shell, &[], "run --input in --output out");
    assert_says(&said, &["p0.jsonl.gz", "the same partition p0.jsonl", "remove one"]);
}

#[test]
fn an_input_that_is_missing() {
    let shell = Shell::with_input([click("ad001", "12:00:00")]);
    for words in ["run", "run --follow", "replay"] {
        for input in ["missing", "in/p0.jsonl"] {
            let said = refuses(&shell, &[], &format!("{words} --input {input} --output out"));
            assert_says(&said, &["input", input]);
        }
    }
}

#[test]
fn an_output_that_cannot_be_written() {
    let shell = Shell::with_input([click("ad001", "12:00:00")]);
    shell.write("file", "");
    for output in ["file", "file/below", "/proc/clicks"] {
        let said = refuses(&shell, &[], &format!("run --input in --output {output}"));
        assert_says(&said, &["cannot write results to", output]);
    }
}

#[test]
fn a_configuration_that_cannot_be_read() {
    let shell = Shell::with_input([click("ad001", "12:00:00")]);
    let said = refuses(&shell, &[], "run --input in --output out --config missing.toml");
    assert_says(&said, &["cannot read missing.toml"]);
    shell.write("latin1.toml", b"[job]\nname = \"\xe4\"");
    let said = refuses(&shell, &[], "run --input in --output out --config latin1.toml");
    assert_says(&said, &["latin1.toml"]);
}

/// A job goes on as it began: other settings that its rows depend on are refused, by their key.
#[test]
fn a_job_that_began_with_other_settings() {
    let shell = Shell::with_input([click("ad001", "12:00:00")]);
    shell.run("");
    for (setting, began) in [
        ("job.refresh=500ms", "1s"),
        ("job.lateness=10s", "15s"),
        ("job.horizon=5h", "6h"),
        ("job.ahead_max=2h", "1h"),
        ("job.jump_max=2h", "1h"),
        ("job.correct_every=2m", "1m"),
        ("job.emit=changes", "final"),
        ("job.identity=none", "auto"),
        ("job.windows=1,5", "[1,5,60]"),
        ("job.top=10", "100"),
        ("input.fields.ip=addr", "ip"),
    ] {
        let (key, value) = setting.split_once('=').unwrap();
        let words = format!("run --input in --output out --job ads --set {setting}");
        let said = refuses(&shell, &[], &words);
        assert_says(&said, &["job ads", key, began, value, "--job"]);
    }
    shell.write("clicks.toml", "[[filter]]\nid = 1");
    let words = "run --input in --output out --job ads --config clicks.toml";
    assert_says(&refuses(&shell, &[], words), &["job ads", "filter"]);
    shell.run("--set job.idle_after=2s --set job.windows=60,5,1 -w 2");
}

/// A job that is closed does nothing more over the same files, and refuses others.
#[test]
fn a_closed_job_whose_input_is_not_what_it_was() {
    let shell = Shell::with_input([click("ad001", "12:00:00"), click("ad001", "12:00:01")]);
    shell.write_lines("in/p1.jsonl", [click("ad001", "12:00:02")]);
    let results = shell.run("");
    assert_eq!(shell.run(""), results);

    let run = "run --input in --output out --job ads";
    shell.write_lines("in/p1.jsonl", [click("ad001", "12:00:02"), click("ad001", "12:00:03")]);
    assert_says(&refuses(&shell, &[], run), &["job ads", "p1.jsonl", "has grown"]);
    shell.write("in/p1.jsonl", "");
    assert_says(&refuses(&shell, &[], run), &["p1.jsonl", "shorter"]);
    shell.write_lines("in/p1.jsonl", [click("ad001", "12:00:02")]);
    shell.write("in/p2.jsonl", "");
    assert_says(&refuses(&shell, &[], run), &["job ads", "p2.jsonl"]);
}

/// A file that is missing is not the same input.
#[test]
fn a_closed_job_of_which_a_file_is_missing() {
    let shell = Shell::with_input([click("ad001", "12:00:00")]);
    shell.write_lines("in/p1.jsonl", [click("ad001", "12:00:02")]);
    shell.run("");
    std::fs::remove_file(shell.path("in/p1.jsonl")).unwrap();
    let said = refuses(&shell, &[], "run --input in --output out --job ads");
    assert_says(&said, &["p1.jsonl", "missing"]);
}

#[test]
fn flags_count_more_than_variables_and_those_more_than_the_file() {
    let shell = Shell::new();
    let file = "[job]\nname = \"f\"\nrefresh = \"5s\"\nlateness = \"20s\"\ntop = 5";
    shell.write("clicks.toml", file);
    let variables = [
        "CLICKS_CONFIG=clicks.toml",
        "CLICKS_JOB_NAME=e",
        "CLICKS_JOB_LATENESS=30s",
        "CLICKS_JOB_TOP=6",
    ];
    let flags = "--set job.top=7 --set job.top=8 --set job.name=s --job ads";
    let shown = shell.clicks_under(&variables, &format!("config show {flags}")).stdout;
    let set: Vec<String> = shown
        .lines()
        .filter(|line| {
            ["name", "refresh", "lateness", "horizon", "top", "idle_after"]
                .contains(&line.split(' ').next().unwrap())
        })
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        set,
        [
            "name = \"ads\" # flag --job",
            "refresh = \"5s\" # file clicks.toml",
            "lateness = \"30s\" # environment CLICKS_JOB_LATENESS",
            "horizon = \"6h\" # default",
            "idle_after = \"5s\" # default",
            "top = 8 # flag --set",
        ],
    );
}
