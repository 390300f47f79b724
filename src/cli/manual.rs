//! `tokenward man`: the manual page.

use super::output;

/// Prints the manual page with all commands.
pub(super) fn run(command: clap::Command) -> anyhow::Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    output::print(format_args!("{}", String::from_utf8_lossy(&page)))
}
