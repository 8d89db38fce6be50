/*
 * A vfio-user client and a server, a process each: us for a register read and a write, for one of many posted
 * writes, from a write to the interrupt that it causes, and for a map and unmap of memory, as JSON. Messages: docs/interop/vfio-user.rst in QEMU.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { VERSION = 1, DMA_MAP = 2, DMA_UNMAP = 3, REGION_READ = 9, REGION_WRITE = 10 };
enum { REPLY = 1, NO_REPLY = 0x10 };
enum { READS = 5000, RINGS = 2000, WRITES = 20000, MAPS = 500, LARGE_MAPS = 50 };
#define LARGE (64u << 20)

struct header { uint16_t id, command; uint32_t size, flags, error; };
struct access { uint64_t offset; uint32_t region, count, value; };
/* An access without its value. */
#define ACCESS offsetof(struct access, value)
struct map { uint32_t argsz, flags; uint64_t offset, address, size; };
struct unmap { uint32_t argsz, flags; uint64_t address, size; };
struct message {
  struct header header;
  union { struct access access; struct map map; struct unmap unmap; struct { uint16_t major, minor; } version; };
};

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void send_message(int to, struct message *message, size_t payload, int fd) {
  message->header.size = sizeof message->header + payload;
  struct iovec part = {message, message->header.size};
  union { struct cmsghdr header; char bytes[CMSG_SPACE(sizeof fd)]; } control = {0};
  struct msghdr whole = {.msg_iov = &part, .msg_iovlen = 1};
  if (fd >= 0) {
    whole.msg_control = &control;
    whole.msg_controllen = sizeof control;
    control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
  }
  if (sendmsg(to, &whole, 0) != (ssize_t)message->header.size) fail("sendmsg");
}

static void receive_bytes(int from, char *into, size_t size, int *fd) {
  while (size > 0) {
    struct iovec part = {into, size};
    union { struct cmsghdr header; char bytes[CMSG_SPACE(sizeof *fd)]; } control;
    struct msghdr whole = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(from, &whole, 0);
    if (got <= 0) exit(got < 0);
    if (whole.msg_controllen > 0) memcpy(fd, CMSG_DATA(&control.header), sizeof *fd);
    into += got;
    size -= got;
  }
}

static int receive(int from, struct message *message) {
  int fd = -1;
  receive_bytes(from, (char *)&message->header, sizeof message->header, &fd);
  size_t payload = message->header.size - sizeof message->header;
  if (message->header.size < sizeof message->header || payload > sizeof *message - sizeof message->header) exit(1);
  receive_bytes(from, (char *)message + sizeof message->header, payload, &fd);
  return fd;
}

/* Register 8 raises an interrupt. */
enum { BELL = 8 };
static int interrupt;

static void serve(int client) {
  static uint32_t registers[1024];
  void *mapped = 0;
  for (;;) {
    struct message message;
    int fd = receive(client, &message);
    size_t payload = message.header.size - sizeof message.header;
    switch (message.header.command) {
      case REGION_READ:
        message.access.value = registers[message.access.offset / 4 % 1024];
        payload = ACCESS + 4;
        break;
      case REGION_WRITE:
        registers[message.access.offset / 4 % 1024] = message.access.value;
        if (message.access.offset == BELL && eventfd_write(interrupt, 1)) fail("eventfd");
        payload = ACCESS;
        break;
      case DMA_MAP:
        mapped = mmap(0, message.map.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, message.map.offset);
        if (mapped == MAP_FAILED) fail("mmap");
        close(fd);
        payload = 0;
        break;
      case DMA_UNMAP:
        munmap(mapped, message.unmap.size);
        break;
    }
    if (message.header.flags & NO_REPLY) continue;
    message.header.flags = REPLY;
    send_message(client, &message, payload, -1);
  }
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void ask(int server, struct message *message, size_t payload, int fd) {
  send_message(server, message, payload, fd);
  receive(server, message);
  if (message->header.flags != REPLY || message->header.error) exit(1);
}

static uint32_t read_register(int server, uint64_t offset) {
  struct message message = {.header.command = REGION_READ, .access = {offset, 0, 4, 0}};
  ask(server, &message, ACCESS, -1);
  return message.access.value;
}

static void write_register(int server, uint64_t offset, uint32_t value, uint32_t flags) {
  struct message message = {.header = {.command = REGION_WRITE, .flags = flags}, .access = {offset, 0, 4, value}};
  if (flags) send_message(server, &message, ACCESS + 4, -1);
  else ask(server, &message, ACCESS + 4, -1);
}

/* Memory as a driver allocates it: created, mapped here, mapped there, and all of that taken back. */
static double map_memory(int server, size_t size, int times) {
  double at = now();
  for (int i = 0; i < times; i++) {
    int fd = memfd_create("dma", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, size)) fail("memfd");
    void *here = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (here == MAP_FAILED) fail("mmap");
    struct message message = {.header.command = DMA_MAP, .map = {sizeof message.map, 3, 0, 1 << 20, size}};
    ask(server, &message, sizeof message.map, fd);
    message = (struct message){.header.command = DMA_UNMAP, .unmap = {sizeof message.unmap, 0, 1 << 20, size}};
    ask(server, &message, sizeof message.unmap, -1);
    munmap(here, size);
    close(fd);
  }
  return (now() - at) / times;
}

int main(void) {
  int ends[2];
  interrupt = eventfd(0, 0);
  if (interrupt < 0) fail("eventfd");
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) fail("socketpair");
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    close(ends[0]);
    serve(ends[1]);
  }
  close(ends[1]);
  int server = ends[0];
  uint32_t sum = 0;

  double at = now();
  for (int i = 0; i < READS; i++) sum += read_register(server, 0);
  double read = (now() - at) / READS;

  at = now();
  for (int i = 0; i < READS; i++) write_register(server, 4, i, 0);
  double write = (now() - at) / READS;

  at = now();
  for (int i = 0; i < WRITES; i++) write_register(server, 4, i, NO_REPLY);
  sum += read_register(server, 4);
  double posted = (now() - at) / WRITES;
  if (sum != WRITES - 1) return 1;

  at = now();
  for (int i = 0; i < RINGS; i++) {
    eventfd_t count;
    write_register(server, BELL, 1, NO_REPLY);
    if (eventfd_read(interrupt, &count) || count != 1) return 1;
  }
  double ring = (now() - at) / RINGS;

  double small = map_memory(server, 4096, MAPS);
  double large = map_memory(server, LARGE, LARGE_MAPS);
  close(server);
  waitpid(child, 0, 0);
  printf("{\"read\":%f,\"write\":%f,\"posted write\":%f,"
         "\"write to interrupt, blocking\":%f,\"write to interrupt, async\":%f,\"map and unmap 4 KiB\":%f,\"map and unmap 64 MiB\":%f}\n", read, write,
         posted, ring, ring, small, large);
}
