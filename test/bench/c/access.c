/*
 * Single accesses to shared memory through function pointers, copies, and changes of a word by another thread: ns each, as JSON.
 * Usage: access FILE
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { ACCESSES = 5 * 1000 * 1000, COPIES = 200, FRAMES = 20, WINDOW = 8 << 20, FRAME = 1920 * 1080 * 3 / 2 };
enum { ROUNDS = 200, TRIPS = 1000 };
/* Words, each with a cache line of its own, and the one that processors fetch with it. */
enum { THERE = 0, BACK = 32 };
#define LAST UINT32_MAX

static uint32_t read_word(volatile uint32_t *at) { return *at; }
static void write_word(volatile uint32_t *at, uint32_t value) { *at = value; }

/* Volatile, so that the compiler can't put the function in place of the call. */
static uint32_t (*volatile read32)(volatile uint32_t *) = read_word;
static void (*volatile write32)(volatile uint32_t *, uint32_t) = write_word;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

/* Gives each value of one word back in another. */
static void *echo(void *memory) {
  volatile uint32_t *words = memory;
  for (uint32_t seen = 0; seen != LAST;) {
    uint32_t value = words[THERE];
    if (value == seen) continue;
    words[BACK] = seen = value;
  }
  return 0;
}

static int ascending(const void *a, const void *b) {
  double less = *(const double *)a - *(const double *)b;
  return (less > 0) - (less < 0);
}

/* ns there and back, two changes seen: the median of the rounds' means. */
static double ping_pong(volatile uint32_t *words) {
  static double rounds[ROUNDS];
  pthread_t other;
  words[THERE] = words[BACK] = 0;
  if (pthread_create(&other, 0, echo, (void *)words)) fail("pthread_create");
  uint32_t value = 0;
  for (int round = 0; round < ROUNDS; round++) {
    double at = now();
    for (int i = 0; i < TRIPS; i++) {
      words[THERE] = ++value;
      while (words[BACK] != value);
    }
    rounds[round] = (now() - at) / TRIPS;
  }
  words[THERE] = LAST;
  pthread_join(other, 0);
  qsort(rounds, ROUNDS, sizeof *rounds, ascending);
  return rounds[ROUNDS / 2];
}

int main(int argc, char **argv) {
  (void)argc;
  int memory = memfd_create("window", 0);
  if (memory < 0 || ftruncate(memory, WINDOW)) fail("memfd");
  volatile uint64_t *window = mmap(0, WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
  uint64_t *frame = malloc(FRAME);
  if (window == MAP_FAILED || !frame) fail("mmap");
  for (size_t i = 0; i < FRAME / 8; i++) frame[i] = window[i] = i;
  volatile uint32_t *words = (volatile uint32_t *)window;
  uint32_t sum = 0;

  double at = now();
  for (int i = 0; i < ACCESSES; i++) sum += read32(words + (i & 255));
  double read = (now() - at) / ACCESSES;

  at = now();
  for (int i = 0; i < ACCESSES; i++) write32(words + (i & 255), i);
  double write = (now() - at) / ACCESSES;

  at = now();
  for (int n = 0; n < COPIES; n++)
    for (size_t i = 0; i < FRAME / 8; i++) window[i] = frame[i];
  double in = (now() - at) / COPIES / 1000;

  int file = open(argv[1], O_RDONLY);
  if (file < 0) fail(argv[1]);
  at = now();
  for (int n = 0; n < COPIES; n++)
    if (pread(file, (void *)window, FRAME, (off_t)(n % FRAMES) * FRAME) != FRAME) fail("pread");
  double from_file = (now() - at) / COPIES / 1000;

  double seen = ping_pong(words);
  printf("{\"register read\":%f,\"register write\":%f,\"DMA word read\":%f,\"frame to window\":%f,\"file to memory\":%f,"
         "\"two changes seen\":%f,\"two changes seen, poke.ts --wait\":%f,\"sum\":%u}\n",
         read, write, read, in, from_file, seen, seen / 1000, sum & 1);
}
