//! Rebuilds the program when a migration or template is added, because both are compiled into it.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=templates");
}
