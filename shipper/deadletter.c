/* Dead letters on a thread of its own. */
#include "shipper/deadletter.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ringbuf/ring_order.h"
#include "shipper/deadletter_segment.h"

#define DIR_BYTES_MAX 1000u

struct stream_letters {
    char name[DEADLETTER_STREAM_BYTES];
    struct deadletter_segment segment;
};

struct deadletter {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct deadletter_job *first, **last;
    bool closing;
    char dir[DIR_BYTES_MAX + 1];
    struct deadletter_limits limits;
    /* the thread's */
    char dir_used[DIR_BYTES_MAX + 1]; /* of the segments that are open */
    struct deadletter_limits limits_used;
    uint32_t stream_count;
    struct stream_letters *stream[DEADLETTER_STREAMS_MAX];
};

static int thread_start(struct deadletter *deadletter);
static void *deadletter_run(void *argument);
static struct deadletter_job *job_take(struct deadletter *deadletter);
static void settings_take(struct deadletter *deadletter);
static void streams_close(struct deadletter *deadletter);
static void job_do(struct deadletter *deadletter, struct deadletter_job *job);
static void job_done(struct deadletter_job *job, int rc);
static struct stream_letters *stream_of(struct deadletter *deadletter, const char *name);

int deadletter_open(const char *dir, const struct deadletter_limits *limits, struct deadletter **out)
{
    *out = NULL;
    if (strlen(dir) > DIR_BYTES_MAX)
        return -ENAMETOOLONG;
    struct deadletter *deadletter = calloc(1, sizeof *deadletter);
    if (!deadletter)
        return -ENOMEM;
    snprintf(deadletter->dir, sizeof deadletter->dir, "%s", dir);
    deadletter->limits = *limits;
    deadletter->last = &deadletter->first;
    int rc = thread_start(deadletter);
    if (rc != 0) {
        free(deadletter);
        return rc;
    }
    *out = deadletter;
    return 0;
}

int deadletter_configure(struct deadletter *deadletter, const char *dir, const struct deadletter_limits *limits)
{
    if (strlen(dir) > DIR_BYTES_MAX)
        return -ENAMETOOLONG;
    pthread_mutex_lock(&deadletter->lock);
    snprintf(deadletter->dir, sizeof deadletter->dir, "%s", dir);
    deadletter->limits = *limits;
    pthread_mutex_unlock(&deadletter->lock);
    return 0;
}

/* Whoever waits for a job must not wait for ever; its event is still in the ring. */
void deadletter_close(struct deadletter *deadletter)
{
    if (!deadletter)
        return;
    pthread_mutex_lock(&deadletter->lock);
    deadletter->closing = true;
    pthread_cond_signal(&deadletter->changed);
    pthread_mutex_unlock(&deadletter->lock);
    pthread_join(deadletter->thread, NULL);
    for (struct deadletter_job *job = deadletter->first, *next; job; job = next) {
        next = job->next;
        snprintf(job->error, sizeof job->error, "dead letters of stream %s: not written, the shipper stops", job->stream);
        job_done(job, -ECANCELED);
    }
    streams_close(deadletter);
    pthread_cond_destroy(&deadletter->changed);
    pthread_mutex_destroy(&deadletter->lock);
    free(deadletter);
}

void deadletter_submit(struct deadletter *deadletter, struct deadletter_job *job)
{
    job->rc = 0;
    job->error[0] = '\0';
    job->next = NULL;
    order_flag_set(&job->state, DEADLETTER_BUSY);
    pthread_mutex_lock(&deadletter->lock);
    *deadletter->last = job;
    deadletter->last = &job->next;
    pthread_cond_signal(&deadletter->changed);
    pthread_mutex_unlock(&deadletter->lock);
}

enum deadletter_state deadletter_state(const struct deadletter_job *job)
{
    return (enum deadletter_state)order_flag_get(&job->state);
}

static int thread_start(struct deadletter *deadletter)
{
    sigset_t blocked, old; /* signals are the main thread's; SIGXFSZ becomes an error of write */
    pthread_mutex_init(&deadletter->lock, NULL);
    pthread_cond_init(&deadletter->changed, NULL);
    sigfillset(&blocked);
    pthread_sigmask(SIG_SETMASK, &blocked, &old);
    int rc = -pthread_create(&deadletter->thread, NULL, deadletter_run, deadletter);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        pthread_cond_destroy(&deadletter->changed);
        pthread_mutex_destroy(&deadletter->lock);
    }
    return rc;
}

static void *deadletter_run(void *argument)
{
    struct deadletter *deadletter = argument;
    struct deadletter_job *job;
    while ((job = job_take(deadletter)) != NULL)
        job_do(deadletter, job);
    return NULL;
}

/* NULL: it is being closed. */
static struct deadletter_job *job_take(struct deadletter *deadletter)
{
    pthread_mutex_lock(&deadletter->lock);
    while (!deadletter->closing && !deadletter->first)
        pthread_cond_wait(&deadletter->changed, &deadletter->lock);
    struct deadletter_job *job = deadletter->closing ? NULL : deadletter->first;
    if (job && !(deadletter->first = job->next))
        deadletter->last = &deadletter->first;
    settings_take(deadletter);
    pthread_mutex_unlock(&deadletter->lock);
    return job;
}

/* Within the lock. In another directory the segments begin anew. */
static void settings_take(struct deadletter *deadletter)
{
    deadletter->limits_used = deadletter->limits;
    if (strcmp(deadletter->dir_used, deadletter->dir) == 0)
        return;
    streams_close(deadletter);
    memcpy(deadletter->dir_used, deadletter->dir, sizeof deadletter->dir);
}

static void streams_close(struct deadletter *deadletter)
{
    for (uint32_t i = 0; i < deadletter->stream_count; i++) {
        deadletter_segment_close(&deadletter->stream[i]->segment);
        free(deadletter->stream[i]);
    }
    deadletter->stream_count = 0;
}

static void job_do(struct deadletter *deadletter, struct deadletter_job *job)
{
    int rc = 0;
    struct stream_letters *stream = stream_of(deadletter, job->stream);
    if (!stream) {
        rc = -ENOMEM;
        snprintf(job->error, sizeof job->error, "dead letters of stream %s: no memory", job->stream);
    } else if (job->len > 0) {
        rc = deadletter_segment_append(&stream->segment, &deadletter->limits_used, job->text, job->len, job->error, sizeof job->error);
    }
    job_done(job, rc);
}

/* The job may be gone as soon as its state says so. */
static void job_done(struct deadletter_job *job, int rc)
{
    const uint64_t one = 1;
    int notify_fd = job->notify_fd;
    job->rc = rc;
    order_flag_set(&job->state, DEADLETTER_DONE);
    if (notify_fd >= 0 && write(notify_fd, &one, sizeof one) < 0) { /* its counter is full: it wakes anyhow */
    }
}

/* NULL: no memory. */
static struct stream_letters *stream_of(struct deadletter *deadletter, const char *name)
{
    assert(name[0] && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0); /* the configuration's */
    for (uint32_t i = 0; i < deadletter->stream_count; i++)
        if (strcmp(deadletter->stream[i]->name, name) == 0)
            return deadletter->stream[i];
    if (deadletter->stream_count == DEADLETTER_STREAMS_MAX)
        streams_close(deadletter); /* streams have come and gone: who is left begins a segment */
    struct stream_letters *stream = calloc(1, sizeof *stream);
    if (!stream)
        return NULL;
    snprintf(stream->name, sizeof stream->name, "%s", name);
    deadletter_segment_init(&stream->segment, deadletter->dir_used, name);
    deadletter->stream[deadletter->stream_count++] = stream;
    return stream;
}
