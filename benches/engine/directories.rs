//! What is measured from files to files.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::job::run_directory;
use crate::race::{Bar, Figure, Missing, race};
use crate::support::told::{Digest, Digesting};
use crate::{Args, duck, lines, pair, program};

/// Counts the clicks of one directory, and writes the rows to another that is empty.
type Count<'a> = &'a dyn Fn(&Path);

/// Two workers beside the loop on two threads, and beside DuckDB.
pub fn directory(args: &Args) -> Vec<Figure> {
    directory_of(args).expect("directories can be read and written")
}

fn directory_of(args: &Args) -> io::Result<Vec<Figure>> {
    let from = lines::directory(args.shape(), &args.temporary())?;
    let by_loop: Count<'_> = &|to| pair::count(&from, to).expect("the loop reads and writes");
    let by_job: Count<'_> = &|to| run_directory(&from, to, 2);
    let results = Results::in_directory(args);
    let took = results.race(args, &[("loop, 2 threads", by_loop), ("job, 2 workers", by_job)])?;
    let ratio = took.as_ref().map(|took| took[0] / took[1]);
    let duck = match &took {
        Some(took) => duck::milliseconds(&from, &results.of(0)).map(|ms| ms / took[1]),
        None => Err(Missing::Differs),
    };
    if took.is_some() {
        results.remove(2)?;
    }
    Ok(vec![
        Figure::new("directory: 2 workers / the loop on 2 threads", Bar::AtLeast(0.9), ratio),
        Figure { work: "directory: 2 workers / DuckDB", bar: Bar::AtLeast(1.5), measured: duck },
    ])
}

/// Two processes of a worker each beside one process of two.
pub fn processes(args: &Args) -> Vec<Figure> {
    processes_of(args).expect("directories can be read and written")
}

fn processes_of(args: &Args) -> io::Result<Vec<Figure>> {
    let from = lines::directory(args.shape(), &args.temporary())?;
    let one: Count<'_> = &|to| program::run(&from, to, &["-w 2".to_owned()]);
    let two: Count<'_> = &|to| {
        let hosts = program::two_hosts();
        let process = |at| format!("--hosts {hosts} --process {at}");
        program::run(&from, to, &[process(0), process(1)]);
    };
    let results = Results::in_directory(args);
    let took = results.race(args, &[("1 process, 2 workers", one), ("2 processes", two)])?;
    if took.is_some() {
        results.remove(2)?;
    }
    let ratio = took.map(|took| took[0] / took[1]);
    Ok(vec![Figure::new(
        "directory: 2 processes over loopback / 1 process with 2 workers",
        Bar::AtLeast(0.7),
        ratio,
    )])
}

/// Directories into which sides write, by the place of the side.
struct Results(PathBuf);

impl Results {
    fn in_directory(args: &Args) -> Results {
        Results(args.temporary().join(format!("clicks-engine-results-{}", std::process::id())))
    }

    fn of(&self, side: usize) -> PathBuf {
        self.0.with_extension(side.to_string())
    }

    /// Lets `sides` take turns; the median milliseconds of each, or none if they wrote different
    /// files at last, which then stay.
    fn race(&self, args: &Args, sides: &[(&str, Count<'_>)]) -> io::Result<Option<Vec<f64>>> {
        let run = |(side, (_, count)): (usize, &(&str, Count<'_>))| {
            let to = self.of(side);
            // There is none at first.
            let _ = fs::remove_dir_all(&to);
            fs::create_dir_all(&to).expect("a directory can be made");
            count(&to);
        };
        let runs: Vec<_> = sides.iter().enumerate().map(|side| move || run(side)).collect();
        let turns: Vec<(&str, &dyn Fn())> =
            sides.iter().zip(&runs).map(|((name, _), run)| (*name, run as &dyn Fn())).collect();
        let took = race(args.rounds, &turns);
        // What was written is read again after the clock has stopped.
        let written = (0..sides.len()).map(|side| digests(&self.of(side)));
        let written = written.collect::<io::Result<Vec<_>>>()?;
        let same = written.windows(2).all(|pair| pair[0] == pair[1]);
        if !same {
            println!("the files in {}.* differ: {written:?}", self.0.display());
        }
        Ok(took.filter(|_| same))
    }

    /// Removes what so many sides have written.
    fn remove(&self, sides: usize) -> io::Result<()> {
        (0..sides).try_for_each(|side| fs::remove_dir_all(self.of(side)))
    }
}

/// Of the counts and the lists in a directory.
fn digests(directory: &Path) -> io::Result<[Digest; 2]> {
    let digest = |log| -> io::Result<Digest> {
        let file = File::open(directory.join(format!("bench.{log}.jsonl")))?;
        let (mut file, mut digesting) = (BufReader::new(file), Digesting::default());
        let mut bytes = vec![0; 1 << 20];
        loop {
            let read = file.read(&mut bytes)?;
            if read == 0 {
                return Ok(digesting.digest());
            }
            digesting.append(&bytes[..read]);
        }
    };
    Ok([digest("counts")?, digest("ranks")?])
}
