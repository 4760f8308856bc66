export CONTROL="${CONTROL:-http://127.0.0.1:3031}"
mock() {  # mock METHOD [PARAMS]: steers the mock node; a real node has none
  NODE="$CONTROL" rpc "mock.$1" "${2:-null}"
}
