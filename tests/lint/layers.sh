#!/usr/bin/env bash
# Who may know whom: a folder of common/ includes only what stands at or above its line here; broker/ and gateway/ know common/ alone; only common/store calls LMDB.
set -u
cd "$(dirname "$0")/../.." || exit 2
wrong=0
say() { echo "$1"; wrong=1; }
declare -A knows=(
  [base]="base" [record]="base record" [identity]="base identity" [config]="base record identity config" [store]="base record store" [link]="base record link"
  [command]="base record identity command" [audit]="base record identity store command audit" [node]="base record store link node" [door]="base record identity store link command node net door" [net]="base identity link net" [http]="base http"
  [daemon]="base record identity config store link net http daemon"
)
for folder in common/*/; do
  room=$(basename "$folder")
  [ -n "${knows[$room]:-}" ] || say "common/$room stands in no line of $0"
  while IFS=: read -r file included; do
    case " ${knows[$room]} " in *" $included "*) ;; *) say "$file includes common/$included" ;; esac
  done < <(grep -HoE '#include "common/[a-z]+' "$folder"*.[ch] 2>/dev/null | sed 's|#include "common/||')
done
grep -nE '#include "(broker|gateway)/' common -r && say "common/ knows a daemon"
grep -nE '#include "gateway/' broker -r && say "broker/ knows gateway/"
grep -nE '#include "broker/' gateway -r && say "gateway/ knows broker/"
grep -nE '\bmdb_[a-z_]+\(' -r common broker gateway --include='*.[ch]' | grep -v '^common/store/' && say "LMDB outside common/store"
grep -nE '\b(clock_gettime|gettimeofday|time\(NULL\)|getrandom|random_bytes|rand)\(' -r common broker gateway --include='*.c' | grep -vE '^common/base/(world|log|queue|table)\.c' && say "a clock or a random device outside common/base"
grep -nE '\b(usleep|nanosleep|sleep)\(|time\.sleep\(' -r tests --include='*.c' --include='*.py' && say "a test sleeps"
exit $wrong
