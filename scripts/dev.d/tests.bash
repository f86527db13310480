# What there is to test, as jobs.
# Knows: the layout of spec/ and scripts/. Never: runs a job itself.

specs() { # BUILD PATTERN...: each spec file is a run of its own
  local dir=$1 file
  shift
  for file in "$@"; do
    [ -f "$file" ] || continue
    job tap 900 "$dir: $file" env MOONWIRE="$root/$out/$dir/moonwire" MOONWIRE_BUILD="$root/$out/$dir" \
      "${wrap[@]}" "$out/$dir/moonwire" test -A -o TAP -v "$file"
  done
}

# Those of them that need nothing of the program, in lua5.4 with the module: all in one state, each test a run of its own.
in_plain_lua() { # BUILD
  local name list=()
  for name in auth auth_tls channel channel_codec compress error fs_file general inspect frame metrics_own net net_pool net_serve net_unix \
    process_run process_script process_shell process_spawn rpc serve signal stream_end task task_edge trace worker_pool; do
    list+=("spec/lua/${name}_spec.lua")
  done
  job tap 300 "$1: plain Lua" env LUA_CPATH="$root/$out/$1/lua/?.so;;" MOONWIRE="$root/$out/$1/moonwire" \
    "${wrap[@]}" lua5.4 spec/support/plain_busted.lua -o TAP "${list[@]}"
}

units() { # BUILD [WITH [WITHOUT]]: those whose name has the one and not the other
  local file name
  for file in "$out/$1"/unit/*_test; do
    name=${file##*/}
    if [ -x "$file" ] && [[ $name =~ ${2:-.} ]] && ! [[ -n ${3:-} && $name =~ ${3:-.} ]]; then job tap 900 "$1: $name" "${wrap[@]}" "$file"; fi
  done
}

# The oracles, the filter and the races of paths are one thread each, with a great deal to count. The specs: what meets workers and helper
# threads, and has no loop that only a signal ends, which the sanitizer keeps back.
units_tsan() {
  units tsan . 'oracle|policy_race|confine_filter'
  specs tsan spec/lua/{metrics_own,shm,worker_pool}_spec.lua
}

# What is installed, and the packages where they can be made.
installed() {
  specs release spec/install/install_spec.lua
  wanted "release: spec/install/package_spec.lua" && command -v dpkg-shlibdeps >/dev/null || return 0
  build_package_test
  export MOONWIRE_PACKAGES=$root/$out/package-test
  specs release spec/install/package_spec.lua
}

# The programs of scripts/embed, built against what this build installs; in plain Busted, so that no kind of build is left out.
embedders() { # BUILD
  job tap 300 "$1: spec/embed" env MOONWIRE_BUILD="$root/$out/$1" EMBED_WRAP="${wrap[*]}" lua5.4 "$(command -v busted)" -o TAP -v spec/embed
}

rights_of() { sed -n '1,8s/^-- rights:[[:space:]]*//p' "$1" | head -n 1; }

# What a scenario needs beside, if a program is here that it can do more with ("-- with redis-server: --trust-run=redis-server").
more_rights_of() {
  local program rights
  sed -n '1,8s/^-- with \([^ :]*\):[[:space:]]*\(.*\)/\1 \2/p' "$1" | while read -r program rights; do
    if command -v "$program" >/dev/null; then printf '%s ' "$rights"; fi
  done
}

scenarios() { # BUILD
  local file name rights more i
  for file in scripts/scenarios/*.lua; do
    [ -f "$file" ] || continue
    name=${file##*/}
    read -ra rights < <(rights_of "$file"; echo)
    for i in "${!rights[@]}"; do
      if [ ${#rights[@]} -gt 1 ]; then
        job fails 60 "$1: $name without ${rights[$i]}" "$out/$1/moonwire" run "${rights[@]:0:i}" "${rights[@]:i+1}" "$file"
      fi
    done
    job one 120 "$1: $name" "$out/$1/moonwire" run "${rights[@]}" "$file"
    read -ra more < <(more_rights_of "$file"; echo)
    if [ ${#more[@]} -gt 0 ]; then job one 120 "$1: $name with ${more[*]}" "$out/$1/moonwire" run "${rights[@]}" "${more[@]}" "$file"; fi
    if [ ${#rights[@]} -gt 0 ]; then job 77 60 "$1: $name without its rights" "$out/$1/moonwire" run "$file"; fi
  done
}

fuzzers() { # SECONDS
  local file name seeds
  for file in "$out"/fuzz/fuzz/fuzz_*; do
    [ -x "$file" ] || continue
    name=${file##*/fuzz_}
    mkdir -p "$out/fuzz/corpus/$name"
    seeds=()
    if [ -d "spec/fuzz/corpus/$name" ]; then seeds=("spec/fuzz/corpus/$name"); fi
    job one $(($1 + 60)) "fuzz: $name" "$file" -max_total_time="$1" -timeout=10 -rss_limit_mb=2048 -verbosity=0 \
      -artifact_prefix="$out/fuzz/" "$out/fuzz/corpus/$name" "${seeds[@]}"
  done
}

house() {
  if [ -f spec/house_spec.lua ]; then
    job tap 120 "house rules" env MOONWIRE_BUILD="$out/release" lua5.4 "$(command -v busted)" -o TAP -v spec/house_spec.lua
  fi
  job one 120 "luacheck" luacheck --no-color -q lua scripts spec .busted .luacheckrc
}

# A debug build of libuv's pool, glibc and Busted's modules keeps some memory until the end: only what is lost counts.
export ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS:-}"
export TSAN_OPTIONS="halt_on_error=0:exitcode=66:${TSAN_OPTIONS:-}"

all_specs() { printf '%s\n' spec/lua/*_spec.lua spec/scenario/*_spec.lua spec/attack/*_spec.lua; }
# A sanitizer needs /proc and more than a cage gives: who is in one is told apart in a release only.
sanitized_specs() { all_specs | grep -v '^spec/attack/\(cage\|locked\)'; }
process_specs() { all_specs | grep -v '^spec/attack/' | grep -E 'process|spawn|scenario|pty'; } # the fallback confines nobody

# Whether a part of `test` is asked for: words that begin with a build's name leave the other builds out.
part() {
  local word
  [ ${#words[@]} -gt 0 ] || return 0
  for word in "${words[@]}"; do
    case "$word" in
      "$1"*) return 0 ;;
      release* | asan* | spawn-uv* | tsan* | fuzz*) ;;
      *) return 0 ;;
    esac
  done
  return 1
}

# Each workload and each program that is here once: whether they are right, not how fast they are.
bench_smoke() {
  job tap 300 "release: bench" scripts/dev bench --smoke
}
