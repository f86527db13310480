# Talking, packages, building: what every command of scripts/dev stands on.
# Knows: cmake, ninja, apt-get, vendor/packages.txt. Never: what there is to test.

# ---- Talking --------------------------------------------------------------------------------------------------------

clear_line() { if [ $tty = 1 ]; then printf '\r\e[K'; fi; }
say() { clear_line; printf '%s\n' "$*"; }
note() { if [ $tty = 1 ]; then printf '\r\e[K%s%s%s' "$dim" "$*" "$plain"; fi; }
die() {
  clear_line
  printf '%sscripts/dev: %s%s\n' "$red" "$*" "$plain" >&2
  [ $counting = 0 ] || say "$passed passed, $((failed + 1)) failed"
  exit 1
}
now() { local t=${EPOCHREALTIME/[.,]/}; printf %s "$((t / 1000))"; }
seconds() { printf '%d.%02d s' $(($1 / 1000)) $(($1 % 1000 / 10)); }

# ---- Packages ---------------------------------------------------------------------------------------------------------

packages() { # SECTION...: "name version" a line
  awk -v want=" $* " '/^#/ || NF == 0 { next } /^\[/ { gsub(/[][]/, ""); on = index(want, " " $1 " "); next } on { print $1, $3 }' \
    vendor/packages.txt
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "to install packages this must run as root, or sudo must be there"
  fi
}

apt() { # one apt-get call; another's lock is waited for, at most ten minutes
  local tries=0
  until as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 "$@" >>"$out/log/apt.log" 2>&1 </dev/null; do
    tries=$((tries + 1))
    if ! tail -n 3 "$out/log/apt.log" | grep -q 'Could not get lock\|Unable to lock' || [ $tries -ge 120 ]; then
      tail -n 15 "$out/log/apt.log" >&2
      die "apt-get $* failed (all of it: $out/log/apt.log)"
    fi
    note "waiting for another package manager"
    sleep 5
  done
}

install_deps() { # SECTION...
  local name version have missing=()
  mkdir -p "$out/log"
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "not a Debian system: make sure that these (or their like) are installed: $(packages "$@" | cut -d' ' -f1 | xargs)"
    return
  fi
  while read -r name version; do
    have=$(dpkg-query -W -f='${db:Status-Status} ${Version}' "$name" 2>/dev/null)
    case "$have" in
      "installed $version"*) ;;
      installed*) note "$name is ${have#installed }, tested with $version" ;;
      *) missing+=("$name") ;;
    esac
  done < <(packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]} (once, a minute or so)"
  : >"$out/log/apt.log"
  apt update
  apt install -y --no-install-recommends "${missing[@]}"
}

# ---- Building -----------------------------------------------------------------------------------------------------------

targets=()                           # all of them, unless named
build() { # DIRECTORY CMAKE-OPTIONS...: builds into $out/DIRECTORY
  local dir=$1 log=$out/log/build-$1.log start line
  shift
  start=$(now)
  mkdir -p "$out/log"
  command -v ccache >/dev/null && set -- "$@" -DCMAKE_C_COMPILER_LAUNCHER=ccache
  note "configuring $dir"
  cmake -G Ninja -S . -B "$out/$dir" "$@" >"$log" 2>&1 </dev/null || { clear_line; tail -n 30 "$log"; die "cmake failed for $dir ($log)"; }
  NINJA_STATUS='[%f/%t] ' ninja -C "$out/$dir" "${targets[@]}" 2>&1 </dev/null | tee -a "$log" | while IFS= read -r line; do
    case "$line" in '['*) note "building $dir ${line%% *}" ;; esac
  done
  if [ "${PIPESTATUS[0]}" != 0 ]; then
    clear_line
    grep -v '^\[' "$log" | tail -n 60
    die "the $dir build failed ($log)"
  fi
  say "built $out/$dir in $(seconds $(($(now) - start)))"
}

build_release() { build release -DCMAKE_BUILD_TYPE=Release; }
build_asan() { build asan -DCMAKE_BUILD_TYPE=Debug -DMW_SANITIZE=address,undefined; }
build_tsan() { build tsan -DCMAKE_BUILD_TYPE=Debug -DMW_SANITIZE=thread -DMW_LUA_MODULE=OFF; }
build_spawn_uv() { build spawn-uv -DCMAKE_BUILD_TYPE=Debug -DMW_SPAWN=uv -DMW_LUA_MODULE=OFF; }
# What the fallback spawner is tested with, and no more: the rest is the same code as in every other build.
build_fallback() {
  local name targets=(moonwire moonwire_tls moonwire_squeeze moonwire_repl without)
  for name in $(fallback_units); do targets+=("$name"); done
  build_spawn_uv
}
fallback_units() { for file in spec/unit/*_test.c; do basename "$file" .c; done | grep -E 'spawn|warden'; }
# Packages that are only looked into need not be fast: a third of the time.
build_package() { build package -C vendor/debian/settings.cmake && pack package; }
build_package_test() { build package-test -DCMAKE_C_FLAGS="-O0 -g0 -DNDEBUG" -C vendor/debian/settings.cmake && pack package-test; }
pack() { # DIRECTORY
  local log=$out/log/cpack-$1.log
  (cd "$out/$1" && rm -f ./*.deb && cpack) >"$log" 2>&1 </dev/null || { tail -n 30 "$log"; die "cpack failed ($log)"; }
}
build_bench() { build bench -DCMAKE_BUILD_TYPE=Release -S scripts/bench; }
build_fuzz() { build fuzz -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_COMPILER=clang -DMW_FUZZ=ON -DMW_TESTS=OFF -DMW_LUA_MODULE=OFF; }
