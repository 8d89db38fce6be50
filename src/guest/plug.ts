/** Plugs devices into a running guest and unplugs them. */

import { within } from "../os/within.ts";
import { backDevice } from "./backing.ts";
import type { Runner } from "./commands.ts";
import { isVfioUser, type QemuDevice } from "./devices.ts";
import { GuestError } from "./failure.ts";
import { PLUG_MS } from "./limits.ts";
import { checkDevice, OptionError } from "./options.ts";
import { plugPort } from "./qemu.ts";
import { type Qmp, QmpError } from "./qmp.ts";

/** A device that the guest has. `await using` unplugs it, unless it can't be. */
export interface PluggedDevice extends AsyncDisposable {
  /** Its address in the guest, such as 0000:01:00.0. */
  readonly address: string;
  /**
   * Takes the device from the guest: resolves when neither the guest nor QEMU has it, and its model has ended. Harmless when it
   * was done before.
   * @throws GuestError of kind "timed-out" if the guest keeps it; unplug() can then be called again. GuestError if it is a
   *   vfio-user device with MSI-X, which stays until the guest ends: QEMU would abort
   */
  unplug(): Promise<void>;
}

interface PlugContext {
  readonly qmp: Qmp;
  readonly runner: Runner;
  /** Folder for sockets and disks. */
  readonly folder: string;
  /** How many ports the guest has for it. */
  readonly ports: number;
  readonly died: Promise<GuestError>;
  readonly log: (line: string) => void;
}

/** Prints the address of the device behind a port, and whether it has MSI-X, once the guest has it and has loaded its driver. */
const APPEAR = `
  read -r bus < "/sys/bus/pci/devices/$1/secondary_bus_number"
  address=$(printf 0000:%02x:00.0 "$bus")
  until [ -e "/sys/bus/pci/devices/$address/config" ]; do sleep 0.05; done
  modprobe -q "$(cat "/sys/bus/pci/devices/$address/modalias")"
  setpci -s "$address" CAP_MSIX.b > /dev/null 2>&1 && msix=msix
  echo "$address $msix"`;

/**
 * Powers a device's slot off, upon which QEMU takes the device away. QEMU's device_del would press the slot's attention button
 * instead, and the kernel's pciehp then waits 5 s for it to be pressed again. A slot that is still powering up refuses.
 */
const VANISH = `
  for slot in /sys/bus/pci/slots/*; do
    read -r at < "$slot/address"
    [ "$at" = "\${1%.*}" ] && break
  done
  while [ -e "/sys/bus/pci/devices/$1" ]; do echo 0 > "$slot/power" 2> /dev/null || sleep 0.05; done`;

export interface Plugger extends AsyncDisposable {
  plug(spec: string): Promise<PluggedDevice>;
}

/** Its end, after the guest's, ends what the devices needed here. */
export function openPlugger(context: PlugContext): Plugger {
  const { qmp, runner, folder, ports, log } = context;
  const free = Array.from({ length: ports }, (_, index) => index);
  let count = 0;
  let isDead = false;
  void context.died.then(() => {
    isDead = true;
  });
  const backings = new Set<AsyncDisposableStack>();

  const inGuest = (script: string, ...words: string[]) =>
    runner(["sh", "-c", script, "sh", ...words], { cwd: "/", timeoutMs: PLUG_MS });
  /** Fails when the guest dies. */
  const alive = <T>(work: Promise<T>) =>
    Promise.race([work, context.died.then((error) => Promise.reject(error))]);

  async function plug(spec: string): Promise<PluggedDevice> {
    const parsed = checkDevice(spec);
    const index = free.shift();
    if (index === undefined) throw new OptionError("devices", `${spec}: ${noPort(ports)}`);
    const port = plugPort(index);
    const id = `plugged-${++count}`;
    await using undo = new AsyncDisposableStack();
    undo.defer(() => void free.unshift(index));
    const { device, disk } = undo.use(await backDevice(parsed, folder, id, log));
    if (disk) {
      const node = { driver: "file", "node-name": disk.name, filename: disk.path };
      await alive(qmp.execute("blockdev-add", node));
      undo.defer(() =>
        qmp.execute("blockdev-del", { "node-name": disk.name }).then(
          () => {},
          () => {},
        ),
      );
    }
    // It may be said later than unplug() waits.
    const deletion = qmp.event("DEVICE_DELETED", (data) => data.device === id);
    await alive(addDevice(device, id, port.id));
    const unplugIt = async (address: string) => {
      const deleted = within(PLUG_MS, deletion);
      await inGuest(VANISH, address).catch((error: unknown) => {
        if (!(error instanceof GuestError && error.kind === "timed-out")) throw error;
      });
      if (await alive(deleted)) return;
      const reason = `did not give up ${address} within ${PLUG_MS / 1000} s`;
      throw new GuestError(`the guest ${reason}; a process there may have it open`, reason, "timed-out");
    };

    let address: string;
    let stays: boolean;
    try {
      const [found = "", msix] = (await inGuest(APPEAR, port.address)).stdout.trim().split(" ");
      address = found;
      // QEMU 11.1 takes its emulation of the pending bits from a BAR that it has just freed (vfio_user_msix_teardown).
      stays = msix !== undefined && isVfioUser(device);
    } catch (error) {
      await qmp.execute("device_del", { id }).catch(() => {});
      throw error;
    }
    const backing = undo.move();
    backings.add(backing);
    let unplugging: Promise<void> | undefined;
    const unplug = () => {
      unplugging ??= (async () => {
        // A guest that has died has no device.
        await unplugIt(address).catch((error) => {
          if (!isDead) throw error;
        });
        backings.delete(backing);
        await backing.disposeAsync();
      })().catch((error) => {
        unplugging = undefined;
        throw error;
      });
      return unplugging;
    };
    if (stays) {
      const reason = `can't lose ${address}: QEMU aborts when a vfio-user device with MSI-X is unplugged. It stays until the guest ends; a model with MSI can be unplugged`;
      const refuse = () => Promise.reject(new GuestError(`the guest ${reason}`, reason));
      return { address, unplug: refuse, [Symbol.asyncDispose]: async () => {} };
    }
    return { address, unplug, [Symbol.asyncDispose]: unplug };
  }

  async function addDevice({ option, driver }: QemuDevice, id: string, bus: string): Promise<void> {
    try {
      if (option.startsWith("{")) {
        await qmp.execute("device_add", { ...(JSON.parse(option) as object), id, bus });
        return;
      }
      // The form NAME,PROPERTY=VALUE is the human monitor's alone.
      const line = { "command-line": `device_add ${option},id=${id},bus=${bus}` };
      const said = String(await qmp.execute("human-monitor-command", line)).trim();
      if (said !== "") throw new QmpError(said);
    } catch (error) {
      if (!(error instanceof QmpError)) throw error;
      const reason = `could not get the device ${driver}: ${error.message}`;
      const kind = error.message.includes("is not a valid device model name") ? "unknown-device" : "other";
      throw new GuestError(`the guest ${reason}`, reason, kind);
    }
  }
  return {
    plug,
    async [Symbol.asyncDispose]() {
      await Promise.all([...backings].map((backing) => backing.disposeAsync()));
    },
  };
}

const noPort = (ports: number) =>
  ports === 0
    ? "the guest has no port to plug it into; boot it with hotplugPorts: 1 or more"
    : `all of the guest's ${ports} ports are in use; unplug a device, or boot it with more hotplugPorts`;
