#!/bin/sh
# npm run test:faults: installs what is missing, then makes faults. Long; see docs/reliability.md.
set -eu
. "$(dirname "$0")/setup.sh"
need_redis
case " $* " in
  *' --help '*) ;;
  *) want strace; want faketime ;;
esac

export UV_THREADPOOL_SIZE="${UV_THREADPOOL_SIZE:-16}"
exec node test/faults/run.ts "$@"
