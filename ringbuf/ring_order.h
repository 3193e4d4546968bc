/* The named ordering edges between producer, workers and tools; the only place that spells a memory order.
 * Each edge names its partner and what breaks without it. The README's table is made from these labels. */
#ifndef EHRING_RING_ORDER_H
#define EHRING_RING_ORDER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wtsan" /* fences are not modelled: the edges below that use one order words, not the bytes behind them */
#endif

/* P1: publish record; pairs with P2 in ring_lane_look. Without it a reader sees the new position before the record's bytes. */
static inline void order_publish(_Atomic uint64_t *write_pos, uint64_t pos)
{
    atomic_store_explicit(write_pos, pos, memory_order_release);
}

/* P2: see what is published; pairs with P1. */
static inline uint64_t order_observe(const _Atomic uint64_t *write_pos)
{
    return atomic_load_explicit(write_pos, memory_order_acquire);
}

/* G1: raise the gate to `pos` unless it is there already; pairs with G2. The release half keeps all reads of the records before the
 * moment the producer may overwrite them. Returns true if this call raised it. A maximum, because several workers compute it and the
 * slower one may hold the older value. */
static inline bool order_raise_gate(_Atomic uint64_t *gate_pos, uint64_t pos)
{
    uint64_t old = atomic_load_explicit(gate_pos, memory_order_relaxed);
    while (old < pos)
        if (atomic_compare_exchange_weak_explicit(gate_pos, &old, pos, memory_order_release, memory_order_relaxed))
            return true;
    return false;
}

/* G2: the producer looks at the gate; pairs with G1. Without it the writer's stores could land before the shipper's last loads. */
static inline uint64_t order_load_gate(const _Atomic uint64_t *gate_pos)
{
    return atomic_load_explicit(gate_pos, memory_order_acquire);
}

/* A1 + A2: store the own ack, then look at the others'; pairs with itself in another worker. The full fence between is what makes at
 * least one of two workers see both new values; without it the gate stays behind for ever. */
static inline void order_store_ack(_Atomic uint64_t *ack_pos, uint64_t pos)
{
    atomic_store_explicit(ack_pos, pos, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
}
static inline uint64_t order_load_ack(const _Atomic uint64_t *ack_pos)
{
    return atomic_load_explicit(ack_pos, memory_order_acquire);
}

/* S1: the shipper says that it sleeps, then (after ring_bell_barrier) looks at every write_pos once more; pairs with S2. */
static inline void order_store_sleeping(_Atomic uint64_t *sleeping, uint64_t number)
{
    atomic_store_explicit(sleeping, number, memory_order_relaxed);
}

/* S2: the producer looks at `sleeping` after P1. `membarrier` in the shipper is the fence for both sides if the producer is registered:
 * then only the compiler must keep the order. Otherwise a full fence stands here. Without either, the record is published, the flag is
 * read as awake, and the shipper sleeps beside it until its time-out. */
static inline uint64_t order_load_sleeping_registered(const _Atomic uint64_t *sleeping)
{
    atomic_signal_fence(memory_order_seq_cst);
    return atomic_load_explicit(sleeping, memory_order_relaxed);
}
static inline uint64_t order_load_sleeping_fenced(const _Atomic uint64_t *sleeping)
{
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(sleeping, memory_order_relaxed);
}

/* W1: the producer says that it waits on the gate, fences, and looks at the gate once more before the futex; pairs with W2. */
static inline void order_store_waiting(_Atomic uint32_t *waiting, uint32_t value)
{
    atomic_store_explicit(waiting, value, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
}

/* W2: after G1 the worker fences and looks whether somebody waits; pairs with W1. Without the fences both sides can miss each other. */
static inline uint32_t order_load_waiting(const _Atomic uint32_t *waiting)
{
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(waiting, memory_order_relaxed);
}

/* V1: the version word, stored last; pairs with V2. Without it a ladder climber sees a whole header's version before its fields. */
static inline void order_publish_version(_Atomic uint32_t *version, uint32_t value)
{
    atomic_store_explicit(version, value, memory_order_release);
}
/* V2: pairs with V1. */
static inline uint32_t order_load_version(const _Atomic uint32_t *version)
{
    return atomic_load_explicit(version, memory_order_acquire);
}

/* T1: the writer enters a new eighth of the ring: its later stores come after; pairs with T2. */
static inline void order_enter_eighth(void)
{
    atomic_thread_fence(memory_order_release);
}

/* T2: a tap has copied, now looks at write_pos to learn whether the copy is to be believed; pairs with T1. */
static inline uint64_t order_tap_check(const _Atomic uint64_t *write_pos)
{
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(write_pos, memory_order_relaxed);
}

/* R1: each store of a redo step comes after the one before it, also for a reader of the file after a kill; pairs with R2 at the next
 * start. Release is enough: a killed thread's stores become visible in the order in which they were made. */
static inline void order_redo_store64(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}
static inline void order_redo_store32(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}
/* R2: pairs with R1. */
static inline uint64_t order_redo_load64(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}
static inline uint32_t order_redo_load32(const _Atomic uint32_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

/* Q1: a state word shared between threads of one process whose reader needs what was written before it; pairs with Q2. */
static inline void order_flag_set(_Atomic uint32_t *flag, uint32_t value)
{
    atomic_store_explicit(flag, value, memory_order_release);
}
/* Q2: pairs with Q1. */
static inline uint32_t order_flag_get(const _Atomic uint32_t *flag)
{
    return atomic_load_explicit(flag, memory_order_acquire);
}

/* Q1 and Q2 for a 64-bit word: a slot of the SIGBUS handler's table, whose length must be there before its address. */
static inline void order_flag_set64(_Atomic uint64_t *flag, uint64_t value)
{
    atomic_store_explicit(flag, value, memory_order_release);
}
static inline uint64_t order_flag_get64(const _Atomic uint64_t *flag)
{
    return atomic_load_explicit(flag, memory_order_acquire);
}

/* C1: the first of several threads gives a word its value; pairs with itself. True for the one that did. */
static inline bool order_claim32(_Atomic uint32_t *word, uint32_t value)
{
    uint32_t zero = 0;
    return atomic_compare_exchange_strong_explicit(word, &zero, value, memory_order_acq_rel, memory_order_acquire);
}

/* N1: the notes' head or tail moves; pairs with N2. Without it a reader takes a note that is not written yet, or is written anew. */
static inline void order_move_notes(_Atomic uint64_t *index, uint64_t value)
{
    atomic_store_explicit(index, value, memory_order_release);
    atomic_thread_fence(memory_order_release); /* what is written into freed slots comes after the move of the head */
}
/* N2: pairs with N1: first look at head and tail, and once more at the head when the notes were read. */
static inline uint64_t order_load_notes(const _Atomic uint64_t *index)
{
    return atomic_load_explicit(index, memory_order_acquire);
}
static inline uint64_t order_check_notes(const _Atomic uint64_t *head)
{
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(head, memory_order_relaxed);
}

/* K1: a count of sleepers or of references, changed by several threads; pairs with itself. Sequentially consistent: the last to sleep
 * must know that it is the last. */
static inline uint32_t order_count_add(_Atomic uint32_t *count, int32_t delta)
{
    return atomic_fetch_add_explicit(count, (uint32_t)delta, memory_order_seq_cst) + (uint32_t)delta;
}
static inline uint32_t order_count_load(const _Atomic uint32_t *count)
{
    return atomic_load_explicit(count, memory_order_seq_cst);
}

/* N: no order needed: a counter with one writer, or a word whose reader may be late. */
static inline uint64_t order_none_load64(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}
static inline void order_none_store64(_Atomic uint64_t *word, uint64_t v)
{
    atomic_store_explicit(word, v, memory_order_relaxed);
}
static inline uint32_t order_none_load32(const _Atomic uint32_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}
static inline void order_none_store32(_Atomic uint32_t *word, uint32_t v)
{
    atomic_store_explicit(word, v, memory_order_relaxed);
}
static inline void order_none_add64(_Atomic uint64_t *word, uint64_t v) /* single writer: no locked instruction */
{
    order_none_store64(word, order_none_load64(word) + v);
}

#endif
