/* A process clock that stands where the tape begins, and runs faster once LEAN stands.

LEAN trades live on the clock of its process.  Preloaded into that process, this moves the clock of the day to the
session on the tape; all that measures durations stays as it is.  LEAN allows its start a minute and a half by the
clock of the day, so the clock is not hurried before that.

TAPE_CLOCK_START: seconds since 1970 at which the process begins.  TAPE_CLOCK_RATE: seconds per second as soon as the
file TAPE_CLOCK_HURRY is there. */

#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;
static double real_base, told_base, rate = 1.0, hurried = 1.0;
static const char *hurry;

static double real_now(void) {
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    return (double)now.tv_sec + now.tv_nsec / 1e9;
}

__attribute__((constructor)) static void set_clock(void) {
    const char *from = getenv("TAPE_CLOCK_START"), *speed = getenv("TAPE_CLOCK_RATE");
    hurry = getenv("TAPE_CLOCK_HURRY");
    real_base = real_now();
    told_base = from == NULL ? real_base : atof(from);
    hurried = speed == NULL ? 1.0 : atof(speed);
}

static void tell(struct timespec *out) {
    double now;
    pthread_mutex_lock(&changing);
    now = real_now();
    if (hurry != NULL && access(hurry, F_OK) == 0) {
        told_base += now - real_base;
        real_base = now;
        rate = hurried;
        hurry = NULL;
    }
    now = told_base + (now - real_base) * rate;
    pthread_mutex_unlock(&changing);
    out->tv_sec = (time_t)now;
    out->tv_nsec = (long)((now - (double)out->tv_sec) * 1e9);
}

int clock_gettime(clockid_t clock, struct timespec *out) {
    if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) return (int)syscall(SYS_clock_gettime, clock, out);
    tell(out);
    return 0;
}

int gettimeofday(struct timeval *out, void *zone) {
    struct timespec now;
    (void)zone;
    tell(&now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec now;
    tell(&now);
    if (out != NULL) *out = now.tv_sec;
    return now.tv_sec;
}
