#!/bin/sh
# Format, file lengths, and what does not belong in the tree. Prints each finding; exit status 1 when there was one.
cd "$(dirname "$0")/.." || exit 2
bad=0
sources() { find . \( -path './build*' -o -path './.?*' \) -prune -o \( "$@" \) -print | sed 's|^\./||' | sort; }
if command -v clang-format >/dev/null 2>&1; then
    for f in $(sources -name '*.[ch]' | grep -v '^tests/.*\.bpf'); do
        clang-format --dry-run -Werror "$f" >/dev/null 2>&1 || { echo "$f: not formatted (make format)"; bad=1; }
    done
else
    echo "lint: clang-format is not installed; formatting not checked"
fi
for f in $(sources -name '*.[ch]' -o -name '*.def'); do
    n=$(wc -l <"$f")
    [ "$n" -le 900 ] || { echo "$f: $n lines; cut it"; bad=1; }
    grep -nE '[[:space:]]+$' "$f" | sed "s|^|$f:|; s|$| (space at the end of the line)|" | head -3 | grep . && bad=1
done
if command -v cppcheck >/dev/null 2>&1; then
    cppcheck --quiet --std=c11 --inline-suppr --error-exitcode=1 --enable=warning,portability --suppress=missingIncludeSystem \
        --suppress=unknownMacro -URETURNS -Iinclude -I. base vm loader api cli 2>&1 | head -40 | grep . && bad=1
else
    echo "lint: cppcheck is not installed; skipped"
fi
exit $bad
