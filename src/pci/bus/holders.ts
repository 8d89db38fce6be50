/** Which processes hold a file open or mapped: /proc/PID/fd and /proc/PID/maps, see proc(5). */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { readAttribute } from "./attribute.ts";

export interface Holder {
  readonly pid: number;
  /** The name of its program, as ps shows it. */
  readonly command: string;
  /** The file that it holds. */
  readonly path: string;
}

/** How /proc shows an open VFIO device, even after its group's descriptor was closed. */
const VFIO_DEVICE = "anon_inode:[vfio-device]";

/**
 * Processes that hold one of these files open, have a file of this function's sysfs directory mapped, or hold
 * its VFIO device, if the kernel says whose that is (Linux 6.17). Only root sees other users' processes.
 */
export function findHolders(files: ReadonlySet<string>, functionPath?: string): Holder[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    const held = new Set(openFiles(pid, functionPath).filter((target) => files.has(target)));
    if (functionPath !== undefined) for (const path of mappedFiles(pid, `${functionPath}/`)) held.add(path);
    const command = readAttribute(`/proc/${pid}/comm`) ?? "?";
    return [...held].map((path) => ({ pid: Number(pid), command, path }));
  });
}

/** "process 1234 (bun)". */
export function describeHolder({ pid, command }: Holder): string {
  return `process ${pid} (${command})`;
}

function openFiles(pid: string, functionPath: string | undefined): string[] {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).flatMap((fd) => {
      const target = linkTarget(`${folder}/${fd}`);
      if (target !== VFIO_DEVICE || functionPath === undefined) return target ?? [];
      const whose = readAttribute(`/proc/${pid}/fdinfo/${fd}`)?.match(/^vfio-device-syspath:\s*(\S+)$/m)?.[1];
      return whose === undefined ? [] : `${whose}/vfio-dev`;
    });
  } catch {
    // The process has exited, or is another user's.
    return [];
  }
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function mappedFiles(pid: string, prefix: string): string[] {
  let maps: string;
  try {
    maps = readFileSync(`/proc/${pid}/maps`, "latin1");
  } catch {
    return [];
  }
  if (!maps.includes(prefix)) return [];
  return maps.split("\n").flatMap((line) => {
    const at = line.indexOf(prefix);
    return at < 0 ? [] : line.slice(at);
  });
}
