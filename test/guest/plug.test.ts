/** Devices that come and go while a guest runs. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bootGuest, type Guest, GuestError, OptionError } from "../../src/exports/guest.ts";
import { openFds } from "../os/open-fds.ts";
import { children, settled } from "../vp9/encoder/rig.ts";

const BOOT_MS = 120_000;
const TIMEOUT_MS = 580_000;
/** For one round: each of its waits has a limit of its own, which is no longer. */
const ROUND_MS = 60_000;
const MSIX_MODEL = `model:${join(import.meta.dir, "../model/models/bells.model.ts")}`;
const MODEL = `model:${join(import.meta.dir, "../../examples/edu/edu.model.ts")}`;
const DRIVER = "/vfiokit/test/guest/inside/plugged.ts";

const here = () => ({ fds: openFds("self"), children: children().length });
const qemu = () =>
  children().find((pid) => readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("qemu-system"))!;

/** A program in the guest that answers each line with one of JSON. */
function startDriver(guest: Guest) {
  const lines = new TransformStream<Uint8Array, Uint8Array>();
  const writer = lines.writable.getWriter();
  let text = "";
  let heard = () => {};
  let answered = 0;
  const errors: Uint8Array[] = [];
  const ended = guest
    .run(["bun", DRIVER], {
      stdin: lines.readable,
      onStdout(bytes) {
        text += Buffer.from(bytes).toString();
        heard();
      },
      onStderr: (bytes) => void errors.push(bytes),
    })
    .then((result) => ({ ...result, stderr: Buffer.concat(errors).toString() }));
  const failed = ended.then((result) =>
    Promise.reject(new Error(`the driver ended: ${JSON.stringify(result)}`)),
  );
  failed.catch(() => {});
  return {
    ended,
    async answer(line?: string): Promise<Record<string, number>> {
      if (line !== undefined) await writer.write(Buffer.from(`${line}\n`));
      const late = AbortSignal.timeout(ROUND_MS);
      for (;;) {
        const complete = text.split("\n").slice(0, -1);
        if (complete.length > answered) return JSON.parse(complete[answered++]!);
        late.throwIfAborted();
        const { promise, resolve } = Promise.withResolvers<void>();
        heard = resolve;
        await Promise.race([promise, failed, Bun.sleep(100)]);
      }
    },
    close: () => writer.close(),
  };
}

test.each([
  ["x86_64", 50],
  ["aarch64", 20],
] as const)(
  "in an %s guest a model is plugged and unplugged %d times while a driver runs: nothing leaks, nothing hangs",
  async (arch, rounds) => {
    await using guest = await bootGuest({ arch, devices: ["edu"], hotplugPorts: 1, timeoutMs: BOOT_MS });
    const driver = startDriver(guest);
    expect(await driver.answer()).toEqual({ ready: true } as never);
    const inGuest = async () => (await guest.run(["ls", "/sys/bus/pci/devices", "/dev/vfio"])).stdout;
    const before = { inside: await inGuest(), here: here() };
    const qemuFds = openFds(qemu());
    const times = { plug: [] as number[], use: [] as number[], unplug: [] as number[] };
    let [fds, computed] = [0, 0];
    for (let round = 0; round < rounds; round++) {
      const startMs = performance.now();
      const device = await guest.plug(MODEL);
      const pluggedMs = performance.now();
      const answer = await driver.answer(device.address);
      const usedMs = performance.now();
      await device.unplug();
      times.plug.push(pluggedMs - startMs);
      times.use.push(usedMs - pluggedMs);
      times.unplug.push(performance.now() - usedMs);
      expect(answer).toMatchObject({ address: device.address, answers: 24 });
      expect(answer.computed).toBeGreaterThan(computed);
      computed = answer.computed!;
      if (round === 0) fds = answer.fds!;
      expect({ round, fds: answer.fds }).toEqual({ round, fds });
    }
    const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!.toFixed(0);
    console.log(
      `${arch}: ${rounds} rounds, median plug ${median(times.plug)}, use ${median(times.use)}, unplug ${median(times.unplug)} ms; ${computed} factorials by the device that stayed`,
    );
    expect({ inside: await inGuest(), here: await settled(here, before.here) }).toEqual(before);
    // Files that the guest reads come and go; a leak would be one at least a round.
    expect(openFds(qemu()) - qemuFds).toBeLessThan(rounds / 2);
    await driver.close();
    expect(await driver.ended).toMatchObject({ exitCode: 0, stderr: "" });
  },
  TIMEOUT_MS,
);

test(
  "QEMU's devices are plugged in, too; what can't work is refused with words, and costs nothing",
  async () => {
    await using guest = await bootGuest({ arch: "x86_64", hotplugPorts: 2, timeoutMs: BOOT_MS });
    const before = here();
    {
      await using nvme = await guest.plug("nvme");
      await using edu = await guest.plug('{"driver":"edu"}');
      const { stdout } = await guest.run(["lspci", "-n"]);
      expect(stdout).toContain(`${nvme.address.slice(5)} 0108: 1b36:0010`);
      expect(stdout).toContain(`${edu.address.slice(5)} 00ff: 1234:11e8`);
      const allocate = `import { openDevice } from "vfiokit"; openDevice("${edu.address}").allocateDma(4096)`;
      const unbound = await guest.run(["bun", "-e", allocate]);
      expect(unbound.stderr).toContain("DMA needs VFIO, which was not used because no driver is bound to it");
      const disk = "until [ -e /dev/nvme0n1 ]; do sleep 0.1; done; wc -c < /dev/nvme0n1";
      expect((await guest.run(["sh", "-c", disk], { timeoutMs: 30_000 })).stdout).toBe("67108864\n");
      const full = guest.plug("edu");
      expect(full).rejects.toThrow(OptionError);
      expect(full).rejects.toThrow("all of the guest's 2 ports are in use; unplug a device");
      await full.catch(() => {});
    }
    for (const [spec, type, words] of [
      ["no-such-device", GuestError, "'no-such-device' is not a valid device model name"],
      ["edu,nonsense=1", GuestError, "nonsense"],
      ["vfio-user:/nope", OptionError, "there is no such socket"],
      ["model:nope", OptionError, "unknown model"],
    ] as const) {
      const failed = guest.plug(spec);
      expect(failed).rejects.toThrow(type);
      expect(failed).rejects.toThrow(words);
      await failed.catch(() => {});
    }
    expect(await settled(here, before)).toEqual(before);
    const again = await guest.plug(MODEL);
    expect(children().length).toBe(before.children + 1);
    await again.unplug();
    await again.unplug();
    expect(await settled(here, before)).toEqual(before);
    // One that stays goes with the guest, and so does one that QEMU can't take out.
    await guest.plug(MODEL);
    const { address, unplug } = await guest.plug(MSIX_MODEL);
    const refused = unplug();
    expect(refused).rejects.toThrow(`can't lose ${address}: QEMU aborts`);
    await refused.catch(() => {});
    expect((await guest.run(["lspci", "-n", "-s", address])).stdout).toContain(address.slice(5));
  },
  TIMEOUT_MS,
);

test(
  "a guest without a port says how to get one, and one that dies takes its devices' models along",
  async () => {
    const before = children().length;
    await using guest = await bootGuest({ arch: "aarch64", timeoutMs: BOOT_MS });
    const refused = guest.plug("edu");
    expect(refused).rejects.toThrow(
      "the guest has no port to plug it into; boot it with hotplugPorts: 1 or more",
    );
    await refused.catch(() => {});
    await using other = await bootGuest({ arch: "aarch64", hotplugPorts: 1, timeoutMs: BOOT_MS });
    const device = await other.plug(MODEL);
    await other.run(["sh", "-c", "echo c > /proc/sysrq-trigger"]).catch(() => {});
    await device.unplug();
    await other[Symbol.asyncDispose]();
    await guest[Symbol.asyncDispose]();
    expect(children().length).toBe(before);
  },
  TIMEOUT_MS,
);
