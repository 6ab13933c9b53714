#!/bin/sh
# docs/helpers.md, made from the table of helpers and what is said of their models: tools/helpers_md.sh > docs/helpers.md
cd "$(dirname "$0")/.." || exit 2
awk '
function field(line, i,   parts) { split(line, parts, ","); gsub(/^[ \t]+|[ \t]+$/, "", parts[i]); return parts[i] }
FNR == 1 { file++ }
/^(MODELLED|ABSENT)\(/ {
    kind = substr($0, 1, index($0, "(") - 1)
    name = $0; sub(/^[A-Z]+\(/, "", name); sub(/,.*/, "", name)
    text = $0; sub(/^[^"]*"/, "", text); sub(/"\)[ \t]*$/, "", text)
    said[kind, name] = text; mentioned[name] = 1
}
/^HELPER\(/ {
    line = $0; sub(/^HELPER\(/, "", line)
    n++; id[n] = field(line, 1); name_of[n] = field(line, 2); state[n] = field(line, 3); known[name_of[n]] = 1
}
END {
    for (m in mentioned) if (!(m in known)) { printf "helper_models.def: there is no helper %s\n", m > "/dev/stderr"; bad = 1 }
    for (i = 1; i <= n; i++) {
        h = name_of[i]
        if (state[i] == "MISSING") { what[i] = "missing"; text_of[i] = ("ABSENT", h) in said ? said["ABSENT", h] : "no body yet"; missing++ }
        else if (("MODELLED", h) in said) { what[i] = "modelled"; text_of[i] = said["MODELLED", h]; modelled++ }
        else { what[i] = "exact"; exact++ }
    }
    print "# Helpers\n"
    print "Made from `vm/abi/helpers.def` and `vm/abi/helper_models.def` by `make docs/helpers.md`. Every helper of Linux 6.18 is one of:\n"
    print "- **exact**: it does what Linux'"'"'s does to the same input (" exact ")"
    print "- **modelled**: it does what Linux'"'"'s does within the run'"'"'s world, as the text says (" modelled ")"
    print "- **missing**: calls are a warning at load and a trap, with the name, when a run comes to them (" missing + 0 "); a"
    print "  [mock](world.md#mocks) can stand for any of them\n"
    print "| | Helper | | |\n|---|---|---|---|"
    for (i = 1; i <= n; i++) printf "| %d | `bpf_%s` | %s | %s |\n", id[i], name_of[i], what[i], text_of[i]
    exit bad
}' vm/abi/helper_models.def vm/abi/helpers.def
