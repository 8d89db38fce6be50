/*
 * Maps and unmaps memory by VFIO (type1v2): us for memory of 4 KiB and of 64 MiB, as JSON. The argument is an IOMMU group
 * whose devices vfio-pci has. Requests: Documentation/driver-api/vfio.rst. The memory is as src/os/memory.ts has it: shared
 * and anonymous if small, private and aligned to a huge page if large.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { MAPS = 500, LARGE_MAPS = 20 };
#define LARGE (64ul << 20)
#define HUGE_PAGE (2ul << 20)
#define IOVA (1ull << 32)

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1e6 + at.tv_nsec / 1e3;
}

static char *map_small(size_t size) {
  char *here = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (here == MAP_FAILED) fail("mmap");
  return here;
}

static char *map_large(size_t size) {
  char *room = mmap(0, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) fail("mmap");
  char *here = (char *)(((uintptr_t)room + HUGE_PAGE - 1) & -HUGE_PAGE);
  if (madvise(here, size, MADV_DONTFORK)) fail("madvise");
  madvise(here, size, MADV_HUGEPAGE); /* may fail: small pages work, too */
  if (here > room) munmap(room, here - room);
  munmap(here + size, room + HUGE_PAGE - here);
  return here;
}

static double map_memory(int container, size_t size, int times) {
  double at = 0;
  for (int i = -times / 10; i < times; i++) {
    if (i == 0) at = now();
    char *here = size < HUGE_PAGE ? map_small(size) : map_large(size);
    struct vfio_iommu_type1_dma_map map = {
        .argsz = sizeof map,
        .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
        .vaddr = (uintptr_t)here,
        .iova = IOVA,
        .size = size,
    };
    if (ioctl(container, VFIO_IOMMU_MAP_DMA, &map)) fail("VFIO_IOMMU_MAP_DMA");
    struct vfio_iommu_type1_dma_unmap unmap = {.argsz = sizeof unmap, .iova = IOVA, .size = size};
    if (ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap) || unmap.size != size) fail("VFIO_IOMMU_UNMAP_DMA");
    munmap(here, size);
  }
  return (now() - at) / times;
}

int main(int count, char **words) {
  char path[64];
  snprintf(path, sizeof path, "/dev/vfio/%s", count > 1 ? words[1] : "");
  int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
  int group = open(path, O_RDWR | O_CLOEXEC);
  if (container < 0 || group < 0) fail(path);
  if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container)) fail("VFIO_GROUP_SET_CONTAINER");
  if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU)) fail("VFIO_SET_IOMMU");
  double small = map_memory(container, 4096, MAPS);
  double large = map_memory(container, LARGE, LARGE_MAPS);
  printf("{\"map and unmap 4 KiB\":%f,\"map and unmap 64 MiB\":%f}\n", small, large);
}
