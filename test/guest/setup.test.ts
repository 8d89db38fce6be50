/**
 * A guest that is set up for use without root: with udev, which is Debian's, and without, as guests are. A user of it, without any
 * rights besides, then does what needs root elsewhere.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { bootGuest, type Guest } from "../../src/guest/guest.ts";
import { fetchUdev } from "./udev.ts";
import "../../src/schemes.ts";

const TIMEOUT_MS = 600_000;
const clip = join(import.meta.dir, "../media/CiscoVT2people_320x192_12fps.yuv");
const settings = ["--size", "320x192", "--fps", "12", "--rc", "cbr", "--bitrate", "500", "--quiet"];
const program = join(import.meta.dir, "../../scripts/encode.ts");
const card = "0000:00:01.0";
const nvme = "0000:00:02.0";
const NEEDS_ROOT = "EACCES: this needs root: run it with sudo";

let folder: string;
let wanted: Buffer;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "vfiokit-setup-"));
  const output = join(folder, "host.ivf");
  const words = [clip, ...settings, "--device", "model:vp9", "-o", output];
  const child = Bun.spawn([process.execPath, program, ...words], { stdio: ["ignore", "ignore", "inherit"] });
  expect(await child.exited).toBe(0);
  wanted = readFileSync(output);
}, TIMEOUT_MS);
afterAll(() => rmSync(folder, { recursive: true }));

/** A guest's users, each with a shell. What fails is said on standard error, without its decoration. */
function usersOf(guest: Guest) {
  const shell = async (command: string, user?: string) => {
    const { exitCode, stdout, stderr } = await guest.run(["sh", "-c", command], {
      user,
      cwd: guest.work,
      timeoutMs: TIMEOUT_MS / 2,
    });
    return { exitCode, stdout: stdout.trim(), said: stderr.trim().replace(/^(ERROR|ℹ)\s+/, "") };
  };
  return {
    root: async (command: string) => {
      const ended = await shell(command);
      expect({ command, ...ended }).toMatchObject({ exitCode: 0 });
      return ended.stdout;
    },
    user: (command: string) => shell(command, "user"),
  };
}

const did = (stdout: string) => ({ exitCode: 0, stdout, said: "" });
const failed = (said: string) => ({ exitCode: 1, stdout: "", said });

/** Owners and modes of all that a set-up gives away, and which of its files are there. */
const STATE = [
  "stat -c '%n %U %G %a' /sys/bus/pci/drivers_probe /sys/bus/pci/drivers/*/bind /sys/bus/pci/drivers/*/unbind",
  "/sys/bus/pci/drivers/*/new_id /sys/bus/pci/devices/*/driver_override;",
  "find /etc /run/vfiokit -type f -path '*vfiokit*'; cat /proc/sys/vm/nr_hugepages",
].join(" ");

test.each(["x86_64", "aarch64"] as const)(
  "in an %s guest a user binds, encodes and releases without root, and may do no more",
  async (arch) => {
    const udev = await fetchUdev(arch);
    await using guest = await bootGuest({
      arch,
      memoryMib: 2048,
      devices: ["model:vp9", "nvme"],
      inputs: [udev, clip],
      timeoutMs: TIMEOUT_MS / 2,
    });
    const { root, user } = usersOf(guest);
    const before = await root(STATE);
    const encode = `bun run encode.ts ${basename(clip)} ${settings.join(" ")} --device ${card}`;

    // What is in use is not bound at boot.
    const refused = `! bun run setup.ts ${nvme} --group user --bind-at-boot --write 2>&1`;
    expect(
      await root(
        `mkdosfs /dev/nvme0n1 > /dev/null && mkdir -p /mnt && mount -t vfat /dev/nvme0n1 /mnt && ${refused} && umount /mnt`,
      ),
    ).toContain("not to be bound at boot, because this is in use:");
    expect(await root(STATE)).toBe(before);

    // Without udev nothing gives a node that appears later; one that root binds now is given.
    const now = JSON.parse(await root(`bun run setup.ts ${nvme} --group user --bind-at-boot --write --json`));
    expect(now.notes[0]).toStartWith("udev does not run here: ");
    expect(await user(`bun run peek.ts ${nvme} 0:0 --width 64`)).toEqual(
      did(expect.stringMatching(/ 0x\w{16}$/)),
    );
    expect(await root("bun run setup.ts --remove 2>&1")).toContain(`${nvme} is still bound to vfio-pci; `);
    // The record of its driver went from the group's folder to root's.
    expect(await root(`bun run release.ts ${nvme}`)).toBe(`${nvme} went from vfio-pci back to nvme`);
    expect(await root(STATE)).toBe(before);

    await root("mkdir -p /run/udev && LD_LIBRARY_PATH=udev udev/systemd-udevd --daemon");
    await root(
      `printf '#!/bin/sh\\nLD_LIBRARY_PATH=${guest.work}/udev exec ${guest.work}/udev/udevadm "$@"\\n' > /usr/local/bin/udevadm && chmod +x /usr/local/bin/udevadm`,
    );
    const written = JSON.parse(
      await root(`bun run setup.ts 10ee:7022 --group user --hugepages 16 --write --json`),
    );
    expect(written).toMatchObject({
      functions: [{ address: card, vendor: "0x10ee", device: "0x7022" }],
      group: "user",
      written: true,
      notes: [expect.stringContaining("members of user have these rights: ")],
    });
    expect(written.steps).toContain("udevadm control --reload");
    expect(await root("udevadm verify --no-summary; cat /proc/sys/vm/nr_hugepages")).toBe("16");

    // As after a reboot: udev alone, which is told of all devices, gives the rights.
    await root(
      `cd /sys/bus/pci && chown root:root drivers/vfio-pci/* devices/${card}/driver_override && rm -r /run/vfiokit && udevadm trigger --type=all --action=add && udevadm settle`,
    );
    expect(await user(`bun run bind.ts ${card} | tail -n 1`)).toEqual(
      did(`${card} went from no driver to vfio-pci`),
    );
    // The limit is what PAM makes of the file when a user logs in.
    const limit = await root("grep -o '[0-9]*$' /etc/security/limits.d/vfiokit.conf");
    expect(await root(`ulimit -l ${limit} && exec su user -c 'ulimit -l && ${encode} -o users.ivf'`)).toBe(
      "524288",
    );
    await guest.take(join(folder, "users.ivf"));
    expect(readFileSync(join(folder, "users.ivf")).equals(wanted)).toBe(true);
    expect(await user("bun run release.ts --all")).toEqual(
      did(`${card} went from vfio-pci back to no driver`),
    );

    // What the group has not got.
    expect(await user(`bun run bind.ts ${nvme}`)).toEqual(
      failed(expect.stringContaining(`${nvme}/driver_override: ${NEEDS_ROOT}`)),
    );
    for (const file of ["drivers_probe", "drivers/nvme/unbind", "drivers/vfio-pci/new_id"])
      expect(await user(`echo > /sys/bus/pci/${file}`)).toMatchObject({
        exitCode: 1,
        said: expect.stringContaining("Permission denied"),
      });

    // A record that a member of the group made counts for no other function, and root reads none that is too long.
    await root(`bun run bind.ts ${nvme}`);
    const records = "/run/vfiokit/group-bindings";
    await user(`echo '{"driver":null,"driverOverride":null,"boundTo":"vfio-pci"}' > ${records}/${nvme}.json`);
    await user(`mkdir ${records}/ffff:00:00.0.json`); // a record of a function that is gone is removed
    expect(await root("bun run release.ts --all")).toBe(`${nvme} went from vfio-pci back to nvme`);
    await user(`head -c 5000 /dev/zero > ${records}/${card}.json`);
    expect(await user(`bun run bind.ts ${card}`)).toEqual(
      failed(`${records}/${card}.json is not a binding record: inspect it, and remove it`),
    );
    await user(`rm -r ${records}/*`);

    // A udev that is late is waited for, but not for ever.
    await root("udevadm control --stop-exec-queue");
    expect(await user(`bun run bind.ts ${card}`)).toMatchObject({ exitCode: 0 });
    expect(await user(`bun run peek.ts ${card} 0:0`)).toEqual(failed(expect.stringContaining("EACCES")));
    await root("udevadm control --start-exec-queue && udevadm settle");
    expect(await user(`bun run peek.ts ${card} 0:0`)).toMatchObject({ exitCode: 0 });
    expect(await user(`bun run release.ts ${card}`)).toMatchObject({ exitCode: 0 });

    // At boot: udev takes the function from its driver; only root gives it back.
    await root(`bun run setup.ts ${nvme} --group user --bind-at-boot --write`);
    await root(`bun run release.ts ${nvme} && udevadm trigger --type=all --action=add && udevadm settle`);
    expect(await user(`bun run peek.ts ${nvme} 0:0 --width 64`)).toEqual(
      did(expect.stringMatching(/ 0x\w{16}$/)),
    );
    expect(await user(`bun run release.ts ${nvme}`)).toEqual(
      failed(`can't release ${nvme}: write /sys/bus/pci/drivers_probe: ${NEEDS_ROOT}`),
    );
    expect(await user(`bun run setup.ts --remove`)).toEqual(
      failed("can't remove the set-up: this needs root: run it with sudo"),
    );
    await user(`mkdir ${records}/${card}.json`); // as if it were a record
    await root("bun run setup.ts --remove");
    expect(await root(`bun run release.ts ${nvme}`)).toBe(`${nvme} went from vfio-pci back to nvme`);
    expect(await root(STATE)).toBe(before);
    expect(await root("bun run setup.ts --remove")).toBe("nothing is set up");
  },
  TIMEOUT_MS,
);

test(
  "in a guest without an IOMMU there is nothing to set up",
  async () => {
    await using guest = await bootGuest({ arch: "x86_64", iommu: false, devices: ["edu"] });
    const { exitCode, stderr } = await guest.run(["bun", "run", "setup.ts", card]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`${card} can't be used without root: the IOMMU is off or absent. `);
  },
  TIMEOUT_MS,
);
