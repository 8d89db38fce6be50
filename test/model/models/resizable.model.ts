/** A device whose BAR1 of 8 MiB says that it can also have 16 MiB and 1 GiB. QEMU shows its guest only the size that it has. */
import { buildConfigSpace, defineModel, pciExpress } from "vfiokit/model";
import type { ModelDefinition } from "../../../src/model/definition.ts";

const id = { vendor: 0x1234, device: 0x3718 };
const model = defineModel({
  title: "resizable",
  id,
  bars: [{ registers: { VALUE: { offset: 0, mode: "rw", about: "A word" } } }, { memoryBytes: 8 * 2 ** 20 }],
  create: () => ({}),
});

/** PCIe 6.0, section 7.8.6: bit n + 4 of the first register offers 2^n MiB; the second has the size, the number of BARs, and which. */
const resizableBar = {
  id: 0x15,
  offset: 0x100,
  version: 1,
  registers: [
    { offset: 4, bytes: 4, value: (1 << 7) | (1 << 8) | (1 << 14) },
    { offset: 8, bytes: 4, value: (3 << 8) | (1 << 5) | 1, writable: 0x3f00 },
  ],
} as const;
const config = () =>
  buildConfigSpace({
    ...id,
    subsystemVendor: id.vendor,
    subsystem: id.device,
    classCode: 0xff0000,
    barBytes: [4096, 8 * 2 ** 20, 0, 0, 0, 0],
    interruptPin: 1,
    capabilities: [pciExpress(0x40, "integrated", false), resizableBar],
  });

const definition: ModelDefinition<unknown> = {
  ...model,
  load: async () => {
    const create = await model.load();
    return (...given) => Object.defineProperty(create(...given), "config", { value: config() });
  },
};
export default definition;
