//! A real browser without a window: Chromium, led by chromedriver over WebDriver.

use std::fs::{self, File};
use std::future::Future;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::error::CmdError;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::support::binary::wait_for;

/// How long a browser may take to close; then it is left to its driver.
const CLOSING: Duration = Duration::from_secs(10);

/// A browser that shows one page. It and its driver are stopped when it is forgotten.
pub struct Browser {
    runtime: Runtime,
    client: Client,
    /// The address that takes the commands of this session.
    session: String,
    _driver: Driver,
}

impl Browser {
    /// Starts it, and opens the page at `address`.
    pub fn open(address: &str) -> Browser {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (driver, at) = Driver::start();
        let profile = format!("--user-data-dir={}", driver.home.path().join("profile").display());
        let capabilities = json!({
            "goog:chromeOptions": { "args": [
                "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                "--window-size=1440,1000", profile,
            ] },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities.as_object().unwrap().clone());
        let client = runtime.block_on(builder.connect(&at)).unwrap();
        let id = runtime.block_on(client.session_id()).unwrap().unwrap();
        let session = format!("{at}/session/{id}");
        let browser = Browser { runtime, client, session, _driver: driver };
        browser.go(address);
        browser
    }

    /// Opens the page at `address`, and waits until it is loaded.
    pub fn go(&self, address: &str) {
        self.wait(self.client.goto(address));
    }

    /// What a script returns, which runs as the body of a function.
    pub fn ask(&self, script: &str) -> Value {
        self.wait(self.client.execute(script, Vec::new()))
    }

    /// Chooses an option of a `select` by its value.
    pub fn choose(&self, select: &str, value: &str) {
        self.wait(async {
            self.client.find(Locator::Css(select)).await?.select_by_value(value).await
        });
    }

    /// Types a text into an empty field, and Enter.
    pub fn enter(&self, field: &str, text: &str) {
        self.wait(async {
            let field = self.client.find(Locator::Css(field)).await?;
            field.clear().await?;
            field.send_keys(&format!("{text}\u{e007}")).await
        });
    }

    /// Has media queries find such a `prefers-color-scheme`.
    pub fn prefer(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.command("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Makes the page this wide, and as high as all of it.
    pub fn widen(&self, width: u64) {
        let resize = |height: u64| {
            let size = json!({
                "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
            });
            self.command("Emulation.setDeviceMetricsOverride", &size);
        };
        resize(1000);
        let height = self.ask("return document.documentElement.scrollHeight");
        resize(height.as_u64().unwrap());
    }

    /// Writes a picture of the page as it is.
    pub fn picture(&self, file: &Path) {
        fs::write(file, self.wait(self.client.screenshot())).unwrap();
    }

    /// Errors on the console since they were asked for last.
    pub fn errors(&self) -> Vec<String> {
        let entries = self.post("se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().unwrap().iter();
        let errors = entries.filter(|entry| entry["level"] == "SEVERE");
        errors.map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    fn wait<T>(&self, done: impl Future<Output = Result<T, CmdError>>) -> T {
        self.runtime.block_on(done).unwrap_or_else(|error| panic!("the browser says: {error}"))
    }

    /// A command of Chromium's own protocol.
    fn command(&self, command: &str, parameters: &Value) {
        self.post("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    /// What is no part of WebDriver is asked of the driver itself.
    fn post(&self, path: &str, body: &Value) -> Value {
        let request = ureq::post(format!("{}/{path}", self.session));
        let request = request.header("content-type", "application/json");
        let text = request.send(body.to_string()).unwrap().body_mut().read_to_string().unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["value"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let closed = self.client.clone().close();
        // One that does not close must not hold up what the test has to say.
        let _ = self.runtime.block_on(async { tokio::time::timeout(CLOSING, closed).await });
    }
}

/// A chromedriver at work, with a directory of its own.
struct Driver {
    child: Child,
    home: TempDir,
}

impl Driver {
    /// Starts one on a free port, and says its address.
    fn start() -> (Driver, String) {
        let home = TempDir::new().unwrap();
        let said = home.path().join("said");
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdin(Stdio::null());
        command.stdout(File::create(&said).unwrap()).stderr(Stdio::null());
        let child = command.spawn().expect("scripts/need.sh chromium chromedriver");
        let driver = Driver { child, home };
        let port = wait_for("chromedriver", || {
            let said = fs::read_to_string(&said).unwrap();
            let (_, port) = said.split_once("successfully on port ")?;
            port.split_once('.').map(|(port, _)| port.to_owned())
        });
        (driver, format!("http://127.0.0.1:{port}"))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
