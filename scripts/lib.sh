# shellcheck shell=bash
# Shared by the scripts of this folder: builds the servers, starts and stops
# them. Sourced, never run. Expects `set -euo pipefail`.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
WORK=""            # a temporary folder, removed at the end
declare -A PID=()  # process id of each server that runs, by name
declare -A PORT=() # its port

fail() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# need PROGRAM PACKAGE: ends with a clear line if the program is missing.
need() {
  command -v "$1" >/dev/null || fail "needs the program '$1' (Debian package $2)"
}

# prepare builds the programs into WORK and has everything cleaned up at exit.
prepare() {
  need go golang
  need taskset util-linux
  trap cleanup EXIT
  trap 'exit 130' HUP INT TERM
  WORK=$(mktemp -d)
  echo "building the servers …" >&2
  (cd "$ROOT" && go build -o "$WORK/server" ./bench/server && go build -o "$WORK/idle" ./bench/idle && go build -o "$WORK/load" ./bench/load && go build -o "$WORK/floor" ./bench/floor)
  (cd "$ROOT/bench/peers" && go build -o "$WORK/peers" .)
}

# cleanup ends what was started here, and nothing else.
cleanup() {
  local name
  for name in "${!PID[@]}"; do stop "$name"; done
  [[ -z $WORK ]] || rm -rf "$WORK"
}

# first_cpus N: prints the first N CPUs that this process may use, one a line.
first_cpus() {
  local list part cpus=()
  list=$(taskset -cp $$)
  for part in $(tr ',' ' ' <<<"${list##*: }"); do
    mapfile -t -O ${#cpus[@]} cpus < <(seq "${part%-*}" "${part#*-}")
  done
  [[ ${#cpus[@]} -ge $1 ]] || fail "needs $1 CPUs and may use ${#cpus[@]}"
  printf '%s\n' "${cpus[@]:0:$1}"
}

# command_of NAME PORT: prints the command line of a server, one word a line.
command_of() {
  local addr=127.0.0.1:$2
  case $1 in
    fasthttp | nethttp) printf '%s\n' "$WORK/peers" -server "$1" -addr "$addr" ;;
    io_uring-inline | io_uring-pooled | io_uring-adaptive | epoll-inline | epoll-pooled | epoll-adaptive)
      printf '%s\n' "$WORK/server" -driver "${1%-*}" -dispatch "${1#*-}" -addr "$addr"
      ;;
    io_uring-floor | epoll-floor) printf '%s\n' "$WORK/floor" -driver "${1%-*}" -addr "$addr" ;;
    *) return 1 ;;
  esac
}

# listening PORT: true if something accepts connections there.
listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# start NAME CPU [COMMAND]: starts the server whose command line COMMAND (command_of)
# prints on a free port, pinned to the CPU (which
# GOMAXPROCS follows). Returns 1 and prints why if it does not come up.
NEXT_PORT=18080 # below the ephemeral range, so that no client's port collides
start() {
  local name=$1 cpu=$2 command=${3:-command_of} port words
  while listening "$NEXT_PORT"; do NEXT_PORT=$((NEXT_PORT + 1)); done
  port=$NEXT_PORT NEXT_PORT=$((NEXT_PORT + 1))
  mapfile -t words < <("$command" "$name" "$port")
  taskset -c "$cpu" "${words[@]}" >"$WORK/$name.log" 2>&1 &
  PID[$name]=$!
  # shellcheck disable=SC2034
  PORT[$name]=$port
  local tries
  for tries in {1..200}; do
    if ! kill -0 "${PID[$name]}" 2>/dev/null; then break; fi
    if listening "$port"; then return 0; fi
    sleep 0.05
  done
  echo "$name does not run here (after $tries looks): $(tail -n 1 "$WORK/$name.log")" >&2
  stop "$name"
  return 1
}

# stop NAME: ends a server of ours.
stop() {
  local pid=${PID[$1]:-}
  [[ -n $pid ]] || return 0
  unset "PID[$1]"
  kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}
