# Recipes for contributors: https://just.systems

[private]
default:
    @just --list --unsorted

# Fetch the dependencies; rustup installs the toolchain
setup:
    cargo fetch --locked
    cargo fetch --locked --manifest-path fuzz/Cargo.toml

# Format, lints, unit tests and integration tests on SQLite: no root, nothing installed
check:
    cargo fmt --check
    cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
    cargo test --locked --workspace --all-features --lib
    cargo test --locked --all-features --test it -- case_2_sqlite --skip process:: --skip resilience:: --skip web::browser --skip upgrade::

# The whole test suite; installs what is missing on Debian, as root or with sudo
test:
    scripts/test

# The measurements of the performance page, or `just bench micro`
bench *arguments:
    scripts/bench {{ arguments }}

# An hour of injected faults, and sign-ins through LemonLDAP::NG, as root; `just soak FILTER` runs the tests whose names match
soak *arguments:
    scripts/soak {{ arguments }}

# Fuzz every target, or `just fuzz SECONDS TARGET...`
fuzz *arguments:
    scripts/fuzz {{ arguments }}
