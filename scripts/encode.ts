/**
 * Encodes raw video on a PCIe encoder. The verb itself is in encode/verb.ts. If the software model will
 * surely be used, this starts it first, so that the codec's thread loads in parallel.
 */
import "./cli/own-settings.ts";
import "./cli/interrupt.ts";
import { findFunctions } from "../src/pci/bus/functions.ts";
import { PCI_ID } from "../src/vp9/contract/registers.ts";
import { startOwnModel } from "./encode/own-model.ts";

const words = process.argv.slice(2).map((word) => word.split("=")[0]!);
const chosenOtherwise = ["--device", "--codec", "--help", "-h"].some((word) => words.includes(word));
const encodes = ["--output", "-o"].some((word) => words.includes(word));
if (encodes && !chosenOtherwise && findFunctions(PCI_ID).length === 0) startOwnModel("model:vp9");
await import("./encode/verb.ts");
