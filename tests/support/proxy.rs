//! A proxy of TCP between the program and a server, which cuts connections, swallows what goes over
//! them, or lets little through.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Bytes that are passed on at once.
const BYTES: usize = 4096;

/// A proxy, whose connections end with this process.
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

/// What it does.
#[derive(Default)]
struct State {
    /// Whether connections end, and new ones at once.
    cuts: AtomicBool,
    /// Whether what goes over connections is lost. A connection that has lost something has lost
    /// all that follows, as no byte of TCP comes without those before it.
    swallows: AtomicBool,
    /// Bytes to the server in a second, of each connection; any number if 0.
    rate: AtomicU64,
    /// Bytes from either side after which a connection is cut; none if 0.
    longest: AtomicU64,
    /// How many were.
    cut: AtomicU64,
    /// Whether what the server says is lost, like what is swallowed.
    loses_answers: AtomicBool,
    /// Pieces of answers that were.
    answers: AtomicU64,
    /// A header of requests that is called otherwise.
    renamed: Mutex<Option<(&'static str, &'static str)>>,
    /// Both ends of each connection.
    connections: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A proxy that leads from `listener` to a port of this machine.
    pub fn leading(listener: TcpListener, target: u16) -> Proxy {
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let accepting = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming() {
                // Whoever finds no server is cut off.
                let server = TcpStream::connect(("127.0.0.1", target));
                if let (Ok(client), Ok(server)) = (client, server) {
                    State::join(&accepting, client, server);
                }
            }
        });
        Proxy { port, state }
    }

    /// A proxy to a port of this machine.
    pub fn to(target: u16) -> Proxy {
        Proxy::leading(TcpListener::bind("127.0.0.1:0").unwrap(), target)
    }

    /// Where it is.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Cuts all connections, and new ones too.
    pub fn cut(&self) {
        self.state.cuts.store(true, Ordering::SeqCst);
        self.state.end_all();
    }

    /// Swallows what is sent either way; connections stay open, and new ones are taken.
    pub fn swallow(&self) {
        self.state.swallows.store(true, Ordering::SeqCst);
    }

    /// Lets new connections work again.
    pub fn mend(&self) {
        self.state.cuts.store(false, Ordering::SeqCst);
        self.state.swallows.store(false, Ordering::SeqCst);
        self.state.loses_answers.store(false, Ordering::SeqCst);
        self.state.longest.store(0, Ordering::SeqCst);
    }

    /// Cuts each connection over which more than so many bytes have come from either side.
    pub fn cut_after(&self, bytes: u64) {
        self.state.longest.store(bytes, Ordering::SeqCst);
    }

    /// Connections that were cut because too much had come over them.
    pub fn cut_so_far(&self) -> u64 {
        self.state.cut.load(Ordering::SeqCst)
    }

    /// Loses what the server answers, on connections that it answers on.
    pub fn lose_answers(&self) {
        self.state.loses_answers.store(true, Ordering::SeqCst);
    }

    /// Pieces of answers that were lost.
    pub fn lost_so_far(&self) -> u64 {
        self.state.answers.load(Ordering::SeqCst)
    }

    /// Calls a header of requests by another name, which is as long.
    pub fn rename(&self, header: &'static str, other: &'static str) {
        assert_eq!(header.len(), other.len());
        *self.state.renamed.lock().unwrap() = Some((header, other));
    }

    /// Lets so many bytes of each connection come to the server in a second; any number if 0.
    pub fn limit(&self, bytes: u64) {
        self.state.rate.store(bytes, Ordering::SeqCst);
    }
}

impl State {
    /// Passes on what either side sends, on threads of their own.
    fn join(state: &Arc<State>, client: TcpStream, server: TcpStream) {
        let ends = [&client, &server].map(|end| end.try_clone().unwrap());
        state.connections.lock().unwrap().extend(ends);
        if state.cuts.load(Ordering::SeqCst) {
            state.end_all();
        }
        let lost = Arc::new(AtomicBool::new(false));
        let (up, down) = (Arc::clone(state), Arc::clone(state));
        let from_server = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let lost_too = Arc::clone(&lost);
        thread::spawn(move || up.pass(client, server, &lost, true));
        thread::spawn(move || down.pass(from_server.0, from_server.1, &lost_too, false));
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream, lost: &AtomicBool, up: bool) {
        let (mut bytes, mut passed) = ([0; BYTES], 0);
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let loses = !up && self.loses_answers.load(Ordering::SeqCst);
            self.answers.fetch_add(loses.into(), Ordering::SeqCst);
            if loses || self.swallows.load(Ordering::SeqCst) {
                lost.store(true, Ordering::SeqCst);
            }
            if lost.load(Ordering::SeqCst) {
                continue;
            }
            match self.rate.load(Ordering::SeqCst) {
                rate @ 1.. if up => {
                    thread::sleep(Duration::from_millis(count as u64 * 1000 / rate));
                }
                _ => {}
            }
            if up {
                self.rename(&mut bytes[..count]);
            }
            let longest = self.longest.load(Ordering::SeqCst);
            passed += count as u64;
            let cut = longest > 0 && passed > longest;
            self.cut.fetch_add(cut.into(), Ordering::SeqCst);
            if to.write_all(&bytes[..count]).is_err() || cut {
                break;
            }
        }
        // The other side may have ended it.
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    fn rename(&self, bytes: &mut [u8]) {
        let Some((header, other)) = *self.renamed.lock().unwrap() else { return };
        let found = bytes.windows(header.len()).position(|found| found == header.as_bytes());
        if let Some(at) = found {
            bytes[at..at + header.len()].copy_from_slice(other.as_bytes());
        }
    }

    fn end_all(&self) {
        for end in self.connections.lock().unwrap().drain(..) {
            // It may have ended already.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}
