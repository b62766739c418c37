# Sourced by deploy/demo and tests/run: packages_install SECTION... installs what is missing of deploy/packages, by apt-get, as root or with sudo.

packages_names() {
  local section
  for section in "$@"; do
    sed -n "s/^$section \(.*\)/\1/p" "$(dirname "${BASH_SOURCE[0]}")/packages"
  done
}

packages_missing() {
  local name
  for name in $(packages_names "$@"); do
    dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || echo "$name"
  done
}

# Debian starts services of a freshly installed package; ours are started by hand, on ports of their own.
packages_apt() {
  local as=()
  [ "$(id -u)" = 0 ] || as=(sudo)
  if [ ${#as[@]} -gt 0 ] && ! command -v sudo >/dev/null; then
    echo "packages are missing ($*): run this as root, or install them with apt-get install $*" >&2
    return 1
  fi
  local policy=/usr/sbin/policy-rc.d made=
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as[@]}" tee "$policy" >/dev/null && "${as[@]}" chmod 755 "$policy" && made=1
  fi
  "${as[@]}" apt-get update -qq </dev/null && "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null >&2
  local result=$?
  [ -z "$made" ] || "${as[@]}" rm -f "$policy"
  return $result
}

packages_install() {
  local missing
  missing=$(packages_missing "$@")
  [ -n "$missing" ] || return 0
  if ! command -v apt-get >/dev/null; then
    echo "packages are missing and there is no apt-get here: $(echo $missing)" >&2
    return 1
  fi
  echo "installing: $(echo $missing)" >&2
  # shellcheck disable=SC2086
  packages_apt $missing
}
