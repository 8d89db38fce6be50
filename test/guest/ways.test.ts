/** Every way to a device, on this machine and in both guests: what works by each, and why the rest can't. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { decodeStreet } from "../../scripts/bench/clip.ts";
import type { Arch } from "../../src/guest/arch.ts";
import { runGuest } from "../../src/guest/run-guest.ts";
import { serveModel } from "../../src/model/hosting/served.ts";
import { listFunctions } from "../../src/pci/bus/functions.ts";
import { testKernel } from "../kernel/kernels.ts";
import "../../src/schemes.ts";

const TIMEOUT_MS = 300_000;
const program = join(import.meta.dir, "inside/ways.ts");
const model = (name: string) => `model:${join(import.meta.dir, `../../examples/${name}/${name}.model.ts`)}`;
const bind = (driver: string) =>
  [1, 2, 3].map((slot) => `bun run bind.ts 00:0${slot}.0 ${driver} > /dev/null`).join(" && ");
const functions = (prefix = "", suffix = "") =>
  [1, 2, 3].map((slot) => `${prefix}0000:00:0${slot}.0${suffix}`).join(",");
/** The mode is off when the last function that needs it is released. */
const noiommuMode = (on: string) =>
  `test $(cat /sys/module/vfio/parameters/enable_unsafe_noiommu_mode) = ${on}`;
const releaseFromNoiommu = `bun run release.ts 00:01.0 && ${noiommuMode("Y")} && bun run release.ts 00:02.0 && ${noiommuMode("Y")} && bun run release.ts 00:03.0 && ${noiommuMode("N")}`;

/** A machine that a guest is, how its devices are bound, and by which ways they are driven then. */
const machines = [
  {
    about: "an IOMMU, Debian's kernel",
    iommu: true,
    kernel: undefined,
    steps: [{ setUp: bind(""), ways: { "VFIO, group": functions() } }],
  },
  {
    about: "no IOMMU, Debian's kernel",
    iommu: false,
    kernel: undefined,
    steps: [
      { setUp: "true", ways: { "sysfs, window": functions().replace(/,.*?,/, ",-,") } },
      {
        setUp: bind("--driver uio_pci_generic"),
        ways: { "uio, physical addresses": functions("", "?dma=physical") },
      },
    ],
  },
  {
    about: "an IOMMU, a kernel without groups",
    iommu: true,
    kernel: "cdev-only",
    steps: [{ setUp: `${bind("")} && bun run doctor.ts 00:01.0 > doctor`, ways: { iommufd: functions() } }],
  },
  {
    about: "no IOMMU, the test kernel",
    iommu: false,
    kernel: "vfio",
    steps: [
      { setUp: bind("--noiommu"), ways: { "VFIO, noiommu": functions("", "?dma=physical") } },
      { setUp: releaseFromNoiommu, ways: {} },
      { setUp: "cd /vfiokit && bun test ./test/guest/inside/removal-noiommu.inside.ts", ways: {} },
    ],
  },
] as const;

interface Cell {
  readonly way: string;
  readonly device: string;
  readonly result: string;
}
const table: (Cell & { readonly where: string })[] = [];

let folder: string;
let clip: string;
/** What the encoder makes of the clip on this machine. */
let packets: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "vfiokit-ways-"));
  clip = await decodeStreet(folder);
}, TIMEOUT_MS);
afterAll(() => {
  rmSync(folder, { recursive: true });
  const rows = Map.groupBy(table, ({ way }) => way);
  for (const [way, cells] of rows) {
    console.log(way);
    for (const { where, device, result } of cells)
      console.log(`  ${where.padEnd(8)} ${device.padEnd(8)} ${result}`);
  }
});

function take(where: string, text: string): Cell[] {
  const cells = [...text.matchAll(/^\{.*\}$/gm)].map(([line]) => JSON.parse(line) as Cell);
  table.push(...cells.map((cell) => ({ ...cell, where })));
  return cells;
}

test(
  "on this machine: a model in this process, and by vfio-user",
  async () => {
    const specs = [model("edu"), model("nvme"), "model:vp9"];
    await using servers = new AsyncDisposableStack();
    const served: string[] = [];
    for (const spec of specs) served.push(servers.use(await serveModel(spec, { log: () => {} })).spec);
    const ways = [`model=${specs}`, `vfio-user=${served}`];
    const child = Bun.spawn([process.execPath, program, clip, ...ways], { cwd: folder, stderr: "inherit" });
    const cells = take("host", await new Response(child.stdout).text());
    packets = cells.find(({ device }) => device === "encoder")!.result;
    expect(packets).toMatch(/^[\da-f]{64}$/);
    expect(cells.map(({ result }) => result)).toEqual([
      expect.stringMatching(/^DMA, /),
      expect.stringMatching(/^vfiokit NVMe.*, /),
      packets,
      expect.stringMatching(/^DMA, /),
      expect.stringMatching(/^vfiokit NVMe.*, /),
      packets,
    ]);
    const ids = listFunctions().map(({ vendor, device }) => `${vendor.toString(16)}:${device.toString(16)}`);
    expect(ids.filter((id) => ["1234:11e8", "1b36:10", "10ee:7022"].includes(id))).toEqual([]);
    for (const way of Object.keys(expected))
      table.push({
        way,
        where: "host",
        device: "all",
        result: "this machine has no such function on its bus",
      });
  },
  TIMEOUT_MS,
);

const expected: Record<string, { readonly edu: RegExp; readonly nvme?: RegExp }> = {
  "VFIO, group": { edu: /^DMA, VFIO, IOMMU group \d+$/, nvme: /, VFIO, IOMMU group \d+$/ },
  // An NVMe controller has no memory to copy through.
  "sysfs, window": { edu: /^registers, sysfs, since / },
  "uio, physical addresses": {
    edu: /^DMA, sysfs and uio_pci_generic, DMA by physical addresses, since /,
    nvme: /, sysfs and uio_pci_generic, DMA by physical addresses, since /,
  },
  iommufd: {
    edu: /^DMA, VFIO, iommufd, \/dev\/vfio\/devices\/vfio\d+$/,
    nvme: /, VFIO, iommufd, \/dev\/vfio\/devices\/vfio\d+$/,
  },
  "VFIO, noiommu": {
    edu: /^DMA, VFIO in noiommu mode, \/dev\/vfio\/noiommu-\d+, DMA by physical addresses$/,
    nvme: /, VFIO in noiommu mode, \/dev\/vfio\/noiommu-\d+, DMA by physical addresses$/,
  },
};

for (const arch of ["x86_64", "aarch64"] as const satisfies Arch[])
  for (const { about, iommu, kernel, steps } of machines)
    test(
      `in an ${arch} guest with ${about}: ${steps.flatMap(({ ways }) => Object.keys(ways)).join("; ")}`,
      async () => {
        let text = "";
        const collect = (bytes: Uint8Array) => {
          text += new TextDecoder().decode(bytes);
        };
        const lines = steps.flatMap(({ setUp, ways }) => {
          const words = Object.entries(ways).map(([way, specs]) => `'${way}=${specs}'`);
          const drive = `bun /vfiokit/test/guest/inside/ways.ts ${basename(clip)} ${words.join(" ")}`;
          return words.length > 0 ? [setUp, drive] : [setUp];
        });
        const { exitCode } = await runGuest({
          arch,
          iommu,
          ...(kernel && { kernel: await testKernel(arch, kernel) }),
          memoryMib: 2048,
          hugepages: 64,
          devices: ["edu,dma_mask=0xffffffff", "nvme", "model:vp9"],
          inputs: [clip],
          command: ["sh", "-ec", lines.join("\n")],
          onStdout: collect,
          onStderr: collect,
          timeoutMs: TIMEOUT_MS - 20_000,
        });
        const cells = take(arch, text);
        expect({ exitCode, text: exitCode === 0 ? "" : text }).toEqual({ exitCode: 0, text: "" });
        const ways = steps.flatMap(({ ways }) => Object.keys(ways));
        expect(cells).toEqual(
          ways.flatMap((way) => {
            const { edu, nvme } = expected[way]!;
            return [
              { way, device: "edu", result: expect.stringMatching(edu) },
              ...(nvme ? [{ way, device: "nvme", result: expect.stringMatching(nvme) }] : []),
              { way, device: "encoder", result: packets },
            ];
          }),
        );
      },
      TIMEOUT_MS,
    );
