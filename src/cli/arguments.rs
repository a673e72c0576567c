//! What can be said on the command line.

use std::path::PathBuf;

#[cfg(feature = "demo")]
use clap::ValueEnum;
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};

/// A sidecar proxy that keeps agents working, safely, when the tools they call change.
#[derive(Debug, Parser)]
#[command(
    name = "stipula",
    version,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 good; 1 the answer is no; 2 usage or configuration; 3 could not be reached.\n\nFirst contact:\n  stipula run --peer http://127.0.0.1:3000/mcp"
)]
pub(super) struct Arguments {
    /// Answer with JSON on stdout.
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the sidecar in front of one or more peers.
    Run(Run),
    /// Seal what a peer publishes now as a contract.
    Seal(Seal),
    /// Compare two surfaces: what changed, what it does to callers, what would carry them over.
    Diff(Diff),
    /// Score the engine on drift that people have judged.
    Evaluate(Evaluate),
    /// Check contracts: fields, hash, signature, and that they are one chain.
    Verify(Files),
    /// Tell a contract in words.
    Explain(OneFile),
    /// Check, run or explain a routine.
    #[command(subcommand)]
    Routine(Routine),
    /// How a running sidecar and its peers stand.
    Status(Admin),
    /// The drift events of a running sidecar.
    WhatDrifted(Admin),
    /// Why something happened: the records around an event.
    Why(Why),
    /// List, show and decide what waits for a person.
    #[command(subcommand)]
    Approvals(Approvals),
    /// Go back to an earlier version of a peer's contract.
    Rollback(Rollback),
    /// Show, verify or export the evidence of a state directory, offline.
    #[command(subcommand)]
    Ledger(Ledger),
    /// Check a configuration file and name every mistake.
    CheckConfig(OneFile),
    /// Watch a tool change and an agent not notice.
    #[cfg(feature = "demo")]
    Demo(Demo),
    /// Print the completions of a shell.
    Completions(Completions),
}

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  stipula run --peer http://127.0.0.1:3000/mcp\n  stipula run --peer flights=http://h1/mcp --peer hotels=http://h2/mcp\n  stipula run --config stipula.yaml --mode observe\n\nSignals: SIGTERM and SIGINT stop it once what is in flight has ended, a second one at once; SIGHUP reads\nthe configuration again."
)]
pub(super) struct Run {
    /// Configuration file (YAML); flags override it.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// A peer's URL, with a name if there are several.
    #[arg(long = "peer", value_name = "[NAME=]URL")]
    pub(super) peers: Vec<String>,
    /// Where agents connect [default: 127.0.0.1:7411; port 0 lets the system choose].
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<String>,
    /// Where people and Prometheus connect [default: 127.0.0.1:7412].
    #[arg(long, value_name = "ADDR")]
    pub(super) admin: Option<String>,
    /// What is done about what is found [default: observe until sealed, then enforce].
    #[arg(long, value_parser = PossibleValuesParser::new(["observe", "warn", "enforce"]))]
    pub(super) mode: Option<String>,
    /// When a peer's surface is sealed [default: first-use].
    #[arg(long, value_parser = PossibleValuesParser::new(["first-use", "manual"]))]
    pub(super) seal: Option<String>,
    /// The state directory [default: ./stipula-state].
    #[arg(long, value_name = "DIR")]
    pub(super) state: Option<PathBuf>,
    /// An Ed25519 private key (PKCS#8, PEM) that signs what is sealed; only its owner may read it.
    #[arg(long, value_name = "FILE")]
    pub(super) signing_key: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  stipula seal http://127.0.0.1:3000/mcp --out flights.contract.json\n  stipula seal saved-tools-list.json\n  stipula seal -- npx -y @modelcontextprotocol/server-everything\n  stipula seal http://127.0.0.1:3000/mcp --signing-key seal.key.pem\n  stipula seal --peer flights\n\nA signing key: openssl genpkey -algorithm ed25519 -out seal.key.pem && chmod 600 seal.key.pem"
)]
pub(super) struct Seal {
    /// A peer's URL, or a saved tools/list result.
    #[arg(required_unless_present_any = ["command", "peer"], conflicts_with = "peer")]
    pub(super) target: Option<String>,
    /// Tell the running sidecar to seal this peer of its own (`seal: manual`).
    #[arg(long, value_name = "NAME", conflicts_with_all = ["command", "out", "lifetime_days", "signing_key"])]
    pub(super) peer: Option<String>,
    #[command(flatten)]
    pub(super) telling: Telling,
    /// An Ed25519 private key (PKCS#8, PEM) that signs what is sealed; only its owner may read it.
    #[arg(long, value_name = "FILE")]
    pub(super) signing_key: Option<PathBuf>,
    /// Write the contract here; stdout where absent.
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Days until the contract expires.
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=30))]
    pub(super) lifetime_days: u64,
    /// A command that speaks MCP on its standard input and output.
    #[arg(last = true, value_name = "CMD")]
    pub(super) command: Vec<String>,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  stipula diff contract.json http://127.0.0.1:3000/mcp\n  stipula diff old-tools.json new-tools.json --json\n  stipula diff old.json new.json --routine heal.json\n\nExit codes: 0 compatible or additive; 1 breaking."
)]
pub(super) struct Diff {
    /// What was promised: a contract, a saved tools/list result or tool array, or a URL.
    pub(super) old: String,
    /// What is offered now: the same forms.
    pub(super) new: String,
    /// Write the changes as SARIF 2.1.0, for code scanning.
    #[arg(long, value_name = "FILE")]
    pub(super) sarif: Option<PathBuf>,
    /// Write one routine document of all proposals that may go live without a person.
    #[arg(long, value_name = "OUT")]
    pub(super) routine: Option<PathBuf>,
    /// Put the proposals that wait for a person into it too.
    #[arg(long, requires = "routine")]
    pub(super) include_review: bool,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  stipula evaluate gold.jsonl\n  stipula evaluate gold.jsonl pairs.jsonl.gz --report docs/driftbench.md\n  stipula evaluate semantic fixtures/replies --report docs/semantic-drift.md\n\nExit codes: 0 no wrong heal, no break missed (semantic: nine in ten changes found, at most one false alarm in 10,000 calls); 1 otherwise."
)]
pub(super) struct Evaluate {
    /// Judged cases, or labelled pairs: one JSON object a line, gzipped or not. The lists of tools
    /// that judged cases name are read from beside the file. Or the word `semantic`, and directories
    /// of recorded replies: changes of meaning are played, and an undisturbed life.
    #[arg(required = true)]
    pub(super) files: Vec<PathBuf>,
    /// With `semantic`: a tenth of it.
    #[arg(long)]
    pub(super) quick: bool,
    /// Write the tables as Markdown.
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  stipula verify flights.contract.json\n  stipula verify v1.json v2.json v3.json\n  stipula verify v1.json --public-key seal.pub.pem\n\nA public key: openssl pkey -in seal.key.pem -pubout -out seal.pub.pem"
)]
pub(super) struct Files {
    /// Contracts, oldest first; several are checked to be one chain.
    #[arg(required = true)]
    pub(super) files: Vec<PathBuf>,
    /// A key that is trusted: 64 hexadecimal digits or a PEM file. Given one or more, a contract
    /// that none of them signed is broken.
    #[arg(long = "public-key", value_name = "KEY")]
    pub(super) public_keys: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct OneFile {
    /// The file.
    pub(super) file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(super) enum Routine {
    /// Compile a routine and, given both surfaces, prove it.
    #[command(
        after_help = "Example:\n  stipula routine check --routine heal.json --old old.json --new new.json"
    )]
    Check(RoutineCheck),
    /// Carry one request (or, with --reply, one reply) over.
    #[command(
        after_help = "Examples:\n  echo '{\"q\":\"x\"}' | stipula routine run --routine heal.json --tool search -\n  stipula routine run --routine heal.json --tool search --reply reply.json"
    )]
    Run(RoutineRun),
    /// Tell a routine in sentences.
    Explain(RoutineFile),
}

#[derive(Args, Debug)]
pub(super) struct RoutineFile {
    /// The routine document, or a contract that holds one.
    #[arg(long, value_name = "FILE")]
    pub(super) routine: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct RoutineCheck {
    /// The routine document, or a contract that holds one.
    #[arg(long, value_name = "FILE")]
    pub(super) routine: PathBuf,
    /// What was promised.
    #[arg(long, requires = "new")]
    pub(super) old: Option<String>,
    /// What is offered now.
    #[arg(long, requires = "old")]
    pub(super) new: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct RoutineRun {
    /// The routine document, or a contract that holds one.
    #[arg(long, value_name = "FILE")]
    pub(super) routine: PathBuf,
    /// The promised tool's name.
    #[arg(long, value_name = "NAME")]
    pub(super) tool: String,
    /// Map the structured result that the peer gave, back.
    #[arg(long)]
    pub(super) reply: bool,
    /// A file with the JSON to map; `-` or nothing reads stdin.
    pub(super) input: Option<PathBuf>,
}

/// Which sidecar is asked.
#[derive(Args, Clone, Debug)]
pub(super) struct Admin {
    /// The admin listener of the sidecar.
    #[arg(
        long,
        value_name = "URL",
        env = "STIPULA_ADMIN",
        default_value = "http://127.0.0.1:7412"
    )]
    pub(super) admin: String,
}

/// Which sidecar is told, and what shows that we may.
#[derive(Args, Clone, Debug)]
pub(super) struct Telling {
    #[command(flatten)]
    pub(super) admin: Admin,
    /// A file with the admin token; else STIPULA_ADMIN_TOKEN, else the state directory's.
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// The sidecar's state directory, which holds the admin token.
    #[arg(long, value_name = "DIR", default_value = "./stipula-state")]
    pub(super) state: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct Why {
    /// An event of `stipula what-drifted`, or a record of the ledger.
    pub(super) id: uuid::Uuid,
    #[command(flatten)]
    pub(super) admin: Admin,
}

#[derive(Debug, Subcommand)]
pub(super) enum Approvals {
    /// What waits.
    List(Admin),
    /// One proposal, or a bundle of them, with all that is needed to decide.
    Show {
        /// Its id, as `list` tells it.
        id: String,
        #[command(flatten)]
        admin: Admin,
    },
    /// Let a proposal go live, or all of a bundle as one version.
    Approve(Decision),
    /// Bar a proposal, or each of a bundle, and dismiss its event.
    Deny(Decision),
}

#[derive(Args, Debug)]
pub(super) struct Decision {
    /// The id of a proposal or a bundle; a decision is bound to exactly what it names.
    pub(super) id: String,
    /// Why, for the ledger.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) telling: Telling,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  stipula rollback flights\n  stipula rollback flights --to 1.0.0"
)]
pub(super) struct Rollback {
    /// The peer's name.
    pub(super) peer: String,
    /// To which version; the one before the head where absent.
    #[arg(long, value_name = "VERSION")]
    pub(super) to: Option<String>,
    #[command(flatten)]
    pub(super) telling: Telling,
}

#[derive(Debug, Subcommand)]
pub(super) enum Ledger {
    /// Print the records, oldest first.
    Show(LedgerShow),
    /// Check every byte of a state directory or a copy of one.
    #[command(after_help = "Exit codes: 0 as it was written; 1 tampered or damaged.")]
    Verify(LedgerDir),
    /// Print the records as lines of JSON, verbatim.
    Export(LedgerDir),
}

#[derive(Args, Debug)]
pub(super) struct LedgerShow {
    /// A state directory or a copy of one.
    pub(super) dir: PathBuf,
    /// Only the newest ones.
    #[arg(long, value_name = "N")]
    pub(super) last: Option<usize>,
}

#[derive(Args, Debug)]
pub(super) struct LedgerDir {
    /// A state directory or a copy of one.
    pub(super) dir: PathBuf,
}

#[cfg(feature = "demo")]
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  stipula demo\n  stipula demo --scenario consolidation\n  stipula demo --scenario consolidation --json demo-out"
)]
pub(super) struct Demo {
    /// Which story.
    #[arg(long, value_enum, value_name = "NAME", default_value_t = Scenario::Flights)]
    pub(super) scenario: Scenario,
    /// Write what happened into this directory too.
    #[arg(id = "demo_dir", value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
}

/// The stories that can be played.
#[cfg(feature = "demo")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Scenario {
    /// A search tool changes its shape: observed first, then healed
    Flights,
    /// Eight issue tools become three: reads heal by themselves, writes wait for one approval
    Consolidation,
    /// A tool answers less than before: what can be found is mended, what is gone is named
    Reshape,
}

#[derive(Args, Debug)]
pub(super) struct Completions {
    /// Which shell.
    pub(super) shell: clap_complete::Shell,
}
