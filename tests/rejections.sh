#!/bin/bash
# docs/rejections.md is true: every reason of verifier/reasons.def has its entry and says the same cure, and each program
# there is refused where and for what it says, by us and by Linux. C programs are compiled and shown to `skep verify`.
cd "$(dirname "$0")/.." || exit 2
B=${B:-build}
doc=docs/rejections.md
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0 skipped=0

pass() { passed=$((passed + 1)); }
fail() { failed=$((failed + 1)) && echo "FAILED: $1: $2"; }

# One file a program: NAME.bpf or NAME.c.
awk -v dir="$tmp" '
    /^## / { name = $2 }
    /^```(bpf|c)$/ { file = dir "/" name "." substr($0, 4); next }
    /^```$/ { file = "" }
    file { print > file }' "$doc"

flat=$(tr '\n' ' ' <"$doc")
while read -r name cure; do
    if grep -qx "## $name" "$doc"; then pass; else fail "$name" "has no entry"; fi
    [ -z "$cure" ] && continue
    case $flat in *"**Cure:** $cure."*) pass ;; *) fail "$name" "the cure differs from reasons.def: $cure" ;; esac
done < <(sed -nE 's/^REASON\(([a-z_]+), *"[^"]*", *"([^"]*)"\)$/\1 \2/p' verifier/reasons.def | grep -v '^ok ')
for name in $(sed -n 's/^## //p' "$doc"); do
    if grep -q "^REASON($name," verifier/reasons.def; then pass; else fail "$name" "is no reason"; fi
done

for f in "$tmp"/*.bpf; do
    name=$(basename "$f" .bpf)
    if grep -q "; error: $name\$" "$f"; then pass; else fail "$name" "its program expects something else"; fi
    for how in --verify --kernel; do
        if "$B/bpftest" $how "$f" >"$tmp/out" 2>&1; then pass; else fail "$name" "$(cat "$tmp/out")"; fi
    done
done

cc=
for c in ${BPF_CLANG:-} clang-19 clang-22 clang-16 clang-14 clang; do command -v "$c" >/dev/null && cc=$c && break; done
for f in "$tmp"/*.c; do
    name=$(basename "$f" .c)
    line=$(grep -n "error: $name" "$f" | cut -d: -f1)
    if [ -z "$cc" ] || ! command -v jq >/dev/null; then skipped=$((skipped + 1)) && continue; fi
    "$cc" -O2 -g -target bpf -mcpu=v3 "-I/usr/include/$(uname -m)-linux-gnu" -c "$f" -o "$tmp/x.o" || fail "$name" "does not compile"
    "$B/skep" -j verify "$tmp/x.o" >"$tmp/out" 2>/dev/null
    if jq -e --arg r "$name" --argjson l "$line" '.programs[0] | .verdict == "reject" and .reason == $r and .line == $l' "$tmp/out" >/dev/null; then
        pass
    else
        fail "$name" "$(head -c 600 "$tmp/out")"
    fi
done

echo "$passed passed, $failed failed, $skipped skipped"
exit $((failed != 0))
