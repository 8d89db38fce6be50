import { type ConfigSpaceModel, defineModel } from "../../src/exports/model.ts";
import { PCI_ID, REGISTER_BYTES, registers, WINDOW_BYTES } from "../../src/vp9/contract/registers.ts";
import model from "../../src/vp9/model/vp9.model.ts";

/** The model's configuration space at power-on. */
export async function modelConfigSpace(): Promise<ConfigSpaceModel> {
  return (await model.remains()).config;
}

/** That of the card, which does not advertise function-level reset. */
export async function cardConfigSpace(): Promise<ConfigSpaceModel> {
  const card = defineModel({
    title: "card",
    id: { ...PCI_ID, classCode: 0x058000 },
    bars: [{ registers, sizeBytes: REGISTER_BYTES }, { memoryBytes: WINDOW_BYTES }],
    capabilities: { functionLevelReset: false },
    create: () => ({}),
  });
  return (await card.remains()).config;
}
