//! A proxy of TCP between a job and its broker, which cuts connections, swallows what goes over
//! them, or lets little through.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::Broker;

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
    /// Bytes to the broker in a second, of each connection; any number if 0.
    rate: AtomicU64,
    /// Both ends of each connection.
    connections: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A proxy, and a broker that it leads to.
    pub fn with_broker() -> (Proxy, Broker) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let broker = Broker::start_behind(port);
        let target = broker.proxied_port();
        let state = Arc::new(State::default());
        let accepting = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming() {
                // Whoever finds no broker is cut off.
                let broker = TcpStream::connect(("127.0.0.1", target));
                if let (Ok(client), Ok(broker)) = (client, broker) {
                    State::join(&accepting, client, broker);
                }
            }
        });
        (Proxy { port, state }, broker)
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
    }

    /// Lets so many bytes of each connection come to the broker in a second; any number if 0.
    pub fn limit(&self, bytes: u64) {
        self.state.rate.store(bytes, Ordering::SeqCst);
    }
}

impl State {
    /// Passes on what either side sends, on threads of their own.
    fn join(state: &Arc<State>, client: TcpStream, broker: TcpStream) {
        let ends = [&client, &broker].map(|end| end.try_clone().unwrap());
        state.connections.lock().unwrap().extend(ends);
        if state.cuts.load(Ordering::SeqCst) {
            state.end_all();
        }
        let lost = Arc::new(AtomicBool::new(false));
        let (up, down) = (Arc::clone(state), Arc::clone(state));
        let from_broker = (broker.try_clone().unwrap(), client.try_clone().unwrap());
        let lost_too = Arc::clone(&lost);
        thread::spawn(move || up.pass(client, broker, &lost, true));
        thread::spawn(move || down.pass(from_broker.0, from_broker.1, &lost_too, false));
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream, lost: &AtomicBool, limited: bool) {
        let mut bytes = [0; BYTES];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            if self.swallows.load(Ordering::SeqCst) {
                lost.store(true, Ordering::SeqCst);
            }
            if lost.load(Ordering::SeqCst) {
                continue;
            }
            match self.rate.load(Ordering::SeqCst) {
                rate @ 1.. if limited => {
                    thread::sleep(Duration::from_millis(count as u64 * 1000 / rate));
                }
                _ => {}
            }
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        // The other side may have ended it.
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    fn end_all(&self) {
        for end in self.connections.lock().unwrap().drain(..) {
            // It may have ended already.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}
