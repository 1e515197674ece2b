#!/bin/sh
# The secrets that compose.yaml mounts, in the folder `secrets` beside it. What is there already stays as it is.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets

# A container's user reads these files under its own id, so they are open; the folder is closed.
keep() {
  if [ ! -e "secrets/$1" ]; then
    printf '%s\n' "$2" >"secrets/$1.new"
    chmod 444 "secrets/$1.new"
    mv "secrets/$1.new" "secrets/$1"
  fi
}

random() {
  od -A n -N 32 -t x1 /dev/urandom | tr -d ' \n'
}

keep database_password "$(random)"
keep database_url "postgresql://bugrelay:$(cat secrets/database_password)@postgres/bugrelay"
keep secret_key "$(random)"
keep encryption_keys "$(random)"
keep pgadmin_password "$(random)"
