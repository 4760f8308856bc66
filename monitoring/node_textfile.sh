#!/usr/bin/env bash
# Tells node_exporter's textfile collector what no exporter sees: how old the newest proven backup is, and what grows.
#   node_textfile.sh COPIES OUT.prom TREE...
# COPIES holds the finished copies, named as docs/BACKUP_AND_RECOVERY.md makes them. TREEs are what the node writes.
# A copy is proven by its checksums, once, and then once a day; OUT.prom.proven remembers which and when.
# On an error OUT.prom stays as it was.
set -euo pipefail
shopt -s inherit_errexit

if [ $# -lt 3 ]; then
  echo "usage: ${0##*/} COPIES OUT.prom TREE..." >&2
  exit 2
fi
copies="$1" out="$2"
shift 2
for tree in "$@"; do
  if [ ! -d "$tree" ]; then
    echo "${0##*/}: $tree: no such directory; expected one that the node writes" >&2
    exit 1
  fi
done

proven() { # proven COPY: its manifest is the one that was checked within a day, or every file checks now
  local manifest
  manifest="$(sha256sum < "$1/SHA256SUMS")" || return 1
  if [ -n "$(find "$out.proven" -mtime -1 2>/dev/null)" ] && [ "$(cat "$out.proven")" = "$1 $manifest" ]; then
    return 0
  fi
  (cd "$1" && sha256sum --check --status SHA256SUMS) || return 1
  printf '%s %s\n' "$1" "$manifest" > "$out.proven"
}

newest() { # when the data in the newest proven copy were taken, in Unix seconds; 0 without one
  local copy
  while IFS= read -r copy; do
    if [ -s "$copy/SHA256SUMS" ] && proven "$copy"; then
      stat -c %Y "$copy/SHA256SUMS"
      return
    fi
  done < <(find "$copies" -mindepth 1 -maxdepth 1 -type d -name '*Z' | sort -r)
  echo 0
}

bytes() { # bytes FIND-EXPRESSION...: of the files in the trees that match
  find "${trees[@]}" -ignore_readdir_race -type f "$@" -printf '%s\n' | awk '{ sum += $1 } END { printf "%.0f", sum }'
}

trees=("$@")
log=('(' -name wal.log -o -name '*-wal' ')')
tables=('(' -name 'sst-*.bin' -o -name '*.sqlite' ')')

taken="$(newest)"
log_bytes="$(bytes "${log[@]}")"
table_bytes="$(bytes "${tables[@]}")"
other_bytes="$(bytes ! "${log[@]}" ! "${tables[@]}")"

# The collector reads *.prom only, and a rename is one step: it never sees half a file.
new="$(mktemp "$out.XXXXXX")"
trap 'rm -f "$new"' EXIT
cat > "$new" <<END
# HELP the_block_backup_last_success_timestamp_seconds When the node was stopped for the newest copy whose checksums hold; 0 when there is none.
# TYPE the_block_backup_last_success_timestamp_seconds gauge
the_block_backup_last_success_timestamp_seconds $taken
# HELP the_block_data_bytes Bytes of the files that the node writes; log is write-ahead logs, tables is what they are flushed into.
# TYPE the_block_data_bytes gauge
the_block_data_bytes{part="log"} $log_bytes
the_block_data_bytes{part="tables"} $table_bytes
the_block_data_bytes{part="other"} $other_bytes
END
chmod 0644 "$new"
mv -f "$new" "$out"
