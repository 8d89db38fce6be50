/**
 * Encodes raw video on a PCIe encoder. What the verb does is in encode/verb.ts; this starts the software model first
 * where it will surely be wanted, so that both processes start at the same time.
 */
import "./encode/interrupt.ts";
import { prepareModel } from "../src/device/model-process.ts";

const words = process.argv.slice(2).map((word) => word.split("=")[0]!);
const chosenOtherwise = ["--device", "--codec", "--help", "-h"].some((word) => words.includes(word));
if (!chosenOtherwise && ["--output", "-o"].some((word) => words.includes(word))) prepareModel("model:vp9");
await import("./encode/verb.ts");
