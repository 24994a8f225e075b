#!/bin/sh
# npm run test:hostile: installs what is missing, then sends hostile requests to a service of its own.
set -eu
. "$(dirname "$0")/setup.sh"
need_redis

exec node test/hostile/run.ts "$@"
