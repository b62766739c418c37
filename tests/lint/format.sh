#!/bin/sh
# Formatting is the tool's: every C file is as clang-format and .clang-format would write it.
cd "$(dirname "$0")/../.." || exit 1
command -v clang-format >/dev/null || { echo "skipped: no clang-format"; exit 77; }
clang-format --dry-run --Werror $(find broker common gateway tests deploy -name '*.c' -o -name '*.h')
