#!/bin/sh
# npm test: installs what is missing, then runs the tests; `npm test -- test/domain` runs a part.
set -eu
. "$(dirname "$0")/setup.sh"
need_redis

exec node scripts/run-tests.ts "$@"
