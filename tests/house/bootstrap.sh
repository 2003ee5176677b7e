#!/bin/sh
# ./bootstrap is the only list of packages, and it installs what is missing and nothing else.
# Whatever could change the system is replaced here by a program that only writes down the call.
set -eu
cd "$(dirname "$0")/../.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() {
  echo "bootstrap: $*"
  exit 1
}

# ---- the list

./bootstrap --list build test demo run dev >"$folder/list"
[ -s "$folder/list" ] || fail "--list prints nothing"
[ -z "$(sort "$folder/list" | uniq -d)" ] || fail "--list names a package twice"
! grep -q -v -x '[a-z0-9][a-z0-9+.-]*' "$folder/list" || fail "--list prints something else"
echo "bootstrap: --list names $(wc -l <"$folder/list") packages, each once"

code=0
./bootstrap no-such-group 2>/dev/null || code=$?
[ "$code" -eq 4 ] || fail "an unknown group gives $code, not 4"
./bootstrap --help | grep -q Usage || fail "--help does not help"

# No other file installs packages by name.
for file in Makefile Dockerfile .ci/run .github/workflows/*; do
  [ -f "$file" ] || continue
  ! grep -n -E '(apt|apt-get|aptitude) .*install' "$file" || fail "$file installs packages itself"
done
echo "bootstrap: no other file installs packages by name"

# ---- the real system

code=0
./bootstrap --check >"$folder/check" || code=$?
case $code in
  0) echo "bootstrap: --check: nothing is missing here" ;;
  1)
    sed -n 's/^bootstrap: missing: \([^ ]*\).*/\1/p' "$folder/check" >"$folder/missing"
    [ -s "$folder/missing" ] || fail "--check fails and names nothing"
    ! grep -v -x -F -f "$folder/list" "$folder/missing" || fail "--check names what is not listed"
    echo "bootstrap: --check: missing here: $(tr '\n' ' ' <"$folder/missing")"
    ;;
  2) echo "bootstrap: SKIPPED: --check: this is no Debian" ;;
  *) fail "--check gives $code" ;;
esac

# ---- a system that is not there

# INSTALLED: names that dpkg has. NO_CANDIDATE: names that apt has not. MY_ID: of the user.
bin=$folder/bin
mkdir "$bin"
for tool in sh awk sed grep tr cat env; do ln -s "$(command -v $tool)" "$bin/$tool"; done
stub() { # NAME BODY
  printf '#!/bin/sh\n%s\n' "$2" >"$bin/$1"
  chmod +x "$bin/$1"
}
stub id 'echo "$MY_ID"'
stub dpkg 'echo amd64'
stub dpkg-query 'for name in "$@"; do :; done
grep -q -x -F -e "$name" "$STATE/installed" && echo "installed amd64"'
stub apt-cache 'grep -q -x -F -e "$2" "$STATE/no_candidate" && { echo "  Candidate: (none)"; exit; }
echo "  Candidate: 1.0"'
stub apt-get 'echo "apt-get $*" >>"$STATE/calls"
[ "$2" = update ] && exit "${UPDATE_CODE:-0}"
past=
for word in "$@"; do
  [ -z "$past" ] || echo "$word" >>"$STATE/installed"
  [ "$word" != --no-install-recommends ] || past=yes
done'

STATE=$folder/state
MY_ID=0
export STATE MY_ID
mkdir "$STATE"
reset() {
  : >"$STATE/installed"
  : >"$STATE/no_candidate"
  : >"$STATE/calls"
}
# Runs ./bootstrap there; its code goes to $code, what it prints to $folder/out.
there() {
  code=0
  PATH=$bin ./bootstrap "$@" >"$folder/out" 2>&1 || code=$?
}
expect() { # CODE WHAT
  [ "$code" -eq "$1" ] || fail "$2: gives $code, not $1: $(cat "$folder/out")"
}
expect_line() { # PATTERN FILE WHAT
  grep -q -e "$1" "$folder/$2" || fail "$3: no '$1' in: $(cat "$folder/$2")"
}
expect_no_calls() {
  [ ! -s "$STATE/calls" ] || fail "$1: calls $(cat "$STATE/calls")"
}

reset
there --check
expect 1 "--check with nothing installed"
expect_no_calls "--check"
[ "$(grep -c missing: "$folder/out")" -eq "$(./bootstrap --list | wc -l)" ] ||
  fail "--check with nothing installed does not name every package"

there
expect 0 "the first run"
[ "$(wc -l <"$STATE/calls")" -eq 2 ] || fail "the first run: calls $(cat "$STATE/calls")"
expect_line '^apt-get -q update$' state/calls "the first run"
expect_line 'install --no-install-recommends g++ cmake' state/calls "the first run"
./bootstrap --list | sort >"$folder/default"
sort "$STATE/installed" | diff "$folder/default" - || fail "the first run installs something else"

: >"$STATE/calls"
there
expect 0 "the second run"
expect_line 'nothing to install' out "the second run"
expect_no_calls "the second run"
there --check
expect 0 "--check when complete"

there --dev
expect 0 "--dev"
expect_line 'recommends clang-19' state/calls "--dev"
echo "bootstrap: installs what is missing, once"

reset
echo python3-torch >"$STATE/no_candidate"
there
expect 0 "no python3-torch"
expect_line 'SKIPPED: python3-torch: not in this distribution' out "no python3-torch"
! grep -q torch "$STATE/installed" || fail "installs what is not there"
reset
echo libcli11-dev >"$STATE/no_candidate"
there
expect 1 "no libcli11-dev"
expect_line 'does not have: libcli11-dev' out "no libcli11-dev"
[ ! -s "$STATE/installed" ] || fail "installs a part of what it needs"
echo "bootstrap: skips what is optional, fails for what is required"

# An update that fails matters only if something is needed that is not in the lists.
reset
export UPDATE_CODE=100
there
expect 0 "no update"
expect_line 'update failed' out "no update"
unset UPDATE_CODE

reset
MY_ID=1000
there
expect 1 "neither root nor sudo"
expect_line 'takes root or sudo' out "neither root nor sudo"
expect_no_calls "neither root nor sudo"
./bootstrap --list | grep -v -x -e bubblewrap -e python3-torch >"$STATE/installed"
there
expect 0 "neither root nor sudo, only optional packages missing"
expect_line 'SKIPPED: bubblewrap' out "only optional packages missing"
stub sudo 'echo "sudo $1" >>"$STATE/calls"; exec "$@"'
reset
there
expect 0 "sudo"
[ "$(grep -c '^sudo' "$STATE/calls")" -eq 2 ] || fail "sudo: calls $(cat "$STATE/calls")"
echo "bootstrap: works as root and through sudo, and says so where neither is there"

rm "$bin/apt-get"
there
expect 2 "no apt"
expect_line 'no Debian' out "no apt"
expect_line '  libcli11-dev' out "no apt"
there --list
expect 0 "--list without apt"
echo "bootstrap: without apt it prints what is needed and gives 2"
