/* Decoders of remote controls (lirc_mode2): what they report is told of, no device hears it. */
#include "vm/effect.h"
#include "vm/helpers/helper.h"

static const char no_lirc[] = "this helper needs the context of a lirc_mode2 program";

HELPER_BODY(rc_repeat)
{
    if (env->ctx_layout != &ctx_lirc)
        return helper_refuse(env, no_lirc);
    effect_tell(env, &(struct skep_effect){.what = "rc_repeat"});
    return 0;
}

HELPER_BODY(rc_keydown)
{
    if (env->ctx_layout != &ctx_lirc)
        return helper_refuse(env, no_lirc);
    effect_tell(env, &(struct skep_effect){.what = "rc_keydown", .args = {(uint32_t)a2, a3, (uint32_t)a4 != 0}});
    return 0;
}

HELPER_BODY(rc_pointer_rel)
{
    if (env->ctx_layout != &ctx_lirc)
        return helper_refuse(env, no_lirc);
    effect_tell(env, &(struct skep_effect){.what = "rc_pointer_rel",
                                           .args = {(uint64_t)(int64_t)(int32_t)a2, (uint64_t)(int64_t)(int32_t)a3}});
    return 0;
}
