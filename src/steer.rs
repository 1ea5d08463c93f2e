//! What the workers say to each other beside the graph: it steers, and never decides results.
//!
//! Each word reaches all workers, the speaker among them, in the order in which it was said. It
//! tells where partitions begin, how far each worker's clocks have come (so that a partition that
//! is asleep on one worker follows those awake on another), and when to stop.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use clicks_dataflows::ledger::Name;
use clicks_dataflows::partition::Start;
use clicks_dataflows::time::{Epoch, Millis};
use serde::{Deserialize, Serialize};
use timely::dataflow::InputHandleVec;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::operators::{Input, Inspect};
use timely::worker::Worker;

use crate::failure::{Failure, Kind};

/// A word for all workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Word {
    /// The first word of each worker: as what it runs.
    Join(Agreed),
    /// Nobody goes on, and why.
    Refuse(String),
    /// There is nothing to do.
    Done,
    /// A partition begins.
    Open {
        /// What the partition is called.
        name: Name,
        /// Where it begins.
        start: Start,
    },
    /// All partitions that were there at the start have been opened.
    Opened,
    /// How far a worker's partitions have come.
    Clocks(usize, Clocks),
    /// Whether nobody reads on, as commits lag behind.
    Pause(bool),
    /// A worker wants all to stop, and why if it failed.
    Stop(Option<(Kind, String)>),
    /// The first worker has committed what is closed: all stop.
    Halt,
}

/// What all processes of a job must agree on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    /// The program's version, and how its rows become bytes if not in the usual way.
    pub version: String,
    /// The job's name and meaning, as JSON.
    pub meaning: String,
}

impl Agreed {
    fn differs(&self, theirs: &Agreed) -> Failure {
        Failure::refused(format!(
            "this process runs version {} with {}, another runs version {} with {}: start all \
             with the same program, job and configuration",
            self.version, self.meaning, theirs.version, theirs.meaning,
        ))
    }
}

/// What the first process has found out before the workers meet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// There is work to do.
    #[default]
    Go,
    /// The job is closed.
    Done,
    /// The job cannot be run, and why.
    Refused(String),
}

/// How far the partitions of a worker have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clocks {
    /// The least epoch of those awake, and whose it is; none if all are asleep.
    pub awake: Option<(Epoch, u32)>,
    /// The greatest clock.
    pub greatest: Millis,
}

/// A worker's mouth and ears.
pub struct Steer {
    input: InputHandleVec<u64, Word>,
    heard: Rc<RefCell<VecDeque<Word>>>,
    said: u64,
}

impl Steer {
    /// Joins this worker to the others.
    pub fn attach(worker: &mut Worker) -> Steer {
        let heard = Rc::new(RefCell::new(VecDeque::new()));
        let mut input = InputHandleVec::new();
        let ears = Rc::clone(&heard);
        worker.dataflow_named("Steer", |scope| {
            let words = scope.input_from(&mut input).broadcast();
            words.inspect(move |word: &Word| ears.borrow_mut().push_back(word.clone()));
        });
        Steer { input, heard, said: 0 }
    }

    /// Says `word` to all workers.
    pub fn say(&mut self, word: Word) {
        self.input.send(word);
        self.said += 1;
        self.input.advance_to(self.said);
        self.input.flush();
    }

    /// Waits until all workers have joined as what this one runs; tells whether they go on.
    ///
    /// No worker leaves before by itself, not even to stop: the others would wait for its part of
    /// the graph for ever.
    ///
    /// # Errors
    ///
    /// When another runs as something else, or the first worker refuses.
    pub fn join(
        &mut self,
        worker: &mut Worker,
        agreed: &Agreed,
        verdict: &Verdict,
    ) -> Result<bool, Failure> {
        self.say(match (verdict, worker.index()) {
            (Verdict::Refused(why), 0) => Word::Refuse(why.clone()),
            (Verdict::Done, 0) => Word::Done,
            _ => Word::Join(agreed.clone()),
        });
        let (mut joined, mut early) = (0, VecDeque::new());
        while joined < worker.peers() {
            match self.hear() {
                Some(Word::Join(theirs)) if theirs == *agreed => joined += 1,
                Some(Word::Join(theirs)) => return Err(agreed.differs(&theirs)),
                Some(Word::Refuse(why)) => return Err(Failure::refused(why)),
                Some(Word::Done) => return Ok(false),
                Some(word) => early.push_back(word),
                None => {
                    worker.step_or_park(Some(Duration::from_millis(1)));
                }
            }
        }
        early.append(&mut self.heard.borrow_mut());
        *self.heard.borrow_mut() = early;
        Ok(true)
    }

    /// The next word that was heard.
    pub fn hear(&mut self) -> Option<Word> {
        self.heard.borrow_mut().pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_whose_rows_become_bytes_in_other_ways_refuse_each_other() {
        let refusals = timely::execute(timely::Config::process(2), |worker| {
            let version = ["0.1.0", "0.1.0+abomonation"][worker.index()].to_owned();
            let agreed = Agreed { version, meaning: "ads {}".to_owned() };
            let joined = Steer::attach(worker).join(worker, &agreed, &Verdict::Go);
            joined.expect_err("another version runs").to_string()
        });
        for refusal in refusals.unwrap().join() {
            let refusal = refusal.unwrap();
            assert!(refusal.contains("version 0.1.0 with"), "{refusal}");
            assert!(refusal.contains("version 0.1.0+abomonation with"), "{refusal}");
        }
    }
}
