//! What the workers say to each other beside the graph: it steers, and never decides results.
//!
//! Each word reaches all workers, the speaker among them, in the order in which it was said. It
//! tells where partitions begin, how far each worker's clocks have come (so that a partition that
//! is asleep on one worker follows those awake on another), and when to stop.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use clicks_dataflows::partition::Start;
use clicks_dataflows::time::{Epoch, Millis};
use serde::{Deserialize, Serialize};
use timely::dataflow::InputHandleVec;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::operators::{Input, Inspect};
use timely::worker::Worker;

/// A word for all workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Word {
    /// The first word of the first worker: who runs, and what it means.
    Begin(Agreed),
    /// Somebody cannot go on; nobody does.
    Refuse(String),
    /// A partition begins.
    Open {
        /// The partition's name.
        name: String,
        /// Where it begins.
        start: Start,
    },
    /// All partitions that were there at the start have been opened.
    Opened,
    /// How far a worker's partitions have come.
    Clocks(usize, Clocks),
    /// A worker wants all to stop.
    Stop,
    /// The first worker has committed what is closed: all stop.
    Halt,
}

/// What all processes of a job must agree on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    /// The program's version.
    pub version: String,
    /// The job's name and meaning, as JSON.
    pub meaning: String,
}

/// How far the partitions of a worker have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clocks {
    /// The least epoch of those awake; none if all are asleep.
    pub awake: Option<Epoch>,
    /// The partition that has it.
    pub holder: Option<u32>,
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

    /// The next word that was heard.
    pub fn hear(&mut self) -> Option<Word> {
        self.heard.borrow_mut().pop_front()
    }
}
