import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeviceError, type PciDevice } from "../../../src/device/device.ts";
import { SERVE_MS } from "../../../src/device/limits.ts";
import { openDevice } from "../../../src/device/open.ts";
import { openFds } from "../../os/open-fds.ts";
import { dmaRequests, type ServerName } from "./hostile-servers.ts";

const directory = mkdtempSync(join(tmpdir(), "vfiokit-"));
const specOf = (server: ServerName) => `vfio-user:${join(directory, server.replaceAll(" ", "-"))}`;
let process: ReturnType<typeof startServers>;

const startServers = () =>
  Bun.spawn([Bun.argv[0]!, join(import.meta.dir, "hostile-servers.ts"), directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
beforeAll(async () => {
  process = startServers();
  await process.stdout.getReader().read();
});
afterAll(async () => {
  process.kill();
  await process.exited;
  rmSync(directory, { recursive: true });
});

/** Descriptors and mappings that a connection could leave behind. */
function held() {
  const maps = readFileSync("/proc/self/maps", "utf8").split("\n");
  return {
    descriptors: openFds("self"),
    mappings: maps.filter((line) => /memfd:(hostile|vfiokit-dma)/.test(line)).length,
  };
}

/** Runs `act` and expects it to throw a DeviceError with exactly this text after the spec, or one that matches. */
function expectError(spec: string, what: string | RegExp, act: () => unknown): void {
  let thrown: unknown;
  try {
    act();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(DeviceError);
  const { message } = thrown as DeviceError;
  expect(message).toStartWith(`${spec}: `);
  const rest = message.slice(spec.length + 2);
  if (typeof what === "string") expect(rest).toBe(what);
  else expect(rest).toMatch(what);
}

const GONE = (command: string) =>
  new RegExp(
    `^the server disconnected \\(${command}: the peer closed the connection( \\(E[A-Z]+\\))?\\); restart it and reopen the device$`,
  );
const announces = (size: number) =>
  `VERSION announces ${size} bytes; 16 to 1048656 are allowed; is it a vfio-user server?`;

const openings: Partial<Record<ServerName, string | RegExp>> = {
  "closes at once": GONE("VERSION"),
  "never answers":
    "no answer to VERSION within 5000 ms; the server hangs, is serving another client, or is not a vfio-user server",
  "stops in a message": GONE("VERSION"),
  "another id": "a reply to VERSION 7 came for VERSION 0; is it a vfio-user server?",
  "another command": "a reply to DMA_MAP 0 came for VERSION 0; is it a vfio-user server?",
  "size 0": announces(0),
  "size 15": announces(15),
  "size 2^32 - 1": announces(4294967295),
  "17 descriptors": "VERSION failed: the peer sent more than 16 file descriptors in one message",
  "refuses VERSION": "the server refused VERSION: EACCES",
  "refuses VERSION without an errno": "the server refused VERSION: EIO",
  "no version": "VERSION has a payload of 0 bytes; is it a vfio-user server?",
  "version 1.0": "the peer speaks vfio-user 1.0; this is 0.0; is it a vfio-user server?",
  "version without JSON": "VERSION carries no JSON: hello; is it a vfio-user server?",
  "version with 4 bytes a message": "VERSION has max_data_xfer_size = 4; is it a vfio-user server?",
  "not PCI": "the server's device is not a PCI device",
  "no config region": "the server's device is not a PCI device",
  "half the information": "the reply to DEVICE_GET_INFO has 8 bytes of at least 16",
  "half a region": "region 0's information is 16 bytes long",
  "huge region": `region 0's information is invalid: it claims to be ${2 ** 60} bytes long`,
  "region information that grows": "region 0's information grows with each request",
  "capability outside": "region 0's information is invalid: one of its capabilities is at 4096 of 32 bytes",
  "capability in the header":
    "region 0's information is invalid: one of its capabilities is at 8 of 48 bytes",
  "capabilities in a circle": "region 0's information is invalid: its capabilities are linked in a circle",
  "areas that do not fit": "region 0's information is invalid: its list of 4294967295 areas does not fit",
  "area past the end": "region 0 offers 4096 bytes at 4096 of a file of 4096 bytes to map",
  "huge area": `region 0 offers ${2 ** 63} bytes at 0 of a file of 4096 bytes to map`,
  "empty area": "region 0 offers 0 bytes at 0 of a file of 4096 bytes to map",
  "area within a page": "region 0 offers 4088 bytes at 8 of a file of 4096 bytes to map",
  "file that can't be mapped":
    /^region 0 offers a file to map that can't be mapped: map 4096 bytes of file descriptor \d+ at offset 0: EACCES$/,
  "configuration space without a header":
    "the server's configuration space has 4 bytes; its header alone has 64",
  "another command for a region":
    "a reply to DMA_MAP 2 came for DEVICE_GET_REGION_INFO 2; is it a vfio-user server?",
  "refuses a region": "the server refused DEVICE_GET_REGION_INFO: ENOTSUP",
};

describe("Opening throws a DeviceError that says what the server did, and leaves nothing behind, where it:", () => {
  test.each(Object.entries(openings) as [ServerName, string | RegExp][])(
    "%s",
    (server, what) => {
      const before = held();
      const spec = specOf(server);
      expectError(spec, what, () => openDevice(spec)[Symbol.dispose]());
      expect(held()).toEqual(before);
    },
    10_000,
  );
});

test("The time limit of a request is the one that was asked for", () => {
  const spec = specOf("never answers");
  for (const timeoutMs of [50, 6000])
    expectError(spec, new RegExp(`^no answer to VERSION within ${timeoutMs} ms;`), () =>
      openDevice(spec, { timeoutMs })[Symbol.dispose](),
    );
  for (const timeoutMs of [0, -1, Number.NaN])
    expect(() => openDevice(spec, { timeoutMs })).toThrow(
      new RangeError(`timeoutMs is ${timeoutMs}; it must be more than 0`),
    );
}, 20_000);

/** Opens, acts, closes; whatever the server did, nothing is left behind. */
function withDevice(server: ServerName, act: (device: PciDevice, spec: string) => void): void {
  const before = held();
  {
    using device = openDevice(specOf(server));
    act(device, specOf(server));
  }
  expect(held()).toEqual(before);
}

describe("An open device", () => {
  test("closes what it was given: once, twice, and with descriptors that no reply should carry", () => {
    const useAll = (device: PciDevice) => {
      device.allocateDma(4096);
      using _memory = device.allocateDma(4096);
      expect(device.interruptCount("msi")).toBe(1);
      for (const eventFd of device.enableInterrupts("msi", 16)) eventFd[Symbol.dispose]();
      device.reset();
      expect(device.bars[0]!.read32(0)).toBe(0);
    };
    withDevice("ordinary", useAll);
    withDevice("descriptors with all replies", useAll);
    withDevice("ordinary", (device) => device[Symbol.dispose]());
  });

  test("maps memory that the server can't take away again; other memory is reached by messages", () => {
    withDevice("offers memory that it can't truncate", ({ bars }) => {
      expect(bars[0]!.isMapped(0, 4)).toBe(true);
      expect(bars[0]!.read32(0)).toBe(0);
    });
    withDevice("offers memory that it can truncate", ({ bars }) => {
      expect(bars[0]!.isMapped(0, 4)).toBe(false);
      expect(bars[0]!.read32(0)).toBe(0);
    });
  });

  test("says of a read what was answered instead, and can be used on", () => {
    const text = (payloadBytes: number) =>
      `region 0 answered a read of 4 bytes at 0x10 with a payload of ${payloadBytes} bytes, not 20`;
    for (const [server, sizeBytes] of [
      ["answers a read with too little", 18],
      ["answers a read with nothing", 0],
    ] as const) {
      withDevice(server, (device, spec) => {
        expectError(spec, text(sizeBytes), () => device.bars[0]!.read32(0x10));
        expect(device.config.read16(0)).toBe(0);
      });
    }
  });

  test("says that the server is gone when it dies in the middle of a request, and again for each later one", () => {
    withDevice("dies of a read", (device, spec) => {
      const memory = device.allocateDma(8192);
      const [eventFd] = device.enableInterrupts("msi", 1);
      expectError(spec, GONE("REGION_READ"), () => device.bars[0]!.read8(0));
      expectError(spec, GONE("REGION_READ"), () => device.bars[0]!.write32(0, 1));
      expectError(spec, GONE("REGION_READ"), () => device.reset());
      expectError(spec, GONE("REGION_READ"), () => device.allocateDma(4096));
      expectError(spec, GONE("REGION_READ"), () => device.enableInterrupts("intx", 1));
      memory[Symbol.dispose]();
      eventFd![Symbol.dispose]();
    });
  });

  test("says so when it is used after it was closed", () => {
    const device = openDevice(specOf("ordinary"));
    device[Symbol.dispose]();
    expect(() => device.config.read16(0)).toThrow(
      new DeviceError(`${device.spec} is closed; REGION_READ can't be sent`),
    );
  });

  test("names the command and the errno that the server refused it with, and can be used on", () => {
    const refused = (command: string, errno: string) => `the server refused ${command}: ${errno}`;
    withDevice("refuses memory", (device, spec) => {
      expectError(spec, refused("DMA_MAP", "ENOMEM"), () => device.allocateDma(4096));
      expect(device.bars[0]!.read8(0)).toBe(0);
    });
    withDevice("refuses interrupts", (device, spec) => {
      expectError(spec, refused("DEVICE_SET_IRQS", "EINVAL"), () => device.enableInterrupts("msi", 3));
      expectError(spec, refused("DEVICE_SET_IRQS", "EINVAL"), () => device.disableInterrupts("msi"));
      expect(device.bars[0]!.read8(0)).toBe(0);
    });
    withDevice("refuses a reset", (device, spec) => {
      expectError(spec, refused("DEVICE_RESET", "errno 9999"), () => device.reset());
    });
    withDevice("keeps memory", (device, spec) => {
      const memory = device.allocateDma(4096);
      expectError(spec, refused("DMA_UNMAP", "EBUSY"), () => memory[Symbol.dispose]());
      memory[Symbol.dispose]();
      device.allocateDma(4096);
    });
  });

  test("throws where a write is refused, and can be used on; posted writes are not answered", () => {
    const refused = (what: string) => `the server refused REGION_WRITE of ${what}: EINVAL`;
    withDevice("refuses writes", (device, spec) => {
      const [bar] = device.bars;
      expectError(spec, refused("1 byte at BAR0:0x0"), () => bar!.write8(0, 1));
      expectError(spec, refused("2 bytes at BAR0:0x2"), () => bar!.write16(2, 1));
      expectError(spec, refused("4 bytes at BAR0:0x4"), () => bar!.write32(4, 1));
      expectError(spec, refused("8 bytes at BAR0:0x8"), () => bar!.write64(8, 1n));
      expectError(spec, refused("16 bytes at BAR0:0x0"), () => bar!.copyIn(0, new Uint8Array(16)));
      expectError(spec, refused("8 bytes at BAR0:0x0"), () => bar!.copyIn(0, new Uint8Array(3)));
      expect(bar!.read8(0)).toBe(0);
    });
    using posting = openDevice(specOf("refuses writes"), { postWrites: true });
    posting.bars[0]!.write8(0, 1);
    expect(posting.bars[0]!.read8(0)).toBe(0);
  });

  test("sends nothing for what the server said it lacks", () => {
    withDevice("no reset and no interrupts", (device, spec) => {
      expectError(spec, "the server's device does not support reset", () => device.reset());
      expect(device.interruptCount("msi")).toBe(0);
    });
  });

  test("splits copies so that no message carries more than the server takes", () => {
    withDevice("takes 64 bytes a message", ({ bars }) => {
      bars[0]!.copyIn(0, new Uint8Array(205));
      const sizes = new Uint8Array(8);
      bars[0]!.copyOut(0, sizes);
      expect([...sizes]).toEqual([64, 64, 64, 8, 8, 0, 0, 0]);
      bars[0]!.copyOut(0, new Uint8Array(205));
    });
  });

  test("refuses the server's requests for memory that it did not map", () => {
    const { EINVAL, ENOTSUP } = { EINVAL: 22, ENOTSUP: 95 };
    withDevice("asks for memory", (device) => {
      const memory = device.allocateDma(4096);
      const errnos = Object.keys(dmaRequests).map((name, i) => [name, device.bars[0]!.read32(i * 4)]);
      expect(errnos).toEqual([
        ["a read before all memory", EINVAL],
        ["a read that ends after all memory", EINVAL],
        ["a read at the end of the address space", EINVAL],
        ["a write after all memory", EINVAL],
        ["a write of more than its data", EINVAL],
        ["a read without an address", EINVAL],
        ["a request that no client takes", ENOTSUP],
      ]);
      expect(memory.bytes().every((byte) => byte === 0)).toBe(true);
    });
  });

  test("gives up a server that sends requests for ever in place of its answer", () => {
    withDevice("writes memory for ever", (device, spec) => {
      using memory = device.allocateDma(4096);
      const startMs = performance.now();
      expectError(spec, /^no answer to REGION_READ within 5000 ms;/, () => device.bars[0]!.read32(0));
      expect(performance.now() - startMs).toBeWithin(5000, 8000);
      expect(memory.sizeBytes).toBe(4096);
    });
  }, 15_000);

  test("leaves the event loop to others while a server sends requests for ever, and so does a wait", async () => {
    const before = held();
    const spec = specOf("writes memory for ever");
    {
      using device = openDevice(spec, { timeoutMs: 1000 });
      using _memory = device.allocateDma(4096);
      const [interrupt] = device.enableInterrupts("msi", 1);
      device.bars[0]!.write32(0, 1);
      let turns = 0;
      for (const endMs = performance.now() + 500; performance.now() < endMs; turns++) await Bun.sleep(1);
      expect(turns).toBeGreaterThan(5);
      const startMs = performance.now();
      expect(interrupt!.wait(50)).toBe(0);
      expect(performance.now() - startMs).toBeWithin(45, SERVE_MS + 1000);
      expectError(spec, /^no answer to REGION_READ within 1000 ms;/, () => device.bars[0]!.read32(0));
    }
    expect(held()).toEqual(before);
  });

  test("asks no second time for a region's information that is too long, and can be used on", () => {
    withDevice("region information of 2^20 bytes", (device) => {
      expect(device.bars[0]!.sizeBytes).toBe(4096);
      expect(device.bars[0]!.read32(0)).toBe(0);
    });
  });

  test("answers nothing to a server that wants no reply", () => {
    withDevice("writes memory and wants no reply", (device) => {
      const memory = device.allocateDma(4096);
      expect([device.bars[0]!.read32(0), device.bars[0]!.read32(0)]).toEqual([0, 0]);
      expect([...memory.bytes(0, 9)]).toEqual([...Array(8).fill(0xee), 0]);
    });
  });
});

test.each([
  [10, GONE("VERSION")],
  [2000, /nothing listens there; the server has exited, or is still starting$/],
] as const)(
  "a server that listens %d ms after its socket is there is waited for, within a limit",
  async (momentMs, message) => {
    const path = join(directory, `late-${momentMs}.sock`);
    const program = [
      globalThis.process.execPath,
      join(import.meta.dir, "late-listener.ts"),
      path,
      `${momentMs}`,
    ];
    const late = Bun.spawn(program, { stdio: ["ignore", "pipe", "inherit"] });
    await late.stdout.getReader().read();
    try {
      expectError(`vfio-user:${path}`, message, () => openDevice(`vfio-user:${path}`));
    } finally {
      late.kill("SIGKILL");
    }
    await late.exited;
  },
);
