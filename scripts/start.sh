#!/bin/sh
# npm start: installs what is missing, then becomes the service, so that signals reach it.
set -eu
. "$(dirname "$0")/setup.sh"

# With REDIS_URL the service uses that Redis; without, it starts a private redis-server.
[ -n "${REDIS_URL:-}" ] || need_redis

exec node src/main.ts "$@"
