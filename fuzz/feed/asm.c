/*
 * Assembly text: whatever assembles must disassemble to text that assembles to the same bytes.
 */
#include "vm/isa/asm.h"
#include "fuzz/feed/feed.h"
#include "vm/isa/disasm.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct asm_out first = {0}, again = {0};
    struct buf said = {0}, text = {0};
    struct log log = feed_log(&said);
    int err = asm_text((const char *)data, size, NULL, &log, &first);

    if (err && !said.len)
        feed_wrong("error %d without a message", err);
    if (!err) {
        disasm_text(first.insns, first.n_insns, NULL, &text);
        if (asm_text(buf_text(&text), text.len, NULL, &log, &again))
            feed_wrong("what was disassembled does not assemble: %s\n%s", buf_text(&said), buf_text(&text));
        if (again.n_insns != first.n_insns ||
            (first.n_insns && memcmp(again.insns, first.insns, first.n_insns * sizeof(*first.insns))))
            feed_wrong("the text stands for other bytes:\n%s", buf_text(&text));
    }
    asm_free(&again);
    asm_free(&first);
    buf_free(&text);
    buf_free(&said);
    return 0;
}
