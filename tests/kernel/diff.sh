#!/bin/bash
# `skep diff` over objects: diff.sh SKEP LIST-OF-OBJECTS EXCUSED. A program that differs is a failure, except where a
# helper that no two runs share may be why, or where EXCUSED has a line `object program reason`. What no two sides can
# run is skipped. Prints the differing ones and `N passed, N failed, N skipped`.
skep=$1 list=$2 excused=$3
passed=0 failed=0 skipped=0 varying=0 known=0
while IFS= read -r object; do
    name=$(basename "$object" .o)
    out=$(timeout 60 "$skep" diff "$object" --random "${DIFF_RANDOM:-16}" --show 3 2>&1 </dev/null)
    rc=$?
    if [ $rc -gt 1 ]; then
        # What our reader or a refusal of the whole object stops is check's to judge, not ours; dying is.
        if [ $rc = 124 ]; then echo "skipped: $name takes longer than a minute"; fi
        if [ $rc = 2 ] || [ $rc = 124 ]; then skipped=$((skipped + 1)); else failed=$((failed + 1)); echo "$name: status $rc"; fi
        continue
    fi
    while IFS='|' read -r verdict prog text; do
        case $verdict in
        same) passed=$((passed + 1)) ;;
        none) skipped=$((skipped + 1)) ;;
        varies) varying=$((varying + 1)) ;;
        differs)
            if grep -q "^$name $prog " "$excused"; then
                known=$((known + 1))
            else
                failed=$((failed + 1))
                echo "$name: $prog: $text"
            fi
            ;;
        esac
    done < <(awk '
        /^[^ ].* \([a-z_]+\), [0-9]+ input/ { prog = $1; text = ""; varies = 0 }
        /^  differs: / && text == "" { text = substr($0, 12) }
        /^  it calls / { varies = 1 }
        /^  they differ$/ { print (varies && text !~ /^verdict/ ? "varies" : "differs") "|" prog "|" text }
        /^  (the same on every side|rejected alike)/ { print "same|" prog "|" }
        /^  (nothing to compare|it runs nowhere)/ { print "none|" prog "|" }' <<<"$out")
done <"$list"
echo "diff: $varying programs differ by clocks, random numbers or the like; $known differ as $(basename "$excused") says"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
