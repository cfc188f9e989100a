// How fast this machine's memory can be read: threads read one block in large pages again and again, each its own part.
// Usage: read_speed MIB ROUNDS    for each line of its input, a number of threads: prints the median in GB/s
//
// It keeps its memory meanwhile: a virtual machine's host takes back what is freed, and that slows down what comes next.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { LANES = 64, MAX_THREADS = 64, MAX_ROUNDS = 99 };

struct part { const uint64_t *from; size_t n; uint64_t sum; };

static void *read_part(void *argument) {
    struct part *part = argument;
    // Independent sums, so that the reads do not wait for each other.
    uint64_t sums[LANES] = {0};
    for (size_t i = 0; i + LANES <= part->n; i += LANES)
        for (int lane = 0; lane < LANES; lane++) sums[lane] += part->from[i + lane];
    for (int lane = 0; lane < LANES; lane++) part->sum += sums[lane];
    return NULL;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// The median of some rounds, in GB/s.
static double measure(const char *memory, size_t bytes, int n_threads, int n_rounds) {
    double speeds[MAX_ROUNDS];
    uint64_t sum = 0;
    for (int round = 0; round < n_rounds; round++) {
        pthread_t threads[MAX_THREADS];
        struct part parts[MAX_THREADS] = {0};
        struct timespec begun, ended;
        clock_gettime(CLOCK_MONOTONIC, &begun);
        size_t n = bytes / sizeof(uint64_t) / n_threads;
        for (int t = 0; t < n_threads; t++) {
            parts[t] = (struct part){(const uint64_t *)memory + t * n, n, 0};
            if (pthread_create(&threads[t], NULL, read_part, &parts[t])) perror("pthread_create"), exit(1);
        }
        for (int t = 0; t < n_threads; t++) {
            pthread_join(threads[t], NULL);
            sum += parts[t].sum;
        }
        clock_gettime(CLOCK_MONOTONIC, &ended);
        double seconds = (ended.tv_sec - begun.tv_sec) + (ended.tv_nsec - begun.tv_nsec) * 1e-9;
        speeds[round] = bytes / seconds * 1e-9;
    }
    qsort(speeds, n_rounds, sizeof *speeds, compare);
    // The sum is used, so the reads cannot be optimized away.
    return sum ? speeds[n_rounds / 2] : 0.0;
}

int main(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: read_speed MIB ROUNDS\n"), 2;
    size_t bytes = (size_t)atoi(argv[1]) << 20;
    int n_rounds = atoi(argv[2]), n_threads;
    if (n_rounds < 1 || n_rounds > MAX_ROUNDS) return fprintf(stderr, "read_speed: 1 to %d rounds\n", MAX_ROUNDS), 2;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return perror("mmap"), 1;
    madvise(memory, bytes, MADV_HUGEPAGE);
    memset(memory, 1, bytes);
    while (scanf("%d", &n_threads) == 1) {
        if (n_threads < 1 || n_threads > MAX_THREADS) return fprintf(stderr, "read_speed: 1 to %d threads\n", MAX_THREADS), 2;
        printf("%.1f\n", measure(memory, bytes, n_threads, n_rounds));
        fflush(stdout);
    }
    return 0;
}
