export NODE="${NODE:-http://127.0.0.1:3030}"
rpc() {  # rpc METHOD [PARAMS]: prints the result, or the error and fails
  printf '{"jsonrpc":"2.0","id":1,"method":"%s","params":%s}' \
    "$1" "${2:-null}" \
  | curl -sS --max-time 10 --data-binary @- "$NODE" \
  | jq -c 'if .error then "\(.error.code) \(.error.message)\n"
           | halt_error(1) else .result end'
}
