//! Tells the linker to put together what runs: the functions that `text.ld` names.
//!
//! The system maps code in pieces of 64 KiB around each page that runs. Scattered over 20 MiB, the
//! 3 MiB that a sidecar runs in its life make most of the program resident (docs/adr/0009). A name
//! that no longer exists matches nothing; `trace.py` beside this file writes the list again.
//!
//! Never here: code that is generated, or anything that changes what the program does.
#![allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=deploy/layout/text.ld");
    let told = |name: &str| std::env::var(name).unwrap_or_default();
    // mold takes no such list. Other linkers of Linux do.
    let mold =
        told("CARGO_ENCODED_RUSTFLAGS").contains("mold") || told("RUSTC_LINKER").contains("mold");
    if told("PROFILE") == "release" && told("CARGO_CFG_TARGET_OS") == "linux" && !mold {
        let list = Path::new(&told("CARGO_MANIFEST_DIR")).join("deploy/layout/text.ld");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", list.display());
    }
}
