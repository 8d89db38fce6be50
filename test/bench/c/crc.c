/*
 * Reads the frames of a y4m file and sums each by CRC-32: what vfiokit does with its null codec. With a depth of 1 one thread
 * does both in turn; else another thread reads, up to DEPTH frames ahead. Prints as JSON the time a frame in ms, from the
 * first sum to the last. Usage: crc FILE FRAME_BYTES DEPTH SUMS, where SUMS is the file for the sums, u32 each.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define POLYNOMIAL 0xedb88320u
#define LINE "FRAME\n"
enum { LINE_BYTES = sizeof LINE - 1, MOST_DEPTH = 64 };

static uint32_t table[8][256];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void make_tables(void) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t sum = i;
    for (int bit = 0; bit < 8; bit++) sum = sum >> 1 ^ (sum & 1 ? POLYNOMIAL : 0);
    table[0][i] = sum;
  }
  for (int n = 1; n < 8; n++)
    for (int i = 0; i < 256; i++) table[n][i] = table[n - 1][i] >> 8 ^ table[0][table[n - 1][i] & 255];
}

/* Eight bytes at a time, on a little-endian processor. */
static uint32_t by_table(uint32_t sum, const uint8_t *at, size_t bytes) {
  for (; bytes >= 8; at += 8, bytes -= 8) {
    uint64_t word;
    memcpy(&word, at, 8);
    word ^= sum;
    sum = 0;
    for (int n = 0; n < 8; n++) sum ^= table[7 - n][word >> 8 * n & 255];
  }
  for (; bytes > 0; at++, bytes--) sum = sum >> 8 ^ table[0][(sum ^ *at) & 255];
  return sum;
}

#ifdef __x86_64__
#include <immintrin.h>

/* x^power modulo the polynomial, as a factor that carries 64 bits over `power - 32` of them: Intel's paper on CRC by PCLMULQDQ. */
static uint64_t factor(int power) {
  uint32_t rest = 0x80000000u;
  for (int i = 0; i < power; i++) rest = rest >> 1 ^ (rest & 1 ? POLYNOMIAL : 0);
  return (uint64_t)rest << 1;
}

/* Folds 256 bytes at a time into 256, which have the same sum as all that went into them. */
__attribute__((target("avx512f,vpclmulqdq"))) static uint32_t by_folding(uint32_t sum, const uint8_t *at, size_t bytes) {
  static __m512i factors;
  static int known;
  if (!known) {
    uint64_t low = factor(4 * 512 + 32), high = factor(4 * 512 - 32);
    factors = _mm512_set_epi64(high, low, high, low, high, low, high, low);
    known = 1;
  }
  if (bytes < 512) return by_table(sum, at, bytes);
  __m512i part[4];
  for (int i = 0; i < 4; i++) part[i] = _mm512_loadu_si512(at + 64 * i);
  part[0] = _mm512_xor_si512(part[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128(sum)));
  for (at += 256, bytes -= 256; bytes >= 256; at += 256, bytes -= 256)
    for (int i = 0; i < 4; i++)
      part[i] = _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(part[i], factors, 0x00), _mm512_clmulepi64_epi128(part[i], factors, 0x11),
                                          _mm512_loadu_si512(at + 64 * i), 0x96);
  uint8_t folded[256];
  for (int i = 0; i < 4; i++) _mm512_storeu_si512(folded + 64 * i, part[i]);
  return by_table(by_table(0, folded, sizeof folded), at, bytes);
}

static int can_fold(void) { return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq"); }
#else
static uint32_t by_folding(uint32_t sum, const uint8_t *at, size_t bytes) { return by_table(sum, at, bytes); }
static int can_fold(void) { return 0; }
#endif

static int file, folds;
static size_t frame_bytes;
static unsigned depth;
static off_t position;
static uint8_t *frames[MOST_DEPTH];
static sem_t empty, full;
/* Set by the reader, before it posts `full`, if there is no further frame. */
static volatile int ended;

static uint32_t crc32(const uint8_t *at, size_t bytes) {
  return ~(folds ? by_folding : by_table)(~0u, at, bytes);
}

/* 0 at the end of the file. */
static int read_frame(uint8_t *into) {
  char line[LINE_BYTES];
  struct iovec parts[] = {{line, LINE_BYTES}, {into, frame_bytes}};
  ssize_t got = preadv(file, parts, 2, position);
  if (got == 0) return 0;
  if (got != (ssize_t)(LINE_BYTES + frame_bytes) || memcmp(line, LINE, LINE_BYTES)) fail("preadv");
  position += got;
  return 1;
}

static void *read_ahead(void *none) {
  for (unsigned i = 0; !ended; i++) {
    while (sem_wait(&empty));
    if (!read_frame(frames[i % depth])) ended = i + 1;
    sem_post(&full);
  }
  return none;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  file = open(argv[1], O_RDONLY);
  if (file < 0) fail(argv[1]);
  frame_bytes = atol(argv[2]);
  depth = atoi(argv[3]);
  FILE *sums = fopen(argv[4], "w");
  if (!sums) fail(argv[4]);
  if (depth < 1 || depth > MOST_DEPTH) return 2;
  char header[4096] = "";
  if (pread(file, header, sizeof header - 1, 0) < 0 || !strchr(header, '\n')) fail(argv[1]);
  position = strchr(header, '\n') + 1 - header;
  make_tables();
  folds = can_fold();
  for (unsigned i = 0; i < depth; i++)
    if (!(frames[i] = malloc(frame_bytes))) fail("malloc");

  pthread_t reader;
  if (sem_init(&empty, 0, depth) || sem_init(&full, 0, 0)) fail("sem_init");
  if (depth > 1 && pthread_create(&reader, 0, read_ahead, 0)) fail("pthread_create");
  double first = 0, last = 0;
  unsigned n = 0;
  for (;; n++) {
    if (depth == 1) {
      if (!read_frame(frames[0])) break;
    } else {
      while (sem_wait(&full));
      if (ended == (int)n + 1) break;
    }
    uint32_t sum = crc32(frames[n % depth], frame_bytes);
    if (depth > 1) sem_post(&empty);
    fwrite(&sum, sizeof sum, 1, sums);
    last = now();
    if (n == 0) first = last;
  }
  if (fclose(sums)) fail(argv[4]);
  if (n < 2) return 1;
  printf("{\"frames\":%u,\"steadyFrameMs\":%f}\n", n, (last - first) / (n - 1));
}
