# Runs one program and ends it when our standard input closes: on purpose, after a panic, or because whoever started us
# was killed. The kernel closes the pipe in each case, so no child outlives its test. (A parent-death signal would need
# util-linux, and it fires when the thread that started the child ends, which in a test is long before the test run.)
#
#   sh supervise.sh BASE program arguments...    writes BASE.pid, BASE.log, and BASE.exit with the exit status at the end
#   sh supervise.sh --folder FOLDER              removes FOLDER after the last .pid file in it is gone
#
# Each line on standard input names a signal for the program; the end of the input means KILL.
trap '' INT TERM HUP
if [ "$1" = --folder ]; then
  read -r _
  busy() { for file in "$1"/*.pid; do [ ! -e "$file" ] || return 0; done; return 1; }
  while busy "$2"; do sleep 0.1; done
  rm -rf "$2"
  exit
fi

base=$1
shift
(
  trap - TERM HUP
  # $$ is the process id that `exec` keeps.
  sh -c 'base=$1; shift; echo $$ >"$base.pid.new"; mv "$base.pid.new" "$base.pid"; exec "$@"' sh "$base" "$@" \
    >>"$base.log" 2>&1 </dev/null
  echo $? >"$base.exit.new"
  mv "$base.exit.new" "$base.exit"
) &

running() { [ ! -e "$base.exit" ]; }
while running && [ ! -e "$base.pid" ]; do sleep 0.05; done
while read -r signal; do
  if running; then kill -"$signal" "$(cat "$base.pid")" 2>/dev/null; fi
done
if running; then kill -KILL "$(cat "$base.pid")" 2>/dev/null; fi
wait
rm -f "$base.pid"
