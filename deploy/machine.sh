#!/usr/bin/env bash
# Add this machine to a Ray cluster with token authentication.
#
#   deploy/machine.sh head                 on the first machine; prints the commands for the others
#   deploy/machine.sh join HOST:6379       on each of the others
#
# Then, on any of them: exeunt sweep FILE --address auto --storage DIR, where DIR is a directory that all machines share
# or an s3:// URI. All machines need the same token in $RAY_AUTH_TOKEN_PATH (default: ~/.ray/auth_token).
set -euo pipefail

export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH=${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}
port=${PORT:-6379}

case "${1:-}" in
  head)
    if [[ ! -s $RAY_AUTH_TOKEN_PATH ]]; then
      mkdir -p "$(dirname "$RAY_AUTH_TOKEN_PATH")"
      (umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$RAY_AUTH_TOKEN_PATH")
    fi
    echo "Copy $RAY_AUTH_TOKEN_PATH to the other machines and run there: deploy/machine.sh join $(hostname -I | cut -d' ' -f1):$port"
    echo "On every machine: export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$RAY_AUTH_TOKEN_PATH"
    exec ray start --head --port="$port" --disable-usage-stats --block "${@:2}"
    ;;
  join)
    if [[ ! -s $RAY_AUTH_TOKEN_PATH ]]; then
      echo "no token in $RAY_AUTH_TOKEN_PATH; copy the file from the head node" >&2
      exit 2
    fi
    exec ray start --address="${2:?missing address of the cluster; run deploy/machine.sh join HOST:6379}" --disable-usage-stats --block "${@:3}"
    ;;
  *)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
