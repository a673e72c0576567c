//! Bad files with the exact words that are told, and the example with its defaults.

use super::load::parse;
use super::raw::Raw;
use super::{ConfigError, Flags, PeerFlag, load, schema};

fn told(text: &str) -> String {
    parse("bad.yaml", text).map(|_| ()).unwrap_err().to_string()
}

const PEER: &str = "peers: { flights: { url: \"http://127.0.0.1:3000/mcp\" } }\n";

#[test]
fn every_fault_is_told_with_its_place_and_what_would_be_right() {
    for (text, expected) in [
        (
            format!("proxy:\n  lisen: 127.0.0.1:7411\n{PEER}"),
            "bad.yaml:2:3: `proxy` has no key `lisen`; did you mean `listen`?\n2 |   lisen: 127.0.0.1:7411\n  |   ^",
        ),
        (
            format!("proxy: {{ listen: here }}\n{PEER}"),
            "bad.yaml:1:18: expected an address and port such as `127.0.0.1:7411`, got `here`\n1 | proxy: { listen: here }\n  |                  ^",
        ),
        (
            "peers:\n  flights:\n    url: ftp://h/mcp\n    mode: enforc\n".to_owned(),
            "bad.yaml:4:11: `mode`: expected `observe`, `warn`, `enforce`, got `enforc`; did you mean `enforce`?\n4 |     mode: enforc\n  |           ^",
        ),
        (
            "peers:\n  flights:\n    url: ftp://h/mcp\n".to_owned(),
            "bad.yaml:3:10: expected an absolute http or https URL such as `http://127.0.0.1:3000/mcp`, got the scheme `ftp`\n3 |     url: ftp://h/mcp\n  |          ^",
        ),
        (
            "peers:\n  flights: { mode: warn }\n".to_owned(),
            "bad.yaml:2:12: `flights`: the key `url` is missing\n2 |   flights: { mode: warn }\n  |            ^",
        ),
        (
            format!("limits: {{ depth: deep, nodes: 0 }}\n{PEER}"),
            "bad.yaml:1:18: `depth`: expected a whole number, got `deep`\n1 | limits: { depth: deep, nodes: 0 }\n  |                  ^\nbad.yaml:1:31: `nodes`: expected at least 1, got 0\n1 | limits: { depth: deep, nodes: 0 }\n  |                               ^",
        ),
        (
            String::new(),
            "bad.yaml: expected at least one peer; write `peers: { NAME: { url: URL } }`, or give --peer URL",
        ),
        (
            format!(
                "proxy: {{ listen: \"127.0.0.1:9\" }}\nadmin: {{ listen: \"127.0.0.1:9\" }}\n{PEER}"
            ),
            "bad.yaml:2:18: expected another address than `proxy.listen`, got `127.0.0.1:9` for both\n2 | admin: { listen: \"127.0.0.1:9\" }\n  |                  ^",
        ),
    ] {
        assert_eq!(told(&text), expected, "\n{text}");
    }
}

#[test]
fn text_that_is_no_yaml_is_told_with_its_line() {
    let text = told("proxy: {\nadmin: ]\n");
    assert!(text.starts_with("bad.yaml:1:8: "), "{text}");
    assert!(text.contains("this is not YAML: "), "{text}");
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    let text = told("admin: {}\nadmin: {}\n");
    assert!(text.starts_with("bad.yaml:2:1: "), "{text}");
}

#[test]
fn flags_alone_make_a_sidecar() {
    let flags = Flags {
        peers: vec![PeerFlag::of("http://127.0.0.1:3000/mcp")],
        listen: Some("127.0.0.1:0".to_owned()),
        ..Flags::default()
    };
    let settings = load(&flags).unwrap();
    assert_eq!(settings.peers[0].id.as_str(), "peer");
    assert_eq!(settings.control.peers[0].identity, "http://127.0.0.1:3000");
    assert_eq!(settings.listen.listen.port(), 0);
}

#[test]
fn a_fault_in_a_flag_names_the_flag() {
    let flags = Flags {
        peers: vec![PeerFlag::of("flights=127.0.0.1:3000")],
        admin: Some("nowhere".to_owned()),
        ..Flags::default()
    };
    let ConfigError::Faults(faults) = load(&flags).unwrap_err() else { panic!() };
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(told[0].starts_with("--admin: expected an address and port"), "{told:?}");
    assert!(told[1].starts_with("--peer: expected an absolute http or https URL"), "{told:?}");
}

#[test]
fn a_url_is_not_repeated_when_it_carries_a_credential() {
    let text = told("peers: { a: { url: \"http://user:secret@h/mcp\" } }");
    assert!(text.contains("without a user or password in it"), "{text}");
}

fn example() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/stipula.example.yaml");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_example_says_the_defaults_and_nothing_else() {
    let (mut raw, _) = parse("example", &example()).unwrap();
    let peer = raw.peers.remove("flights").unwrap();
    assert!(raw.peers.is_empty());
    assert_eq!(raw, Raw::default());
    let mut tools = peer.tools.clone();
    assert_eq!(tools.remove("book_flight"), Some(Default::default()));
    assert_eq!(super::raw::Peer { tools, ..peer.clone() }, super::raw::Peer::at(peer.url));
}

#[test]
fn every_key_of_the_schema_stands_in_the_example() {
    let example = example();
    let mut missing = Vec::new();
    let schema = schema();
    let mut open = vec![&schema];
    while let Some(part) = open.pop() {
        if let Some(properties) = part.get("properties").and_then(|p| p.as_object()) {
            missing.extend(properties.keys().filter(|key| !example.contains(&format!("{key}:"))));
        }
        open.extend(part.as_object().into_iter().flat_map(|members| members.values()));
    }
    assert_eq!(missing, Vec::<&String>::new());
}
