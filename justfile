# Every verb is one cargo command, which works without just, too.

# What there is.
default:
    @just --list --unsorted

# Builds the kernel, boots three VMs, opens the SQL shell.
up *ARGS:
    cargo run -- up {{ARGS}}

# How the nodes are.
status *ARGS:
    cargo run -- status {{ARGS}}

# The SQL shell of the running cluster, or a statement: just sql -c 'SELECT 1'.
sql *ARGS:
    cargo run -- sql {{ARGS}}

# Breaks something, or mends it: just fault kill 1.
fault *ARGS:
    cargo run -- fault {{ARGS}}

# What the nodes print.
logs *ARGS:
    cargo run -- logs {{ARGS}}

# Stops the cluster; with --wipe, removes its data.
down *ARGS:
    cargo run -- down {{ARGS}}

# All tests: units, properties, simulation, whole VMs, clients.
test *ARGS:
    cargo test {{ARGS}}

# Whole clusters in one process, from a seed, with faults: just sim --seeds 1000.
sim *ARGS:
    cargo run --release -- sim {{ARGS}}

# The stories of whole clusters, with what they measure.
vm *ARGS:
    cargo test -p tests-vm -- --nocapture {{ARGS}}

# What befalls clusters under load, and how long clients are without service: just failover --list, --repeats 5.
failover *ARGS:
    cargo run -q -p tests-failover --example failover -- {{ARGS}}

# What Postgres clients expect.
conformance:
    cargo test -p tests-conformance -- --nocapture

# Programs as users write them, compiled to WebAssembly and run by a node.
programs:
    cargo test -p tests-programs

# The same SQL for Relix and a real PostgreSQL, side by side; `record` writes PostgreSQL's answers into scripts.
differential *ARGS:
    cargo run -p tests-conformance --example differential -- {{ARGS}}

# Random SQL for both, from a seed: just random --seed 7 --without windows; --help lists features.
random *ARGS:
    cargo run -p tests-conformance --example random -- {{ARGS}}

# Any bytes for whatever reads what cannot be trusted, guided by coverage: just fuzz tree-block 60; alone, lists.
fuzz *ARGS:
    tests/fuzz/run {{ARGS}}

# The rules of the tree.
tidy:
    cargo test -p tests-tidy

# How fast it is; --quick for a first look.
bench *ARGS:
    cargo bench -p tests-bench -- {{ARGS}}

# The kernel alone.
kernel:
    cargo build -p kernel-main --profile kernel

# Whether everything compiles.
check:
    cargo check --all-targets

# Lints; warnings are errors.
clippy:
    cargo clippy --all-targets -- -D warnings

# Formats the sources.
fmt:
    cargo fmt
