#!/usr/bin/env bash
# The manual pages are well formed, and say what the tables in the source say: each key with its default, each verb and option, code, state and metric.
set -u
shopt -s lastpipe # so that what a check at the end of a pipe finds is not lost with its subshell
cd "$(dirname "$0")/../.." || exit 2
command -v mandoc >/dev/null || { echo "SKIPPED: mandoc is missing, the manual pages are not checked"; exit 77; }
man=deploy/man wrong=0
say() { echo "$1"; wrong=1; }
mandoc -T lint -W warning $man/*.[0-9] || wrong=1

# Each line of standard input must stand in PAGE behind the macro that marks such a word.
expect() { # PAGE MACRO WHAT
  local page=$man/$1 word count=0
  while IFS= read -r word; do
    count=$((count + 1))
    grep -qE "(^\.|[ .])$2 (.* )?$word( |\$)" "$page" || say "$page does not have the $3 $word"
  done
  [ "$count" -gt 0 ] || say "no $3 found in the source: $0 looks in the wrong place"
}
# "key default" of all rows of tables that have a default.
defaults_of() {
  awk 'match($0, /\.key = "[^"]+"/) {key = substr($0, RSTART + 8, RLENGTH - 9)}
       match($0, /\.fallback = "[^"]+"/) {print key, substr($0, RSTART + 13, RLENGTH - 14)}' "$@"
}
defaults_in() { awk '/^\.It Cm /{key = $3} /^\.Sh /{key = ""} /^Default: /{print key, $2}' "$1"; }
config() { # PAGE SOURCE...
  local page=$1 row rows
  shift
  grep -ohE '\.key = "[^"]+"' "$@" | cut -d'"' -f2 | sort -u | expect "$page" Cm key
  rows=$(defaults_in "$man/$page")
  while IFS= read -r row; do
    grep -qxF "$row" <<<"$rows" || say "$man/$page does not give the default: $row"
  done < <(defaults_of "$@" | if [ "$page" = riverbus-gateway.yaml.5 ]; then sed 's/^when-full refuse$/when-full discard-oldest/'; else cat; fi) # gateway/config.c, finish
  while IFS= read -r row; do
    grep -qE "\.key = \"${row%% *}\"" "$@" || say "$man/$page names a key that is not there: $row"
  done <<<"$rows"
}
config riverbus-broker.yaml.5 broker/config.c broker/config_rules.c common/config/values.c
config riverbus-gateway.yaml.5 gateway/config.c gateway/config_controls.c common/config/values.c
grep -ohE '\.key = "[^"]+"' broker/operator/config.c | cut -d'"' -f2 | expect riverbus.1 Cm key

grep -ohE '^const struct verb verb_[a-z]+' broker/operator/verb_*.c | sed 's/.*verb_//' | expect riverbus.1 Cm verb
grep -ohE '\{"[a-z-]+", OPTION_[A-Z]+' broker/operator/*.c | cut -d'"' -f2 | sort -u | expect riverbus.1 "Fl Fl" option
grep -ohE '\{CODE_[A-Z_]+, "[a-z-]+"' common/command/code.c | cut -d'"' -f2 | expect riverbus.1 Cm code
sed -n '/names\[STATE_STATES\]/,/};/p' common/command/state.c | grep -oE '"[a-z]+"' | tr -d '"' | expect riverbus.1 Cm state
grep -ohE 'EXIT_CODE_[A-Z_]+ = [0-9]+' common/command/code.h | sed 's/.* = //' | expect riverbus.1 It "exit code"
grep -ohE 'put_(member|value|time)\(out, "[a-z_]+"' common/command/ledger.c | cut -d'"' -f2 | sort -u | expect riverbus.1 Va "JSON field of a command"
grep -ohE '\\"[a-z]+\\":' common/record/record.c | tr -d '\\":' | sort -u | expect riverbus.1 Va "JSON field of a record"
sed -n '/reason_names\[/,/};/p' common/record/record.c | grep -oE '"[a-z-]+"' | tr -d '"' | expect riverbus.1 Cm reason
sed -n '/broker_verbs\[\]/,$p' broker/answers.c | grep -oE '\.name = "[a-z-]+"' | cut -d'"' -f2 | expect riverbus-protocol.7 Cm verb
grep -ohE 'riverbus_[a-z_]+' broker/metrics.c common/daemon/figures.c | sort -u | expect riverbus-broker.8 It metric
grep -ohE 'riverbus_[a-z_]+' gateway/metrics.c common/daemon/figures.c | sort -u | expect riverbus-gateway.8 It metric
sed -n '/fault_names\[FAULTS\]/,/};/p' gateway/points.c | grep -oE '"[a-z0-9-]+"' | tr -d '"' | expect riverbus-gateway.8 Cm fault

# What a page says is not in this version must not be there.
absent() { # PAGE WHAT: words that are there, on standard input
  local text word
  text=$(sed -n '/^\.Sh NOT IN THIS VERSION/,/^\.Sh [^N]/p' "$man/$1")
  while IFS= read -r word; do
    ! grep -qE "(^\.Cm |[ ,])$word([ ,.]|\$)" <<<"$text" || say "$man/$1 says that the $2 $word is not in this version, and it is"
  done
}
grep -ohE '^const struct verb verb_[a-z]+' broker/operator/verb_*.c | sed 's/.*verb_//' | absent riverbus.1 verb
grep -hE '\.key = "' broker/config.c broker/config_rules.c | grep -v FIELD_LATER | cut -d'"' -f2 | absent riverbus-broker.yaml.5 key
grep -hE '\.key = "' gateway/config.c gateway/config_controls.c | grep -v FIELD_LATER | cut -d'"' -f2 | absent riverbus-gateway.yaml.5 key
exit $wrong
