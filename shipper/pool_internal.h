/* What pool.c and pool_ready.c share. */
#ifndef EHRING_POOL_INTERNAL_H
#define EHRING_POOL_INTERNAL_H

#include "shipper/pool.h"

void pool_fail(struct pool_conn *pc, const char *what, const char *detail, int64_t now_ns);
void pool_enter(struct pool_conn *pc, enum pool_state state, int64_t wait_ns, int64_t now_ns);
void pool_put_token(struct pool_conn *pc, int64_t now_ns);
void pool_read_hub(struct pool_conn *pc, int64_t now_ns);

#endif
