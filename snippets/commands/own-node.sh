export NODE="${NODE:-http://127.0.0.1:3030}"
export CONTROL="${CONTROL:-http://127.0.0.1:3031}"
export METRICS="${METRICS:-http://127.0.0.1:9898/metrics}"
start_node() {  # start_node [FLAGS]: a mock node of your own
  if curl -s -m 2 -o /dev/null "$NODE/badge/status"; then
    echo "a node answers at $NODE already: set NODE to a free port"
    return 1
  fi
  metrics="${METRICS#http://}"
  handbook node --data-dir node-data --rpc-addr "${NODE#http://}" \
    --control-addr "${CONTROL#http://}" \
    --metrics-addr "${metrics%/metrics}" "$@" >> node.log 2>&1 &
  NODE_PID=$!
  for _ in $(seq 100); do
    curl -s -o /dev/null "$NODE/badge/status" && return 0
    kill -0 "$NODE_PID" 2>/dev/null || break
    sleep 0.1
  done
  tail -n 3 node.log
  return 1
}
stop_node() {  # what a crash does: no goodbye
  kill -9 "$NODE_PID"
  wait "$NODE_PID" || true
} 2> /dev/null
