# Sourced by suites in shell: what passed, failed and was skipped, and the line that says so at the end.
passed=0 failed=0 skipped=0
says_texts=-E # how says() reads its texts: -E, extended regular expressions, or -F, as they stand

pass() { passed=$((passed + 1)); }
fail() { # name [output]
    failed=$((failed + 1))
    printf 'FAILED: %s\n' "$1"
    [ -z "${2:-}" ] || printf '%s\n' "$2" | head -40 | sed 's/^/    /'
}
skip() { # why
    skipped=$((skipped + 1))
    printf 'skipped: %s\n' "$1"
}
# name, status, texts that must be in what it prints (one a line), command...
says() {
    local name=$1 want=$2 texts=$3 out rc t
    shift 3
    out=$("$@" 2>&1)
    rc=$?
    if [ "$rc" != "$want" ]; then
        fail "$name: status $rc, not $want" "$out"
        return
    fi
    while IFS= read -r t; do
        [ -z "$t" ] || grep -q "$says_texts" -- "$t" <<<"$out" || { fail "$name: does not say '$t'" "$out"; return; }
    done <<<"$texts"
    pass
}
finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
    exit
}
