#!/bin/sh
# Layers only point down: each room may include from its own and from the rooms named for it here, nothing else.
# cli tests fuzz bench -> api -> {loader, verifier, jit, vm/interp} -> vm -> vm/isa, vm/abi, vm/btf -> base
cd "$(dirname "$0")/.." || exit 2
find . \( -path './build*' -o -path './.?*' \) -prune -o -name '*.[ch]' -print | sed 's|^\./||' | sort | awk '
BEGIN {
    low = "base include vm/isa vm/abi vm/btf"
    vm = low " vm vm/maps vm/helpers vm/ctx vm/ir vm/world"
    may["base"] = "base include"
    may["include"] = "include"
    may["vm/isa"] = "base include vm/isa"
    may["vm/abi"] = "base include vm/isa vm/abi"
    may["vm/btf"] = "base include vm/btf"
    may["vm"] = may["vm/ir"] = may["vm/maps"] = may["vm/helpers"] = may["vm/ctx"] = may["vm/world"] = vm
    may["vm/interp"] = vm " vm/interp"
    may["verifier"] = vm " verifier"
    may["jit"] = vm " jit"; may["jit/x86_64"] = vm " jit jit/x86_64"; may["jit/arm64"] = vm " jit jit/arm64"
    may["loader"] = vm " loader"
    may["api"] = may["api/core"] = vm " vm/interp verifier jit loader api api/core"
    all = may["api"] " jit/x86_64 jit/arm64 cli tests fuzz bench tests/runner tests/kernel tests/ir"
}
function room(path,   d) { d = path; if (!sub("/[^/]*$", "", d)) d = "."; if (d ~ /^include/) d = "include"; return d }
{
    file = $0; r = room(file); list = (r in may) ? may[r] : all " " r
    while ((getline line < file) > 0)
        if (match(line, /^#[ ]*include[ ]*["<][^">]+[">]/)) {
            inc = substr(line, RSTART, RLENGTH); sub(/^[^"<]*["<]/, "", inc); sub(/[">]$/, "", inc)
            if (inc ~ /^skep\//) to = "include"
            else if (line ~ /</) continue
            else if (inc !~ /\//) continue
            else to = room(inc)
            if (index(" " list " ", " " to " ") == 0) { printf "%s: a file of %s may not include \"%s\"\n", file, r, inc; bad = 1 }
        }
    close(file)
}
END { if (!NR) print "layers.sh: no files"; exit bad || !NR }'
