/**
 * What Linux asserts of VFIO with iommufd in tools/testing/selftests/vfio (vfio_iommufd_setup_test, and vfio_dma_mapping_test by
 * iommufd), asserted of the vfio backend: the same list, one to one. Then the driver, by the same way. It needs a kernel of
 * test/kernel, edu, two edu functions behind a root port, 6 GiB, and huge pages: 8 of 2 MiB and one of 1 GiB.
 */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { openEdu } from "../../../examples/edu/edu.ts";
import { Vfio } from "../../../src/device/vfio/abi.ts";
import { type Ioas, openIoas } from "../../../src/device/vfio/iommufd.ts";
import { openDevice } from "../../../src/index.ts";
import { type Fd, ioctl, O_RDWR, openFile } from "../../../src/os/fd.ts";
import { mapAnonymous } from "../../../src/os/memory.ts";
import { release } from "../../../src/pci/bus/binding.ts";
import { listFunctions, type PciFunction, readFunction } from "../../../src/pci/bus/functions.ts";
import { deviceNode } from "../../../src/pci/bus/group.ts";
import { addressesOf, bindTo, errnoOf, messageOf } from "./rig.ts";

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const PAGE = 4 * KIB;
/** VFIO_DEVICE_DETACH_IOMMUFD_PT */
const DETACH = 0x3b78;

let pci: PciFunction;
let ioas: Ioas;
let fd: Fd;

beforeAll(async () => {
  const [address] = addressesOf("edu");
  await bindTo(address, "vfio-pci");
  pci = readFunction(address);
});
beforeEach(() => {
  ioas = openIoas(pci.iommuGroup!.number, pci.address);
  fd = openFile(deviceNode(pci)!, O_RDWR);
});
afterEach(() => {
  fd[Symbol.dispose]();
  ioas[Symbol.dispose]();
});

const words = (...values: number[]) => {
  const request = new DataView(new ArrayBuffer(values.length * 4));
  for (const [i, value] of [values.length * 4, ...values.slice(1)].entries())
    request.setInt32(i * 4, value, true);
  return request;
};
const bind = (iommufd: number) =>
  ioctl(fd, Vfio.DEVICE_BIND_IOMMUFD, words(0, 0, iommufd, 0), "bind to iommufd");
const attach = (id: number) => ioctl(fd, Vfio.DEVICE_ATTACH_IOMMUFD_PT, words(0, 0, id), "attach");
const detach = () => ioctl(fd, DETACH, words(0, 0), "detach");
const info = () => ioctl(fd, Vfio.DEVICE_GET_INFO, words(0, 0, 0, 0), "read the device's information");

describe("setup", () => {
  test("bind: then the device answers", () => {
    bind(ioas.fdNumber);
    info();
  });

  test("get_info_without_bind_fails", () => {
    expect(errnoOf(info)).toBe("EINVAL");
  });

  test("bind_bad_iommufd_fails", () => {
    expect(errnoOf(() => bind(-2))).toBe("EINVAL");
  });

  test("repeated_bind_fails", () => {
    bind(ioas.fdNumber);
    expect(errnoOf(() => bind(ioas.fdNumber))).toBe("EINVAL");
  });

  test("attach_detatch_pt: an address space can be taken away", () => {
    bind(ioas.fdNumber);
    attach(ioas.id);
    detach();
  });

  test("attach_invalid_pt_fails", () => {
    bind(ioas.fdNumber);
    expect(errnoOf(() => attach(0xffff))).toBe("ENOENT");
  });
});

describe("DMA mapping", () => {
  beforeEach(() => {
    bind(ioas.fdNumber);
    attach(ioas.id);
  });

  test.each([
    ["4 KiB pages", PAGE],
    ["2 MiB pages", 2 * MIB],
    ["1 GiB pages", GIB],
  ])("dma_map_unmap: %s are mapped and unmapped whole", (_, pageBytes) => {
    using memory = mapAnonymous(pageBytes, pageBytes);
    const iova = ioas.addresses.allocate(pageBytes, pageBytes)!;
    ioas.map(memory, iova);
    expect(ioas.unmap(iova, pageBytes)).toBe(pageBytes);
    expect(errnoOf(() => ioas.unmap(iova, pageBytes))).toBe("ENOENT");
    ioas.addresses.free(iova);
  });

  const lastPage = () => ioas.ranges().at(-1)!.last & ~0xfffn;

  test("unmap_range: the page at the last address is mapped and unmapped", () => {
    using memory = mapAnonymous(PAGE);
    ioas.map(memory, lastPage());
    expect(ioas.unmap(lastPage(), PAGE)).toBe(PAGE);
  });

  test("unmap_all: everything goes with it", () => {
    using memory = mapAnonymous(PAGE);
    ioas.map(memory, lastPage());
    expect(ioas.unmap(0n, 2n ** 64n - 1n)).toBe(PAGE);
  });

  test("overflow: what would go beyond 2^64 is refused", () => {
    using memory = mapAnonymous(2 * PAGE);
    const beyond = 2n ** 64n - BigInt(PAGE);
    expect(errnoOf(() => ioas.map(memory, beyond))).toBe("EOVERFLOW");
    expect(errnoOf(() => ioas.unmap(beyond, 2 * PAGE))).toBe("EOVERFLOW");
  });
});

describe("the driver", () => {
  test("two functions of a group share an address space, and one of them is reset with their bus", async () => {
    fd[Symbol.dispose]();
    const [one, two] = listFunctions()
      .filter(({ parent, device }) => parent !== undefined && device === pci.device)
      .map(({ address }) => address) as [string, string];
    for (const address of [one, two]) await bindTo(address, "vfio-pci");
    {
      using device = openDevice(`iommufd:${one}`);
      using beside = openDevice(`iommufd:${two}`);
      const edu = openEdu(beside);
      const memory = device.allocateDma(PAGE, { addressBits: 28 });
      const copy = beside.allocateDma(PAGE, { addressBits: 28 });
      memory.bytes().fill(7);
      edu.store(memory, PAGE);
      edu.load(copy, PAGE);
      expect(copy.bytes()).toEqual(memory.bytes());
      beside[Symbol.dispose]();
      device.reset();
      expect(openEdu(device).factorial(4)).toBe(24);
    }
    for (const address of [one, two]) await release(address, { force: true });
  });

  test("interrupts come, and nothing is left after 20 times", async () => {
    fd[Symbol.dispose]();
    for (let i = 0; i < 20; i++) {
      using device = openDevice(`iommufd:${pci.address}`);
      const edu = openEdu(device);
      const [msi] = device.enableInterrupts("msi", 1);
      edu.io.INTERRUPT_RAISE.write(1);
      expect(i % 2 ? msi!.wait(5000) : await msi!.waitAsync(5000)).toBe(1);
      edu.io.INTERRUPT_ACKNOWLEDGE.write(1);
      device.allocateDma(2 * MIB);
    }
  });

  test("a device that is open already is refused with its holder", () => {
    bind(ioas.fdNumber);
    expect(messageOf(() => openDevice(`iommufd:${pci.address}`))).toMatch(
      /\/dev\/vfio\/devices\/vfio\d+: bind it to iommufd: EINVAL: it is in use by this process itself; end that first$/,
    );
  });
});
