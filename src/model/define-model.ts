/** A device model from register tables and handlers: the rest, from configuration space to the reset, follows from them. */
import { freeBar, sizesOf } from "./bar-layout.ts";
import { allFaultKinds } from "./common-faults.ts";
import {
  advancedErrorReporting,
  buildConfigSpace,
  type ConfigSpaceModel,
  msi,
  msix,
  pciExpress,
  powerManagement,
  serialNumber,
  vendorSpecific,
} from "./config-space-model.ts";
import type { ModelDefinition } from "./definition.ts";
import type { Host } from "./device-model.ts";
import { type Fault, parseFaults } from "./fault-injection.ts";
import type { BarDescriptions, CapabilitiesDescription, ModelDescription } from "./model-description.ts";
import { msixLayout } from "./msix-bar.ts";

/** What the message thread gets. */
interface ModelData<Data> {
  readonly query: string;
  readonly faults: readonly Fault<string>[];
  readonly data: Data;
}

/** A definition that `model:./FILE.ts` can name, as the file's default export. Throws RangeError: what can't be built, and why. */
export function defineModel<const Bars extends BarDescriptions, Data = undefined>(
  description: ModelDescription<Bars, Data>,
): ModelDefinition<unknown> {
  const mistake = shapeMistake(description);
  if (mistake !== undefined) throw new RangeError(mistake);
  const { title, options = [], create, load } = description;
  const given = create ? async () => create : load;
  if (!given) throw new RangeError("the model has neither create nor load, which give its handlers");
  if (options.includes("fault"))
    throw new RangeError('the model has an option "fault", which every model has; name it otherwise');
  const barBytes = sizesOf(description);
  const config = () => configOf(description, barBytes);
  config(); // refuses ids and capabilities that can't be
  const faultKinds = allFaultKinds(description.faults);
  const definition: ModelDefinition<ModelData<Data>> = {
    title,
    options: [...options, "fault"],
    remains: async () => ({
      config: config(),
      msiVectors: description.interrupts?.msi ?? 1,
      msixVectors: description.interrupts?.msix ?? 0,
      barBytes,
    }),
    prepare: async (setup) => {
      const query = setup.options.toString();
      const faults = parseFaults(setup.options.get("fault") ?? "", faultKinds);
      const prepared = await description.prepare?.(setup);
      const data = { query, faults, data: prepared?.data as Data };
      return { about: "", release: () => {}, ...prepared, data };
    },
    load: async () => {
      // Only the message thread needs the device's code, and while the model loads its own.
      const [{ HandledDevice }, createHandlers] = await Promise.all([import("./handled-device.ts"), given()]);
      return (host: Host, { query, faults, data }, ask) =>
        new HandledDevice({
          bars: description.bars,
          interrupts: description.interrupts ?? {},
          ...{ barBytes, host, faults, faultKinds },
          countsInterrupts: description.faults === undefined,
          config: config(),
          options: new URLSearchParams(query),
          // Its handlers and tables are from the same description.
          create: (device) => createHandlers(device as Parameters<typeof createHandlers>[0], data, ask),
        });
    },
  };
  return definition as ModelDefinition<unknown>;
}

/** What the types say of a description, for one in JavaScript. Undefined if it holds. */
function shapeMistake<Bars extends BarDescriptions, Data>(
  description: ModelDescription<Bars, Data>,
): string | undefined {
  const { id, bars, interrupts = {}, capabilities = {}, options = [] } = description;
  const { express = "integrated", serialNumber = 0n, vendorSpecific = [] } = capabilities ?? {};
  const isObject = (part: unknown) => typeof part === "object" && part !== null;
  const parts: readonly [holds: boolean, rule: string][] = [
    [isObject(id), "id must be an object with vendor and device"],
    [Array.isArray(bars), "bars must be an array"],
    [isObject(interrupts), "interrupts must be an object"],
    [isObject(capabilities), "capabilities must be an object"],
    [Array.isArray(options), "options must be an array of names"],
    [
      express === "endpoint" || express === "integrated",
      "capabilities.express must be endpoint or integrated",
    ],
    [typeof serialNumber === "bigint", "capabilities.serialNumber must be a bigint"],
    [
      Array.isArray(vendorSpecific) && vendorSpecific.every((part) => part instanceof Uint8Array),
      "capabilities.vendorSpecific must be an array of Uint8Arrays",
    ],
  ];
  return (
    parts.find(([holds]) => !holds)?.[1] ??
    strangerIn("the model", description, KEYS.model) ??
    strangerIn("id", id, KEYS.id) ??
    strangerIn("interrupts", interrupts, KEYS.interrupts) ??
    strangerIn("capabilities", capabilities, KEYS.capabilities)
  );
}

type AllKeys<T> = Readonly<Record<keyof T, true>>;
/** The keys of a description and its parts: a misspelt one would change nothing, silently. */
const KEYS: {
  readonly model: AllKeys<ModelDescription>;
  readonly id: AllKeys<ModelDescription["id"]>;
  readonly interrupts: AllKeys<NonNullable<ModelDescription["interrupts"]>>;
  readonly capabilities: AllKeys<CapabilitiesDescription>;
} = {
  model: {
    ...{ title: true, id: true, bars: true, interrupts: true, capabilities: true, options: true },
    ...{ faults: true, prepare: true, create: true, load: true },
  },
  id: { vendor: true, device: true, subsystemVendor: true, subsystem: true, classCode: true },
  interrupts: { intx: true, msi: true, msix: true },
  capabilities: { express: true, functionLevelReset: true, serialNumber: true, vendorSpecific: true },
};

function strangerIn(what: string, part: object, keys: Readonly<Record<string, true>>): string | undefined {
  const stranger = Object.keys(part).find((key) => !Object.hasOwn(keys, key));
  return (
    stranger && `${what} has "${stranger}", which there is not; there are ${Object.keys(keys).join(", ")}`
  );
}

/** Places of the capabilities. Those of the vendor take 0x40 to 0x7f. */
const VENDOR_AT = 0x40;
const VENDOR_END = 0x80;

function configOf(
  {
    id,
    bars,
    interrupts = {},
    capabilities = {},
  }: Pick<ModelDescription, "id" | "bars" | "interrupts" | "capabilities">,
  barBytes: readonly number[],
): ConfigSpaceModel {
  const { vendor, device, subsystemVendor = vendor, subsystem = device, classCode = 0xff_0000 } = id;
  for (const [name, value, bits] of [
    ["vendor", vendor, 16],
    ["device", device, 16],
    ["subsystemVendor", subsystemVendor, 16],
    ["subsystem", subsystem, 16],
    ["classCode", classCode, 24],
  ] as const)
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits)
      throw new RangeError(`id.${name} is ${value}; it must be a whole number of ${bits} bits`);
  // PCIe 6.0, section 2.3.2: a kernel reads all ones where no device answers, and 0x0001 where one is not ready yet.
  if (vendor === 0 || vendor === 1 || vendor === 0xffff)
    throw new RangeError(
      `id.vendor is ${vendor}, with which a kernel finds no device; take another, such as 0x1234`,
    );
  const { express = "integrated", functionLevelReset = true, serialNumber: serial } = capabilities;
  return buildConfigSpace({
    ...{ vendor, device, subsystemVendor, subsystem, classCode, barBytes },
    barTypes: bars,
    interruptPin: interrupts.intx === false ? 0 : 1,
    capabilities: [
      powerManagement(0x80),
      msi(0x90, interrupts.msi),
      ...(interrupts.msix
        ? [msix(0xb0, interrupts.msix, freeBar(bars), msixLayout(interrupts.msix).pendingOffset)]
        : []),
      pciExpress(0xc0, express, functionLevelReset),
      ...vendorsOwn(capabilities),
      advancedErrorReporting(0x100),
      ...(serial === undefined ? [] : [serialNumber(0x150, checkSerial(serial))]),
    ],
  });
}

function vendorsOwn({ vendorSpecific: parts = [] }: CapabilitiesDescription) {
  let at = VENDOR_AT;
  return parts.map((bytes) => {
    const capability = vendorSpecific(at, bytes);
    at += (3 + bytes.byteLength + 3) & ~3;
    if (at > VENDOR_END)
      throw new RangeError(
        `the vendor-specific capabilities take more than ${VENDOR_END - VENDOR_AT} bytes; each takes 3 more than it has, in multiples of 4`,
      );
    return capability;
  });
}

function checkSerial(serial: bigint): bigint {
  if (serial >= 0n && serial < 2n ** 64n) return serial;
  throw new RangeError(`capabilities.serialNumber is ${serial}; it must be a whole number of 64 bits`);
}
