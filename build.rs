//! Migrations and templates are part of the program: one that is added must make it anew.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=templates");
}
