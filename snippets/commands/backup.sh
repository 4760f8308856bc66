backup() {  # backup ROOT COPY PATH...: copies PATHs below ROOT
  local root="$1" copy="$2" taken
  shift 2
  taken="$(date +%s)"
  mkdir -p "$(dirname "$copy")" && mkdir "$copy.partial" || return 1
  ( cd "$root" && cp -a --parents -t "$copy.partial" "$@" ) || return 1
  ( cd "$copy.partial" && find . -type f ! -name SHA256SUMS -print0 \
    | sort -z | xargs -0 -r sha256sum > SHA256SUMS \
    && touch -d "@$taken" SHA256SUMS ) || return 1
  sync -f "$copy.partial" && mv "$copy.partial" "$copy"
}
check_copy() {  # says nothing when every file is as it was copied
  ( cd "$1" && sha256sum --check --quiet SHA256SUMS )
}
