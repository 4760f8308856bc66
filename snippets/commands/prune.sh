prune() {  # prune DIRECTORY KEEP: keeps the newest KEEP that check
  local kept=0 copy
  [ "$2" -ge 1 ] || return 1
  for copy in $(ls -d "$1"/*Z | sort -r); do
    if [ "$kept" -ge "$2" ]; then rm -r "$copy"
    elif check_copy "$copy"; then kept=$((kept + 1))
    else echo "damaged, not counted: $copy"
    fi
  done
}
