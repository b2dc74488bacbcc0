/* See alarms.h. */
#define _GNU_SOURCE
#include "alarms.h"

#include <stdlib.h>

#include "clock.h"
#include "notifier.h"

struct alarm {
    struct alarm *next;
    struct notifier *notifier; /* counted */
    uint64_t when;
};

static void
alarm_free(struct alarm *alarm)
{
    notifier_drop(alarm->notifier);
    free(alarm);
}

uint64_t
alarms_next(const struct pool *pool)
{
    uint64_t when = CLOCK_NEVER;

    for (const struct alarm *alarm = pool->alarms; alarm != NULL; alarm = alarm->next)
        if (alarm->when < when)
            when = alarm->when;
    return when;
}

void
alarms_ring(struct pool *pool, uint64_t now)
{
    struct alarm *due = NULL;

    for (struct alarm **link = &pool->alarms; *link != NULL;) {
        struct alarm *alarm = *link;
        if (alarm->when > now) {
            link = &alarm->next;
            continue;
        }
        *link = alarm->next;
        alarm->next = due;
        due = alarm;
    }
    if (due == NULL)
        return;
    pthread_mutex_unlock(&pool->lock);
    while (due != NULL) {
        struct alarm *alarm = due;
        due = alarm->next;
        notifier_ring(alarm->notifier);
        alarm_free(alarm);
    }
    pthread_mutex_lock(&pool->lock);
}

bool
pool_alarm(struct pool *pool, struct notifier *notifier, uint64_t when)
{
    struct alarm *fresh = calloc(1, sizeof *fresh), *alarm;
    enum help help = HELP_NONE;
    bool watched;

    if (fresh == NULL)
        return false;
    pthread_mutex_lock(&pool->lock);
    for (alarm = pool->alarms; alarm != NULL && alarm->notifier != notifier; alarm = alarm->next)
        ;
    if (alarm == NULL) {
        alarm = fresh;
        fresh = NULL;
        alarm->notifier = notifier;
        alarm->when = when;
        notifier_hold(notifier);
        alarm->next = pool->alarms;
        pool->alarms = alarm;
    }
    if (when < alarm->when)
        alarm->when = when;
    if (pool->standby != NULL)
        pthread_cond_signal(&pool->standby->cond);
    else
        help = workers_need_standby(pool, clock_now());
    watched = pool->standby != NULL || pool->standby_coming;
    pthread_mutex_unlock(&pool->lock);
    free(fresh);
    return workers_give_help(pool, help) == 0 && watched;
}

void
alarms_free(struct pool *pool)
{
    for (struct alarm *alarm; (alarm = pool->alarms) != NULL;) {
        pool->alarms = alarm->next;
        alarm_free(alarm);
    }
}
