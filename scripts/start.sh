#!/bin/sh
# npm start: installs what is missing, then becomes the service, so that signals reach it.
set -eu
. "$(dirname "$0")/setup.sh"

# With REDIS_URL the service uses that Redis; without, it starts a private redis-server.
[ -n "${REDIS_URL:-}" ] || need_redis

# Queries of the embedded ClickHouse share this pool with everything else that is not the event loop.
export UV_THREADPOOL_SIZE="${UV_THREADPOOL_SIZE:-16}"

exec node src/main.ts "$@"
