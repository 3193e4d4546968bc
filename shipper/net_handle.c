/* The handle table of a network loop, its double send buffers, and what is due to be told. Knows no backend. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shipper/clock.h"
#include "shipper/net_internal.h"

#define SLOT_BITS 11
#define GENERATION_MAX (INT32_MAX >> SLOT_BITS)
static_assert(NET_SLOTS == 1 << SLOT_BITS, "a handle's low bits are its slot");

struct net_handle *net_handle_take(struct net *net, enum net_state state)
{
    int slot = 0;
    if (net->live_count >= NET_HANDLES_MAX)
        return NULL;
    while (slot < NET_SLOTS && net->handle[slot].state != NET_SLOT_FREE) /* the lowest: its buffers are there already */
        slot++;
    if (slot == NET_SLOTS)
        return NULL;
    struct net_handle *handle = &net->handle[slot];
    if (slot >= net->slots_used) {
        net->slots_used = slot + 1;
        handle->id = slot;
    }
    handle->state = state;
    handle->fd = -1;
    net->live_count++;
    return handle;
}

struct net_handle *net_handle_find(const struct net *net, int id)
{
    if (id < 0)
        return NULL;
    const struct net_handle *handle = &net->handle[id & (NET_SLOTS - 1)];
    bool known = handle->id == id && handle->state != NET_SLOT_FREE && handle->state != NET_ENDING;
    return known ? (struct net_handle *)handle : NULL;
}

void net_handle_retire(struct net *net, struct net_handle *handle)
{
    assert(handle->state != NET_SLOT_FREE);
    assert(handle->state != NET_ENDING);
    if (handle->due_error || handle->due_sent)
        net->due_count--;
    handle->due_error = 0;
    handle->due_sent = false;
    handle->state = NET_ENDING;
    net->live_count--;
}

void net_handle_free(struct net *net, struct net_handle *handle)
{
    if (handle->state != NET_ENDING)
        net_handle_retire(net, handle);
    int slot = (int)(handle - net->handle), generation = handle->id >> SLOT_BITS;
    generation = generation == GENERATION_MAX ? 0 : generation + 1;
    struct net_handle fresh = {.state = NET_SLOT_FREE, .id = generation << SLOT_BITS | slot, .fd = -1};
    memcpy(fresh.send_buffer, handle->send_buffer, sizeof fresh.send_buffer);
    fresh.receive_buffer = handle->receive_buffer;
    *handle = fresh;
}

void net_due_failed(struct net *net, struct net_handle *handle, int error)
{
    handle->due_error = error;
    net->due_count++;
}

void net_due_sent(struct net *net, struct net_handle *handle)
{
    if (handle->due_sent)
        return;
    handle->due_sent = true;
    net->due_count++;
}

static void tell_due(struct net *net, struct net_handle *handle, struct net_gather *told)
{
    if (handle->due_sent) {
        handle->due_sent = false;
        net->due_count--;
        net_tell(told, (struct net_event){.kind = NET_SENT, .handle = handle->id});
        return;
    }
    struct net_event event = {.kind = NET_FAILED, .handle = handle->id, .error = handle->due_error};
    net_end(net, handle->id);
    net_tell(told, event);
}

void net_tell_due(struct net *net, struct net_gather *told)
{
    for (int i = 0; net->due_count > 0 && i < net->slots_used && !net_gather_full(told); i++) {
        struct net_handle *handle = net_handle_turn(net, i);
        if (handle->due_error || handle->due_sent)
            tell_due(net, handle, told);
    }
}

int net_sender_open(struct net_handle *handle)
{
    for (int i = 0; i < 2; i++)
        if (!handle->send_buffer[i] && !(handle->send_buffer[i] = malloc(NET_SEND_BUFFER_BYTES)))
            return -ENOMEM;
    return 0;
}

/* Only while nothing is under way: the kernel may hold the address of what is. */
static void sender_turn(struct net_handle *handle)
{
    handle->fill ^= 1;
    handle->send_taken = 0;
}

size_t net_sender_next(struct net_handle *handle, const uint8_t **data)
{
    if (handle->send_len[handle->fill ^ 1] == 0 && handle->send_len[handle->fill] > 0)
        sender_turn(handle);
    unsigned out = handle->fill ^ 1;
    *data = handle->send_buffer[out] + handle->send_taken;
    return handle->send_len[out] - handle->send_taken;
}

bool net_sender_take(struct net_handle *handle, size_t len)
{
    unsigned out = handle->fill ^ 1;
    assert(len <= handle->send_len[out] - handle->send_taken);
    handle->send_taken += len;
    if (handle->send_taken < handle->send_len[out])
        return false;
    handle->send_len[out] = handle->send_taken = 0;
    return true;
}

size_t net_send_space(struct net *net, int id, uint8_t **to)
{
    struct net_handle *handle = net_handle_find(net, id);
    *to = NULL;
    if (!handle || handle->state != NET_OPEN || handle->send_error)
        return 0;
    if (handle->send_len[handle->fill] == NET_SEND_BUFFER_BYTES && handle->send_len[handle->fill ^ 1] == 0)
        sender_turn(handle);
    *to = handle->send_buffer[handle->fill] + handle->send_len[handle->fill];
    return NET_SEND_BUFFER_BYTES - handle->send_len[handle->fill];
}

void net_send_commit(struct net *net, int id, size_t len)
{
    struct net_handle *handle = net_handle_find(net, id);
    if (!handle || handle->state != NET_OPEN)
        return;
    assert(len <= NET_SEND_BUFFER_BYTES - handle->send_len[handle->fill]);
    handle->send_len[handle->fill] += len;
}

size_t net_send_pending(const struct net *net, int id)
{
    const struct net_handle *handle = net_handle_find(net, id);
    return handle ? handle->send_len[0] + handle->send_len[1] - handle->send_taken : 0;
}

int64_t net_time_left_ns(int64_t until_ns)
{
    if (until_ns == 0 || until_ns == NET_FOR_EVER_NS)
        return until_ns;
    int64_t left_ns = until_ns - clock_mono_ns();
    return left_ns > 0 ? left_ns : 0;
}
