//! Three official clients behind one face: what they were told, as JSON.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rmcp::model::{CallToolRequestParams, ClientConfig, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _, RunningService, ServiceError};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::{RoleClient, model::Tool};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::children::node;

/// How long one answer may take; a held call waits two seconds.
const ANSWER: Duration = Duration::from_secs(20);
/// The revision of the modern era.
pub(crate) const MODERN: &str = "2026-07-28";

/// A connected client.
pub(crate) trait Agent {
    /// The names of the tools it is shown.
    fn list(&mut self) -> Vec<Value>;
    /// What it is told of a call: `{"result":…}` or `{"error":{code,message}}`.
    fn call(&mut self, tool: &str, arguments: Value) -> Value;
}

/// A client in a process of its own, told what to do line by line.
pub(crate) struct Scripted {
    child: Child,
    asks: ChildStdin,
    told: Receiver<String>,
}

impl Scripted {
    /// The official TypeScript client.
    pub(crate) fn typescript(home: &Path, url: &str, era: &str) -> Self {
        Self::start(node(home, "client.mjs").args([url, era]))
    }

    /// The official Python client.
    pub(crate) fn python(home: &Path, url: &str, era: &str) -> Self {
        let mut command = Command::new(home.join(".venv/bin/python"));
        Self::start(command.arg(home.join("client.py")).args([url, era]))
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, told) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let asks = child.stdin.take().unwrap();
        let scripted = Self { child, asks, told };
        assert_eq!(scripted.next(), json!({ "result": "ready" }));
        scripted
    }

    fn next(&self) -> Value {
        let line = self.told.recv_timeout(ANSWER).expect("the client answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    fn ask(&mut self, what: &Value) -> Value {
        writeln!(self.asks, "{what}").unwrap();
        self.next()
    }
}

impl Agent for Scripted {
    fn list(&mut self) -> Vec<Value> {
        let told = self.ask(&json!({ "list": {} }));
        told["result"]["tools"].as_array().unwrap_or_else(|| panic!("{told}")).clone()
    }

    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.ask(&json!({ "call": { "name": tool, "arguments": arguments } }))
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The official Rust client, in this process.
pub(crate) struct Rmcp {
    client: RunningService<RoleClient, ClientConfig>,
    runtime: Runtime,
}

impl Rmcp {
    /// Connects.
    pub(crate) fn connect(url: &str, era: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let mode = match era {
            MODERN => ClientLifecycleMode::Discover {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            },
            _ => ClientLifecycleMode::Initialize,
        };
        let transport = || StreamableHttpClientTransport::from_uri(url.to_owned());
        let connected = runtime.block_on(async {
            ClientConfig::default().serve_with_lifecycle(transport(), mode).await
        });
        Self { client: connected.unwrap(), runtime }
    }
}

impl Agent for Rmcp {
    fn list(&mut self) -> Vec<Value> {
        let tools: Vec<Tool> = self.runtime.block_on(self.client.list_all_tools()).unwrap();
        tools.iter().map(|tool| json!(tool)).collect()
    }

    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let call = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let told = self
            .runtime
            .block_on(async { tokio::time::timeout(ANSWER, self.client.call_tool(call)).await });
        match told.expect("the client answers") {
            Ok(result) => json!({ "result": result }),
            Err(ServiceError::McpError(error)) => json!({ "error": error }),
            Err(error) => json!({ "error": { "code": null, "message": error.to_string() } }),
        }
    }
}
