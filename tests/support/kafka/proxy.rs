//! A proxy between a job and its broker.

use std::net::TcpListener;

use super::{Broker, Proxy};

impl Proxy {
    /// A proxy, and a broker that it leads to.
    pub fn with_broker() -> (Proxy, Broker) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let broker = Broker::start_behind(listener.local_addr().unwrap().port());
        (Proxy::leading(listener, broker.proxied_port()), broker)
    }
}
