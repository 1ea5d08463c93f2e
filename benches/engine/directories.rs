//! What is measured from files to files.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::duck;
use crate::job::run_directory;
use crate::race::{Bar, Figure, Missing, race};
use crate::support::told::{Digest, Digesting};
use crate::{Args, lines, pair};

/// From files to files: two workers beside the loop on two threads, and beside DuckDB.
pub fn directory(args: &Args) -> Vec<Figure> {
    directory_of(args).expect("directories can be read and written")
}

fn directory_of(args: &Args) -> io::Result<Vec<Figure>> {
    let from = lines::directory(args.shape(), &args.temporary())?;
    let run = |count: &dyn Fn(&Path)| {
        let to = args.temporary().join(format!("clicks-engine-results-{}", std::process::id()));
        fs::create_dir_all(&to).expect("a directory can be made");
        count(&to);
        to
    };
    // What was written is read again after the clock has stopped.
    let results = std::cell::RefCell::new(Vec::new());
    let keep = |name: &str, to: std::path::PathBuf| {
        let kept = to.with_extension(name);
        let _ = fs::remove_dir_all(&kept);
        fs::rename(&to, &kept).expect("a directory can be renamed");
        let mut results = results.borrow_mut();
        if !results.contains(&kept) {
            results.push(kept);
        }
    };
    let took = race(
        args.rounds,
        &[
            ("loop, 2 threads", &|| {
                let count = |to: &Path| pair::count(&from, to).expect("the loop reads and writes");
                keep("loop", run(&count));
            }),
            ("job, 2 workers", &|| keep("job", run(&|to| run_directory(&from, to, 2)))),
        ],
    );
    let results = results.into_inner();
    let digests = results.iter().map(|to| digests(to)).collect::<io::Result<Vec<_>>>()?;
    let same = digests.windows(2).all(|pair| pair[0] == pair[1]);
    if !same {
        println!("the files differ: {results:?} {digests:?}");
    } else {
        results.iter().try_for_each(fs::remove_dir_all)?;
    }
    let took = took.filter(|_| same);
    let ratio = took.as_ref().map(|took| took[0] / took[1]);
    let duck = match duck::milliseconds(&from) {
        Ok(ms) => took.map(|took| ms / took[1]).ok_or(Missing::Differs),
        Err(why) => Err(Missing::Skipped(why)),
    };
    Ok(vec![
        Figure::new("directory: 2 workers / the loop on 2 threads", Bar::AtLeast(0.9), ratio),
        Figure { work: "directory: 2 workers / DuckDB", bar: Bar::AtLeast(1.5), measured: duck },
    ])
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
