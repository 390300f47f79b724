# shellcheck shell=bash
#
# Functions that the scripts share. A script sources this file after changing to the repository
# root.

# Runs a command as root, with sudo if the current user is not root.
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Prints the folder of the newest PostgreSQL programs. They are usually not on the PATH. The tests
# search in the same order (tests/it/support/postgres.rs).
postgres_programs() {
  local folder
  for folder in ${PATH//:/ } $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -r); do
    if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ]; then
      echo "$folder"
      return
    fi
  done
  return 1
}

# Debian packages that `install_missing` installs.
missing=()

# require_program PROGRAM [PACKAGE ..]: adds the packages to `missing` if the program is not on the
# PATH. Without packages, the package has the name of the program.
require_program() {
  local program=$1
  shift
  command -v "$program" >/dev/null || missing+=("${@:-$program}")
}

require_postgres() { postgres_programs >/dev/null || missing+=(postgresql); }

# Installs the packages in `missing`, if there are any.
install_missing() {
  if [ ${#missing[@]} = 0 ]; then return; fi
  echo "installing ${missing[*]}" >&2
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
  missing=()
}
