#!/bin/bash
# The libraries as an embedder meets them: which names they export, what they need, that examples/embed.c builds against
# the core alone and works, that headers stand by themselves in C and C++, and that an installed tree is usable.
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
CC=${CC:-gcc}
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
. tests/count.sh

expect() { # name, output that must be empty
    if [ -z "$2" ]; then pass; else fail "$1" "$2"; fi
}
works() { # name command...
    local name=$1 said
    shift
    if said=$("$@" 2>&1); then pass; else fail "$name" "$said"; fi
}

# Exported names.
for a in "$B/libskep-core.a" "$B/libskep.a"; do
    expect "$a exports skep_ names only" "$(nm -g --defined-only "$a" | awk 'NF == 3 && $3 !~ /^skep_/ { print $3 }')"
    works "$a exports something" sh -c "nm -g --defined-only $a | grep -q ' T skep_program__run'"
done
expect "libskep.so exports skep_ names only" \
    "$(nm -D --defined-only "$B/libskep.so" | awk '$3 !~ /^(skep_|SKEP_0\.1)/ { print $3 }')"
works "libskep.so has a SONAME" sh -c "readelf -d $B/libskep.so | grep -q 'SONAME.*libskep.so.0'"

# What the headers declare is there; the core has what its own headers declare.
core_headers=(include/skep/{vm,map,program,buffer}.h)
have() { nm -g --defined-only "$1" | awk '{ print $3 }' | sort -u; }
macros='skep_object__for_each_program|skep_object__for_each_map'
expect "the core has all that its headers declare" \
    "$(comm -23 <(grep -h SKEP_API -A1 "${core_headers[@]}" | grep -oE 'skep_[a-z0-9_]+\(' | tr -d '(' | sort -u) \
        <(have "$B/libskep-core.a"))"
expect "the library has all that the headers declare" \
    "$(comm -23 <(grep -h SKEP_API -A1 include/skep/*.h | grep -oE 'skep_[a-z0-9_]+\(' | tr -d '(' | grep -vE "$macros" | sort -u) \
        <(have "$B/libskep.a"))"

# Headers by themselves.
for h in include/skep/*.h; do
    works "$h in C11" "$CC" -std=c11 -Wall -Wextra -Werror -pedantic -Iinclude -fsyntax-only -x c "$h"
    if command -v g++ >/dev/null; then
        works "$h in C++" g++ -Wall -Wextra -Werror -Iinclude -fsyntax-only -x c++ "$h"
    fi
done

# The example, with the core, libc and threads alone.
san=
nm "$B/libskep-core.a" 2>/dev/null | grep -q __asan_init && san=-fsanitize=address,undefined
works "examples/embed.c builds" "$CC" -std=c11 -O1 -Wall -Wextra -Werror $san -Iinclude examples/embed.c \
    "$B/libskep-core.a" -pthread -o "$tmp/embed"
if [ -x "$tmp/embed" ]; then
    works "examples/embed.c works" "$tmp/embed"
    expect "it needs nothing but libc" \
        "$([ -n "$san" ] || ldd "$tmp/embed" | grep -vE 'linux-vdso|libc\.so|ld-linux|libpthread')"
fi

# An installed tree.
if [ -z "$san" ]; then
    works "make install" make --no-print-directory B="$B" DESTDIR="$tmp/stage" PREFIX=/opt/skep install
    printf '%s\n' '#include <skep/skep.h>' '#include <stdio.h>' \
        'int main(void) { puts(skep_version_string()); return skep_object__open("/nonexistent") != NULL; }' >"$tmp/use.c"
    root=$tmp/stage/opt/skep
    works "a program builds with the installed tree" "$CC" "$tmp/use.c" -I"$root/include" -L"$root/lib" -lskep -o "$tmp/use"
    works "it runs with the installed library" env LD_LIBRARY_PATH="$root/lib" "$tmp/use"
    works "the installed command runs" "$root/bin/skep" --version
    if command -v pkg-config >/dev/null; then
        flags() { PKG_CONFIG_PATH=$root/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$tmp/stage pkg-config "$@" skep; }
        expect "skep.pc names the prefix" "$(flags --variable=prefix | grep -v '/opt/skep$')"
        works "a program builds with what skep.pc says" "$CC" "$tmp/use.c" $(flags --cflags --libs) -o "$tmp/use-pc"
        works "a static program does" "$CC" "$tmp/use.c" $(flags --cflags) "$root/lib/libskep.a" \
            $(flags --static --libs-only-l | sed 's/-lskep//') -pthread -o "$tmp/use-static"
        works "it runs" "$tmp/use-static"
    fi
fi

finish
