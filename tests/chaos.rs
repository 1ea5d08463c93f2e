//! Killed at random moments under load, with a broker that is killed too, the shipped binary
//! loses and doubles nothing.
//!
//! `CLICKS_CHAOS_SECONDS` says for how long. `CLICKS_TEST_SEED` repeats what was drawn, yet a
//! moment is never quite the same.

mod leaders;

use std::collections::BTreeMap;

use clicks::worker::monotonic_ms;
use serde_json::Value;

use crate::support::binary::{Place, Running, pause, wait_for};
use crate::support::dice::Dice;
use crate::support::kafka::{Broker, Lines, Topic};

/// Records in a second.
const RATE: u64 = 20_000;

/// Much is told soon, and a restart goes back by minutes and not by hours.
const CONFIG: &str = r#"
[job]
refresh = "200ms"
lateness = "5s"
horizon = "2m"
ahead_max = "10s"
emit = "changes"
windows = [1, 2]
top = 10

[[filter]]
id = 1
not = { country = ["USA"] }
"#;

/// For how long, if somebody says so.
fn seconds() -> Option<u64> {
    std::env::var("CLICKS_CHAOS_SECONDS").ok().map(|seconds| seconds.parse().unwrap())
}

/// What is done to the job, and how it bears it.
struct Chaos {
    place: Place,
    broker: Broker,
    lines: Lines,
    dice: Dice,
    /// Kills by the step that was reached last.
    kills: BTreeMap<String, u64>,
    /// Kills after something new was committed.
    after_commits: u64,
}

#[test]
fn killed_at_random_under_load_it_comes_out_as_an_independent_recount() {
    let seconds = seconds().unwrap_or(150);
    let mut chaos = Chaos::new();
    let generator = chaos.generate(seconds);
    let broker_dies_at = [seconds * 1000 / 3, seconds * 2000 / 3];
    let (began, mut deaths) = (monotonic_ms(), 0);
    let mut generator = Some(generator);
    let truth = loop {
        let running = chaos.start();
        let broker_dies = broker_dies_at.get(deaths).is_some_and(|at| monotonic_ms() >= began + at);
        if broker_dies {
            chaos.hurt_broker(["-TERM", "-KILL"][deaths]);
            deaths += 1;
        }
        chaos.kill(running);
        if generator.as_mut().is_some_and(Running::has_ended) {
            let ended = generator.take().map(Running::end).unwrap().with(0);
            break serde_json::from_str::<Value>(&ended.stdout).unwrap();
        }
    };
    chaos.report();
    chaos.check(&truth);
}

impl Chaos {
    fn new() -> Chaos {
        let broker = Broker::start();
        let topic = |name: &str, partitions| {
            let topic = Topic { brokers: broker.address(), name: name.to_owned() };
            let config: &[_] = match name {
                "clicks" => &[("message.timestamp.type", "LogAppendTime")],
                _ => &[],
            };
            topic.create(partitions, config);
            topic
        };
        topic("clicks", 4);
        topic("ads.counts", 4);
        topic("ads.ranks", 2);
        topic("ads.rejects", 1);
        let lines = Lines::of(&topic("ads.ledger", 1));
        let place = Place::new();
        std::fs::write(place.path("clicks.toml"), CONFIG).unwrap();
        let dice = Dice::cast();
        Chaos { place, broker, lines, dice, kills: BTreeMap::new(), after_commits: 0 }
    }

    fn generate(&mut self, seconds: u64) -> Running {
        let seed = self.dice.below(1 << 32);
        self.place.start(&format!(
            "generate --to kafka:clicks -b {} --rate {RATE} --clicks {} --seed {seed} --ads 2000 \
             --late 0.02 --duplicates 0.02 --malformed 0.002 --lateness 5s",
            self.broker.address(),
            RATE * seconds * 95 / 100,
        ))
    }

    fn start(&self) -> Running {
        let step = self.place.path("step");
        let step = step.to_str().unwrap();
        let job = format!(
            "run --input kafka:clicks --output kafka: --job ads -b {} --config clicks.toml",
            self.broker.address(),
        );
        self.place.start_with(&job, &[("CLICKS_STEP_FILE", step)])
    }

    /// Kills it at a random moment: mostly after it has committed something new.
    fn kill(&mut self, mut running: Running) {
        let before = self.lines.seen();
        if self.dice.below(10) > 0 {
            let committed = |lines: &mut Lines| lines.seen() > before;
            wait_for("a new commit", || {
                assert!(!running.has_ended(), "it has ended: {}", running.stderr());
                committed(&mut self.lines).then_some(())
            });
        }
        let until = monotonic_ms() + self.dice.below(1500);
        while monotonic_ms() < until {
            pause();
        }
        assert!(!running.has_ended(), "it has ended: {}", running.stderr());
        running.kill();
        let step = std::fs::read_to_string(self.place.path("step")).unwrap_or_default();
        *self.kills.entry(step.trim().to_owned()).or_default() += 1;
        self.after_commits += u64::from(self.lines.seen() > before);
    }

    /// Ends the broker in one way or the other, and starts it again.
    fn hurt_broker(&mut self, signal: &str) {
        self.broker.signal(signal);
        self.broker.restart();
        println!("chaos: the broker was ended by {signal}, and is back");
    }

    fn report(&self) {
        let kills: u64 = self.kills.values().sum();
        println!("chaos: {kills} kills, {} after new commits", self.after_commits);
        for (step, count) in &self.kills {
            let step = if step.is_empty() { "before any step" } else { step };
            println!("chaos: {count:4} at or after {step}");
        }
        assert!(self.after_commits * 10 >= kills * 7, "most kills are to hit something new");
    }

    /// Lets it finish, and holds it to the truth, to a recount and to a replay.
    fn check(&mut self, truth: &Value) {
        let (place, brokers) = (&self.place, self.broker.address());
        let running = self.start();
        let records = truth["records"].as_u64().unwrap();
        let last = wait_for("all records are committed", || {
            let ledger = "tail kafka: ledger --no-follow";
            let ended = place.succeed(&format!("{ledger} --job ads -b {brokers}"));
            let last: Value = serde_json::from_str(ended.stdout.lines().last()?).unwrap();
            (last["records"].as_u64() >= Some(records)).then_some(last)
        });
        running.terminate();

        let total = |key: &str| last[key].as_u64().unwrap();
        assert_eq!(total("records"), records);
        assert_eq!(total("clicks") + total("duplicates") + total("rejected"), records);
        let of = format!("--job ads -b {brokers}");
        let verified = place.succeed(&format!("verify kafka: {of} --input kafka:clicks"));
        assert!(verified.stdout.contains("differences: none"), "{}", verified.stdout);
        println!("chaos: {}", verified.stdout.trim().replace('\n', "\nchaos: "));

        place.succeed(&format!(
            "replay --input kafka:clicks --output out --job again -b {brokers} \
             --config clicks.toml --marks-of kafka:/ads --no-progress",
        ));
        for log in ["counts", "ranks", "rejects"] {
            let live = place.succeed(&format!("tail kafka: {log} --no-follow {of}")).stdout;
            let again = place.bytes(&format!("out/again.{log}.jsonl"));
            assert!(!live.is_empty() && again.starts_with(live.as_bytes()), "{log} differ");
        }
    }
}
