# Jobs: commands with a name, a time limit and a log; two more than cores at a time.
# Knows: how a log is counted. Never: what a job tests.

done_jobs=0
names=() kinds=() limits=() commands=()
declare -A running=() started=()

# KIND says how a log is counted: tap (lines "ok", "not ok"), one (the exit status alone), fails (any failure but a hang),
# or a number (that exit status).
job() { # KIND LIMIT NAME COMMAND...
  local kind=$1 limit=$2 name=$3
  shift 3
  wanted "$name" || return 0
  kinds+=("$kind") limits+=("$((limit * slow))") names+=("$name") commands+=("$(printf '%q ' "$@")")
}

slow=1 wrap=()                       # valgrind: limits are so many times longer, and what stands before each program
words=()
wanted() {
  local word
  [ ${#words[@]} -gt 0 ] || return 0
  for word in "${words[@]}"; do case "$1" in *"$word"*) return 0 ;; esac; done
  return 1
}

log_of() { printf '%s/log/%s.log' "$out" "$(printf %s "${names[$1]}" | tr -c 'A-Za-z0-9_.\n-' _)"; }

start_job() {
  local i=$1
  started[$i]=$(now)
  eval "exec timeout -k 10 ${limits[$i]} ${commands[$i]}" >"$(log_of "$i")" 2>&1 </dev/null &
  running[$!]=$i
}

# An expectation of spec/lua that a busy machine did not meet has a second chance, alone, and is named at the end. Nothing else has one: no
# crash, sanitizer's report, hang, attack or C test; and few have, for what fails in many places is no matter of luck.
chances=3
retry=() unsteady=()
may_retry() { # INDEX STATUS
  [[ ${names[$1]} == *": spec/lua/"* ]] && [ "$2" = 1 ] && [ ${#retry[@]} -lt $chances ] && grep -q '^not ok ' "$(log_of "$1")" &&
    ! grep -Eq 'Sanitizer|runtime error:|Segmentation|Assertion .* failed' "$(log_of "$1")"
}
try_again() {
  local i log status
  for i in "${retry[@]}"; do
    log=$(log_of "$i")
    grep -A 12 '^not ok ' "$log" | sed 's/^not ok [0-9]* - /unmet: /; s/^/    /'
    mv "$log" "$log.first"
    start_job "$i"                     # in the background: `timeout` in front has the terminal's Ctrl-C go nowhere
    wait $!
    status=$?
    running=()
    finish_job "$i" $status && unsteady+=("${names[$i]}: $(sed -n '/^not ok /{s/^not ok [0-9]* - //p;q}' "$log.first")")
  done
  chances=$((chances - ${#retry[@]}))
  retry=()
}

finish_job() { # INDEX STATUS: counts, and shows what went wrong
  local i=$1 status=$2 log ok=0 bad=0 want=0 took last
  log=$(log_of "$i")
  took=$(($(now) - started[$i]))
  case "${kinds[$i]}" in
    tap)
      ok=$(grep -c '^ok ' "$log")
      bad=$(grep -c '^not ok ' "$log")
      # A crash, a hang or a run of nothing is a failure of its own.
      if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
      if [ "$ok" = 0 ] && [ "$bad" = 0 ]; then bad=1; echo "no test ran" >>"$log"; fi
      ;;
    one) if [ "$status" = 0 ]; then ok=1; else bad=1; fi ;;
    fails) case "$status" in 0 | 124 | 137) bad=1 want="a failure" ;; *) ok=1 ;; esac ;;
    *) want=${kinds[$i]}; if [ "$status" = "$want" ]; then ok=1; else bad=1; fi ;;
  esac
  passed=$((passed + ok)) failed=$((failed + bad)) done_jobs=$((done_jobs + 1))
  if [ "$bad" = 0 ]; then
    say "${green}ok${plain}     ${names[$i]}  ${dim}$ok passed, $(seconds $took)${plain}"
    return 0
  fi
  say "${red}FAILED${plain} ${names[$i]}  $ok passed, $bad failed, exit status $status, $(seconds $took)"
  case "$status" in 124 | 137)
    last=$(grep -E '^# .* @ |^not ok - still running' "$log" | tail -n 1)
    say "       it did not end within ${limits[$i]} s${last:+; the last test was: ${last#\# }}" ;;
  esac
  [ "$want" = 0 ] || say "       expected: $want"
  if [ "${kinds[$i]}" = tap ] && [ "$(wc -l <"$log")" -gt 150 ]; then
    { grep -A 25 '^not ok ' "$log" | head -n 150; echo "..."; tail -n 40 "$log"; } | sed 's/^/    /'
  else
    tail -n 200 "$log" | sed 's/^/    /'
  fi
  say "       all of it: $log"
  return 1
}

progress() {
  local i list=''
  for i in "${running[@]}"; do list+="${list:+, }${names[$i]}"; done
  note "[$done_jobs/${#names[@]}] $failed failed; running: ${list:0:90}"
}

run_jobs() {
  local next=0 pid='' status i
  done_jobs=0
  mkdir -p "$out/log"
  while [ $next -lt ${#names[@]} ] || [ ${#running[@]} -gt 0 ]; do
    while [ $next -lt ${#names[@]} ] && [ ${#running[@]} -lt "$jobs_max" ]; do
      start_job $next
      next=$((next + 1))
    done
    progress
    wait -n -p pid "${!running[@]}"
    status=$?
    [ -n "$pid" ] || continue
    i=${running[$pid]}
    unset "running[$pid]"
    if may_retry "$i" $status; then
      retry+=("$i")
      say "again  ${names[$i]}  when the others have ended"
    else
      finish_job "$i" $status
    fi
  done
  try_again
  clear_line
  names=() kinds=() limits=() commands=()
}

stop() { # Ctrl-C: timeout passes it on to what it runs
  trap - INT TERM
  clear_line
  [ ${#running[@]} -eq 0 ] || kill -TERM "${!running[@]}" 2>/dev/null
  wait
  echo "stopped" >&2
  exit 130
}
trap stop INT TERM

finish() { # SINCE
  local line
  say "$(seconds $(($(now) - $1))) in all; logs in $out/log/"
  [ ${#unsteady[@]} = 0 ] || say "passed only when run again, alone: ${#unsteady[@]}"
  for line in "${unsteady[@]}"; do say "       $line"; done
  say "$passed passed, $failed failed"
  [ $failed = 0 ] && [ $passed -gt 0 ]
}
