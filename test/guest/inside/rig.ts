/** For the tests that run in a guest: finding its devices, and giving them to drivers. */
import { expect } from "bun:test";
import { wordError } from "../../../scripts/cli/remedy.ts";
import { DeviceError } from "../../../src/index.ts";
import { SystemError } from "../../../src/os/errno.ts";
import { bind } from "../../../src/pci/bus/binding.ts";
import { listFunctions, type PciFunction } from "../../../src/pci/bus/functions.ts";

const ids = {
  edu: [0x1234, 0x11e8],
  nvme: [0x1b36, 0x0010],
  "pci-testdev": [0x1b36, 0x0005],
} as const;

/** The addresses of the guest's devices of a kind. A test that needs one it has not fails here. */
export function addressesOf(kind: keyof typeof ids): [string, ...string[]] {
  const [vendor, device] = ids[kind];
  const found = listFunctions().filter((pci) => pci.vendor === vendor && pci.device === device);
  const [first, ...others] = found.map(({ address }) => address);
  if (first === undefined) throw new Error(`the guest was started without --device ${kind}`);
  return [first, ...others];
}

/** The address of the guest's first function that is so. A test that needs `what`, which the guest has not, fails here. */
export function one(what: string, is: (of: PciFunction) => boolean): string {
  const found = listFunctions().find(is);
  if (!found) throw new Error(`the guest was started without ${what}`);
  return found.address;
}

export async function bindTo(address: string, driver: string): Promise<void> {
  await bind(address, driver, { group: false, force: false });
}

/** The text of the DeviceError that a call throws, with what helps; undefined where it throws none. */
export function messageOf(call: () => unknown): string | undefined {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(DeviceError);
    return wordError(error);
  }
  return undefined;
}

/** The text of the error that a call rejects with, with what helps; undefined where it resolves. */
export function rejection(call: Promise<unknown>): Promise<string | undefined> {
  return call.then(
    () => undefined,
    (error) => wordError(error),
  );
}

/** The errno's name of the SystemError that a call throws; undefined where it throws none. */
export function errnoOf(call: () => unknown): string | undefined {
  try {
    call();
  } catch (error) {
    return error instanceof SystemError ? error.code : String(error);
  }
  return undefined;
}
