#!/bin/sh
# libtare, static or shared, cannot run anything: among the symbols that it leaves for others to
# define there is none that starts a program, loads code or opens a connection. It also leaves the environment, the
# terminal and the life of the process alone (docs/threat-model.md).
#
# Usage: symbols.sh LIBTARE [COMPILER [ALLOWED]]
set -eu

library=${1:?usage: symbols.sh LIBTARE [COMPILER [ALLOWED]]}
compiler=${2:-c++}
allowed=${3:-} # a name that may be used nevertheless

# One name a line; `*` stands for any end.
forbidden='
exec*
fexecve
posix_spawn*
system
popen
fork
forkpty
vfork
clone
clone3
daemon
wordexp
ptrace
syscall
dlopen
dlmopen
dlsym
dlvsym
socket
socketpair
connect
bind
listen
accept
accept4
sendto
sendmsg
getaddrinfo
gethostbyname*
getenv
secure_getenv
setenv
putenv
unsetenv
exit
_exit
_Exit
quick_exit
printf
vprintf
__printf_chk
__vprintf_chk
puts
putchar
stdout
stderr
_ZSt4cout
_ZSt4cerr
_ZSt4clog
'

# Names as glibc also spells them: __fork, __libc_system.
patterns=$(printf '%s\n' "$forbidden" | sed -e '/^$/d' -e 's/\*$/[A-Za-z0-9_]*/' \
  -e 's/^/^(__|__libc_|__GI_)?/' -e 's/$/(@.*)?$/')

# Of a shared library, those that it asks of others when it is loaded, without their versions.
undefined_in() {
  case $1 in *.so | *.so.*) dynamic=-D ;; *) dynamic= ;; esac
  nm $dynamic -u --format=posix "$1" | awk 'NF == 2 && $2 ~ /^[Uvw]$/ { print $1 }' |
    sed 's/@.*//' | sort -u
}
forbidden_in() { undefined_in "$1" | grep -E "$patterns" || true; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Self-test: an object that uses every one of them is caught for every one of them.
names=$(printf '%s\n' "$forbidden" | sed -e '/^$/d' -e 's/^exec\*$/execvp/' \
  -e 's/^posix_spawn\*$/posix_spawnp/' -e 's/^gethostbyname\*$/gethostbyname2_r/')
{
  for name in $names; do printf 'extern "C" char %s[];\n' "$name"; done
  printf 'const char* const used[] = {\n'
  for name in $names; do printf '%s,\n' "$name"; done
  printf '};\nextern "C" const void* all() { return used; }\n'
} >"$folder/all.cpp"
"$compiler" -fno-builtin -c "$folder/all.cpp" -o "$folder/all.o"
printf '%s\n' "$names" | sort >"$folder/expected"
forbidden_in "$folder/all.o" >"$folder/found"
if ! diff "$folder/expected" "$folder/found"; then
  echo "self-test: the names marked < were not caught"
  exit 1
fi
printf '#include <cstdlib>\nint run(const char* text) { return std::system(text); }\n' \
  >"$folder/system.cpp"
"$compiler" -c "$folder/system.cpp" -o "$folder/system.o"
[ "$(forbidden_in "$folder/system.o")" = system ] || { echo "self-test: system() passes"; exit 1; }
printf 'void* operator new(unsigned long);\nvoid* make() { return operator new(8); }\n' \
  >"$folder/clean.cpp"
"$compiler" -c "$folder/clean.cpp" -o "$folder/clean.o"
[ -z "$(forbidden_in "$folder/clean.o")" ] || { echo "self-test: new is caught"; exit 1; }
"$compiler" -shared -fPIC "$folder/system.cpp" -o "$folder/libsystem.so.0"
[ "$(forbidden_in "$folder/libsystem.so.0")" = system ] || { echo "self-test: system() passes"; exit 1; }
echo "self-test: all $(wc -l <"$folder/expected") forbidden names are caught"

# The library must be one that nm can read: it allocates memory, so operator new is undefined.
undefined_in "$library" >"$folder/undefined"
if ! grep -q '^_Znwm$' "$folder/undefined"; then
  echo "$library: nm finds no operator new in it: is it libtare?"
  exit 1
fi
found=$(forbidden_in "$library" | grep -v -x -e "$allowed" || true)
if [ -n "$found" ]; then
  echo "$library must not use:"
  for name in $found; do
    users=$(nm -u -A "$library" | grep -w -e "$name" | cut -d: -f2 | sort -u | tr '\n' ' ')
    echo "  $name in $users"
  done
  exit 1
fi
count=$(wc -l <"$folder/undefined")
echo "symbols: $count undefined symbols in $(basename "$library"), none forbidden"
