#!/bin/bash
# The command line from outside: what each subcommand prints, its JSON, its exit status, and what it says to wrong input.
# Objects are compiled here with the clang there is; JSON is judged by jq.
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
S=$PWD/$B/skep
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0 skipped=0
out=$tmp/stdout err=$tmp/stderr

pass() { passed=$((passed + 1)); }
fail() { # name why
    failed=$((failed + 1))
    printf 'FAILED: %s: %s\n' "$1" "$2"
    head -c 600 "$out" | sed 's/^/    out: /'
    head -c 600 "$err" | sed 's/^/    err: /'
}

# t NAME STATUS ARGUMENTS: runs skep; the checks below look at what it printed.
name=
t() {
    local want=$2 rc
    name=$1
    shift 2
    timeout 60 "$S" "$@" >"$out" 2>"$err" </dev/null
    rc=$?
    if [ $rc -eq "$want" ]; then pass; else fail "$name" "status $rc, not $want"; fi
}
has() { for x; do if grep -qF -- "$x" "$out"; then pass; else fail "$name" "no '$x' on stdout"; fi; done; }
hasnt() { for x; do if grep -qF -- "$x" "$out"; then fail "$name" "'$x' on stdout"; else pass; fi; done; }
says() { for x; do if grep -qF -- "$x" "$err"; then pass; else fail "$name" "no '$x' on stderr"; fi; done; }
quiet() { if [ -s "$err" ]; then fail "$name" "something on stderr"; else pass; fi; }
is() { if [ "$(cat "$out")" = "$1" ]; then pass; else fail "$name" "stdout is not '$1'"; fi; }
jqs() { # FILTER that must be true, of output that must be one JSON value with the schema
    if ! command -v jq >/dev/null; then skipped=$((skipped + 1)) && echo "SKIP: no jq" && return; fi
    if jq -es 'length == 1 and (.[0] | type == "object" and .schema == 1)' "$out" >/dev/null 2>&1; then pass; else fail "$name" "no JSON with a schema"; fi
    for x; do if jq -e "$x" "$out" >/dev/null 2>&1; then pass; else fail "$name" "not so: $x"; fi; done
}

# ---- Fixtures ----

hex() { for x in $(sed 's/../& /g' <<<"$1"); do printf "\\x$x"; done; }
le32() { printf '%02x%02x%02x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)); }
ip_packet() { # source's last byte, protocol, destination port: 54 bytes or 42 without their Ethernet header, in hex
    local l4
    if [ "$2" = 6 ]; then l4=04d2$(printf %04x "$3")0000000100000002500200640000"0000"; else l4=04d2$(printf %04x "$3")00080000; fi
    printf '45000028000100004000%s%s0a0000%02x0a000002' "$(printf '40%02x' "$2" | cut -c3-)" 0000 "$1" | sed 's/^\(.\{16\}\)4000/\140/'
    printf %s "$l4"
}
eth=0202020202020404040404040800
pcap() { # LINK PACKET...
    local link=$1 i=0
    shift
    hex "d4c3b2a1020004000000000000000000$(le32 65535)$(le32 "$link")"
    for p; do
        hex "$(le32 $((1000 + i)))$(le32 $((i * 1000)))$(le32 $((${#p} / 2)))$(le32 $((${#p} / 2)))$p"
        i=$((i + 1))
    done
}
web=$(ip_packet 1 6 80) tls=$(ip_packet 1 6 443) dns=$(ip_packet 3 17 53) web2=$(ip_packet 4 6 80)
hex "$eth$web" >"$tmp/web.bin"
pcap 1 "$eth$web" "$eth$tls" "$eth$dns" "$eth$web2" >"$tmp/four.pcap"
pcap 101 "$web" "$tls" "$dns" "$web2" >"$tmp/raw.pcap"
pcap 113 "$eth$web" >"$tmp/sll.pcap"
pcap 1 >"$tmp/none.pcap"
head -c -7 "$tmp/four.pcap" >"$tmp/cut.pcap"
head -c 13 "$tmp/four.pcap" >"$tmp/head.pcap"

cc=
for c in ${BPF_CLANG:-} clang-19 clang-22 clang-16 clang-14 clang; do command -v "$c" >/dev/null && cc=$c && break; done

# ---- Without an object ----

t "no command" 2
says "usage: skep" "exit status"
t "help" 0 help
has "run" "dump" "disasm" "--pretty"
t "help of a command" 0 help run
has "usage: skep run" "pcap_in" "--max-insns"
t "--help behind a command" 0 dump --help
has "usage: skep dump"
t "help of nothing" 2 help nothing
says "no command 'nothing'"
t "version" 0 --version
has "skep 0."
t "version in JSON" 0 -j -V
jqs '.version | startswith("0.")'
t "unknown command" 2 jump
says "no command 'jump'"
t "unknown option" 2 --jump
says "no option '--jump'"
t "errors in JSON" 2 -j jump
jqs '.error | contains("jump")'
t "a command without its object" 2 run
says "an object is missing" "usage: skep run"
t "an object that is not there" 2 show "$tmp/nothing.o"
says "$tmp/nothing.o" "No such file"
t "the same in JSON" 2 -j run "$tmp/nothing.o"
jqs '.error | contains("No such file")'
t "a folder as an object" 1 show "$tmp"
t "an object that is none" 1 show "$tmp/web.bin"
says "$tmp/web.bin"
t "an empty object" 1 run /dev/null
t "an option without its value" 2 run x.o --set
says "'--set' needs a value"
t "a word without its value" 2 run x.o data_in
says "'data_in' needs a value"
t "a number that is none" 2 run x.o repeat many
says "'many' is no number"
t "a number with a tail" 2 run x.o --cpus 2x
t "a number that is too large" 2 run x.o --pid 4294967296
says "more than 4294967295"
t "a CPU that is not there" 2 run x.o --cpu 3
says "--cpus 4"
t "pcap and data together" 2 run x.o pcap_in a data_in b
t "pcap_out alone" 2 run x.o pcap_out a
t "an unknown optimisation" 2 run x.o --no-opt magic
says "magic" "fuse"

# ---- Raw programs, assembler ----

printf 'r0 = 0x1122334455667788 ll\nexit\n' >"$tmp/wide.s"
t "asm into a file" 0 asm "$tmp/wide.s" -o "$tmp/wide.bin"
t "raw program" 0 run --raw "$tmp/wide.bin"
is 0x1122334455667788
quiet
t "raw program behind its name" 0 run "$tmp/wide.bin" --raw
is 0x1122334455667788
t "raw program in JSON" 0 -j run --raw "$tmp/wide.bin"
jqs '.r0 == "0x1122334455667788" and .retval == 1432778632'
t "disasm gives the text back" 0 disasm "$tmp/wide.bin"
is "$(cat "$tmp/wide.s")"
t "asm in JSON" 0 -j asm "$tmp/wide.s"
jqs '.insn_cnt == 3 and (.bytes | length == 48)'
printf 'r0 = r2\nr1 = *(u8 *)(r1 + 1)\nr0 += r1\nexit\n' >"$tmp/mem.s"
"$S" asm "$tmp/mem.s" >"$tmp/mem.bin"
t "memory as hex" 0 run --raw "$tmp/mem.bin" --mem hex:0005ff
is 0x8
printf '\001\007' >"$tmp/mem"
t "memory from a file" 0 run --raw "$tmp/mem.bin" --mem "$tmp/mem"
is 0x9
t "no memory: a trap" 1 run --raw "$tmp/mem.bin"
says "instruction 1"
t "the trap in JSON" 1 -j run --raw "$tmp/mem.bin" --mem hex:00
jqs '.trap.kind == "mem_out_of_bounds" and .trap.insn == 1 and .trap.size == 1'
name="standard input"
if [ "$("$S" run --raw - <"$tmp/wide.bin")" = 0x1122334455667788 ]; then pass; else fail "$name" "wrong"; fi
name="asm, disasm and run in a pipe"
if [ "$("$S" asm "$tmp/wide.s" | "$S" disasm | "$S" asm - | "$S" run --raw -)" = 0x1122334455667788 ]; then pass; else fail "$name" "wrong"; fi
head -c 4000 /dev/urandom >"$tmp/random.bin"
"$S" disasm "$tmp/random.bin" >"$tmp/random.s" && "$S" asm "$tmp/random.s" >"$tmp/again.bin"
name="any bytes survive disasm and asm"
if cmp -s "$tmp/random.bin" "$tmp/again.bin"; then pass; else fail "$name" "they differ"; fi
t "random bytes are refused or trap" 1 run --raw "$tmp/random.bin"
t "leniently too" 1 run --raw "$tmp/random.bin" --lenient --max-insns 100000
printf '\001\002\003' >"$tmp/three"
t "three bytes are no instructions" 1 run --raw "$tmp/three"
says "8-byte"
t "nor for disasm" 1 disasm "$tmp/three"
printf 'r0 = \n' >"$tmp/bad.s"
t "asm names line and column" 1 asm "$tmp/bad.s"
says "bad.s" "line 1, column"
printf 'l: goto l\nexit\n' | "$S" asm >"$tmp/loop.bin"
t "an endless program meets its limit" 1 run --raw "$tmp/loop.bin" --max-insns 100000
says "insn_limit"
t "also unchecked" 1 run --raw "$tmp/loop.bin" --max-insns 100000 --unchecked
says "insn_limit"
for opt in "--checked" "--check-invariants" "--unchecked" "--unchecked --no-opt all" "--engine interp" "--no-opt fuse --opt fuse" \
    "--verify" "--engine jit" "--engine jit --harden" "--engine jit --no-opt all" "--engine jit --no-opt rotate --max-insns 0" \
    "--jit-unverified" "--jit-unverified --harden --no-opt all"; do
    # shellcheck disable=SC2086
    t "raw $opt" 0 run --raw "$tmp/wide.bin" $opt
    is 0x1122334455667788
done
t "an engine that is not there" 1 run --raw "$tmp/wide.bin" --engine steam
says "steam"
t "an endless program as machine code meets its limit" 1 run --raw "$tmp/loop.bin" --max-insns 100000 --jit-unverified
says "insn_limit"
t "machine code checks nothing" 1 run --raw "$tmp/wide.bin" --engine jit --checked
says "checked"
t "machine code of what nobody verified" 1 run --raw "$tmp/wide.bin" --engine jit --unchecked
says "jit_unverified"
t "raw programs have no maps" 2 run --raw "$tmp/wide.bin" --dump-maps

if [ -z "$cc" ]; then
    echo "skip: no clang that compiles for BPF"
    echo "$passed passed, $failed failed, $((skipped + 1)) skipped"
    exit $((failed != 0))
fi
for f in fw perf net; do
    "$cc" -O2 -g -target bpf -mcpu=v3 "-I/usr/include/$(uname -m)-linux-gnu" -c tests/cli/$f.bpf.c -o "$tmp/$f.o" || exit 2
done
fw=$tmp/fw.o perf=$tmp/perf.o

# ---- several objects ----

printf 'no object' >"$tmp/bad.o"
t "one that cannot be read among others" 2 -j verify "$tmp/bad.o" "$fw"
jqs '.error | contains("bad.o: not an ELF file")' '.programs | length > 0'
t "the first reason is the error" 2 -j verify "$tmp/bad.o" "$tmp/none.o"
jqs '.error | contains("bad.o") and (contains("none.o") | not)' '.messages | map(.text | contains("none.o")) | any'

# ---- verify ----

cat >"$tmp/bad.bpf.c" <<'END'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("xdp") int good(struct xdp_md *ctx)
{
    return ctx->ingress_ifindex == 4;
}
SEC("xdp") int bad(struct xdp_md *ctx)
{
    unsigned char *data = (void *)(long)ctx->data;

    if (ctx->ingress_ifindex != 4)
        return 1;
    return data[14];
}
SEC("xdp") int endless(struct xdp_md *ctx)
{
    volatile unsigned long sum = 0;

    for (unsigned i = 0; i < ctx->ingress_ifindex; i++)
        sum += i;
    return sum;
}
END
"$cc" -O2 -g -target bpf -mcpu=v3 "-I/usr/include/$(uname -m)-linux-gnu" -c "$tmp/bad.bpf.c" -o "$tmp/bad.o" || exit 2
bad=$tmp/bad.o
t "verify: a program that is accepted" 0 verify "$bad" --prog good
has "good: accept"
quiet
t "verify: a program that is refused" 1 verify "$bad" --prog bad
has "bad: reject" "bad.bpf.c:13:12: packet_out_of_bounds:" "15 bytes needed, 0 proved" "return data[14];" "~" "^" \
    "= rule: " "= program bad, instruction " "= known: r" "= path: line 11 \`ctx->ingress_ifindex != 4\` false" \
    "= with: ctx->ingress_ifindex == 4" "= mend: "
t "verify: several programs" 1 verify "$bad" --max-insns 5000
has "1 accepted, 2 rejected, 0 unsupported" "too_complex" "= cost: the loop that jumps back at line " "of the steps"
t "verify: JSON of what is accepted" 0 -j verify "$bad" --prog good
jqs '.programs | length == 1' '.programs[0] | .verdict == "accept" and .program == "good" and .section == "xdp" and .type == "xdp"' \
    '.programs[0] | .insns > 2 and .insns_processed >= .insns - 1 and (has("reason") | not) and (has("log") | not)' \
    '.programs[0] | [.states_total, .states_peak, .max_states_per_insn, .memory_peak, .stack_depth, .time_us] | all(type == "number")' \
    ".programs[0].object == \"$bad\""
t "verify: JSON of a refusal" 1 -j verify "$bad" --prog bad
jqs '.programs[0] | .verdict == "reject" and .reason == "packet_out_of_bounds" and .line == 13 and .column == 12' \
    '.programs[0] | (.file | endswith("bad.bpf.c")) and (.source | contains("return data[14];"))' \
    '.programs[0] | (.message | contains("15 bytes needed")) and (.hint | length > 0) and (.rule | length > 0)' \
    '.programs[0].path | length == 1 and .[0].line == 11 and (.[0].taken | type == "boolean") and (.[0].text | contains("false"))' \
    '.programs[0] | .inputs == ["ctx->ingress_ifindex == 4"] and (.known | length == 1) and .cost == []'
t "verify: JSON of what is too complex" 1 -j verify "$bad" --prog endless --max-insns 5000
jqs '.programs[0] | .reason == "too_complex" and .insns_processed > 5000 and (.cost | length > 1) and (.cost[0] | contains("loop"))'
t "verify: a log" 1 verify "$bad" --prog bad --log 1
has "0: R1=ctx() R10=fp0" "R1=pkt(r=0)" "processed " " mark_read 0"
t "verify: the whole log" 0 verify "$bad" --prog good --log 2
has "func#0 @0" "Live regs before insn:" "0: R1=ctx() R10=fp0" "(95) exit"
t "verify: a log in JSON" 0 -j verify "$bad" --prog good --log 2
jqs '.programs[0].log | contains("0: R1=ctx() R10=fp0")'
t "verify: objects that cannot be read are passed over" 2 verify "$tmp/nothing.o" "$bad" "$tmp/web.bin" "$fw"
has "good: accept" "bad: reject" "fw.o: "
says "nothing.o" "web.bin"
t "verify: the same in JSON" 2 -j verify "$tmp/nothing.o" "$bad" --prog good
jqs '.programs | length == 1' '.error | contains("nothing.o")'
t "verify: a program that is not there" 2 verify "$bad" --prog nothing
says "nothing"
t "verify: a type that is not there" 2 verify "$bad" type nothing
t "verify: another type" 0 -j verify "$bad" --prog good type sched_cls
jqs '.programs[0].type == "sched_cls"'
t "verify: no object" 2 verify
t "verify: an unknown option" 2 verify "$bad" --jump
t "verify: a level that is not there" 2 verify "$bad" --log 3
many=()
for i in $(seq 300); do many+=("$bad"); done
t "verify: hundreds of objects" 1 -j verify "${many[@]}" --prog bad
jqs '.programs | length == 300 and all(.[]; .reason == "packet_out_of_bounds")'

# ---- show and dump ----

t "show" 0 show "$fw"
has "programs (6)" 'SEC("xdp")' "percpu_array" "struct stat" "blocked" "= 80" "relocations"
t "show in JSON" 0 -j show "$fw"
jqs '.license == "GPL"' '.programs | length == 6' '.programs[] | select(.name == "firewall") | .type == "xdp" and .insn_cnt > 50' \
    '.maps[] | select(.name == "seen") | .type == "hash" and .pin == "seen" and .bytes_key == 4' \
    '.variables[] | select(.name == "blocked") | .value == 80 and .section == ".rodata" and .size == 2' \
    '.relocations | map(.kind) | index("map") != null'
t "show without relocations" 0 -p show "$fw" --no-relocs
jqs '.relocations == null'
t "dump" 0 dump "$fw" firewall
has "int firewall(struct xdp_md *ctx):" "map[seen]" "call bpf_map_lookup_elem#1" "; " "fw.bpf.c line_num:" "exit"
hasnt "curious"
t "dump without lines, with bytes" 0 dump "$fw" curious nolinum opcodes
has "95 00 00 00 00 00 00 00"
hasnt "line_num"
t "dump all" 0 dump "$fw"
has "# firewall (xdp)" "# curious (xdp)"
t "dump in JSON" 0 -j dump "$fw" curious
jqs '.programs[0].name == "curious"' '.programs[0].funcs[0].insns | length > 3' \
    '.programs[0].funcs[0].insns[-1].disasm == "exit"' '[.programs[0].funcs[0].insns[] | select(.src)] | length > 0'
t "machine code" 0 dump "$fw" world jited
has "int world(" "bpf_prog_world:" "fw.bpf.c line_num:" "ret" "call bpf_get_prandom_u32"
hasnt "firewall"
t "machine code without lines, with bytes" 0 dump "$fw" world --jited nolinum opcodes
has "c3"
hasnt "line_num"
t "machine code of what is refused" 1 dump "$fw" --jited
says "packet_out_of_bounds"
t "machine code of all, hardened, counting, without optimisations" 0 dump "$fw" --jited --harden --count --no-opt all --jit-unverified
has "# firewall (xdp)" "# curious (xdp)" "ret"
t "machine code in JSON" 0 -j dump "$fw" world jited linum opcodes
jqs '.programs[0].name == "world"' '.programs[0].bytes_jited > 16' '.programs[0].funcs[0].name == "bpf_prog_world"' \
    '[.programs[0].funcs[0].insns[] | select(.src and .line_num)] | length > 0' \
    '[.programs[0].funcs[0].insns[] | select(.operation == "retq" or .operation == "ret")] | length > 0' \
    '.programs[0].funcs[0].insns | all(.pc and (.operands | type == "array") and (.opcodes | length > 0))'
t "machine code without an optimisation that there is not" 2 dump "$fw" world jited --no-opt magic
says "magic"
t "dump of nothing" 2 dump "$fw" nothing
says "no program 'nothing'" "firewall"

# ---- run ----

t "several programs and none is named" 2 run "$fw"
says "several programs" "firewall" "curious"
t "the same in JSON" 2 -j run "$fw"
jqs '.error | contains("firewall")'
t "a packet" 0 run "$fw" firewall data_in "$tmp/web.bin"
has "Return value: 1 (XDP_DROP)" "event events:" '"port":80,"why":"blocked"'
t "a packet in JSON" 0 -j run "$fw" firewall data_in "$tmp/web.bin" --dump-maps
jqs '.program == "firewall" and .type == "xdp" and .retval == 1 and .verdict == "XDP_DROP" and .repeat == 1' \
    '.events == [{map: "events", size: 16, data: {saddr: 16777226, port: 80, why: "blocked"}}]' \
    '.data_size_out == 54 and (.data_out | length == 108)' \
    '.maps[] | select(.name == "counts") | .elements[1].values == [{cpu: 0, value: {packets: 1, bytes: 54}}]' \
    '.maps[] | select(.name == "seen") | .elements == [{key: 16777226, value: 1}]' \
    '.maps[] | select(.name | endswith(".bss")) | .vars.runs == 1'
t "repeat" 0 -j run "$fw" firewall data_in "$tmp/web.bin" repeat 5 --dump-maps
jqs '.repeat == 5 and (.events | length == 5)' '.maps[] | select(.name == "seen") | .elements[0].value == 5'
t "data_out into a file" 0 run "$fw" mirror data_in "$tmp/web.bin" data_out "$tmp/out.bin"
has "XDP_TX"
name="what came out"
if [ "$(od -An -tx1 -N12 "$tmp/out.bin" | tr -d ' \n')" = 040404040404020202020202 ]; then pass; else fail "$name" "wrong"; fi
t "data_out to standard output" 0 run "$fw" mirror data_in "$tmp/web.bin" data_out -
says "XDP_TX"
name="nothing but the bytes on stdout"
if cmp -s "$out" "$tmp/out.bin"; then pass; else fail "$name" "differs"; fi
t "data from hex, too short" 0 run "$fw" firewall data_in hex:0202020202020404040404040806
has "XDP_PASS"
t "data from a file that is not there" 2 run "$fw" firewall data_in "$tmp/nothing"
says "$tmp/nothing"
t "data_out that cannot be written" 2 run "$fw" mirror data_in "$tmp/web.bin" data_out "$tmp/no/where"
says "$tmp/no/where"
t "another type" 0 -j run "$fw" probe type tracepoint
jqs '.type == "tracepoint"'
t "a type that is none" 2 run "$fw" probe type steam
says "no program type 'steam'"
t "what is wrong is refused before it runs" 1 run "$fw" curious data_in "$tmp/web.bin"
says "packet_out_of_bounds" "fw.bpf.c:" "data[3000]" "program curious, instruction" "mend:"
t "a trap" 1 run "$fw" curious --checked data_in "$tmp/web.bin"
says "mem_out_of_bounds" "fw.bpf.c:" "data[3000]" "program curious, instruction" "past the end of packet"
t "a trap in JSON" 1 -j run "$fw" curious --checked data_in "$tmp/web.bin"
jqs '.trap.kind == "mem_out_of_bounds" and .trap.size == 1 and (.trap.file | endswith("fw.bpf.c"))' \
    '.trap.src | contains("data[3000]")' '.trap.program == "curious" and .trap.line_num > 0' '.retval == null'
t "an endless program" 1 run "$fw" endless --checked data_in "$tmp/web.bin" --max-insns 1000000
says "insn_limit"
t "the world" 0 run "$fw" world data_in "$tmp/web.bin" --pid 7 --tgid 6 --comm mite --time 123456 --ifindex 3 --cpus 4 --cpu 2
has "trace: pid 7 tgid 6" "trace: comm mite cpu 2" "trace: time 123456 ifindex 3"
t "the world in JSON" 0 -j run "$fw" world data_in "$tmp/web.bin" --pid 7 --seed 5
jqs '.trace[0] == "pid 7 tgid 7"'
first=$(cat "$out")
t "a seed repeats" 0 -j run "$fw" world data_in "$tmp/web.bin" --pid 7 --seed 5
name="the same random number"
if [ "$(jq .retval <<<"$first")" = "$(jq .retval "$out")" ]; then pass; else fail "$name" "differs"; fi
t "verified programs run as machine code" 0 -j run "$fw" firewall data_in "$tmp/web.bin"
jqs '.engine == "jit"'
t "what is checked is interpreted" 0 -j -d run "$fw" firewall data_in "$tmp/web.bin" --checked
jqs '.engine == "interp"' '[.messages[].text | select(contains("is interpreted"))] | length > 0'
t "ifindex is for packets" 2 run "$fw" probe --ifindex 3
for opt in --unchecked "--unchecked --no-opt all" "--no-opt inline" "--engine interp" "--engine jit" "--engine jit --harden" \
    "--engine jit --no-opt all" --jit-unverified; do
    # shellcheck disable=SC2086
    t "run $opt" 0 run "$fw" firewall data_in "$tmp/web.bin" $opt
    has "XDP_DROP"
done

# ---- Variables ----

t "--set" 0 -j run "$fw" firewall data_in "$tmp/web.bin" --set blocked=443 --set cfg.ports[2]=0x10 --set cfg.bits.low=5 \
    --set cfg.name=eth0 --set cfg.level=QUIET --set cfg.offset=-3 --dump-maps
jqs '.verdict == "XDP_PASS"' '.maps[] | select(.name | endswith(".data")) | .vars.cfg |
    .ports == [80, 0, 16, 0] and .bits.low == "0x5" and .name == "eth0" and .level == "QUIET" and .offset == -3'
t "--set sizes a map" 0 -j show "$fw"
size0=$(jq '.maps[] | select(.name == "seen") | .max_entries' "$out" 2>/dev/null)
t "--set sizes a map" 1 run "$fw" firewall data_in "$tmp/web.bin" --set seen.max_entries=0
says "seen.max_entries=N"
t "--set sizes a map: enough" 0 run "$fw" firewall data_in "$tmp/web.bin" --set seen.max_entries=$((${size0:-8} + 1))
t "--set sizes a map by a word" 2 run "$fw" firewall --set seen.max_entries=many
says "'many' is no number"
t "--set of nothing" 2 run "$fw" firewall --set nothing=1
says "no global variable 'nothing'"
t "--set of a member that is not there" 2 run "$fw" firewall --set cfg.nothing=1
says "no member 'nothing'"
t "--set of what does not fit" 2 run "$fw" firewall --set blocked=65536
says "does not fit 16 bits"
t "--set of no number" 2 run "$fw" firewall --set blocked=http
says "'http'"
t "--set without =" 2 run "$fw" firewall --set blocked
says "VAR=VALUE"

# ---- Maps ----

echo '[{"key": 16777226, "value": 41}]' >"$tmp/seen.json"
t "--map" 0 -j run "$fw" firewall data_in "$tmp/web.bin" --map seen="$tmp/seen.json" --dump-maps
jqs '.maps[] | select(.name == "seen") | .elements == [{key: 16777226, value: 42}]'
jq -c '.maps[] | select(.name == "counts")' "$out" >"$tmp/counts.json"
t "what was dumped fills again" 0 -j run "$fw" firewall data_in "$tmp/web.bin" --map counts="$tmp/counts.json" --dump-maps
jqs '.maps[] | select(.name == "counts") | .elements[1].values[0].value == {packets: 2, bytes: 108}'
echo '[{"key": 1, "values": [{"cpu": 1, "value": {"packets": "0x10"}}]}]' >"$tmp/percpu.json"
t "per-CPU values" 0 -j run "$fw" firewall data_in "$tmp/web.bin" --map counts="$tmp/percpu.json" --dump-maps --cpus 2 --cpu 1
jqs '.maps[] | select(.name == "counts") | .elements[1].values == [{cpu: 0, value: {packets: 0, bytes: 0}}, {cpu: 1, value: {packets: 17, bytes: 54}}]'
t "the same as text" 0 run "$fw" firewall data_in "$tmp/web.bin" --map counts="$tmp/percpu.json" --dump-maps --cpus 2 --cpu 1
has 'cpu1 {"packets":17,"bytes":54}' "(4 elements are zero)"
t "a map that is not there" 2 run "$fw" firewall --map nothing="$tmp/seen.json"
says "no map 'nothing'"
bad_map() { # name, JSON, message
    printf %s "$2" >"$tmp/bad.json"
    t "$1" 2 run "$fw" firewall --map counts="$tmp/bad.json"
    says "bad.json" "$3"
}
bad_map "JSON that ends early" '[{"key": 1' ""
bad_map "JSON that is no list" '3' "expected a list"
bad_map "an entry without a key" '[{"value": {}}]' '"key"'
bad_map "an entry without a value" '[{"key": 1}]' '"value"'
bad_map "a key that is too large" '[{"key": 99, "value": {}}]' "cannot be stored"
bad_map "a member that is not there" '[{"key": 1, "value": {"nothing": 1}}]' "nothing"
bad_map "a CPU that is not there" '[{"key": 1, "values": [{"cpu": 7, "value": {}}]}]' "no CPU 7"
t "a data section is no map to fill" 2 run "$fw" firewall --map .bss="$tmp/seen.json"
says "--set"

# ---- Pins ----

mkdir "$tmp/pins"
t "pins are ignored at first" 0 run "$fw" firewall data_in "$tmp/web.bin"
t "a pinned map is kept" 0 run "$fw" firewall data_in "$tmp/web.bin" --pin-dir "$tmp/pins"
t "and found again" 0 -j run "$fw" firewall data_in "$tmp/web.bin" --pin-dir "$tmp/pins" --dump-maps
jqs '.maps[] | select(.name == "seen") | .elements == [{key: 16777226, value: 2}]' \
    '.maps[] | select(.name == "counts") | .elements[1].values[0].value.packets == 1'
echo '{"type": "hash"}' >"$tmp/pins/seen.json"
t "a damaged pin" 2 run "$fw" firewall data_in "$tmp/web.bin" --pin-dir "$tmp/pins"
says "pins/seen.json"
t "a folder that is not there" 2 run "$fw" firewall --pin-dir "$tmp/nothing"

# ---- Captures ----

t "a capture" 0 run "$fw" firewall pcap_in "$tmp/four.pcap" pcap_out "$tmp/passed.pcap" --set cfg.level=LOUD
has "XDP_DROP" "XDP_PASS" "50.0%" "total" "trace: port 80 is blocked" "2 packets written"
t "what passed passes" 0 -j run "$fw" firewall pcap_in "$tmp/passed.pcap"
jqs '.packets == 2 and .verdicts == [{retval: 2, verdict: "XDP_PASS", packets: 2, bytes: 96}]'
t "a capture in JSON" 0 -j run "$fw" firewall pcap_in "$tmp/four.pcap" pcap_out "$tmp/passed.pcap" --dump-maps
jqs '.packets == 4 and .bytes == 204 and .trapped == 0 and .written == 2' '.events | length == 2' \
    '.verdicts == [{retval: 1, verdict: "XDP_DROP", packets: 2, bytes: 108}, {retval: 2, verdict: "XDP_PASS", packets: 2, bytes: 96}]' \
    '.maps[] | select(.name == "counts") | .elements[2].values[0].value == {packets: 2, bytes: 96}'
t "raw IP gets Ethernet in front" 0 -j run "$fw" firewall pcap_in "$tmp/raw.pcap"
jqs '.packets == 4 and .bytes == 204 and .verdicts[0].packets == 2'
t "packets as they were changed" 0 run "$fw" mirror pcap_in "$tmp/four.pcap" pcap_out "$tmp/mirror.pcap"
has "4 packets written"
name="their addresses are swapped"
if [ "$(od -An -tx1 -j40 -N12 "$tmp/mirror.pcap" | tr -d ' \n')" = 040404040404020202020202 ]; then pass; else fail "$name" "wrong"; fi
t "the capture's clock" 0 run "$fw" world pcap_in "$tmp/four.pcap" --time pcap
has "trace: time 1000000000000 " "trace: time 1001001000000 " "trace: time 1003003000000 "
t "only some packets" 0 -j run "$fw" firewall pcap_in "$tmp/four.pcap" --packets 3
jqs '.packets == 3'
t "packets that trap" 1 run "$fw" curious --checked pcap_in "$tmp/four.pcap"
says "mem_out_of_bounds" "packet 1"
has "(trapped)" "100.0%"
t "the same in JSON" 1 -j run "$fw" curious --checked pcap_in "$tmp/four.pcap"
jqs '.trapped == 4 and .trap.kind == "mem_out_of_bounds"'
t "an empty capture" 0 -j run "$fw" firewall pcap_in "$tmp/none.pcap"
jqs '.packets == 0 and .verdicts == []'
t "a truncated capture" 2 run "$fw" firewall pcap_in "$tmp/cut.pcap"
says "cut.pcap" "after packet 3"
has "XDP_PASS"
t "the same in JSON" 2 -j run "$fw" firewall pcap_in "$tmp/cut.pcap"
jqs '.packets == 3 and (.error | contains("truncated"))'
t "a truncated head" 2 run "$fw" firewall pcap_in "$tmp/head.pcap"
says "head.pcap"
t "no capture" 2 run "$fw" firewall pcap_in "$tmp/web.bin"
says "web.bin"
t "a capture that is not there" 2 run "$fw" firewall pcap_in "$tmp/nothing.pcap"
t "another link type" 2 run "$fw" firewall pcap_in "$tmp/sll.pcap"
says "LINUX_SLL" "neither Ethernet nor raw IP"
t "a program that sees no packets" 2 run "$fw" probe pcap_in "$tmp/four.pcap"
says "sees no packets"
t "pcap_out that cannot be written" 2 run "$fw" firewall pcap_in "$tmp/four.pcap" pcap_out "$tmp/no/where"
name="a capture from standard input"
if "$S" -j run "$fw" firewall pcap_in - <"$tmp/four.pcap" | jq -e '.packets == 4' >/dev/null; then pass; else fail "$name" "wrong"; fi

# ---- Recorded contexts ----

head -c 48 /dev/zero >"$tmp/contexts"
t "recorded contexts" 0 -j run "$perf" start ctx_in "$tmp/contexts" ctx_size 16 --time 100 --time-step 10
jqs '.contexts == 3 and .bytes == 48 and .verdicts == [{retval: 1, contexts: 3, bytes: 48}]' \
    '.events | map(.data.time) == [100, 110, 120]'
t "the same as text" 0 run "$perf" start ctx_in "$tmp/contexts" ctx_size 16 --packets 2
has "contexts" "100.0%" "total"
t "no whole number of contexts" 2 run "$perf" start ctx_in "$tmp/contexts" ctx_size 20
says "48 bytes" "20 bytes"
t "contexts of what" 2 run "$perf" start ctx_size 20

# ---- Samples, tables ----

t "samples" 0 run "$perf" start --event sample --time 77
has 'event samples: {"time":77,"cpu":0,"kind":7}' "Return value: 1,"
t "a struct that is called like the map" 0 -j run "$perf" start --time 77
jqs '.events == [{map: "samples", cpu: 0, size: 20, data: {time: 77, cpu: 0, kind: 7}}]'
t "a type for one map" 0 -j run "$perf" start --time 77 --event other=sample --event samples=__u64
jqs '.events[0].data == 77'
t "a type that is too large" 0 -j run "$fw" firewall data_in "$tmp/web.bin" --event cfg
jqs '.events[0].data == "0a0000015000626c6f636b6564000000"'
t "a type that is not there" 2 run "$perf" start --event nothing
says "no type 'nothing'"
echo '[{"key": 1, "value": "end"}]' >"$tmp/jumps.json"
echo '[{"key": 5, "value": "inner"}]' >"$tmp/outer.json"
echo '[{"key": 0, "value": 55}]' >"$tmp/inner.json"
t "a table of programs from JSON" 0 -j run "$perf" start --map jumps="$tmp/jumps.json" --dump-maps
jqs '.retval == 99' '.maps[] | select(.name == "jumps") | .elements == [{key: "01000000", value: "end"}]'
t "a map of maps from JSON" 0 -j run "$perf" start --map outer="$tmp/outer.json" --map inner="$tmp/inner.json" --dump-maps
jqs '.retval == 55' '.maps[] | select(.name == "outer") | .elements[0].value == "inner"'
kinds=$tmp/kinds.bpf.o
if $cc -O2 -g -target bpf -I"/usr/include/$(uname -m)-linux-gnu" -c tests/cli/kinds.bpf.c -o "$kinds"; then
    echo '[{"key": {"len": 8, "addr": [10, 0, 0, 0]}, "value": 1}, {"key": {"len": 16, "addr": [10, 1, 0, 0]}, "value": 2}]' >"$tmp/routes.json"
    echo '[{"key": 7, "values": [{"cpu": 0, "value": 40}]}]' >"$tmp/lru.json"
    echo '[{"value": 11}, {"value": 12}, {"value": 13}]' >"$tmp/queue.json"
    echo '[{"value": 5}]' >"$tmp/bloom.json"
    echo '[{"key": 1, "value": 3}]' >"$tmp/devices.json"
    echo '[{"key": 1, "value": 192}]' >"$tmp/cpus.json"
    echo '[{"value": "64000000"}, {"value": "01 00 00 00 ff"}]' >"$tmp/feed.json"
    fills=(--map routes="$tmp/routes.json" --map lru="$tmp/lru.json" --map queue="$tmp/queue.json" --map stack="$tmp/queue.json"
        --map bloom="$tmp/bloom.json" --map devices="$tmp/devices.json" --map cpus="$tmp/cpus.json" --map feed="$tmp/feed.json")
    t "maps of many kinds" 0 -j run "$kinds" use data_in "$tmp/web.bin" "${fills[@]}" --dump-maps --cpus 2
    jqs '.retval == 4' '.redirect_ifindex == 3' \
        '.maps[] | select(.name == "routes") | .elements | length == 2 and any(.key == {len: 16, addr: [10, 1, 0, 0]} and .value == 2)' \
        '.maps[] | select(.name == "lru") | .elements | length == 1 and .[0].key == 7 and (.[0].values | map(.value) | add == 41)' \
        '.maps[] | select(.name == "devices") | .elements == [{key: 1, value: 3}]' \
        '.maps[] | select(.name == "cpus") | .elements == [{key: 1, value: 192}]' \
        '[.maps[] | select(.vars) | .vars] | add | .route == 2 and .popped == 11 and .top == 13 and .known == 1 and .unknown == 0 and .fed == 101'
    t "maps of many kinds, as text" 0 run "$kinds" use data_in "$tmp/web.bin" "${fills[@]}" --dump-maps --cpus 2
    has 'lpm_trie routes:' '{"len":16,"addr":[10,1,0,0]}: 2' 'devmap devices:' 'fed = 101'
    echo '[{"value": 100}]' >"$tmp/feed.json"
    t "a sample that is no text" 2 run "$kinds" use --map feed="$tmp/feed.json"
    says "a sample of a user ring buffer is a text of hex digits"
    printf '[{"value": "%s"}]' "$(printf '00%.0s' {1..5000})" >"$tmp/feed.json"
    t "a sample that does not fit" 2 run "$kinds" use --map feed="$tmp/feed.json"
    says "cannot be stored: Argument list too long"
    echo '[{"value": 1}, {"value": 2}, {"value": 3}, {"value": 4}, {"value": 5}, {"value": 6}, {"value": 7}, {"value": 8}, {"value": 9}]' >"$tmp/queue.json"
    t "a queue that is full" 2 run "$kinds" use --map queue="$tmp/queue.json"
    says "cannot be stored: Argument list too long"
else
    failed=$((failed + 1)) && echo "FAILED: tests/cli/kinds.bpf.c does not compile"
fi

echo '[{"key": 1, "value": "nobody"}]' >"$tmp/jumps.json"
t "a program that is not there" 2 run "$perf" start --map jumps="$tmp/jumps.json"
says "name of a program"

# ---- Damaged objects ----

name="truncated objects end with 1 or 2"
size=$(stat -c %s "$fw") bad=
for i in $(seq 0 37 "$size"); do
    head -c "$i" "$fw" >"$tmp/part.o"
    timeout 20 "$S" run "$tmp/part.o" firewall data_in "$tmp/web.bin" >/dev/null 2>"$err"
    rc=$?
    { [ $rc -eq 1 ] || [ $rc -eq 2 ]; } && [ -s "$err" ] || bad="$bad $i:$rc"
done
if [ -z "$bad" ]; then pass; else fail "$name" "bytes:status$bad"; fi
name="flipped bits never kill"
bad=
for i in $(seq 1 150); do
    cp "$fw" "$tmp/flip.o"
    at=$((i * 7919 % size))
    printf '%b' "$(printf '\\x%02x' $((i * 37 % 256)))" | dd of="$tmp/flip.o" bs=1 seek=$at conv=notrunc 2>/dev/null
    timeout 20 "$S" run "$tmp/flip.o" firewall data_in "$tmp/web.bin" --max-insns 1000000 >/dev/null 2>&1
    rc=$?
    [ $rc -le 2 ] || bad="$bad $at:$rc"
done
if [ -z "$bad" ]; then pass; else fail "$name" "offset:status$bad"; fi

# ---- Memory ----

if ! nm "$S" 2>/dev/null | grep -q __asan_init; then
    truncate -s 200M "$tmp/large.o"
    t "more memory than may be" 2 --max-memory 64M show "$tmp/large.o"
    says "large.o" "memory"
    t "enough memory" 0 run "$fw" firewall data_in "$tmp/web.bin" --max-memory=256M
    name="whatever allocation fails, it is said"
    bad=
    for kb in $(seq 0 64 4096); do
        timeout 20 "$S" run "$fw" firewall data_in "$tmp/web.bin" --max-memory "${kb}K" >"$out" 2>"$err"
        rc=$?
        [ $rc -eq 0 ] || { { [ $rc -eq 1 ] || [ $rc -eq 2 ]; } && [ -s "$err" ]; } || bad="$bad ${kb}K:$rc"
    done
    if [ -z "$bad" ]; then pass; else fail "$name" "limit:status$bad"; fi
fi
t "a size that is none" 2 --max-memory much show "$fw"
says "'much' is no size"
t "a size without a command" 2 --max-memory
says "needs a value"

# ---- The network: contexts by names, what is sent, worlds with routes and sockets ----

net=$tmp/net.o
t "an address by its names" 0 -j run "$net" connect4 --ctx '{"user_ip4": "10.0.0.1", "user_port": 80, "user_family": 2}'
jqs '.retval == 1' '.ctx.user_ip4 == "127.0.0.1"' '.ctx.user_port == 8080' '.ctx.user_family == 2'
t "a connection that is refused" 0 -j run "$net" connect4 --ctx '{"user_port": 81}'
jqs '.retval == 0' '.hook_result == -1'
t "a field that is not there" 2 run "$net" connect4 --ctx '{"user_prot": 80}'
says "user_prot: bpf_sock_addr has no such field"
t "a port that is none" 2 run "$net" connect4 --ctx '{"user_port": 65536}'
says "user_port: a number up to 65535"
t "a sysctl's name and values" 0 -j run "$net" sysctl data_in hex:31 --ctx '{"name": "net/ipv4/ip_forward", "value": "0"}'
jqs '.retval == 1' '.data_out == "32"'
t "what is sent" 0 -j run "$net" mirror data_in hex:$eth$(ip_packet 1 6 80)
jqs '.sent | length == 2' '.sent[0] | .what == "clone_redirect" and .ifindex == 7' \
    '.sent[1] | .what == "redirect" and .ifindex == 9 and .flags == 1' '.sent[1].data | length == 108'
t "what is sent, as text" 0 run "$net" mirror data_in hex:$eth$(ip_packet 1 6 80)
has "sent: clone_redirect to interface 7, 54 bytes" "sent: redirect to interface 9"
cat >"$tmp/net.json" <<'JSON'
{"interfaces": [{"ifindex": 1, "name": "in", "mac": "02:00:00:00:00:0a"}, {"ifindex": 2, "name": "out", "mac": "02:00:00:00:00:0b"}],
 "routes": [{"to": "0.0.0.0/0", "type": "unreachable"}, {"to": "10.2.0.0/16", "via": "10.1.0.1", "dev": "out"}],
 "neighbours": [{"ip": "10.1.0.1", "mac": "02:00:00:00:00:c1", "dev": "out"}],
 "sockets": [{"protocol": "tcp", "local": ":80"}]}
JSON
t "a route of the world" 0 -j run "$net" route data_in hex:$eth$(ip_packet 1 6 80) --world "$tmp/net.json"
jqs '.verdict == "XDP_PASS"'
# to 10.0.0.2 by a hop that is named; to 10.2.0.9 by its route; to 10.9.0.9 by none
for way in "0a000002 redirect_neigh 0200000000c102000000000b" "0a020009 redirect_neigh 0200000000c102000000000b" "0a090009 redirect_neigh_failed 020202020202040404040404"; do
    set -- $way
    t "a neighbour of the world, $1" 0 -j run "$net" neigh data_in hex:$eth$(ip_packet 1 6 80 | sed "s/0a000002/$1/") --world "$tmp/net.json"
    jqs '.retval == 7' ".sent[0].what == \"$2\" and .sent[0].ifindex == 2" ".sent[0].data[0:24] == \"$3\""
done
t "no world, no neighbours" 0 -j run "$net" neigh data_in hex:$eth$(ip_packet 1 6 80)
jqs '.sent[0].what == "redirect_neigh"' '.sent[0].data[0:24] == "020202020202040404040404"'
t "no world, no route" 0 -j run "$net" route data_in hex:$eth$(ip_packet 1 6 80)
jqs '.verdict == "XDP_DROP"'
t "a socket of the world" 0 -j run "$net" listening data_in hex:$eth$(ip_packet 1 6 80) --world "$tmp/net.json"
jqs '.retval == 10'
# The same lookups in Linux, in a network namespace that is set up as the world is.
cat >"$tmp/fib.json" <<'JSON'
{"interfaces": [{"ifindex": 10, "name": "a", "mac": "02:00:00:00:00:0a", "addresses": ["10.0.0.1/24", "2001:db8:9::1/64", "fe80::ff:fe00:a/64"]},
  {"ifindex": 11, "name": "b", "mac": "02:00:00:00:00:0b", "mtu": 1400, "addresses": ["10.3.0.1/24", "10.1.0.7/24", "fe80::ff:fe00:b/64"]},
  {"ifindex": 12, "name": "c", "forwarding": false, "addresses": ["10.9.0.1/24"]}],
 "routes": [{"to": "10.1.0.0/16", "dev": "b"}, {"to": "10.1.0.0/24", "dev": "b", "src": "10.1.0.7"}, {"to": "10.0.0.1/32", "type": "local", "dev": "a", "table": 255}, {"to": "10.5.0.0/16", "dev": "b", "table": 100},
  {"to": "10.6.0.0/16", "dev": "b", "table": 253}, {"to": "10.7.0.0/16", "dev": "b", "src": "10.0.0.1"}, {"to": "10.8.0.0/16", "dev": "a"}, {"to": "10.2.0.0/16", "via": "10.1.0.1", "dev": "b", "metric": 7}, {"to": "10.2.3.0/24", "type": "blackhole"},
  {"to": "10.2.4.0/24", "type": "unreachable"}, {"to": "10.2.5.0/24", "type": "prohibit"}, {"to": "2001:db8:1::/48", "dev": "b", "metric": 1024}],
 "neighbours": [{"ip": "10.1.0.1", "mac": "02:00:00:00:00:c1", "dev": "b"}, {"ip": "2001:db8:1::1", "mac": "02:00:00:00:00:c6", "dev": "b"}]}
JSON
cat >"$tmp/fib.sh" <<'SH'
set -e
ip link add name a index 10 address 02:00:00:00:00:0a type veth peer name ap
ip link add name b index 11 address 02:00:00:00:00:0b mtu 1400 type veth peer name bp
ip link add name c index 12 type veth peer name cp
for d in lo a ap b bp c cp; do ip link set dev $d up; done
ip addr add 10.0.0.1/24 dev a; ip addr add 10.9.0.1/24 dev c; ip -6 addr add 2001:db8:9::1/64 dev a nodad
for d in a b; do echo 1 >/proc/sys/net/ipv4/conf/$d/forwarding; echo 1 >/proc/sys/net/ipv6/conf/$d/forwarding; done
echo 0 >/proc/sys/net/ipv4/conf/c/forwarding
ip route add 10.1.0.0/16 dev b; ip neigh add 10.1.0.1 lladdr 02:00:00:00:00:c1 dev b
ip route add 10.2.0.0/16 via 10.1.0.1 dev b metric 7
ip route add blackhole 10.2.3.0/24; ip route add unreachable 10.2.4.0/24; ip route add prohibit 10.2.5.0/24
ip addr add 10.3.0.1/24 dev b; ip addr add 10.1.0.7/24 dev b
ip route add 10.5.0.0/16 dev b table 100; ip route add 10.6.0.0/16 dev b table 253; ip route add 10.7.0.0/16 dev b src 10.0.0.1
ip route add 10.8.0.0/16 dev a
ip -6 route add 2001:db8:1::/48 dev b; ip -6 neigh add 2001:db8:1::1 lladdr 02:00:00:00:00:c6 dev b
while read -r q; do "$1" -j run "$2" fib data_in "hex:$q" --kernel; done
SH
question() { # flags ifindex length family source destination (hex)
    printf '%02x%026d%02x%010d%s%s%08d%-32s%-32s%032d\n' "$1" 0 "$4" 0 "$(le32 "$3" | cut -c1-4)" "$(le32 "$2")" 0 "$5" "$6" 0 | tr ' ' 0
}
{
    question 0 10 100 2 0a000002 0a010001
    question 0 10 100 2 0a000002 0a010009
    question 4 10 100 2 0a000002 0a010009
    question 0 10 100 2 0a000002 0a020909
    question 0 10 1401 2 0a000002 0a020909
    question 0 10 1400 2 0a000002 0a020909
    question 0 10 100 2 0a000002 0a020301
    question 0 10 100 2 0a000002 0a020401
    question 0 10 100 2 0a000002 0a020501
    question 0 10 100 2 0a000002 0a4d0001
    question 0 12 100 2 0a090002 0a010001
    question 0 99 100 2 0a000002 0a010001
    question 0 10 100 10 20010db8000900000000000000000002 20010db8000100000000000000000001
    question 0 10 100 10 20010db8000900000000000000000002 20010db8000100000000000000000002
    question 0 10 100 10 20010db8000900000000000000000002 ff020000000000000000000000000001
    question 64 10 100 2 0a000002 0a010001
    for flags in 16 20 22 1 5 36 32; do
        question $flags 10 100 2 0a000002 0a010001
        question $flags 10 100 2 0a000002 0a020909
        question $flags 10 100 2 0a000002 0a070001
        question $flags 11 100 2 0a000002 0a080001
        question $flags 10 100 2 0a000002 0a000001
        question $flags 10 100 2 0a000002 0a060001
        question $flags 10 100 10 20010db8000900000000000000000002 20010db8000100000000000000000001
    done
    question 0 10 100 3 0a000002 0a010001
} >"$tmp/questions"
if command -v jq >/dev/null && unshare -n sh "$tmp/fib.sh" "$S" "$net" <"$tmp/questions" >"$tmp/linux" 2>"$err"; then
    jq -rs '.[] | "\(.retval) \(.data_out)"' "$tmp/linux" >"$tmp/linux.txt"
    while read -r q; do "$S" -j run "$net" fib data_in "hex:$q" --world "$tmp/fib.json"; done <"$tmp/questions" |
        jq -rs '.[] | "\(.retval) \(.data_out)"' >"$tmp/ours.txt"
    name="routes as Linux finds them"
    if [ -s "$tmp/linux.txt" ] && diff "$tmp/linux.txt" "$tmp/ours.txt" >"$out"; then pass; else fail "$name" "Linux and ours differ"; fi
else
    skipped=$((skipped + 1)) && echo "SKIP: no network namespace of our own"
fi
t "a message grows" 0 -j run "$net" first_byte data_in hex:474554 data_out "$tmp/msg"
jqs '.verdict == "SK_PASS"'
if [ "$(xxd -p "$tmp/msg")" = 0000474554 ]; then pass; else fail "$name" "$(xxd -p "$tmp/msg")"; fi
echo '{"sockets": [{"protocol": "tcp", "local": "80"}]}' >"$tmp/bad.json"
t "a world with a socket that has no address" 2 run "$net" listening data_in hex:$eth$(ip_packet 1 6 80) --world "$tmp/bad.json"
says "sockets[0].local"

# ---- Classic BPF ----

printf '4\n40 0 0 12\n21 0 1 2048\n6 0 0 65535\n6 0 0 0\n' >"$tmp/ip.cbpf" # tcpdump -ddd ip
t "a filter that keeps" 0 -j run --cbpf "$tmp/ip.cbpf" data_in hex:$eth$(ip_packet 1 6 80)
jqs '.retval == 65535'
t "a filter that drops" 0 run --cbpf "$tmp/ip.cbpf" data_in hex:0000
has "Return value: 0"
t "a filter over a capture" 0 -j run --cbpf "$tmp/ip.cbpf" pcap_in "$tmp/raw.pcap"
t "a filter that is none" 1 run --cbpf hex:$(printf '1\n6 0 0' | xxd -p)
says "instruction 0 of 1"
printf '3\n32 0 0 0\n53 0 1 100\n6 0 0 327681\n6 0 0 2147418112\n' | sed 's/^3$/4/' >"$tmp/sys.cbpf"
t "a filter of system calls" 0 -j run --cbpf "$tmp/sys.cbpf" --seccomp data_in hex:$(printf '65%0126d' 0)
jqs '.action == "errno"' '.data == 1'
t "a system call that is allowed" 0 run --cbpf "$tmp/sys.cbpf" --seccomp data_in hex:$(printf '%0128d' 0)
has "(allow)"
t "seccomp_data has 64 bytes" 2 run --cbpf "$tmp/sys.cbpf" --seccomp data_in hex:00
says "64 bytes"

# ---- Size ----

if [ -x /usr/bin/time ] && ! nm "$S" 2>/dev/null | grep -q __asan_init; then
    kb=$(/usr/bin/time -f %M "$S" run "$fw" firewall data_in "$tmp/web.bin" 2>&1 >/dev/null | tail -1)
    name="under 8 MB resident"
    if [ "$kb" -lt 8192 ]; then pass; else fail "$name" "$kb kB"; fi
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
