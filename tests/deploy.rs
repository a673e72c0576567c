//! Holds the deployment files to the program: each flag, key, port and probe that they name exists.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

const PROXY_PORT: u64 = 7411;
const ADMIN_PORT: u64 = 7412;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn file(name: &str) -> String {
    std::fs::read_to_string(root().join("deploy").join(name)).unwrap()
}

/// The documents of a YAML file.
fn yaml(name: &str) -> Vec<Value> {
    let text = file(name);
    text.split("\n---\n").map(|part| serde_saphyr::from_str(part).unwrap()).collect()
}

fn kind(name: &str) -> Value {
    yaml("kubernetes.yaml").into_iter().find(|document| document["kind"] == name).unwrap()
}

fn stipula(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stipula"));
    command.args(arguments).env_remove("STIPULA_ADMIN");
    command
}

/// The flags that a command's help names.
fn flags_of(command: &str) -> BTreeSet<String> {
    let help = stipula(&[command, "--help"]).output().unwrap();
    assert!(help.status.success(), "{command} is no command");
    let help = String::from_utf8(help.stdout).unwrap();
    let is_flag = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
    help.split(is_flag).filter(|word| word.starts_with("--")).map(str::to_owned).collect()
}

/// Holds the words behind `stipula` to be a command with flags that it has.
fn hold(place: &str, words: &[&str]) {
    let known = flags_of(words[0]);
    for flag in words[1..].iter().filter(|word| word.starts_with('-')) {
        assert!(known.contains(*flag), "{place}: `{}` has no {flag}", words[0]);
    }
}

fn words(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

/// Every configuration that a deployment file carries, by where it stands.
fn configurations() -> Vec<(&'static str, String)> {
    let compose = yaml("compose.yaml").remove(0);
    let map = kind("ConfigMap");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    vec![
        ("compose.yaml", text(&compose["configs"]["stipula"]["content"])),
        ("kubernetes.yaml", text(&map["data"]["stipula.yaml"])),
    ]
}

fn written(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join("stipula.yaml");
    std::fs::write(&path, text).unwrap();
    path
}

/// A sidecar with a configuration of a deployment file, on ports of its own.
struct Sidecar {
    process: Child,
    admin: String,
    _dir: tempfile::TempDir,
}

impl Sidecar {
    fn start(configuration: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), configuration);
        let (path, state) = (path.to_str().unwrap(), dir.path().join("state"));
        let any = "127.0.0.1:0";
        let mut command = stipula(&["run", "--config", path, "--listen", any, "--admin", any]);
        let mut process = command.arg("--state").arg(state).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("listening ") {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "it ended before it listened");
        }
        std::thread::spawn(move || said.read_to_string(&mut String::new()));
        let admin = line.trim().split("admin=").nth(1).unwrap().to_owned();
        Self { process, admin, _dir: dir }
    }

    fn status(&self, path: &str) -> u16 {
        let mut stream = TcpStream::connect(&self.admin).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn every_configuration_is_one_that_the_program_takes() {
    for (place, text) in configurations() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), &text);
        let checked = stipula(&["check-config", path.to_str().unwrap()]).output().unwrap();
        let said = String::from_utf8_lossy(&checked.stderr).into_owned()
            + &String::from_utf8_lossy(&checked.stdout);
        assert!(checked.status.success(), "{place}: {said}");
    }
}

#[test]
fn the_pod_is_hardened_and_names_what_exists() {
    let pod = kind("Pod");
    let sidecar = &pod["spec"]["initContainers"][0];
    assert_eq!(sidecar["restartPolicy"], "Always");
    hold("kubernetes.yaml", &words(&sidecar["args"]));
    let context = &sidecar["securityContext"];
    for (key, expected) in [
        ("runAsNonRoot", Value::Bool(true)),
        ("readOnlyRootFilesystem", Value::Bool(true)),
        ("allowPrivilegeEscalation", Value::Bool(false)),
        ("runAsUser", 65532.into()),
    ] {
        assert_eq!(context[key], expected, "{key}");
    }
    assert_eq!(context["capabilities"]["drop"][0], "ALL");
    assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
    let agent = &pod["spec"]["containers"][0]["securityContext"];
    assert_ne!(agent["runAsUser"], context["runAsUser"], "the agent could read the admin token");

    let volumes: BTreeSet<&str> = pod["spec"]["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|v| v["name"].as_str())
        .collect();
    for mount in sidecar["volumeMounts"].as_array().unwrap() {
        assert!(volumes.contains(mount["name"].as_str().unwrap()), "{mount}");
    }
    let claimed = &pod["spec"]["volumes"][1]["persistentVolumeClaim"]["claimName"];
    assert_eq!(claimed, &kind("PersistentVolumeClaim")["metadata"]["name"]);
}

#[test]
fn the_probes_are_answered_and_can_reach_the_listener() {
    let pod = kind("Pod");
    let sidecar = &pod["spec"]["initContainers"][0];
    let (_, text) = configurations().remove(1);
    let configured: Value = serde_saphyr::from_str(&text).unwrap();
    // Loopback would not be reached by kubelet.
    assert_eq!(configured["admin"]["listen"], format!("0.0.0.0:{ADMIN_PORT}"));
    assert_eq!(sidecar["ports"][0]["containerPort"], ADMIN_PORT);
    let name = &sidecar["ports"][0]["name"];
    let running = Sidecar::start(&text);
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let get = &sidecar[probe]["httpGet"];
        assert_eq!(&get["port"], name, "{probe}");
        assert_eq!(running.status(get["path"].as_str().unwrap()), 200, "{probe}");
    }
    assert_eq!(running.status("/nothing"), 404);
}

#[test]
fn the_compose_file_names_what_exists() {
    let compose = yaml("compose.yaml").remove(0);
    let service = &compose["services"]["stipula"];
    hold("compose.yaml", &words(&service["command"]));
    let health = words(&service["healthcheck"]["test"]);
    assert_eq!(health[..2], ["CMD", "/stipula"]);
    hold("compose.yaml", &health[2..]);
    assert_eq!(service["read_only"], true);
    assert_eq!(service["cap_drop"][0], "ALL");
    assert_eq!(words(&service["ports"]), [format!("127.0.0.1:{PROXY_PORT}:{PROXY_PORT}")]);
    let build = &service["build"];
    let context = root().join("deploy").join(build["context"].as_str().unwrap());
    assert!(context.join(build["dockerfile"].as_str().unwrap()).is_file());
}

#[test]
fn the_image_is_small_and_made_of_what_is_there() {
    let text = file("Containerfile").replace("\\\n", " ");
    let of = |word: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
        lines.map(|rest| rest.trim().to_owned()).collect()
    };
    let stages = of("FROM");
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let minimum = manifest.split("rust-version = \"").nth(1).unwrap().split('"').next().unwrap();
    assert!(stages[0].contains(&format!("rust:{minimum}-")), "{} is not {minimum}", stages[0]);
    assert_eq!(stages.last().unwrap(), "scratch");
    assert_eq!(of("USER"), ["65532:65532"]);
    assert_eq!(of("VOLUME"), ["[\"/state\"]"]);
    assert_eq!(of("EXPOSE"), [format!("{PROXY_PORT} {ADMIN_PORT}")]);
    for copied in of("COPY").iter().filter(|copied| !copied.starts_with("--")) {
        let mut sources: Vec<&str> = copied.split(' ').collect();
        sources.pop();
        for source in sources {
            assert!(root().join(source).exists(), "COPY {source}");
        }
    }
    let command: Value = serde_json::from_str(&of("CMD")[0]).unwrap();
    hold("Containerfile", &words(&command));
    let compose = yaml("compose.yaml").remove(0);
    assert_eq!(command, compose["services"]["stipula"]["command"]);
}

#[test]
fn the_unit_starts_what_exists_and_is_hardened() {
    let text = file("stipula.service");
    let (mut section, mut keys) = (String::new(), Vec::new());
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => section = name.to_owned(),
            None => {
                let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{line}"));
                keys.push((section.clone(), key, value));
            }
        }
    }
    let one = |key: &str| -> &str {
        let mut found = keys.iter().filter(|(section, k, _)| section == "Service" && *k == key);
        found.next().unwrap_or_else(|| panic!("no {key}")).2
    };
    for key in ["ExecStartPre", "ExecStart"] {
        let command: Vec<&str> = one(key).split(' ').collect();
        assert_eq!(command[0], "/usr/local/bin/stipula");
        hold("stipula.service", &command[1..]);
    }
    assert!(one("ExecStart").ends_with(&format!("--state %S/{}", one("StateDirectory"))));
    for (key, value) in [
        ("DynamicUser", "yes"),
        ("ProtectSystem", "strict"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("MemoryDenyWriteExecute", "yes"),
    ] {
        assert_eq!(one(key), value, "{key}");
    }
}

#[test]
fn the_ports_are_the_defaults_of_the_program() {
    let help = stipula(&["run", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for port in [PROXY_PORT, ADMIN_PORT] {
        assert!(help.contains(&format!("127.0.0.1:{port}")), "{port} is not in {help}");
    }
}
