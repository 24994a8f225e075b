# Brings what a command needs: npm packages here, redis-server where need_redis is called, other tools with want.
# start.sh and test.sh source this file; `sh scripts/setup.sh` installs the packages only.
# It is plain POSIX sh, because a fresh clone has nothing else to run.

set -eu
cd "$(dirname "$0")/.."
root=$(pwd -P)

say () { printf 'assent: %s\n' "$*" >&2; }
stop () { say "$@"; exit 1; }
has () { command -v "$1" >/dev/null 2>&1; }

# The machine's own path: a half-installed node_modules/.bin/node must not be what repairs it.
machine_path=$(printf '%s\n' "$PATH" | tr ':' '\n' | grep -vxF "$root/node_modules/.bin" | paste -sd : -)

packages_installed () {
  case $(node_modules/.bin/node --version 2>/dev/null) in
    v24.*) PATH=$machine_path node scripts/installed.mjs ;;
    *) return 1 ;;
  esac
}

# One `npm ci` at a time. The lock is a link that names its process, so a dead owner is noticed.
take_turn () {
  turn=.npm-ci.lock
  waited_seconds=0
  [ -w . ] || stop "cannot write to $root"
  until ln -s "$$" "$turn" 2>/dev/null; do
    owner=$(readlink "$turn" 2>/dev/null || true)
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
      rm -f "$turn"
      continue
    fi
    [ "$waited_seconds" -gt 0 ] || say "waiting for another npm ci (process ${owner:-unknown})…"
    [ "$waited_seconds" -lt 600 ] || stop "npm ci of process ${owner:-unknown} has not ended; if it is not running, remove $root/$turn"
    sleep 1
    waited_seconds=$((waited_seconds + 1))
  done
}

install_packages () {
  [ ! -L node_modules ] || stop 'node_modules is a link, which npm would empty; remove it'
  packages_installed && return
  has npm || stop 'npm is needed: install Node.js 20 or newer with npm, see https://nodejs.org'
  (
    take_turn
    trap 'rm -f "$turn"' EXIT
    trap 'exit 1' HUP INT TERM
    ! packages_installed || exit 0
    say 'installing npm packages (about a minute)…'
    PATH=$machine_path npm ci --include=dev --include=optional --no-audit --no-fund --loglevel=error >&2
  ) || stop 'npm ci failed, see above; run the command again once that is solved'
  packages_installed || stop 'npm ci has ended, but Node 24 or another package is missing in node_modules; try `npm rebuild node`'
}

as_root () {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

redis_advice='install Redis 7 or newer so that redis-server is on the PATH (Debian, Ubuntu: sudo apt-get install redis-server; macOS: brew install redis)'

# Debian's package starts a server on port 6379 that nobody asked for: policy-rc.d says no to that.
apt_redis='
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap "rm -f $policy" EXIT
    trap "exit 1" HUP INT TERM
    printf "#!/bin/sh\nexit 101\n" > "$policy"
    chmod 755 "$policy"
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update || true
  apt-get -q -y -o DPkg::Lock::Timeout=120 --no-install-recommends install redis-server
  if [ -d /run/systemd/system ]; then systemctl disable redis-server; fi
'

install_redis () {
  if has brew && [ "$(id -u)" -ne 0 ]; then
    say 'installing redis with brew…'
    brew install redis >&2
  elif ! as_root true 2>/dev/null; then
    return 1
  elif has apt-get; then
    say 'installing redis-server with apt-get…'
    as_root sh -ec "$apt_redis" >&2
  elif has apk; then
    say 'installing redis with apk…'
    as_root apk add redis >&2
  elif has dnf; then
    say 'installing redis with dnf…'
    as_root dnf install -y redis >&2
  else
    return 1
  fi
}

need_redis () {
  if ! has redis-server; then
    install_redis || stop "redis-server is missing and could not be installed; $redis_advice"
    hash -r
    has redis-server || stop "redis-server is still missing; $redis_advice"
  fi
  redis_version=$(redis-server --version 2>/dev/null | sed -n 's/.* v=\([0-9][0-9.]*\).*/\1/p')
  [ "${redis_version%%.*}" -ge 7 ] 2>/dev/null ||
    stop "redis-server 7 or newer is needed, $(command -v redis-server) is ${redis_version:-of unknown version}; $redis_advice"
}

# A tool of Linux that a part of the tests needs; what needs it is skipped where it cannot be had.
want () {
  [ "$(uname)" = Linux ] && ! has "$1" && as_root true 2>/dev/null || return 0
  say "installing $1…"
  if has apt-get; then
    as_root sh -ec "export DEBIAN_FRONTEND=noninteractive; apt-get -q update || true; apt-get -q -y -o DPkg::Lock::Timeout=120 --no-install-recommends install $1" >&2
  elif has apk; then
    as_root apk add "$1" >&2
  elif has dnf; then
    as_root dnf install -y "$1" >&2
  fi || say "$1 could not be installed"
  hash -r
}

install_packages

# Node 24 from the dev dependency comes before the machine's own.
PATH=$root/node_modules/.bin:$machine_path
export PATH
hash -r
