/** Finds in a device what operations name. */
import type { ConfigSpace } from "../../src/device/device.ts";
import { DeviceError } from "../../src/device/device.ts";
import { whySilent } from "../../src/device/silence.ts";
import { Config } from "../../src/pci/config-offsets.ts";
import {
  findCapabilities,
  headerRegisterAt,
  type NamedRegister,
  type PresentCapabilities,
  type PresentCapability,
} from "../../src/pci/decode/named-registers.ts";
import type { CapabilityKind, HeaderRegister } from "../../src/pci/decode/register-names.ts";
import { folded } from "../../src/pci/decode/register-names.ts";
import { UsageError } from "../cli/usage-error.ts";
import type { Opened } from "../device/place.ts";
import { nearTo } from "./near.ts";
import {
  type Change,
  type ConfigWidth,
  checkAccess,
  LISTED,
  type Operation,
  widthOfBytes,
} from "./operation.ts";

/** An operation with its place in a device's configuration space. */
export interface Access {
  readonly place: string;
  readonly offset: number;
  readonly width: ConfigWidth;
  readonly changes: readonly Change[];
  /** If its fields are known. */
  readonly register: NamedRegister | undefined;
}

const CONVENTIONAL_BYTES = 0x100;

/** Reads a function's capabilities when they are first asked for. */
export function capabilitiesOf(device: Opened): () => PresentCapabilities {
  let found: PresentCapabilities | undefined;
  return () => {
    found ??= findCapabilities(
      device.config,
      device.bars.map(({ sizeBytes }) => ({ sizeBytes })),
    );
    if (found) return found;
    const why = whySilent(device);
    throw new DeviceError(`${device.spec}: ${why?.text ?? "its header reads as all ones"}`, {
      silent: true,
      ...(why && { remedies: why.remedies }),
    });
  };
}

/**
 * Finds all before anything is accessed, so that a mistake in one operation leaves the others undone. Throws UsageError for what
 * the command line should have said otherwise, Error for what the device does not have, DeviceError.
 */
export function resolve(device: Opened, operations: readonly Operation[]): Access[] {
  const capabilities = capabilitiesOf(device);
  return operations.map((operation) => {
    const access = resolveOne(device, operation, capabilities);
    const { place, offset, width, changes } = access;
    checkAccess(place, offset, width, changes);
    checkEnd(device, access);
    return access;
  });
}

function resolveOne(device: Opened, operation: Operation, capabilities: () => PresentCapabilities): Access {
  const { place, base, offset, width, changes } = operation;
  const { config } = device;
  if (base.kind === "number")
    return { place, offset: base.offset + offset, width: width!, changes, register: undefined };
  if (base.kind === "header") {
    const { found, headerType } = chooseHeader(device, place, base.registers, capabilities);
    const at = found.offset + offset;
    const bits = width ?? widthOfBytes(found.sizeBytes);
    return {
      place,
      offset: at,
      width: bits,
      changes,
      register: headerRegisterAt(config, headerType, at, bits / 8),
    };
  }
  const capability = chooseCapability(device, operation.place, base.kinds, base.index, capabilities());
  if (base.register === undefined) {
    const at = capability.offset + offset;
    const register = capability
      .registers()
      .find((each) => each.offset === at && each.sizeBytes * 8 === width);
    return { place, offset: at, width: width!, changes, register };
  }
  const register = chooseRegister(device, place, capability, base.register);
  const at = register.offset + offset;
  const bits = width ?? widthOfBytes(register.sizeBytes);
  const whole = offset === 0 && bits === register.sizeBytes * 8;
  return { place, offset: at, width: bits, changes, register: whole ? register : undefined };
}

const HEADER_NAMES = ["an endpoint", "a bridge", "a CardBus bridge"];
const EVERY_TYPE = HEADER_NAMES.length;

/** A name may mean something else in another type of header. */
function chooseHeader(
  { spec, config }: Opened,
  place: string,
  registers: readonly HeaderRegister[],
  capabilities: () => PresentCapabilities,
): { found: HeaderRegister; headerType: number } {
  const [first] = registers;
  if (first!.headerTypes.length === EVERY_TYPE) return { found: first!, headerType: 0 };
  const headerType = config.read8(Config.HEADER_TYPE) & 0x7f;
  const found = registers.find(({ headerTypes }) => headerTypes.includes(headerType));
  if (found) return { found, headerType };
  // Throws if the function does not answer at all.
  capabilities();
  const its = `the header of ${spec} is that of ${HEADER_NAMES[headerType] ?? "an unknown kind of function"} (type ${headerType})`;
  const needed = registers
    .flatMap(({ headerTypes }) => headerTypes)
    .map((type) => `${HEADER_NAMES[type]} (type ${type})`);
  throw new Error(
    `${place}: only the header of ${needed.join(" or ")} has this register; ${its}, which has something else at 0x${first!.offset.toString(16)}`,
  );
}

function chooseCapability(
  { spec, config }: Opened,
  place: string,
  kinds: readonly CapabilityKind[],
  index: number,
  { list, problem }: PresentCapabilities,
): PresentCapability {
  const isOne = ({ id, extended }: CapabilityKind) =>
    kinds.some((kind) => kind.id === id && kind.extended === extended);
  const present = list.filter(isOne);
  const shortNames = [...new Set(present.map(({ shortName }) => shortName))];
  if (shortNames.length > 1)
    throw new UsageError(
      `${place}: ${spec} has several capabilities of this name; say ${shortNames.join(" or ")}`,
    );
  const found = present[index];
  if (found) return found;
  const wanted = kinds
    .map(({ shortName, name }) => (name ? `${shortName} (${name})` : shortName))
    .join(" or ");
  if (present.length > 0)
    throw new Error(
      `${place}: ${spec} has ${present.length} of ${wanted}, at ${present.map(hexOffset).join(", ")}, so the last is @${(present.length - 1).toString(16)}`,
    );
  const short = kinds.some(({ extended }) => extended) && config.sizeBytes <= CONVENTIONAL_BYTES;
  const has = list.map((each) => `${each.shortName} at ${hexOffset(each)}`).join(", ");
  throw new Error(
    [
      `${place}: ${spec} has no ${wanted}`,
      `it has ${has || "no capabilities"}`,
      ...(short ? [`extended ones begin at 0x100, and ${whyShort(config)}`] : []),
      ...(problem ? [`its list is broken at ${problem}`] : []),
    ].join("; "),
  );
}

const hexOffset = ({ offset }: { readonly offset: number }) => `0x${offset.toString(16)}`;

/** By the decoder's name, or by the label that its text has. */
function chooseRegister(
  { spec }: Opened,
  place: string,
  capability: PresentCapability,
  wanted: string,
): NamedRegister {
  const registers = capability.registers();
  const name = folded(wanted);
  const byName = registers.find((register) => folded(register.name) === name);
  if (byName) return byName;
  const [byLabel, another] = registers.filter(({ label }) => label !== "" && folded(label) === name);
  if (byLabel && !another) return byLabel;
  const names = registers.map((register) => register.name);
  const { shortName } = capability;
  if (names.length === 0)
    throw new UsageError(
      `${place}: no register of ${shortName} has a name; ${shortName}+OFFSET.WIDTH reaches them`,
    );
  const near = nearTo(wanted, names);
  throw new UsageError(
    `${place}: ${shortName} of ${spec} has no register "${wanted}"; it has ${(near.length > 0 ? near : names).join(", ")}${near.length > 0 ? `; ${LISTED}` : ""}`,
  );
}

function checkEnd({ spec, config }: Opened, { place, offset, width, changes }: Access): void {
  const end = offset + (Math.max(1, changes.length) * width) / 8;
  if (end <= config.sizeBytes) return;
  throw new Error(
    `${place}: 0x${(end - 1).toString(16)} is past the end of configuration space of ${spec}: ${whyShort(config)}`,
  );
}

function whyShort({ sizeBytes }: Pick<ConfigSpace, "sizeBytes">): string {
  const has = `it has 0x${sizeBytes.toString(16)} bytes`;
  if (sizeBytes !== CONVENTIONAL_BYTES) return has;
  return `${has}: the function is conventional PCI, or the way to it does not reach further (no ECAM); only PCI Express functions have 0x1000`;
}
