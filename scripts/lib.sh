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

# require_package PACKAGE: for packages without a program of their own.
require_package() { dpkg -s "$1" >/dev/null 2>&1 || missing+=("$1"); }

require_postgres() { postgres_programs >/dev/null || missing+=(postgresql); }

# Services of Debian packages that the tests use. Running, they would take the ports of LDAP or SMB.
unwanted_services=(slapd smbd nmbd winbind samba-ad-dc lemonldap-ng-fastcgi-server)
# Units of systemd without an init script.
unwanted_units=(liblemonldap-ng-{handler,portal}-perl.{service,timer})

# Installs the packages in `missing`, if there are any. Their services do not start, neither now nor
# with the machine: the tests run servers of their own.
install_missing() {
  if [ ${#missing[@]} = 0 ]; then return; fi
  echo "installing ${missing[*]}" >&2
  local service unit new_services=() new_units=()
  for service in "${unwanted_services[@]}"; do
    [ -e "/etc/init.d/$service" ] || new_services+=("$service")
  done
  for unit in "${unwanted_units[@]}"; do
    [ -e "/lib/systemd/system/$unit" ] || new_units+=("$unit")
  done
  as_root apt-get update -qq
  without_starting_services \
    env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
  for service in "${new_services[@]}"; do
    if [ -e "/etc/init.d/$service" ]; then as_root update-rc.d "$service" disable; fi
  done
  for unit in "${new_units[@]}"; do
    if [ -e "/lib/systemd/system/$unit" ] && command -v systemctl >/dev/null; then
      as_root systemctl --quiet disable "$unit"
    fi
  done
  missing=()
}

# Runs a command as root while a policy denies packages to start services. A policy that exists
# stays.
without_starting_services() (
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  as_root "$@"
)
