/** Builds QEMU's command line. */
import { basename, join } from "node:path";
import { findTool, run } from "../debian/process.ts";
import { type Arch, arches, hostArch } from "./arch.ts";
import { isVfioUser, type QemuDevice } from "./devices.ts";

export interface Machine {
  arch: Arch;
  accelerator: "kvm" | "tcg";
  iommu: boolean;
  memoryMib: number;
  cpus: number;
  /** 2 MiB pages that the kernel reserves. */
  hugepages: number;
  /** Whether the guest may reboot; otherwise a reboot ends it. */
  reboots: boolean;
  /** Files of the kernel and of its initramfs. */
  image: string;
  initramfs: string;
  devices: readonly QemuDevice[];
  /** Files for the devices that name them as their drive. */
  disks: readonly Disk[];
  /** Folders that the guest reads, by the name that it mounts them under. */
  shares: readonly Share[];
  /** virtiofsd's socket for the folder that the guest writes to and mounts under the name "guest". */
  workSocket: string;
  /** Events for QEMU to trace. */
  trace?: Trace | undefined;
  /** Empty ports for devices that are plugged in later. */
  hotplugPorts: number;
  /** UNIX socket that QEMU serves its machine protocol on. */
  qmpSocket: string;
  /** UNIX socket for the guest's control port, which QEMU connects to. */
  controlSocket: string;
  /** UNIX socket that QEMU listens on, for a terminal in the guest; undefined for none. */
  terminalSocket?: string | undefined;
  /** UNIX sockets that QEMU listens on, for the ports of the guest's sessions in the order of the port's numbers. */
  sessionSockets: readonly string[];
}

/** A trace of QEMU's own events. */
export interface Trace {
  /** Names of QEMU's trace events. */
  events: readonly string[];
  /** File to write the trace to, one line per event. */
  path: string;
}

export interface Disk {
  name: string;
  path: string;
}

export interface Share {
  name: string;
  path: string;
}

/** Slots of the guest's PCI bus for what the guest itself needs; devices get the slots below. */
const PLUG_SLOT = 0x15;
const PORTS_SLOT = 0x17;
const WORK_SLOT = 0x18;
const FIRST_SHARE_SLOT = 0x19;

export interface Command {
  command: [string, ...string[]];
  env: Record<string, string>;
}

/** The command that runs QEMU for a machine. Its standard output is the guest's console. */
export function qemuCommand(tree: string, machine: Machine): Command {
  return qemu(tree, machine.arch, [
    ...["qemu", "seabios"].flatMap((name) => ["-L", join(tree, "usr/share", name)]),
    ...qemuOptions(machine),
  ]);
}

/** A kind of PCI device that QEMU offers. */
export interface KnownToQemu {
  name: string;
  /** Another name for it. */
  alias?: string | undefined;
  description: string;
}

/** QEMU has no device of that name. */
export class UnknownDevice extends Error {}

/** Asks QEMU which PCI devices it has. */
export async function pciDevices(tree: string, arch: Arch): Promise<KnownToQemu[]> {
  const { command, env } = qemu(tree, arch, ["-device", "help"]);
  const text = new TextDecoder().decode(await run(command, { env }));
  const lines = text.matchAll(/^name "([^"]+)", bus PCI(?:, alias "([^"]*)")?(?:, desc "(.*)")?$/gm);
  return [...lines].map(([, name, alias, description = ""]) => ({ name: name!, alias, description }));
}

/** QEMU's help on a device's properties. Throws UnknownDevice. */
export async function deviceProperties(tree: string, arch: Arch, name: string): Promise<string> {
  const { command, env } = qemu(tree, arch, ["-device", `${name},help`]);
  const text = new TextDecoder().decode(await run(command, { env }));
  if (text === "") throw new UnknownDevice(`'${name}' is not a valid device model name`);
  return text;
}

const qemu = (tree: string, arch: Arch, options: readonly string[]) =>
  treeCommand(tree, join("usr/bin", arches[arch].qemu), options);

/**
 * A program from a tree of unpacked Debian packages, run with the tree's own loader and libraries. It is
 * killed when the thread that starts it exits, for any reason.
 * @param program its path in the tree
 */
export function treeCommand(tree: string, program: string, options: readonly string[]): Command {
  if (hostArch === undefined) throw new Error(`guests run on x86-64 and aarch64, not on ${process.arch}`);
  const { triplet, loader } = arches[hostArch];
  const libraries = join(tree, "usr/lib", triplet);
  return {
    command: [
      ...([findTool("setpriv"), "--pdeathsig", "KILL"] as const),
      ...[join(libraries, basename(loader)), "--library-path", libraries],
      ...[join(tree, program), ...options],
    ],
    env: { QEMU_MODULE_DIR: join(libraries, "qemu") },
  };
}

function qemuOptions(machine: Machine): string[] {
  const { arch, accelerator, memoryMib, cpus, hugepages } = machine;
  // A model may be plugged in later.
  const vfioUser = machine.devices.some(isVfioUser) || machine.hotplugPorts > 0;
  const platform = arches[arch].machine({ ...machine, vfioUser });
  const kernel = [
    // On a panic the kernel reboots at once, which ends the guest. One that may reboot would loop for ever.
    ...[`console=${arches[arch].console}`, "quiet", machine.reboots ? "panic=0" : "panic=-1"],
    ...platform.kernel,
    // Without firmware the kernel itself sets windows aside.
    ...(machine.hotplugPorts > 0 ? ["pci=hpmmiosize=32M,hpmmioprefsize=4G"] : []),
    ...(hugepages > 0 ? [`hugepages=${hugepages}`] : []),
  ];
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"],
    ...(machine.reboots ? [] : ["-no-reboot"]),
    ...platform.qemu,
    ...["-accel", accelerator === "kvm" ? "kvm" : "tcg,thread=multi,tb-size=256"],
    ...["-m", `${memoryMib}M`, "-smp", String(cpus)],
    // virtiofsd and vfio-user servers read and write the guest's memory in place.
    ...["-object", `memory-backend-memfd,id=memory,size=${memoryMib}M,share=on`],
    ...["-machine", "memory-backend=memory"],
    ...["-kernel", machine.image, "-initrd", machine.initramfs, "-append", kernel.join(" ")],
    ...(machine.trace ? traceOptions(machine.trace) : []),
    ...machine.disks.flatMap(diskOptions),
    ...machine.devices.flatMap(({ option }) => ["-device", option]),
    ...plugPorts(machine.hotplugPorts),
    ...["-chardev", `socket,id=qmp,path=${doubled(machine.qmpSocket)},server=on,wait=off`],
    ...["-object", "monitor-qmp,id=monitor,chardev=qmp"],
    ...["-chardev", `socket,id=guest,path=${doubled(machine.workSocket)}`],
    ...["-device", `vhost-user-fs-pci,chardev=guest,tag=guest,addr=${WORK_SLOT.toString(16)}`],
    ...machine.shares.flatMap(shareOptions),
    ...portOptions(machine),
  ];
}

function traceOptions({ events, path }: Trace): string[] {
  return [...events.flatMap((event) => ["-trace", `enable=${event}`]), "-D", path];
}

/** QEMU's name for a port that a device can be plugged into; its place in the guest, as sysfs has it. */
export const plugPort = (index: number) => ({
  id: `plug-${index}`,
  address: `0000:00:${PLUG_SLOT.toString(16)}.${index}`,
});

function plugPorts(count: number): string[] {
  // The firmware sets windows aside while there is no device. Chassis numbers from 100 on leave those that users count from 1.
  return Array.from({ length: count }, (_, index) => [
    "-device",
    [
      `pcie-root-port,id=${plugPort(index).id},addr=${PLUG_SLOT.toString(16)}.${index},multifunction=on`,
      `chassis=${100 + index},mem-reserve=32M,pref64-reserve=4G`,
    ].join(","),
  ]).flat();
}

function diskOptions({ name, path }: Disk): string[] {
  return ["-blockdev", `driver=file,node-name=${name},filename=${doubled(path)}`];
}

function shareOptions({ name, path }: Share, index: number): string[] {
  const slot = FIRST_SHARE_SLOT + index;
  return [
    "-fsdev",
    `local,id=${name},path=${doubled(path)},security_model=none,multidevs=remap,readonly=on`,
    "-device",
    `virtio-9p-pci,fsdev=${name},mount_tag=${name},addr=${slot.toString(16)},disable-legacy=on`,
  ];
}

function portOptions({ controlSocket, terminalSocket, sessionSockets }: Machine): string[] {
  const port = (name: string, nr: number, socket: string) => [
    ...["-chardev", `socket,id=${name},path=${socket}`],
    ...["-device", `virtserialport,bus=ports.0,nr=${nr},chardev=${name},name=${name}`],
  ];
  // Port 0 is reserved for consoles.
  const count = 2 + sessionSockets.length;
  return [
    "-device",
    `virtio-serial-pci,id=ports,addr=${PORTS_SLOT.toString(16)},disable-legacy=on,max_ports=${count}`,
    ...(terminalSocket === undefined
      ? []
      : [
          ...["-chardev", `socket,id=terminal,path=${doubled(terminalSocket)},server=on,wait=off`],
          ...["-device", "virtconsole,bus=ports.0,nr=0,chardev=terminal"],
        ]),
    ...port("control", 1, doubled(controlSocket)),
    ...sessionSockets.flatMap((path, index) =>
      port(`session-${index}`, 2 + index, `${doubled(path)},server=on,wait=off`),
    ),
  ];
}

/** QEMU's options take a doubled comma for a literal one. */
const doubled = (path: string) => path.replaceAll(",", ",,");
