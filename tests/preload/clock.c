/* A clock that is set wrong: loaded into one process (LD_PRELOAD), it moves that process's time of
   day by TONLE_CLOCK_OFFSET_S seconds. Timers, which follow other clocks, go on as they should. */

#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    const char *offset = getenv("TONLE_CLOCK_OFFSET_S");
    if (result == 0 && clock == CLOCK_REALTIME && offset != NULL)
        time->tv_sec += atol(offset);
    return result;
}
