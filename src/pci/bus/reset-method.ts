/** How the kernel resets a function: `reset_method` of Documentation/ABI/testing/sysfs-bus-pci, from Linux 5.15 on. */
import { join } from "node:path";
import { readAttribute, writeAttribute } from "./attribute.ts";
import { BusError } from "./bus-error.ts";
import { readFunction } from "./functions.ts";

const fileOf = (address: string) => join(readFunction(address).path, "reset_method");

/**
 * The methods that are allowed, in the order in which the kernel tries them: "flr", "af_flr", "pm", "bus", "cxl_bus", "acpi",
 * "device_specific". Empty if the function can't be reset alone. Throws BusError.
 */
export function resetMethods(address: string): string[] {
  return (readAttribute(fileOf(address)) ?? "").split(" ").filter((name) => name !== "");
}

/** Does the work while the kernel resets the function by this method only, and allows the others again. Throws BusError. */
export function withResetMethod<T>(address: string, method: string, work: () => T): T {
  const allowed = resetMethods(address);
  if (!allowed.includes(method))
    throw new BusError(
      allowed.length === 0
        ? `${address} can't be reset by ${method}: the kernel knows no way to reset it alone`
        : `${address} can't be reset by ${method}, but by ${allowed.join(", ")}`,
    );
  const file = fileOf(address);
  writeAttribute(file, method, `choose the way to reset ${address}`);
  try {
    return work();
  } finally {
    writeAttribute(file, allowed.join(" "), `allow the other ways to reset ${address}`);
  }
}
